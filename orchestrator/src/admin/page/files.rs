//! The page's files and what they are.

/// A file of the page.
#[derive(Debug)]
pub(super) struct File {
    /// Where it is served.
    pub(super) path: &'static str,
    /// Its content type.
    pub(super) kind: &'static str,
    /// What is in it.
    pub(super) text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// A file under `/assets/`.
macro_rules! file {
    ($name:literal, $kind:expr) => {
        File {
            path: concat!("/assets/", $name),
            kind: $kind,
            text: include_str!(concat!("../../../page/", $name)),
        }
    };
}

/// All of them.
pub(super) const FILES: &[File] = &[
    File { path: "/", kind: HTML, text: include_str!("../../../page/index.html") },
    file!("access.js", SCRIPT),
    file!("actions.js", SCRIPT),
    file!("api.js", SCRIPT),
    file!("cards.js", SCRIPT),
    file!("cluster.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("figures.js", SCRIPT),
    file!("flow.js", SCRIPT),
    file!("format.js", SCRIPT),
    file!("history.js", SCRIPT),
    file!("icon.svg", IMAGE),
    file!("layout.js", SCRIPT),
    file!("main.js", SCRIPT),
    file!("network.js", SCRIPT),
    file!("pareto.js", SCRIPT),
    file!("pins.js", SCRIPT),
    file!("plan.js", SCRIPT),
    file!("policy.js", SCRIPT),
    file!("preview.js", SCRIPT),
    file!("stream.js", SCRIPT),
    file!("style.css", CSS),
    file!("tables.js", SCRIPT),
    file!("theme.js", SCRIPT),
    file!("timeline.js", SCRIPT),
    file!("toml.js", SCRIPT),
];
