// The ResNet as its blocks: the shortcut runs straight on, the residual branch is the box above it, and both meet at the
// join. What the plan does not compute is dashed and empty. Colours say who computes.

import { byId, each, h, say, svg } from "./dom.js";
import * as format from "./format.js";
import { open } from "./pins.js";
import { range } from "./plan.js";

const WIDTH = 66;
const LINE = 48;
const groups = byId("blocks");
let count = 0;

new ResizeObserver(size).observe(groups);

/** A short network fills the line; a long one is broken into several. */
function size() {
    const cell = Math.max(WIDTH, Math.min(1.5 * WIDTH, Math.floor(groups.clientWidth / Math.max(1, count))));
    groups.style.setProperty("--cell", `${cell}px`);
}

/** Draws a state. */
export function draw(state, colour) {
    const { network, plan } = state;
    const cells = [
        { name: "stem", end: true, workers: worker(plan, 0) },
        ...network.blocks.map((block) => ({ ...block, pins: pinsOf(block, state.pins) })),
        { name: "head", end: true, workers: worker(plan, -1) },
    ];
    count = cells.length;
    size();
    each(
        groups,
        grouped(cells),
        ([name]) => name,
        group,
        (element, [name, members]) => {
            say(element.firstChild, name);
            element.firstChild.classList.toggle("unseen", members[0].end === true);
            element.classList.toggle("end", members[0].end === true);
            each(
                element.lastChild,
                members,
                (cell) => cell.name,
                () => h("li", { class: "cell" }),
                (item, cell) => {
                    const looks = JSON.stringify([cell, (cell.workers ?? []).map(colour)]);
                    if (item.dataset.looks === looks) return;
                    item.dataset.looks = looks;
                    item.title = inWords(cell);
                    fill(item, cell, colour);
                },
            );
        },
    );
    const off = network.blocks.flatMap((block) => [
        ...(block.residual === "off" ? [`F:${block.name}`] : []),
        ...(block.shortcut === "off" ? [`S:${block.name}`] : []),
    ]);
    const of = 2 * network.blocks.length;
    const pinned = [
        ...(state.pins?.on ?? []).map((name) => `${name} on`),
        ...(state.pins?.off ?? []).map((name) => `${name} off`),
    ];
    const pins = pinned.length ? ` · pinned: ${pinned.join(", ")}` : "";
    say(
        byId("network-line"),
        plan
            ? (off.length
                  ? `${off.length} of ${of} connections dropped: ${off.join(", ")}`
                  : `all ${of} connections active`) + pins
            : "no plan yet",
    );
    each(
        byId("stages"),
        plan?.stages ?? [],
        (stage) => stage.worker,
        () => h("li", {}, h("span", { "aria-hidden": "true" }), h("b"), h("span")),
        (item, stage) => {
            item.firstChild.className = `swatch ${colour(stage.worker)}`;
            say(item.children[1], stage.worker);
            const work = `${format.count(stage.macs)} operations, ${format.bytes(stage.weight_bytes)} of weights`;
            say(item.lastChild, `${range(stage)} · ${stage.bypassed ? "bypassed" : work}`);
        },
    );
}

/** A block is a button, for its pins; it keeps its place, and with that the focus, when it looks different. */
function fill(item, cell, colour) {
    const looks = [glyph(cell, colour), h("span", { class: "unseen" }, inWords(cell))];
    if (cell.end) return item.replaceChildren(...looks);
    if (!item.firstChild) item.append(h("button", { type: "button", click: () => open(cell.name) }));
    item.firstChild.replaceChildren(...looks);
}

/** What a person has decided of a block's connections, as in `F on`. */
function pinsOf({ name }, pins) {
    const of = (list) => ["F", "S"].filter((part) => pins?.[list]?.includes(`${part}:${name}`));
    return [...of("on").map((part) => `${part} on`), ...of("off").map((part) => `${part} off`)];
}

/** Who computes the first or the last stage. */
const worker = (plan, index) => (plan ? [plan.stages.at(index).worker] : []);

