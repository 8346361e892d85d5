// What a plan means, in words: layers by name, who computes what, what is dropped. No document is touched here.

/** A colour for each worker, the same as long as the set of names is: a class of style.css. */
export function colours(workers) {
    const names = workers.map((worker) => worker.name).sort();
    return (name) => (names.includes(name) ? `w${names.indexOf(name) % 8}` : "w-none");
}

/** Workers that take part in the plan, in the order in which a request meets them. */
export const chain = (plan) =>
    plan ? plan.stages.filter((stage) => !stage.bypassed).map((stage) => stage.worker) : [];

/** The gateway's name: the only end of a route that is no worker's. */
export function gatewayName(state) {
    const workers = new Set(state.workers.map((worker) => worker.name));
    const ends = [...(state.plan?.routes ?? []), ...state.links].flatMap((link) => [link.from, link.to]);
    return ends.find((name) => !workers.has(name)) ?? "gateway";
}

export const stageOf = (plan, worker) => plan?.stages.find((stage) => stage.worker === worker) ?? null;

export const range = (stage) => (stage.first === stage.last ? stage.first : `${stage.first} – ${stage.last}`);

export const short = (planId) => `plan ${String(planId).split(".").pop()}`;

/** Names of all layers: the stem, each block's convolutions and join, the head. */
function layerNames(state) {
    const blocks = state.network.blocks;
    const all = state.plan?.stages.at(-1)?.layers.end;
    const convolutions = all ? Math.round((all - 2) / blocks.length) - 1 : 2;
    const inBlock = [...Array(convolutions).keys()].map((index) => `conv${index + 1}`).concat("join");
    return ["stem", ...blocks.flatMap((block) => inBlock.map((layer) => `${block.name}.${layer}`)), "head"];
}

/** A placement as stages in words; its cuts are numbers of layers. */
export function describe(placement, state) {
    const names = layerNames(state);
    const cuts = [0, ...placement.cuts, names.length];
    return placement.workers.map((worker, index) => {
        const [first, last] = [names[cuts[index]], names[cuts[index + 1] - 1]];
        return { worker, layers: first === last ? first : `${first} – ${last}` };
    });
}

/** Names of the connections that a placement drops. */
export function dropped(placement, state) {
    const name = (kind) => (block) => `${kind}:${state.network.blocks[block]?.name ?? block}`;
    const { branches_off = [], shortcuts_off = [] } = placement.active;
    return [...branches_off.map(name("F")), ...shortcuts_off.map(name("S"))];
}

/** In one line. */
export function sentence(placement, state) {
    const stages = describe(placement, state)
        .map(({ worker, layers }) => `${worker} ${layers}`)
        .join(" → ");
    const off = dropped(placement, state);
    return off.length ? `${stages}; without ${off.join(", ")}` : stages;
}
