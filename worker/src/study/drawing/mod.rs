//! Pages for people: one HTML file with its drawings in it and nothing to download.
//!
//! [`page`] puts one together, [`svg`] has the pieces of a drawing, [`style`] is how it looks on paper white and at
//! night, on a wide screen and on a phone.

pub mod style;
pub mod svg;

/// A page called `title`, which is HTML as `lead`, `charts` and `rest` are: an opening paragraph, drawings side by
/// side, and what stands below them.
pub fn page(title: &str, lead: &str, charts: &[String], rest: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title>\n<style>{}</style></head>\n<body><main>\n<h1>{title}</h1>\n<p>{lead}</p>\n\
         <div class=\"charts\">\n{}\n</div>\n{rest}\n</main></body></html>\n",
        style::CSS,
        charts.join("\n"),
    )
}
