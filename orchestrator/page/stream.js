// Server-sent events by fetch, because EventSource cannot send an Authorization header.
//
// It connects again by itself, waits longer each time, and says where it was (Last-Event-ID). Silence counts as a lost
// connection: a state comes every second, so five of them missing mean something.

import { ask } from "./api.js";

const SILENCE_MS = 5000;
const WAIT_MS = [500, 1000, 2000, 4000, 8000];

/** Splits text into events of the form of the HTML standard, section 9.2.6; calls `emit` for each. */
export function parser(emit) {
    let rest = "";
    let event = { name: "message", data: [] };
    const line = (text) => {
        if (text === "") {
            if (event.data.length) emit({ ...event, data: event.data.join("\n") });
            event = { name: "message", data: [] };
            return;
        }
        const at = text.indexOf(":");
        if (at === 0) return;
        const field = at < 0 ? text : text.slice(0, at);
        const value = at < 0 ? "" : text.slice(at + 1).replace(/^ /, "");
        if (field === "event") event.name = value;
        if (field === "data") event.data.push(value);
        if (field === "id") event.id = value;
    };
    return (text) => {
        rest += text;
        const lines = rest.split(/\r\n|\n|\r(?!$)/);
        rest = lines.pop();
        lines.forEach(line);
    };
}

/**
 * Follows `path`. `on.event(name, data)` gets every event, `on.open()` is called when a connection stands,
 * `on.lost(problem)` when it is gone. `restart()` tries at once, as after a new token.
 */
export function follow(path, on) {
    // An id from before everything: what is kept is told from its beginning.
    let last = "0-0";
    let failures = 0;
    let timer = null;
    let current = new AbortController();

    async function read() {
        current = new AbortController();
        const { signal } = current;
        let watch = null;
        const listen = () => {
            clearTimeout(watch);
            watch = setTimeout(() => current.abort(new Error("the orchestrator is silent")), SILENCE_MS);
        };
        try {
            listen();
            const headers = { Accept: "text/event-stream", "Last-Event-ID": last };
            const response = await ask(path, { headers, signal });
            on.open();
            const take = parser((event) => {
                failures = 0;
                if (event.id) last = event.id;
                on.event(event.name, JSON.parse(event.data));
            });
            const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
            for (let part = await reader.read(); !part.done; part = await reader.read()) {
                listen();
                take(part.value);
            }
            throw new Error("the orchestrator closed the connection");
        } finally {
            clearTimeout(watch);
        }
    }

    async function run() {
        clearTimeout(timer);
        try {
            await read();
        } catch (problem) {
            if (problem?.name === "Restart") return;
            on.lost(problem);
            // Not all pages at once after the orchestrator's restart: half of the wait is chance.
            const wait = WAIT_MS[Math.min(failures++, WAIT_MS.length - 1)];
            timer = setTimeout(run, wait * (0.5 + Math.random() / 2));
        }
    }

    run();
    return {
        restart() {
            failures = 0;
            current.abort(Object.assign(new Error("again"), { name: "Restart" }));
            run();
        },
    };
}
