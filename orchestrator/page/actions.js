// What an operator may do beside the policy: pause and force re-planning, cordon and drain a worker.

import { byId, h, say } from "./dom.js";
import { post } from "./api.js";

const pause = byId("pause-button");
const answer = byId("replanning-answer");
let paused = false;

async function act(path, done, where = answer) {
    say(where, "…");
    try {
        const found = await post(path);
        say(where, done(found));
    } catch (problem) {
        say(where, problem.message);
    }
}

pause.addEventListener("click", () => act(`replanning/${paused ? "resume" : "pause"}`, () => ""));
byId("force-button").addEventListener("click", () =>
    act(
        "replanning/force",
        ({ decision, reason }) => reason ?? (decision ? "A new plan is being rolled out." : "The plan stays as it is."),
    ),
);

/** Draws a state. */
export function draw(state) {
    paused = state.replanning === "paused";
    say(pause, paused ? "Resume" : "Pause");
    pause.disabled = state.replanning === "off";
    byId("force-button").disabled = state.replanning === "off";
    const words = {
        running: "automatic",
        paused: "paused: the plan stays until somebody resumes",
        off: "off: the plan is fixed",
    };
    say(byId("replanning-line"), words[state.replanning] ?? "");
}

/** The menu of one worker. */
export function menu(name) {
    const path = (verb) => `workers/${encodeURIComponent(name)}/${verb}`;
    const says = h("p", { class: "small", role: "status" });
    const item = (verb, title, what) =>
        h("button", { type: "button", class: verb, title: what, click: () => act(path(verb), () => "", says) }, title);
    const details = h(
        "details",
        { class: "menu" },
        h("summary", { "aria-label": `Actions for ${name}` }, h("span", { "aria-hidden": "true" }, "⋯")),
        h(
            "div",
            {},
            item("cordon", "Cordon", "No new plan gives it a stage; what runs goes on"),
            item("drain", "Drain", "Cordon it, and plan anew without it now"),
            item("uncordon", "Uncordon", "Plans may use it again"),
            says,
        ),
    );
    details.addEventListener("keydown", (event) => {
        if (event.key !== "Escape") return;
        details.open = false;
        details.firstChild.focus();
    });
    return details;
}

addEventListener("click", (event) => {
    for (const open of document.querySelectorAll("details.menu[open]")) {
        if (!open.contains(event.target)) open.open = false;
    }
});
