// Joins the parts: events come in, the state is handed to everything that draws.

import { byId, say } from "./dom.js";
import { get } from "./api.js";
import { guard } from "./access.js";
import { follow } from "./stream.js";
import * as actions from "./actions.js";
import * as cluster from "./cluster.js";
import * as figures from "./figures.js";
import * as flow from "./flow.js";
import * as format from "./format.js";
import * as history from "./history.js";
import * as network from "./network.js";
import * as pareto from "./pareto.js";
import * as policy from "./policy.js";
import * as tables from "./tables.js";
import * as timeline from "./timeline.js";
import { colours, short } from "./plan.js";

const FRONT_EVERY_MS = 5000;

let heard = null;
let problem = null;
let blocked = null;
let frontAt = 0;
let frontPlan = null;

function state(found) {
    heard = Date.now();
    history.remember(found);
    const colour = colours(found.workers);
    figures.draw(found);
    cluster.draw(found, colour);
    network.draw(found, colour);
    tables.draw(found);
    timeline.draw(found);
    actions.draw(found);
    policy.draw(found);
    flow.second(found.answers?.per_second);
    headings(found);
    front(found);
    connection();
}

function headings(found) {
    say(byId("network-name"), found.network.arch);
    const id = found.plan && `${found.plan.term}.${found.plan.epoch}`;
    const admission = {
        open: "",
        no_plan: "no plan: nothing is admitted",
        holding: "requests wait for the next plan",
        draining: "shutting down",
    };
    say(byId("plan-line"), [id && short(id), admission[found.admission]].filter(Boolean).join(" · "));
    blocked = found.blocked;
}

/** The front belongs to a plan; it costs the planner some work, so it is not asked for all the time. */
function front(found) {
    const id = found.plan && `${found.plan.term}.${found.plan.epoch}`;
    if (!id || id === frontPlan || Date.now() - frontAt < FRONT_EVERY_MS || document.hidden) return;
    frontPlan = id;
    frontAt = Date.now();
    pareto.load();
}

/** Says how old the figures are; old ones are greyed. */
function connection() {
    const old = heard === null ? null : Date.now() - heard;
    const stale = problem !== null || (old !== null && old > 3500);
    document.body.classList.toggle("stale", stale && heard !== null);
    document.body.classList.toggle("live", !stale && heard !== null);
    const since = heard === null ? "" : `; figures are ${format.age(old)} old`;
    const lost =
        problem?.status === 401 ? "Waiting for a token" : problem?.status ? "Refused" : `Connection lost${since}`;
    say(byId("connection-text"), stale ? lost : heard === null ? "Connecting…" : "Live");
    // What the orchestrator itself says about it, or why it runs no better plan.
    const words = problem?.status ? problem.message : blocked ? `No better plan runs: ${blocked}` : "";
    say(byId("notice"), words);
    byId("notice").hidden = words === "";
}

const stream = follow("events/stream", {
    open() {
        problem = null;
        timeline.load().catch(() => {});
        policy.load().catch(() => {});
        connection();
    },
    lost(why) {
        problem = why;
        connection();
    },
    event(name, data) {
        if (name === "state") state(data);
        if (name === "plan") timeline.plan(data);
        if (name === "log") timeline.note(data);
    },
});

guard(() => stream.restart());
setInterval(connection, 1000);
get("version").then(
    ({ release }) => say(byId("release"), `Weir ${release}`),
    () => {},
);
