// What a policy would give: the planner's answer to a dry run, beside what runs now.

import { each, h } from "./dom.js";
import * as format from "./format.js";
import { describe, dropped } from "./plan.js";

/** Now and then, side by side, with the button that makes it so. */
export function comparison(solution, state, apply) {
    const now = state?.predicted;
    const { terms, placement } = solution;
    const rows = [
        ["Latency", format.seconds(now?.latency_seconds), format.seconds(terms.latency_seconds)],
        ["Energy", format.joules(now?.energy_joules), format.joules(terms.energy_joules)],
        ["Accuracy lost", format.points(now?.accuracy_loss_points), format.points(terms.accuracy_loss_points)],
        ["Answers, at most", format.perSecond(now?.throughput_per_second), format.perSecond(1 / terms.period_seconds)],
    ];
    const body = h("tbody");
    each(
        body,
        rows,
        ([name]) => name,
        ([name, before, after]) =>
            h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, before), h("td", {}, after)),
    );
    const off = dropped(placement, state);
    const binding = solution.binding?.length
        ? h("p", { class: "small quiet" }, `Nothing to spare: ${solution.binding.map(limit).join(", ")}`)
        : null;
    return h(
        "div",
        { class: "preview" },
        h("h3", {}, "This policy would give"),
        h(
            "table",
            {},
            h("thead", {}, h("tr", {}, h("td"), h("th", { scope: "col" }, "now"), h("th", { scope: "col" }, "then"))),
            body,
        ),
        h(
            "p",
            {},
            ...describe(placement, state).flatMap(({ worker, layers }, index) => [
                index ? " → " : "",
                h("b", {}, worker),
                ` ${layers}`,
            ]),
        ),
        h("p", {}, off.length ? `Dropped: ${off.join(", ")}` : "All connections active"),
        binding,
        h(
            "div",
            { class: "buttons" },
            h("button", { type: "button", class: "main", click: apply }, "Apply this policy"),
        ),
    );
}

const limit = (one) =>
    typeof one === "string"
        ? one.replaceAll("_", " ")
        : Object.entries(one)
              .map(([kind, worker]) => `${kind} of ${worker}`)
              .join();
