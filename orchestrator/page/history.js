// What the last half minute was like: the page remembers a little, so that a collapse can be seen as one.

const SPAN_MS = 30_000;
const FELL_TO = 0.5;

const links = new Map();
const series = new Map();

/** Notes a state. */
export function remember(state, now = state.unix_ms) {
    for (const { from, to, goodput_bytes_per_second: goodput } of state.links) {
        if (Number.isFinite(goodput)) note(links, `${from} ${to}`, goodput, now);
    }
    const answers = state.answers;
    if (answers) {
        note(series, "answers", answers.per_second, now);
        note(series, "latency", answers.latency_p50_seconds, now);
    }
}

function note(map, key, value, now) {
    if (!Number.isFinite(value)) return;
    const kept = (map.get(key) ?? []).filter(([at]) => now - at < 2 * SPAN_MS);
    kept.push([now, value]);
    map.set(key, kept);
}

/** Whether a link's goodput is less than half of what it was within the last half minute. */
export function fallen(key) {
    const kept = links.get(key) ?? [];
    if (kept.length < 2) return false;
    const [now, value] = kept.at(-1);
    return value < FELL_TO * Math.max(...kept.filter(([at]) => now - at < SPAN_MS).map(([, one]) => one));
}

/** The last minute of a figure, as a path in a box of `width` times `height`; empty while there is too little. */
export function spark(key, width, height) {
    const kept = series.get(key) ?? [];
    if (kept.length < 3) return "";
    const now = kept.at(-1)[0];
    const top = Math.max(...kept.map(([, value]) => value)) || 1;
    const at = ([time, value]) =>
        `${(width * (1 - (now - time) / (2 * SPAN_MS))).toFixed(1)} ${(height - 1 - (height - 2) * (value / top)).toFixed(1)}`;
    return `M${kept.map(at).join("L")}`;
}
