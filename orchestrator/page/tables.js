// The same as the picture, as tables: every worker, every link, also those that the plan does not use.

import { byId, each, h, say } from "./dom.js";
import * as format from "./format.js";
import { fallen } from "./history.js";
import { range, stageOf } from "./plan.js";

const home = byId("tables");
const button = byId("table-button");
const workers = table("Workers", [
    "Worker",
    "Layers",
    "State",
    "Load",
    "Waiting",
    "Memory",
    "Limit",
    "Power",
    "Battery",
]);
const links = table("Links, as their senders see them", [
    "From",
    "To",
    "In the plan",
    "State",
    "RTT",
    "Least RTT",
    "Goodput",
    "Loss",
    "Age",
]);
home.append(workers.element, links.element);

button.addEventListener("click", () => {
    const tables = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(tables));
    home.hidden = !tables;
    byId("picture").hidden = tables;
});

function table(caption, columns) {
    const body = h("tbody");
    const head = h("tr", {}, ...columns.map((column) => h("th", { scope: "col" }, column)));
    const element = h(
        "div",
        { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
        h("table", {}, h("caption", {}, caption), h("thead", {}, head), body),
    );
    return { element, body };
}

function rows(body, items, keyOf, cells) {
    each(
        body,
        items,
        keyOf,
        () => h("tr"),
        (row, item) => {
            each(
                row,
                cells(item).map((text, index) => [index, text]),
                ([index]) => index,
                ([index]) => (index ? h("td") : h("th", { scope: "row" })),
                (cell, [, text]) => {
                    say(cell, text);
                    cell.classList.toggle("fallen", text.endsWith("↓"));
                },
            );
        },
    );
}

/** Draws a state. */
export function draw(state) {
    rows(
        workers.body,
        state.workers,
        (worker) => worker.name,
        (worker) => {
            const stage = stageOf(state.plan, worker.name);
            const where = stage ? (stage.bypassed ? "bypassed" : range(stage)) : format.NONE;
            const is = [worker.state, worker.cordoned && "cordoned", worker.left_out && `left out: ${worker.left_out}`]
                .filter(Boolean)
                .join(", ");
            return [
                worker.name,
                where,
                is,
                format.percent(worker.utilisation_ratio),
                String(worker.queue_length),
                format.bytes(worker.resident_bytes),
                format.bytes(worker.memory_limit_bytes),
                format.watts(worker.power_watts),
                format.percent(worker.battery_ratio),
            ];
        },
    );
    rows(
        links.body,
        state.links,
        (link) => `${link.from} ${link.to}`,
        (link) => [
            link.from,
            link.to,
            link.in_plan ? "yes" : "no",
            link.up ? "up" : "down",
            format.seconds(link.rtt_seconds),
            format.seconds(link.rtt_min_seconds),
            `${format.rate(link.goodput_bytes_per_second)}${fallen(`${link.from} ${link.to}`) ? " ↓" : ""}`,
            format.percent(link.loss_ratio),
            format.seconds(link.estimate_age_seconds),
        ],
    );
}
