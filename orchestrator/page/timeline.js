// The re-plans, newest first, each with its reason; between them what else happened.

import { byId, each, h } from "./dom.js";
import { get } from "./api.js";
import * as format from "./format.js";
import { sentence, short } from "./plan.js";

const KINDS = {
    first: "First plan",
    adopted: "Same plan after a restart",
    worker_lost: "Worker lost",
    link_lost: "Link lost",
    infeasible: "Bound broken",
    improvement: "Better plan",
    shed: "Connections shed",
    restore: "Connections restored",
    bypass: "Bypass",
    rollback: "Rolled back",
    policy: "Policy changed",
    forced: "Forced",
    drained: "Worker drained",
    by_hand: "Plan by hand",
};
const KEPT = 200;
const SPOKEN = 5;

const list = byId("timeline");
const older = byId("older-button");
const records = new Map();
const notes = new Map();
let next = null;
let state = null;

const title = (record) => KINDS[record.decision.kind] ?? record.decision.kind.replaceAll("_", " ");

/** A decision that began or changed; spoken once, when it was committed. */
export function plan(record) {
    const known = records.get(record.number)?.state === record.state;
    records.set(record.number, record);
    if (!known && record.state === "committed") {
        const spoken = byId("spoken");
        spoken.append(h("p", {}, `${short(record.plan)}. ${title(record)}: ${record.decision.because}.`));
        while (spoken.children.length > SPOKEN) spoken.firstChild.remove();
    }
    show();
}

/** Something that happened; what re-plans say themselves is left to them. */
export function note(event) {
    if (event.kind.startsWith("plan_")) return;
    notes.set(event.id, event);
    show();
}

/** Names of layers and blocks come from the state. */
export function draw(newest) {
    const first = state === null;
    state = newest;
    if (first) show();
}

/** Fetches what was decided before this page was opened, or while it was not connected. */
export async function load(cursor = null) {
    const page = await get(`plans?limit=20${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    for (const record of page.plans) records.set(record.number, record);
    next = page.next;
    older.hidden = !next;
    show();
}

older.addEventListener("click", () => load(next).catch(() => {}));

function show() {
    if (!state) return;
    const all = [
        ...[...records.values()].map((record) => ({
            key: `plan ${record.unix_ms} ${record.number}`,
            at: record.unix_ms,
            record,
        })),
        ...[...notes.values()].map((event) => ({ key: event.id, at: event.unix_ms, event })),
    ]
        .sort((a, b) => b.at - a.at)
        .slice(0, KEPT);
    each(
        list,
        all,
        ({ key }) => key,
        ({ record }) => h("li", { class: record ? "replan" : "note" }),
        (item, one) => {
            const looks = JSON.stringify(one.record ?? one.event);
            if (item.dataset.looks === looks) return;
            item.dataset.looks = looks;
            item.replaceChildren(...(one.record ? replan(one.record) : happened(one.event)));
        },
    );
    if (!all.length)
        each(
            list,
            [0],
            () => "none",
            () => h("li", { class: "note" }, "Nothing has been decided yet."),
        );
}

const time = (at) => h("time", { datetime: new Date(at).toISOString() }, format.clock(at));

const happened = (event) => [time(event.unix_ms), h("p", {}, event.message)];

function replan(record) {
    const { decision } = record;
    const shifts = decision.shifted
        .slice(0, 3)
        .map(({ what, before, after }) =>
            h(
                "li",
                {},
                `${format.unitless(what)} `,
                h("span", { class: "change" }, `${format.figure(what, before)} → ${format.figure(what, after)}`),
            ),
        );
    return [
        time(record.unix_ms),
        h(
            "div",
            {},
            h("h3", {}, title(record), h("span", { class: "quiet" }, ` ${short(record.plan)}`), outcome(record)),
            h("p", {}, upper(decision.because)),
            shifts.length ? h("ul", { class: "shifts", "aria-label": "What shifted most" }, ...shifts) : null,
            h("p", { class: "small quiet" }, sentence(decision.new, state)),
            h("p", { class: "small" }, ...promised(record)),
        ),
    ];
}

function outcome(record) {
    const words = {
        rolling_out: "rolling out",
        committed: record.trial === "failed" ? "did not deliver" : "",
        aborted: "not rolled out",
    }[record.state];
    return words ? h("span", { class: `pill ${record.state === "rolling_out" ? "" : "bad"}` }, words) : null;
}

/** Predicted before and after, measured, gain, and how long it took. */
function promised({ decision, measured_seconds: measured, committed_after_ms: took, failure }) {
    const { old_predicted: old, predicted } = decision;
    const parts = [];
    if (predicted)
        parts.push(
            `latency ${old ? `${format.seconds(old.latency_seconds)} → ` : ""}${format.seconds(predicted.latency_seconds)} predicted`,
        );
    if (measured) parts.push(`${format.seconds(measured)} measured`);
    if (decision.gain) parts.push(`gain ${format.percent(decision.gain)}`);
    if (decision.degraded_points) parts.push(`${format.points(decision.degraded_points)} of accuracy lost`);
    if (Number.isFinite(took)) parts.push(`committed after ${took}\u00a0ms`);
    if (failure) parts.push(failure);
    return [parts.join(" · ")];
}

const upper = (text) => text.charAt(0).toUpperCase() + text.slice(1);
