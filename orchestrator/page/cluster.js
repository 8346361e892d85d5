// The cluster as a picture: where the cards stand, and the lines that a request takes between them, with their figures.
//
// Cards are ordinary elements in the order of the request's way, so that a screen reader and the keyboard meet them in
// that order; only the lines are SVG. Everything is placed anew whenever the width or the plan changes.

import { byId, each, h, say, svg } from "./dom.js";
import * as format from "./format.js";
import { boxes, bypass, grid, neighbours, rounded, wayBack } from "./layout.js";
import { chain, gatewayName } from "./plan.js";
import { setPath } from "./flow.js";
import { gatewayCard, make, workerCard } from "./cards.js";
import { fallen } from "./history.js";

// Room for lines that skip a card, and for the way back beneath all.
const ABOVE = 44;
const BELOW = 78;
const picture = byId("picture");
const lines = svg("svg", { class: "lines", "aria-hidden": "true" });
const labels = h("ul", { class: "labels", "aria-label": "Links of the plan" });
const cards = h("ol", {
    class: "cards",
    "aria-label": "The gateway and the workers, in the order in which a request meets them",
});
picture.append(lines, cards, labels);

let shown = null;
new ResizeObserver(() => shown && place(shown)).observe(picture);

/** Draws a state. */
export function draw(state, colour) {
    const gateway = gatewayName(state);
    const onWay = chain(state.plan);
    const byName = new Map(state.workers.map((worker) => [worker.name, worker]));
    const waiting = state.workers.filter((worker) => !onWay.includes(worker.name));
    const way = [{ gateway, state }, ...onWay.map((name) => byName.get(name)).filter(Boolean), ...waiting];
    each(
        cards,
        way,
        (one) => (one.gateway ? "gateway" : one.name),
        make,
        (card, one) => {
            if (one.gateway) gatewayCard(card, one);
            else workerCard(card, one, state, colour);
        },
    );
    shown = { state, gateway, onWay: onWay.filter((name) => byName.has(name)) };
    place(shown);
}

function place({ state, gateway, onWay }) {
    const width = picture.clientWidth;
    if (!width || picture.hidden) return;
    const order = ["gateway", ...onWay];
    const all = [...cards.children];
    const skipping = (state.plan?.routes ?? []).filter(({ from, to }) => skips(order, gateway, from, to));
    const columns = grid(width, all.length);
    const above = skipping.length && columns.columns > 1 ? ABOVE : 0;
    cards.style.setProperty("--card", `${columns.card}px`);
    all.forEach((card) => card.style.removeProperty("block-size"));
    const heights = all.map((card) => card.offsetHeight);
    const ofWay = boxes(columns, heights.slice(0, order.length), { above });
    const bottom = Math.max(...ofWay.map((box) => box.y + box.h));
    const below = onWay.length ? BELOW : 28;
    const resting = boxes(columns, heights.slice(order.length), { rowGap: 12, turns: false }).map((box) => ({
        ...box,
        y: box.y + bottom + below,
    }));
    const placed = [...ofWay, ...resting];
    all.forEach((card, index) => {
        card.style.transform = `translate(${placed[index].x}px, ${placed[index].y}px)`;
        card.style.blockSize = `${placed[index].h}px`;
    });
    const height = resting.length
        ? Math.max(...resting.map((box) => box.y + box.h))
        : bottom + (onWay.length ? BELOW - 16 : 0);
    picture.style.blockSize = `${height}px`;
    lines.setAttribute("viewBox", `0 0 ${width} ${height}`);
    link(state, gateway, order, ofWay, skipping, { width, above });
}

/** Whether a route leads past a worker of the way, as a shortcut's tensor may. */
function skips(order, gateway, from, to) {
    const at = (name) => order.indexOf(name === gateway ? "gateway" : name);
    return at(from) > 0 && at(to) > 0 && at(to) - at(from) > 1;
}

function link(state, gateway, order, placed, skipping, { width, above }) {
    if (order.length < 2) {
        each(lines, [], String, String);
        each(labels, [], String, String);
        return setPath(null);
    }
    const named = (key) => (key === "gateway" ? gateway : key);
    const steps = order.map((key, index) => {
        const last = index === order.length - 1;
        const line = last ? wayBack(placed[index], placed[0]) : neighbours(placed[index], placed[index + 1]);
        return { from: named(key), to: named(last ? "gateway" : order[index + 1]), ...line };
    });
    const past = skipping.map(({ from, to }) => ({
        from,
        to,
        ...bypass(placed[order.indexOf(from)], placed[order.indexOf(to)], width, above),
    }));
    const all = [...steps, ...past].map((line) => ({ ...line, ...figures(state, line) }));
    each(
        lines,
        all,
        ({ from, to }) => `${from} ${to}`,
        () => svg("g", {}, svg("path", { class: "link" }), svg("path", { class: "tip" })),
        (group, line) => {
            group.setAttribute("class", line.state);
            group.firstChild.setAttribute("d", rounded(line.corners));
            group.lastChild.setAttribute("d", tip(line.corners));
        },
    );
    each(
        labels,
        all,
        ({ from, to }) => `${from} ${to}`,
        label,
        (element, line) => {
            say(element.firstChild, `${line.from} to ${line.to}: `);
            each(
                element.lastChild,
                line.words,
                ([key]) => key,
                () => h("span"),
                (span, [key, text]) => {
                    span.className = `figure ${key}`;
                    say(span, text);
                },
            );
            element.className = `label ${line.label?.side ?? "unseen"} ${line.state}`;
            if (line.label) element.style.transform = `translate(${line.label.x}px, ${line.label.y}px)`;
        },
    );
    setPath(
        rounded(
            steps.flatMap((step) => step.corners),
            8,
        ),
    );
}

const label = () => h("li", { class: "label" }, h("span", { class: "unseen" }), h("span", { class: "words" }));

/** What a link's label says, and how the link is. */
function figures(state, { from, to }) {
    const measured = state.links.find((link) => link.from === from && link.to === to);
    const encoding = state.plan?.routes.find((route) => route.from === from && route.to === to)?.encoding;
    const down = measured && !measured.up;
    const slow = fallen(`${from} ${to}`);
    const words = down
        ? [["down", "down"]]
        : [
              ["rtt", `RTT ${format.seconds(measured?.rtt_seconds)}`],
              ["goodput", `${format.rate(measured?.goodput_bytes_per_second)}${slow ? " ↓" : ""}`],
              ["loss", `loss ${format.percent(measured?.loss_ratio)}`],
          ];
    if (encoding) words.push(["encoding", encoding]);
    return { words, state: down ? "down" : slow ? "fallen" : "well" };
}

/** The arrow's head at the end of a line. */
function tip(corners) {
    const [[fx, fy], [x, y]] = corners.slice(-2);
    const length = Math.hypot(x - fx, y - fy) || 1;
    const [dx, dy] = [((x - fx) / length) * 8, ((y - fy) / length) * 8];
    return `M${x} ${y}L${x - dx - dy / 2} ${y - dy + dx / 2}L${x - dx + dy / 2} ${y - dy - dx / 2}Z`;
}