/** Cells by the part of their name before the first point. */
function grouped(cells) {
    const found = new Map();
    for (const cell of cells) {
        const name = cell.name.split(".")[0];
        found.set(name, [...(found.get(name) ?? []), cell]);
    }
    return [...found];
}

const group = () => h("div", { class: "group" }, h("h3"), h("ul"));

function inWords(cell) {
    const where = cell.workers?.length ? ` on ${cell.workers.join(" and ")}` : "";
    if (cell.end) return `${cell.name}${where}`;
    const says = (what) => ({ on: "active", off: "dropped", mandatory: "always active" })[what] ?? what;
    const pins = cell.pins.length ? `; pinned: ${cell.pins.join(", ")}` : "";
    const parts = `residual branch ${says(cell.residual)}, ${cell.kind} shortcut ${says(cell.shortcut)}`;
    return `${cell.name}${where}: ${parts}${pins}`;
}

function glyph(cell, colour) {
    const parts = cell.end ? end(cell, colour) : block(cell, colour);
    return svg(
        "svg",
        { class: "glyph", width: WIDTH, height: 72, viewBox: `0 0 ${WIDTH} 72`, "aria-hidden": "true" },
        ...parts,
    );
}

function end(cell, colour) {
    return [
        svg("path", { class: "wire", d: cell.name === "stem" ? `M46 ${LINE}H${WIDTH}` : `M0 ${LINE}H20` }),
        ...box(cell, colour, cell.name === "stem" ? 2 : 20, LINE - 13, 44, 26, cell.name),
    ];
}

function block(cell, colour) {
    const [residual, shortcut] = [cell.residual !== "off", cell.shortcut !== "off"];
    const wire = (on) => (on ? "wire" : "wire off");
    return [
        svg("path", { class: "wire", d: `M0 ${LINE}H6M56 ${LINE}H${WIDTH}` }),
        svg("path", { class: wire(residual), d: `M6 ${LINE}V19Q6 15 10 15M47 15Q51 15 51 19V${LINE - 5}` }),
        ...box(residual ? cell : { ...cell, workers: [] }, colour, 10, 3, 37, 24, "F", !residual),
        ...(shortcut
            ? [svg("path", { class: "wire", d: `M6 ${LINE}H46` }), ...mark(cell.kind)]
            : [
                  svg("path", { class: "wire off", d: `M6 ${LINE}H20M36 ${LINE}H46` }),
                  svg("path", { class: "cross", d: `M24 ${LINE - 4}l8 8m0 -8l-8 8` }),
              ]),
        svg("circle", { class: "join", cx: 51, cy: LINE, r: 5 }),
        svg("path", { class: "plus", d: `M48 ${LINE}h6M51 ${LINE - 3}v6` }),
        svg("text", { class: "number", x: 28, y: 68 }, cell.name.split(".").slice(1).join(".")),
        ...(cell.pins.length ? [svg("circle", { class: "pin", cx: 40, cy: 64, r: 3 })] : []),
    ];
}

/** How a shortcut that is no identity changes the tensor. */
function mark(kind) {
    if (kind === "identity") return [];
    return [svg("rect", { class: kind, x: 23, y: LINE - 5, width: 10, height: 10, rx: 1.5 })];
}

/** A box in the colours of those who compute it, side by side where a cut runs through it. */
function box({ workers }, colour, x, y, width, height, text, off = false) {
    const share = width / Math.max(1, workers.length);
    const fills = workers.map((worker, index) =>
        svg("rect", {
            class: `fill ${colour(worker)}`,
            x: x + index * share,
            y,
            width: share,
            height,
            rx: workers.length > 1 ? 0 : 5,
        }),
    );
    const letters = off ? [] : [svg("text", { class: "in-branch", x: x + width / 2, y: y + height / 2 + 4 }, text)];
    return [...fills, svg("rect", { class: off ? "branch off" : "branch", x, y, width, height, rx: 5 }), ...letters];
}
