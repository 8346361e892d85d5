// The policy: change it, see the plan that it would give, apply it.
//
// The text is the truth; the fields read and change single lines of it. Applying says which policy was looked at (If-Match),
// so that nobody undoes another's change without knowing.

import { byId, h, say } from "./dom.js";
import { ask } from "./api.js";
import { comparison } from "./preview.js";
import { editable, read, write } from "./toml.js";

const AIMS = [
    ["", "a weighted balance"],
    ["latency", "latency"],
    ["energy", "energy"],
    ["accuracy_loss", "accuracy lost"],
    ["period", "time between answers"],
];
const WEIGHTS = [
    ["latency", "Latency"],
    ["energy", "Energy"],
    ["accuracy_loss", "Accuracy lost"],
    ["period", "Time between"],
];
// Key, label, unit, how many of the unit make one of the file's.
const BOUNDS = [
    ["latency_seconds", "Latency, at most", "ms", 1000],
    ["energy_joules", "Energy, at most", "J", 1],
    ["accuracy_loss_points", "Accuracy lost, at most", "points", 1],
    ["throughput", "Answers, at least", "/s", 1],
];

const form = byId("policy-form");
const text = byId("policy-text");
const aim = byId("policy-aim");
const result = byId("policy-result");
let served = "";
let etag = null;
let state = null;

aim.append(...AIMS.map(([value, name]) => h("option", { value }, name)));
const weights = inputs(
    byId("policy-weights"),
    "weights",
    WEIGHTS.map(([key, name]) => [key, name, "", 1]),
);
const bounds = inputs(byId("policy-bounds"), "bounds", BOUNDS);
// What holds where nothing is written.
byId("policy-bounds-accuracy_loss_points").placeholder = "1";

function inputs(home, table, rows) {
    return rows.map(([key, name, unit, factor]) => {
        const input = h("input", {
            id: `policy-${table}-${key}`,
            type: "number",
            min: "0",
            step: "any",
            inputmode: "decimal",
            autocomplete: "off",
        });
        home.append(
            h(
                "label",
                { class: "field", for: input.id },
                name,
                h("span", { class: "with-unit" }, input, unit && h("span", { class: "unit-of" }, unit)),
            ),
        );
        input.addEventListener("input", () => {
            if (!input.validity.valid) return;
            change(table, key, input.value === "" ? null : number(Number(input.value) / factor));
        });
        return { key, input, factor };
    });
}

/** A number as TOML has it: a float needs a point. */
const number = (value) => (Number.isInteger(value) ? `${value}.0` : String(Number(value.toPrecision(12))));

function change(table, key, value) {
    text.value = write(text.value, table, key, value);
    edited();
}

aim.addEventListener("change", () => {
    let changed = write(text.value, "", "minimise", aim.value ? `"${aim.value}"` : null);
    // The server takes weights or one aim, not both.
    if (aim.value) for (const [key] of WEIGHTS) changed = write(changed, "weights", key, null);
    text.value = changed;
    fields();
    edited();
});
text.addEventListener("input", () => {
    fields();
    edited();
});
byId("policy-reset").addEventListener("click", () => use(served));
form.addEventListener("submit", (event) => {
    event.preventDefault();
    preview();
});

/** A preview is one of a certain text: it goes when the text changes. */
function edited() {
    result.replaceChildren();
}

function use(policy) {
    text.value = policy;
    fields();
    edited();
}

function note(words) {
    byId("policy-form-note").hidden = words === "";
    say(byId("policy-form-note"), words);
}

/** Fills the fields from the text. */
function fields() {
    const simple = editable(text.value, ["weights", "bounds"]);
    byId("policy-fields").disabled = !simple;
    note(simple ? "" : "This policy is written in a form that the fields cannot change; change its text.");
    aim.value = read(text.value, "", "minimise") ?? "";
    byId("policy-weights").hidden = aim.value !== "";
    for (const [table, all] of [
        ["weights", weights],
        ["bounds", bounds],
    ]) {
        for (const { key, input, factor } of all) {
            const value = read(text.value, table, key);
            // One weight that is written makes those that are not nothing; without any, the orchestrator's own hold.
            if (table === "weights") input.placeholder = /^\s*\[weights\]/m.test(text.value) ? "0" : "default";
            if (document.activeElement !== input)
                input.value = value === null ? "" : Number((Number(value) * factor).toPrecision(9));
        }
    }
}

/** Fetches the policy in force; what a person is writing is kept. */
export async function load() {
    let response;
    try {
        response = await ask("policy");
    } catch (problem) {
        if (problem.status && problem.status !== 401) note(`No policy: ${problem.message}`);
        throw problem;
    }
    // Who is writing began with the policy of then: applying is to be checked against that one.
    if (text.value !== served) return;
    served = (await response.text()).replaceAll("\r\n", "\n");
    etag = response.headers.get("ETag");
    use(served);
}

/** Follows a policy that somebody else has changed. */
export function draw(newest) {
    state = newest;
    if (etag !== null && newest.policy_etag && unquoted(newest.policy_etag) !== unquoted(etag)) {
        if (text.value === served) load().catch(() => {});
    }
}

const unquoted = (tag) => tag.replace(/^W\//, "").replaceAll('"', "");

/** Asks the planner, which a viewer may do as well: it changes nothing. */
const solve = (policy) =>
    ask("plan/solve", {
        method: "POST",
        body: JSON.stringify({ policy }),
        headers: { "Content-Type": "application/json" },
    });

const put = (policy) =>
    ask("policy", {
        method: "PUT",
        body: policy,
        headers: { "Content-Type": "application/toml", "If-Match": etag ?? "*" },
    });

async function preview() {
    const looked = text.value;
    answer("Asking the planner…");
    try {
        const solution = await (await solve(looked)).json();
        if (looked === text.value) result.replaceChildren(comparison(solution, state, apply));
    } catch (problem) {
        refused(problem);
    }
}

async function apply() {
    try {
        const policy = text.value;
        const response = await put(policy);
        etag = response.headers.get("ETag");
        served = policy;
        answer("The policy is in force. The next plan will follow it.", "good");
    } catch (problem) {
        refused(problem);
    }
}

const answer = (words, kind = "") => result.replaceChildren(h("p", { class: `answer ${kind}` }, words));

function refused(problem) {
    if (problem.status !== 412) return answer(problem.message, "bad");
    result.replaceChildren(
        h(
            "p",
            { class: "answer bad" },
            "Somebody has changed the policy since you began. Nothing was applied, and your text is still here.",
        ),
        h(
            "div",
            { class: "buttons" },
            h("button", { type: "button", click: () => again(true) }, "Show me the new one"),
            h("button", { type: "button", click: () => again(false) }, "Preview mine in its place"),
        ),
    );
}

async function again(theirs) {
    const mine = text.value;
    try {
        text.value = served;
        await load();
        if (theirs) return;
        text.value = mine;
        fields();
        await preview();
    } catch (problem) {
        refused(problem);
    }
}
