// Reads and changes single keys of a policy's text, line by line, and leaves everything else as it was written.
//
// It knows `[table]` headers and `key = value` lines, which is how the orchestrator's own policies and those of the
// documentation are written. `editable` says where a text is written in another way; then only the text itself is changed.

const HEADER = /^\s*\[([^[\]]+)\]\s*(#.*)?$/;
const KEY = /^\s*([A-Za-z0-9_-]+)\s*=\s*(.*?)\s*$/;

/** The lines of `table` ("" for the top), as indices [from, to), or null. */
function span(lines, table) {
    let from = table === "" ? 0 : lines.findIndex((line) => HEADER.exec(line)?.[1].trim() === table) + 1;
    if (table !== "" && from === 0) return null;
    let to = from;
    while (to < lines.length && !/^\s*\[/.test(lines[to])) to++;
    return [from, to];
}

const bare = (value) => value.replace(/\s+#.*$/, "").replace(/^"(.*)"$/, "$1");

/** The value of a key, as text without quotes; null where it is not written. */
export function read(text, table, key) {
    const lines = text.split("\n");
    const [from, to] = span(lines, table) ?? [0, 0];
    const found = lines
        .slice(from, to)
        .map((line) => KEY.exec(line))
        .find((match) => match?.[1] === key);
    return found ? bare(found[2]) : null;
}

/** The text with a key set to `value`, which is TOML; null takes the key away, and a table that is empty then. */
export function write(text, table, key, value) {
    const lines = text.split("\n");
    const place = span(lines, table);
    if (!place)
        return value === null
            ? text
            : `${text.replace(/\n*$/, text.trim() ? "\n\n" : "")}[${table}]\n${key} = ${value}\n`;
    const [from, to] = place;
    const at = lines.findIndex((line, index) => index >= from && index < to && KEY.exec(line)?.[1] === key);
    if (value !== null) {
        if (at >= 0) lines[at] = `${key} = ${value}`;
        else lines.splice(from, 0, `${key} = ${value}`);
    } else if (at >= 0) {
        lines.splice(at, 1);
        const rest = lines.slice(from, to - 1);
        if (table !== "" && rest.every((line) => line.trim() === "")) lines.splice(from - 1, rest.length + 1);
    }
    return lines.join("\n");
}

/** Whether `tables` are written as this module can change them. */
export const editable = (text, tables) =>
    !text
        .split("\n")
        .some((line) =>
            tables.some((table) =>
                new RegExp(`^\\s*("?${table}"?\\s*[.=]|\\[\\s*["']?${table}["']?\\s*\\.)`).test(line),
            ),
        );
