//! Pieces of a drawing: text that can not break out of it, a frame with axes, and marks.

use std::fmt::Write as _;

/// Width of every drawing, in its own units: small enough that text stays legible on a phone.
pub const WIDTH: f64 = 400.0;

/// Text as it may stand in HTML.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter => safe.push(letter),
        }
    }
    safe
}

/// What a drawing is called, what it says to who can not see it, and what stands around it.
#[derive(Debug, Clone, Copy)]
pub struct Caption<'a> {
    /// Unique on the page.
    pub id: &'a str,
    /// Heading.
    pub title: &'a str,
    /// For who can not see it.
    pub description: &'a str,
    /// Symbols and what they mean, as HTML.
    pub legend: &'a str,
    /// Below the drawing, as HTML.
    pub note: &'a str,
    /// A class for the layout.
    pub class: &'a str,
}

/// A drawing of `height` with its caption.
pub fn figure(caption: Caption<'_>, height: f64, body: &str) -> String {
    let Caption { id, title, description, legend, note, class } = caption;
    let (title, description) = (escape(title), escape(description));
    format!(
        "<figure class=\"{class}\"><h2>{title}</h2><div class=\"legend\">{legend}</div>\
         <svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{description}</desc>{body}</svg>\
         <figcaption>{note}</figcaption></figure>"
    )
}

/// One symbol of a legend.
pub fn key(symbol: &str, text: &str) -> String {
    format!("<span><svg viewBox=\"0 0 24 12\" aria-hidden=\"true\">{symbol}</svg>{text}</span>")
}

/// From numbers to places in a drawing.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Number and place of one end.
    pub from: (f64, f64),
    /// Number and place of the other.
    pub to: (f64, f64),
}

impl Scale {
    /// The place of `number`.
    pub fn at(&self, number: f64) -> f64 {
        let (low, high) = (self.from.0, self.to.0);
        let share = if high > low { (number - low) / (high - low) } else { 0.0 };
        self.from.1 + share * (self.to.1 - self.from.1)
    }

    /// Round numbers within, about `count` of them.
    pub fn ticks(&self, count: f64) -> Vec<f64> {
        let rough = ((self.to.0 - self.from.0) / count).max(1e-9);
        let power = 10f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough).unwrap_or(rough);
        let first = (self.from.0 / step - 1e-9).ceil() as i64;
        let last = (self.to.0 / step + 1e-9).floor() as i64;
        (first..=last).map(|n| n as f64 * step).collect()
    }
}

/// Axes with grid, ticks and titles.
pub fn axes(x: Scale, y: Scale, x_title: &str, y_title: &str) -> String {
    let mut out = String::new();
    let (left, right, bottom, top) = (x.from.1, x.to.1, y.from.1, y.to.1);
    let step = |ticks: &[f64]| if ticks.len() > 1 { ticks[1] - ticks[0] } else { 1.0 };
    let write = |number: f64, step: f64| {
        if step < 0.1 {
            format!("{number:.2}")
        } else if step < 1.0 {
            format!("{number:.1}")
        } else {
            format!("{number:.0}")
        }
    };
    // Writing to a string never fails.
    let ticks = y.ticks(6.0);
    for &tick in &ticks {
        let (place, text) = (y.at(tick), write(tick, step(&ticks)));
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{place:.1}\" y2=\"{place:.1}\"/>\
             <text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
            left - 5.0,
            place + 4.0
        );
    }
    let ticks = x.ticks(6.0);
    for &tick in &ticks {
        let (place, text) = (x.at(tick), write(tick, step(&ticks)));
        let _ = write!(
            out,
            "<line class=\"axis\" x1=\"{place:.1}\" x2=\"{place:.1}\" y1=\"{bottom}\" y2=\"{:.1}\"/>\
             <text class=\"soft\" x=\"{place:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
            bottom + 4.0,
            bottom + 16.0
        );
    }
    let _ = write!(
        out,
        "<path class=\"axis\" d=\"M{left} {top}V{bottom}H{right}\"/>\
         <text class=\"soft\" x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>\
         <text class=\"soft\" x=\"{left}\" y=\"{:.0}\">{}</text>",
        f64::midpoint(left, right),
        bottom + 31.0,
        escape(x_title),
        top - 8.0,
        escape(y_title)
    );
    out
}

/// The outline of a mark.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A disc.
    Disc,
    /// A square.
    Square,
    /// A triangle.
    Triangle,
    /// A square on its corner.
    Diamond,
}

/// A mark of class `class` at a place, which tells `tip` to who rests on it.
pub fn mark(shape: Shape, class: &str, (x, y): (f64, f64), tip: &str) -> String {
    let class = format!("class=\"dot {class}\"");
    let tip = if tip.is_empty() { String::new() } else { format!("<title>{}</title>", escape(tip)) };
    match shape {
        Shape::Disc => format!("<circle {class} cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\">{tip}</circle>"),
        Shape::Square => {
            format!(
                "<rect {class} x=\"{:.1}\" y=\"{:.1}\" width=\"5.4\" height=\"5.4\">{tip}</rect>",
                x - 2.7,
                y - 2.7
            )
        }
        Shape::Triangle => format!("<path {class} d=\"M{x:.1} {:.1}l3.6 6.2h-7.2z\">{tip}</path>", y - 3.8),
        Shape::Diamond => {
            format!("<path {class} d=\"M{x:.1} {:.1}l3.6 3.6-3.6 3.6-3.6-3.6z\">{tip}</path>", y - 3.6)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_not_break_out() {
        assert_eq!(escape("<script>\"&'"), "&lt;script&gt;&quot;&amp;&#39;");
    }

    #[test]
    fn ticks_are_round_and_within() {
        let scale = Scale { from: (0.3, 0.0), to: (9.7, 100.0) };
        assert_eq!(scale.ticks(5.0), [2.0, 4.0, 6.0, 8.0]);
        assert!(Scale { from: (1.0, 0.0), to: (1.0, 9.0) }.at(1.0).abs() < 1e-12);
    }
}
