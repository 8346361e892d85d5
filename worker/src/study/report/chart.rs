//! The drawings of a report.

use std::fmt::Write as _;

use weir_shared::plan::{ActiveSet, Connection, Encoding};
use weir_shared::profile::schema::Among;
use weir_shared::profile::{Document, EncodingResult, Kind, Profile, SetResult};

use crate::study::drawing::svg::{Caption, Scale, Shape, WIDTH, axes, escape, figure, key, mark};
use crate::study::survey::run::HOPELESS_POINTS;

/// How much of the losses a drawing shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zoom {
    /// All that are not hopeless.
    Whole,
    /// Those that planners ask about.
    Small,
}

const LEFT: f64 = 40.0;
const RIGHT: f64 = WIDTH - 12.0;

/// With more blocks the bars are as tall as two of the other drawings, and take their place.
const TALL: usize = 18;

/// What each residual branch and each shortcut costs alone.
pub fn lesion(profile: &Profile) -> String {
    /// A row holds two bars.
    const ROW: f64 = 25.0;
    let document = profile.document();
    let network = document.network.network();
    let loss = |connection: Connection| {
        let set = ActiveSet::without([connection]).ok()?;
        profile.measured(&set).map(|set| document.loss_of(set).0)
    };
    let rows: Vec<_> = network
        .blocks
        .iter()
        .map(|block| {
            (&block.name, [loss(Connection::Branch(block.id)), loss(Connection::Shortcut(block.id))])
        })
        .collect();
    let most = rows
        .iter()
        .flat_map(|(_, losses)| losses.iter().flatten())
        .fold(1.0, |most: f64, loss| most.max(*loss));
    let x = Scale { from: (0.0, 58.0), to: (most, WIDTH - 44.0) };
    let mut body = String::new();
    for (row, (name, losses)) in rows.iter().enumerate() {
        let top = row as f64 * ROW + 4.0;
        let _ = write!(body, "<text x=\"0\" y=\"{:.1}\">{}</text>", top + 15.0, escape(name));
        for (bar, (loss, class)) in losses.iter().zip(["a", "b"]).enumerate() {
            let Some(loss) = loss else { continue };
            let (y, width) = (top + 11.0 * bar as f64, (x.at(loss.max(0.0)) - x.from.1).max(1.0));
            let _ = write!(
                body,
                "<rect class=\"bar {class}\" x=\"{}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"9\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{loss:.2}</text>",
                x.from.1,
                x.from.1 + width + 4.0,
                y + 8.5
            );
        }
    }
    let bar = |class: &str| format!("<rect class=\"bar {class}\" y=\"2\" width=\"22\" height=\"8\"/>");
    let legend = [key(&bar("a"), "residual branch off"), key(&bar("b"), "shortcut off")].concat();
    let worst = rows.iter().flat_map(|(name, losses)| losses.iter().flatten().map(move |loss| (*loss, name)));
    let worst = worst.max_by(|a, b| a.0.total_cmp(&b.0));
    let description = worst.map_or(String::new(), |(loss, name)| {
        format!("Bars for each of {} blocks. The greatest loss is {loss:.2} points, in {name}.", rows.len())
    });
    let note = format!(
        "Points of accuracy lost on {} test images; negative: better without.",
        document.full_test.count()
    );
    let title = "One connection off";
    let class = if rows.len() > TALL { "tall" } else { "" };
    let caption =
        Caption { id: "lesion", title, description: &description, legend: &legend, note: &note, class };
    figure(caption, rows.len() as f64 * ROW + 6.0, &body)
}

/// Accuracy against operations dropped.
pub fn macs(profile: &Profile, zoom: Zoom) -> String {
    let title = match zoom {
        Zoom::Whole => "Accuracy against operations dropped",
        Zoom::Small => "The same, the last few points",
    };
    scatter(profile, zoom, title, "share of multiply-accumulate operations dropped, %", |set| {
        1.0 - set.macs_kept
    })
}

/// Accuracy against bytes at cuts, sets and encodings alike.
pub fn bytes(profile: &Profile) -> String {
    let title = "Accuracy against bytes shared";
    scatter(
        profile,
        Zoom::Whole,
        title,
        "share of bytes between workers saved, mean over all cuts, %",
        |set| 1.0 - set.bytes_kept,
    )
}

