// Pins: a connection that a person has decided on stays so in every plan. A block opens its own small form.

import { byId, h, say } from "./dom.js";
import { ask } from "./api.js";

const dialog = byId("pin-dialog");
const form = dialog.querySelector("form");
const answer = byId("pin-answer");
const PARTS = [
    ["F", "Residual branch"],
    ["S", "Shortcut"],
];
const CHOICES = [
    ["plan", "as the plan decides"],
    ["on", "always active"],
    ["off", "always dropped"],
];

let block = null;
let pins = null;
let etag = null;

byId("pin-parts").append(
    ...PARTS.map(([part, name]) =>
        h(
            "fieldset",
            { class: "choices" },
            h("legend", {}, name),
            ...CHOICES.map(([value, words]) =>
                h("label", {}, h("input", { type: "radio", name: part, value }), ` ${words}`),
            ),
        ),
    ),
);
byId("pin-cancel").addEventListener("click", () => dialog.close());
form.addEventListener("submit", (event) => {
    event.preventDefault();
    save();
});

/** Opens the form of a block. */
export async function open(name) {
    block = name;
    say(byId("pin-title"), `Pin ${name}`);
    await look();
    dialog.showModal();
}

/** Reads what is pinned now, and its ETag, which writing depends on. */
async function look() {
    say(answer, "");
    try {
        const response = await ask("pins");
        etag = response.headers.get("ETag");
        pins = await response.json();
    } catch (problem) {
        pins = { on: [], off: [] };
        say(answer, problem.message);
    }
    for (const [part] of PARTS) {
        const name = `${part}:${block}`;
        form.elements[part].value = ["on", "off"].find((list) => pins[list].includes(name)) ?? "plan";
    }
}

async function save() {
    const own = PARTS.map(([part]) => `${part}:${block}`);
    const list = (choice) => [
        ...pins[choice].filter((name) => !own.includes(name)),
        ...PARTS.filter(([part]) => form.elements[part].value === choice).map(([part]) => `${part}:${block}`),
    ];
    try {
        const headers = { "Content-Type": "application/json", "If-Match": etag };
        await ask("pins", { method: "PUT", headers, body: JSON.stringify({ on: list("on"), off: list("off") }) });
        dialog.close();
    } catch (problem) {
        if (problem.status === 412) await look();
        say(answer, problem.status === 412 ? "Somebody else has changed the pins; these are theirs." : problem.message);
    }
}
