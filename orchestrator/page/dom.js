// Elements in few words. Text goes in as text nodes only: nothing that a server says is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (typeof value === "function") element.addEventListener(name, value);
        else if (value === true) element.setAttribute(name, "");
        else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
}

/** An HTML element; an attribute that is a function listens to the event of its name. */
export const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

/** An SVG element. */
export const svg = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS(SVG, tag), attributes, children);

export const byId = (id) => document.getElementById(id);

/** Changes a text only where it differs, so that a screen reader hears only what is new. */
export function say(element, text) {
    if (element.textContent !== text) element.textContent = text;
}

/**
 * Makes the children of `parent` those of `items`, in their order. An element lives as long as its key does, so that
 * focus and open menus stay; `update` is called for each.
 */
export function each(parent, items, keyOf, make, update) {
    const there = new Map([...parent.children].map((child) => [child.dataset.key, child]));
    items.forEach((item, index) => {
        const key = String(keyOf(item));
        const element = there.get(key) ?? make(item);
        there.delete(key);
        element.dataset.key = key;
        update?.(element, item);
        if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null);
    });
    for (const gone of there.values()) gone.remove();
}