fn points_shown(zoom: Zoom) -> f64 {
    match zoom {
        Zoom::Whole => HOPELESS_POINTS,
        Zoom::Small => 4.0,
    }
}

const KINDS: [(Kind, Shape, &str, &str); 4] = [
    (Kind::Random, Shape::Disc, "e faint", "drawn"),
    (Kind::Pair, Shape::Square, "d", "two off"),
    (Kind::Nested, Shape::Triangle, "c", "end of a group off"),
    (Kind::Single, Shape::Diamond, "a", "one off"),
];

const ORDERS: [(Among, &str, &str); 3] = [
    (Among::Branches, "a", "branches in order"),
    (Among::Shortcuts, "b dash", "shortcuts in order"),
    (Among::Joint, "c dots", "both in order"),
];

fn scatter(
    profile: &Profile,
    zoom: Zoom,
    title: &str,
    x_title: &str,
    saved: impl Fn(&SetResult) -> f64,
) -> String {
    let document = profile.document();
    let full = 100.0 * document.full_test.accuracy();
    let shown = points_shown(zoom);
    let accuracy = |set: &SetResult| set.test.map(|test| 100.0 * test.accuracy());
    let visible: Vec<(&SetResult, f64)> = document
        .sets
        .iter()
        .filter_map(|set| Some((set, accuracy(set)?)))
        .filter(|(_, accuracy)| *accuracy >= full - shown)
        .collect();
    let with_encodings = title.contains("bytes");
    let most = visible.iter().map(|(set, _)| 100.0 * saved(set)).fold(10.0, f64::max);
    let most = if with_encodings { most.max(80.0) } else { most };
    let x = Scale { from: (0.0, LEFT), to: (most * 1.04, RIGHT) };
    let top = visible.iter().map(|(_, accuracy)| *accuracy).fold(full, f64::max);
    let lowest = visible.iter().map(|(_, accuracy)| *accuracy).fold(full - 1.0, f64::min);
    let y = Scale { from: (lowest - 0.03 * (top - lowest), 240.0), to: (top + 0.03 * (top - lowest), 22.0) };
    let mut body = axes(x, y, x_title, "test accuracy, %");
    let _ = write!(
        body,
        "<line class=\"axis dash\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{0:.1}\" y2=\"{0:.1}\"/>",
        y.at(full)
    );
    let mut legend = String::new();
    for (kind, shape, class, name) in KINDS {
        let of_kind = visible.iter().filter(|(set, _)| set.kind == kind);
        for (set, accuracy) in of_kind {
            let tip = format!("{}: {accuracy:.2} %, {:.1} % saved", set.off, 100.0 * saved(set));
            body.push_str(&mark(shape, class, (x.at(100.0 * saved(set)), y.at(*accuracy)), &tip));
        }
        legend.push_str(&key(&mark(shape, class, (12.0, 6.0), ""), name));
    }
    for (among, class, name) in ORDERS {
        let steps = order_points(document, among, &saved);
        let steps: Vec<_> =
            std::iter::once((0.0, full)).chain(steps).take_while(|(_, a)| *a >= full - shown).collect();
        let place =
            |&(saved, accuracy): &(f64, f64)| format!("{:.1} {:.1}", x.at(100.0 * saved), y.at(accuracy));
        let path = steps.iter().map(place).collect::<Vec<_>>().join("L");
        let _ = write!(body, "<path class=\"order {class}\" d=\"M{path}\"/>");
        legend.push_str(&key(&format!("<path class=\"order {class}\" d=\"M1 6H23\"/>"), name));
    }
    if with_encodings {
        legend.push_str(&key(&mark(Shape::Square, "b", (12.0, 6.0), ""), "f16, int8 everywhere"));
        for (encoding, saved, accuracy) in mean_encodings(document) {
            let place = (x.at(saved), y.at(accuracy));
            body.push_str(&mark(Shape::Square, "b", place, &format!("{encoding}: {accuracy:.2} %")));
            let _ = write!(
                body,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{encoding}</text>",
                place.0 - 6.0,
                place.1 + 15.0
            );
        }
    }
    let hidden = document.sets.len() - visible.len();
    let mut note = format!("{} sets", visible.len());
    if hidden > 0 {
        let _ = write!(note, "; {hidden} that lose more than {shown:.0} points are not drawn");
    }
    note.push_str(". Dashed: everything active. Rest on a mark for its set.");
    if with_encodings {
        note.push_str(" Encodings: mean of rounding at one cut at a time.");
    }
    let description =
        format!("{} sets as marks, three orders of dropping as lines, from {full:.2} % down.", visible.len());
    let id = if with_encodings {
        "bytes"
    } else if zoom == Zoom::Whole {
        "macs"
    } else {
        "macs-small"
    };
    figure(
        Caption { id, title, description: &description, legend: &legend, note: &note, class: "" },
        278.0,
        &body,
    )
}

