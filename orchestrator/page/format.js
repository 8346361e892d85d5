// Numbers for people: three digits that count, a unit, and a dash where nothing was measured.

export const NONE = "–";
const SPACE = "\u00a0";

const missing = (value) => value === null || value === undefined || !Number.isFinite(value);

/** Three digits that count, never more than that many behind the point. */
export function digits(value) {
    if (missing(value)) return NONE;
    const size = Math.abs(value);
    if (size === 0) return "0";
    if (size >= 1e6) return value.toPrecision(3);
    return value.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.0995 ? 2 : 3);
}

const unit = (value, name) => (missing(value) ? NONE : `${digits(value)}${SPACE}${name}`);

function scaled(value, steps) {
    if (missing(value)) return NONE;
    const step = steps.find(([size]) => Math.abs(value) >= size * 0.9995) ?? steps.at(-1);
    return value === 0 ? `0${SPACE}${step[1]}` : unit(value / step[0], step[1]);
}

export const seconds = (value) =>
    scaled(value, [
        [1, "s"],
        [1e-3, "ms"],
        [1e-6, "µs"],
    ]);
export const bytes = (value) =>
    scaled(value, [
        [1e9, "GB"],
        [1e6, "MB"],
        [1e3, "kB"],
        [1, "B"],
    ]);
export const rate = (value) =>
    scaled(value, [
        [1e9, "GB/s"],
        [1e6, "MB/s"],
        [1e3, "kB/s"],
        [1, "B/s"],
    ]);
export const joules = (value) =>
    scaled(value, [
        [1, "J"],
        [1e-3, "mJ"],
    ]);
export const watts = (value) => unit(value, "W");
export const count = (value) =>
    scaled(value, [
        [1e9, "G"],
        [1e6, "M"],
        [1e3, "k"],
        [1, ""],
    ]).trim();
export const perSecond = (value) => unit(value, "/s");
export const points = (value) => (missing(value) ? NONE : `${value.toFixed(2)}${SPACE}points`);
export const percent = (ratio) => (missing(ratio) ? NONE : `${share(ratio * 100)}${SPACE}%`);
const share = (value) =>
    Math.abs(value) < 0.005 ? "0" : value.toFixed(Math.abs(value) >= 9.95 ? 0 : Math.abs(value) >= 0.095 ? 1 : 2);

/** An accuracy, of which tenths count. */
export const accuracy = (ratio) => (missing(ratio) ? NONE : `${(ratio * 100).toFixed(1)}${SPACE}%`);

export const clock = (unixMs) =>
    new Date(unixMs).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export function age(ms) {
    const s = Math.max(0, Math.round(ms / 1000));
    return s < 60
        ? `${s}${SPACE}s`
        : s < 3600
          ? `${Math.floor(s / 60)}${SPACE}min`
          : `${Math.floor(s / 3600)}${SPACE}h`;
}

/** A figure of which the server's words name the unit, such as `goodput in bytes/s of camera -> router`. */
export function figure(what, value) {
    if (missing(value)) return "nothing";
    if (what.includes("bytes/s")) return rate(value);
    if (what.includes("seconds")) return seconds(value);
    if (what.includes("bytes") || what.includes("memory")) return bytes(value);
    if (what.includes("watts")) return watts(value);
    if (what.includes("requests/s")) return perSecond(value);
    if (what.includes("MACs/s")) return `${count(value)}${SPACE}MACs/s`;
    return digits(value);
}

/** The same words without the unit, which the figure has. */
export const unitless = (what) =>
    what
        .replace(/ in (bytes\/s|requests\/s|watts|bytes|seconds)/, "")
        .replace(/^round-trip seconds/, "round trip")
        .replace(" -> ", " → ");
