// What each point of accuracy costs: plans of which none is better in everything, by latency and accuracy lost; the larger
// a dot, the more energy. Today's plan is the ring.

import { byId, h, say, svg } from "./dom.js";
import { get } from "./api.js";
import * as format from "./format.js";

const HEIGHT = 220;
const PAD = { left: 46, right: 16, top: 14, bottom: 36 };
const home = byId("pareto");
const button = byId("pareto-button");
const detail = h("p", { class: "detail", role: "status" });
let points = [];
let busy = false;

new ResizeObserver(() => points.length && draw()).observe(home);
button.addEventListener("click", load);

/** Asks the planner for the front; it changes nothing. */
export async function load() {
    if (busy) return;
    busy = true;
    button.disabled = true;
    try {
        points = (await get("pareto")).points.sort((a, b) => a.latency_seconds - b.latency_seconds);
        say(byId("pareto-line"), `${points.length} plans, computed ${format.clock(Date.now())}`);
        draw();
    } catch (problem) {
        points = [];
        say(byId("pareto-line"), "");
        home.replaceChildren(h("p", { class: "quiet" }, `No front: ${problem.message}`));
    }
    busy = false;
    button.disabled = false;
}

/** Round numbers between 0 and `top`, four or five of them. */
export function ticks(top) {
    const rough = top / 4;
    const size = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((factor) => factor * size).find((one) => one >= rough);
    return [...Array(Math.floor(top / step + 1e-9) + 1).keys()].map((index) => index * step);
}

const round = (tick) => String(Number(tick.toPrecision(6)));

function draw() {
    const width = home.clientWidth;
    if (!points.length || !width) return;
    const most = (key) => Math.max(...points.map((point) => point[key])) || 1;
    const [latest, worst, hungriest] = [
        most("latency_seconds") * 1.06,
        Math.max(0.2, most("accuracy_loss_points") * 1.1),
        most("energy_joules"),
    ];
    const x = (seconds) => PAD.left + ((width - PAD.left - PAD.right) * seconds) / latest;
    const y = (lost) => HEIGHT - PAD.bottom - ((HEIGHT - PAD.top - PAD.bottom) * lost) / worst;
    const radius = (joules) => 3 + 5 * Math.sqrt(joules / hungriest);
    const text = (at, words, extra) => svg("text", { x: at[0], y: at[1], ...extra }, words);
    const axes = [
        ...ticks(worst).flatMap((tick) => [
            svg("path", { class: "grid-line", d: `M${PAD.left} ${y(tick)}H${width - PAD.right}` }),
            text([PAD.left - 8, y(tick) + 4], round(tick), { "text-anchor": "end" }),
        ]),
        ...ticks(latest).map((tick) =>
            text([x(tick), HEIGHT - PAD.bottom + 17], round(tick * 1e3), { "text-anchor": "middle" }),
        ),
        text([width - PAD.right, HEIGHT - 4], "latency, ms", { "text-anchor": "end" }),
        text([4, HEIGHT - 4], "↑ points of accuracy lost", {}),
    ];
    const dots = points.map((point) => {
        const [cx, cy] = [x(point.latency_seconds), y(point.accuracy_loss_points)];
        const tell = () => say(detail, words(point));
        const dot = svg("g", {
            class: point.today ? "dot-of today" : "dot-of",
            tabindex: "0",
            role: "img",
            "aria-label": words(point),
            focus: tell,
            pointerenter: tell,
            click: tell,
        });
        dot.append(
            svg("circle", { class: "reach", cx, cy, r: 12 }),
            svg("circle", { class: "spot", cx, cy, r: radius(point.energy_joules) }),
        );
        if (point.today) {
            const right = cx < width - 90;
            dot.append(
                svg("circle", { class: "ring", cx, cy, r: radius(point.energy_joules) + 4 }),
                text([cx + (right ? 16 : -16), cy - 8], "today", {
                    class: "here",
                    "text-anchor": right ? "start" : "end",
                }),
            );
        }
        return dot;
    });
    const chart = svg(
        "svg",
        { class: "chart", width, height: HEIGHT, role: "group", "aria-label": "Latency against accuracy lost" },
        svg("g", { "aria-hidden": "true" }, ...axes),
        ...dots,
    );
    say(detail, words(points.find((point) => point.today) ?? points[0]));
    home.replaceChildren(chart, detail);
}

function words(point) {
    const off = point.active_off ? `without ${point.active_off.replaceAll(",", ", ")}` : "all connections active";
    const costs = [
        format.seconds(point.latency_seconds),
        format.joules(point.energy_joules),
        `${format.points(point.accuracy_loss_points)} lost`,
    ].join(", ");
    return `${point.today ? "Today: " : ""}${costs}; ${point.workers.join(" → ")}; ${off}`;
}