/// What is saved and the test accuracy in percent behind each step of an order.
fn order_points(document: &Document, among: Among, saved: &impl Fn(&SetResult) -> f64) -> Vec<(f64, f64)> {
    let network = document.network.network();
    let Some(order) = document.orders.iter().find(|order| order.among == among) else { return Vec::new() };
    let step = |k: usize| {
        let set = ActiveSet::parse(&order.connections[..k].join(","), &network).ok()?;
        let found = document.sets.iter().find(|found| found.active == set)?;
        Some((saved(found), 100.0 * found.test?.accuracy()))
    };
    (1..=order.connections.len()).filter_map(step).collect()
}

/// Each encoding that rounds with the share of bytes saved and the test accuracy, both in percent, mean over cuts.
fn mean_encodings(document: &Document) -> Vec<(Encoding, f64, f64)> {
    let mean = |encoding: Encoding| {
        let of_it: Vec<&EncodingResult> =
            document.encodings.iter().filter(|r| r.encoding == encoding).collect();
        let exact = 4.0 / if encoding == Encoding::F16 { 2.0 } else { 1.0 };
        let count = of_it.len().max(1) as f64;
        let accuracy = of_it.iter().map(|result| result.test.accuracy()).sum::<f64>() / count;
        (encoding, 100.0 * (1.0 - 1.0 / exact), 100.0 * accuracy)
    };
    if document.encodings.is_empty() {
        Vec::new()
    } else {
        [Encoding::F16, Encoding::Int8].map(mean).to_vec()
    }
}

/// What rounding costs at each cut.
pub fn encodings(profile: &Profile) -> String {
    let document = profile.document();
    let loss = |result: &EncodingResult| result.test.points_below(document.full_test);
    let losses = || document.encodings.iter().map(loss);
    let (low, high) = (losses().fold(-0.1, f64::min), losses().fold(0.2, f64::max));
    let cuts = document.encodings.iter().map(|result| result.cut.0).max().unwrap_or(1);
    let x = Scale { from: (0.0, LEFT), to: (f64::from(cuts) + 1.0, RIGHT) };
    let y = Scale { from: (low, 200.0), to: (high, 22.0) };
    let mut body = axes(x, y, "cut point, by number of layers before it", "points lost");
    let mut legend = String::new();
    for (encoding, shape, class) in
        [(Encoding::F16, Shape::Disc, "a"), (Encoding::Int8, Shape::Square, "b dash")]
    {
        let of_it: Vec<_> = document.encodings.iter().filter(|result| result.encoding == encoding).collect();
        let place = |result: &&EncodingResult| (x.at(f64::from(result.cut.0)), y.at(loss(result)));
        let path: Vec<String> =
            of_it.iter().map(|r| format!("{:.1} {:.1}", place(r).0, place(r).1)).collect();
        let _ = write!(body, "<path class=\"order {class}\" d=\"M{}\"/>", path.join("L"));
        for result in &of_it {
            let tip = format!("{encoding} before {}: {:.2} points lost", result.before, loss(result));
            body.push_str(&mark(shape, class, place(result), &tip));
        }
        let symbol =
            format!("<path class=\"order {class}\" d=\"M1 6H23\"/>{}", mark(shape, class, (12.0, 6.0), ""));
        legend.push_str(&key(&symbol, encoding.name()));
    }
    let worst = losses().fold(0.0, f64::max);
    let description =
        format!("Loss of f16 and int8 at each of {cuts} cut points; the greatest is {worst:.2} points.");
    let title = "Rounding activations at one cut";
    let note = "Everything active. f32 is exact and loses nothing. Cuts inside a block round the shortcut's tensor too.";
    figure(
        Caption { id: "encodings", title, description: &description, legend: &legend, note, class: "" },
        238.0,
        &body,
    )
}
