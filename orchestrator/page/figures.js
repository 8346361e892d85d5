// The key figures at the top: what users get, and what the plan promised.

import { byId, each, h, say, svg } from "./dom.js";
import * as format from "./format.js";
import { spark } from "./history.js";

const list = byId("figures");

/** Draws a state. */
export function draw(state) {
    const { answers, load, predicted, accuracy } = state;
    const failed = answers?.failed_per_second ? `${format.perSecond(answers.failed_per_second)} failed` : "none failed";
    const figures = [
        [
            "Answers",
            format.perSecond(answers?.per_second),
            `${format.perSecond(load?.offered_per_second)} offered, ${answers ? failed : "no answers yet"}`,
            "answers",
        ],
        [
            "Latency, median",
            format.seconds(answers?.latency_p50_seconds),
            `${format.seconds(predicted?.latency_seconds)} predicted`,
            "latency",
        ],
        ["Latency, 99 %", format.seconds(answers?.latency_p99_seconds), `${load?.in_flight ?? format.NONE} in flight`],
        ["Energy for an answer", format.joules(predicted?.energy_joules), "predicted, above idling"],
        ["Accuracy", format.accuracy(accuracy?.expected), accuracyWords(accuracy)],
    ];
    each(
        list,
        figures,
        ([label]) => label,
        make,
        (element, [label, value, note, key]) => {
            const [number, ...unit] = value.split("\u00a0");
            const [dt, dd, small] = element.children;
            say(dt, label);
            say(dd.children[0], number);
            say(dd.children[1], unit.join(" ") && `\u00a0${unit.join(" ")}`);
            say(small, note);
            element.querySelector("path")?.setAttribute("d", key ? spark(key, 100, 24) : "");
            element.classList.toggle("warn", label === "Accuracy" && Boolean(accuracy?.degraded));
        },
    );
}

function make([, , , key]) {
    const chart =
        key &&
        svg(
            "svg",
            { class: "spark", viewBox: "0 0 100 24", preserveAspectRatio: "none", "aria-hidden": "true" },
            svg("path"),
        );
    return h(
        "div",
        { class: "figure-box" },
        h("dt"),
        h("dd", {}, h("span", { class: "big" }), h("span", { class: "unit" })),
        h("dd", { class: "note" }),
        chart,
    );
}

function accuracyWords(accuracy) {
    if (!accuracy) return "no accuracy profile";
    if (accuracy.degraded) return "degraded: a worker is bypassed";
    return accuracy.points_lost > 0 ? `${format.points(accuracy.points_lost)} given up` : "nothing given up";
}
