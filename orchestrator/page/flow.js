// The requests on their way: a dot for each answer, slowed down so that eyes can follow.
//
// Nothing moves where less motion is asked for, while the page is hidden, or after the button was pressed.

import { byId, h, say } from "./dom.js";

const LAP_MS = 3200;
const DOTS_MAX = 12;

const picture = byId("picture");
const button = byId("motion-button");
const less = matchMedia("(prefers-reduced-motion: reduce)");
let moves = !less.matches;
let path = null;

/** The way that requests take, as SVG path data; null for none. */
export function setPath(d) {
    path = d;
}

/** A second's worth of answers. */
export function second(perSecond) {
    const dots = Math.min(DOTS_MAX, Math.round(perSecond ?? 0));
    if (!moves || !path || document.hidden || picture.hidden) return;
    for (let dot = 0; dot < dots; dot++) setTimeout(send, (1000 * dot) / dots);
}

function send() {
    if (!moves || !path) return;
    const dot = h("i", { class: "dot", "aria-hidden": "true" });
    dot.style.offsetPath = `path("${path}")`;
    picture.prepend(dot);
    const lap = dot.animate([{ offsetDistance: "0%" }, { offsetDistance: "100%" }], {
        duration: LAP_MS,
        easing: "linear",
    });
    lap.finished.then(
        () => dot.remove(),
        () => dot.remove(),
    );
}

function show() {
    say(button, moves ? "Pause motion" : "Show motion");
    if (!moves) picture.querySelectorAll(".dot").forEach((dot) => dot.remove());
}

button.addEventListener("click", () => {
    moves = !moves;
    show();
});
less.addEventListener("change", () => {
    moves = !less.matches;
    show();
});
show();
