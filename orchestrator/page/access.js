// Asks for a token when the orchestrator wants one.

import { byId } from "./dom.js";
import { setToken, token } from "./api.js";

const dialog = byId("token-dialog");
const input = byId("token-input");
const button = byId("token-button");

/** Calls `again` after a token was given. */
export function guard(again) {
    const open = () => {
        button.hidden = false;
        if (dialog.open) return;
        if (token())
            byId("token-why").textContent = "The orchestrator does not accept this token. Is it one of its token file?";
        input.value = "";
        dialog.showModal();
    };
    addEventListener("weir-token-needed", open, { once: false });
    button.addEventListener("click", open);
    byId("token-cancel").addEventListener("click", () => dialog.close());
    dialog.querySelector("form").addEventListener("submit", () => {
        setToken(input.value.trim());
        again();
    });
}
