// Asks the admin API of the same origin, with a token where there is one.
//
// The token lives in sessionStorage: it ends with the tab and goes nowhere but into the Authorization header.

const TOKEN = "weir-token";
const base = new URL("api/v1/", document.baseURI);

/** Why an answer is none: the HTTP status, and the server's own words (RFC 9457) as the message. */
export class Problem extends Error {
    constructor(status, title, detail) {
        super(detail || title);
        this.status = status;
    }
}

export const token = () => sessionStorage.getItem(TOKEN);
export const setToken = (text) => (text ? sessionStorage.setItem(TOKEN, text) : sessionStorage.removeItem(TOKEN));

/** The response, or a thrown `Problem`. */
export async function ask(path, { headers = {}, ...options } = {}) {
    const authorization = token() ? { Authorization: `Bearer ${token()}` } : {};
    const response = await fetch(new URL(path, base), {
        cache: "no-store",
        credentials: "same-origin",
        ...options,
        headers: { ...headers, ...authorization },
    });
    if (response.ok) return response;
    const problem = await response.json().catch(() => ({}));
    const failed = new Problem(response.status, problem.title ?? `HTTP ${response.status}`, problem.detail);
    if (failed.status === 401) dispatchEvent(new CustomEvent("weir-token-needed"));
    throw failed;
}

export const get = async (path) => (await ask(path)).json();
export const post = async (path) => (await ask(path, { method: "POST" })).json();
