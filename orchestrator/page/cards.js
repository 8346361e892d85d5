// The cards of the picture: what the gateway and each worker are doing, in figures.

import { h, each, say } from "./dom.js";
import * as format from "./format.js";
import { menu } from "./actions.js";
import { range, stageOf } from "./plan.js";

// A worker that is busier, or fuller, than this has no room for a surprise; a battery below this wants to be seen.
const HIGH = 0.9;
const LOW = 0.2;

/** A card of the gateway or of a worker, still empty. */
export function make(one) {
    const title = h("h3", {}, h("span", { class: "swatch", "aria-hidden": "true" }), h("span", { class: "name" }));
    const rows = h("dl", { class: "rows" });
    const card = h("li", { class: one.gateway ? "card gateway" : "card" }, title, h("p", { class: "range" }), rows);
    if (!one.gateway) card.append(menu(one.name));
    return card;
}

/** Rows of label and value, with a bar where the value is a share of something. */
function rowsOf(card, rows) {
    const row = () => h("div", {}, h("dt"), h("dd"), h("span", { class: "bar", "aria-hidden": "true" }, h("i")));
    each(
        card.querySelector(".rows"),
        rows,
        ([label]) => label,
        row,
        (element, [label, value, ratio]) => {
            say(element.querySelector("dt"), label);
            say(element.querySelector("dd"), value);
            const bar = element.querySelector(".bar");
            bar.classList.toggle("none", ratio === null || ratio === undefined);
            bar.firstChild.style.inlineSize = `${Math.min(100, 100 * (ratio ?? 0))}%`;
            bar.classList.toggle("high", label !== "Battery" && ratio > HIGH);
            bar.classList.toggle("low", label === "Battery" && ratio < LOW);
        },
    );
}

/** What is asked of the gateway, and what it gives. */
export function gatewayCard(card, { gateway, state }) {
    say(card.querySelector(".name"), gateway);
    say(card.querySelector(".range"), "gateway");
    rowsOf(card, [
        ["Offered", format.perSecond(state.load?.offered_per_second)],
        ["Answered", format.perSecond(state.answers?.per_second)],
        ["In flight", String(state.load?.in_flight ?? format.NONE)],
    ]);
}

/** What a worker does, and how it fares. */
export function workerCard(card, worker, state, colour) {
    const stage = stageOf(state.plan, worker.name);
    say(card.querySelector(".name"), worker.name);
    card.querySelector(".swatch").setAttribute("class", `swatch ${colour(worker.name)}`);
    const lost = worker.state !== "connected";
    const works = stage && !stage.bypassed;
    card.classList.toggle("lost", lost);
    card.classList.toggle("idle", !works);
    const doing = works ? range(stage) : stage ? "bypassed" : "standing by";
    const why = lost ? "lost" : worker.left_out ? `left out: ${worker.left_out}` : doing;
    const text = [why, worker.draining ? "leaving" : worker.cordoned && "cordoned"].filter(Boolean).join(" · ");
    say(card.querySelector(".range"), text);
    card.querySelector(".range").title = text;
    card.querySelector(".menu").dataset.cordoned = String(Boolean(worker.cordoned));
    const waits = worker.queue_length ? `, ${worker.queue_length} wait` : "";
    const limit = worker.memory_limit_bytes;
    const stated = worker.energy_source === "model" ? ", estimated" : "";
    const rows = [
        ["Load", format.percent(worker.utilisation_ratio) + waits, worker.utilisation_ratio],
        ["Memory", format.bytes(worker.resident_bytes), limit ? worker.resident_bytes / limit : null],
        [`Power${stated}`, format.watts(worker.power_watts), null],
    ];
    if (worker.battery_ratio !== null && worker.battery_ratio !== undefined) {
        rows.push(["Battery", format.percent(worker.battery_ratio), worker.battery_ratio]);
    }
    if (!works) rows.push(["Best link to it", bestLink(state, worker.name), null]);
    rowsOf(card, lost ? [] : rows);
}

/** Goodput of the best link to a worker that stands by: often the reason why it does. */
function bestLink(state, name) {
    const goodputs = state.links
        .filter(({ to, up }) => to === name && up)
        .map((link) => link.goodput_bytes_per_second ?? 0);
    return format.rate(Math.max(...goodputs) || null);
}
