//! The course of a run as a page for people: curves over the passes, drawn from the log.
//!
//! The log is the one source, so a run that was killed and resumed shows all of its passes, and the page of a log from
//! elsewhere can be drawn as well (`weir-worker draw`).

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use weir_shared::weights::atomic;

use super::TrainError;
use super::log::{self, Point};
use crate::study::drawing::page;
use crate::study::drawing::svg::{Caption, Scale, WIDTH, axes, escape, figure, key};

const LEFT: f64 = 44.0;
const RIGHT: f64 = WIDTH - 12.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 220.0;
const HEIGHT: f64 = 258.0;

/// With so few passes each has a mark, so that a single one can be seen.
const MARKED: usize = 30;

/// Where the page of the run to `output` lies: `<output>.log.html`.
pub fn beside(output: &Path) -> PathBuf {
    let mut name = OsString::from(output);
    name.push(".log.html");
    PathBuf::from(name)
}

/// Draws the log at `log` into the file `page`, replacing it as a whole.
///
/// # Errors
/// If the log is none, or a file can not be read or written.
pub fn draw(log: &Path, page: &Path) -> Result<(), TrainError> {
    let points = log::read(log)?;
    let name = log.file_name().unwrap_or_default().to_string_lossy();
    let text = html(&name, &points);
    let failed = |source| TrainError::File { action: "write", path: page.to_owned(), source };
    atomic::replace(page, |file| file.write_all(text.as_bytes())).map_err(failed)
}

/// The whole page of the run whose log is called `name`.
pub fn html(name: &str, points: &[Point]) -> String {
    let title = format!("The course of training: {}", escape(name));
    let lead = points.last().map_or_else(
        || "No pass is done yet.".to_owned(),
        |last| {
            format!(
                "After {} passes and {} steps the network has {:.2} % of the validation images right (95 % interval \
                 {:.2} to {:.2} %), and with random expendable connections off {:.2} % on average. Those images are \
                 never learnt from. All passes took {:.1} hours.",
                last.epoch,
                last.steps,
                100.0 * last.validation_accuracy,
                100.0 * last.interval[0],
                100.0 * last.interval[1],
                100.0 * last.subnetwork_accuracy,
                points.iter().map(|point| point.seconds).sum::<f64>() / 3_600.0,
            )
        },
    );
    let charts = [accuracy(points), loss(points), learning_rate(points)];
    page(&title, &lead, &charts, "")
}

/// One curve.
struct Curve {
    /// A class for its colour and dash.
    class: &'static str,
    name: &'static str,
    of: fn(&Point) -> f64,
}

fn accuracy(points: &[Point]) -> String {
    let curves = [
        Curve { class: "a", name: "validation", of: |point| 100.0 * point.validation_accuracy },
        Curve { class: "c dash", name: "sub-networks, mean", of: |point| 100.0 * point.subnetwork_accuracy },
        Curve { class: "b dots", name: "train, as varied", of: |point| 100.0 * point.train_accuracy },
    ];
    chart(
        "accuracy",
        "Accuracy",
        "images right, %",
        "Shaded: 95 % interval of the validation accuracy. Sub-networks lack random expendable connections.",
        &curves,
        Some(|point| point.interval.map(|share| 100.0 * share)),
        points,
    )
}

fn loss(points: &[Point]) -> String {
    let labels = Curve { class: "a", name: "whole network, labels", of: |point| point.loss };
    let taught = Curve {
        class: "b dash",
        name: "sub-network, whole network's answer",
        of: |point| point.distillation,
    };
    let is_taught = points.iter().any(|point| point.distillation > 0.0);
    let curves = if is_taught { vec![labels, taught] } else { vec![labels] };
    let note = "Mean cross entropy over the images of each pass.";
    chart("loss", "Loss", "cross entropy, nats", note, &curves, None, points)
}

fn learning_rate(points: &[Point]) -> String {
    let curves = [Curve { class: "a", name: "last step of the pass", of: |point| point.learning_rate }];
    chart("rate", "Learning rate", "learning rate", "", &curves, None, points)
}

fn chart(
    id: &str,
    title: &str,
    y_title: &str,
    note: &str,
    curves: &[Curve],
    band: Option<fn(&Point) -> [f64; 2]>,
    points: &[Point],
) -> String {
    let numbers = || points.iter().flat_map(|point| curves.iter().map(|curve| (curve.of)(point)));
    let greatest = numbers().filter(|number| number.is_finite()).fold(0.0, f64::max);
    let last = points.last().map_or(1, |point| point.epoch.max(1));
    let x = Scale { from: (0.0, LEFT), to: (f64::from(last), RIGHT) };
    let y = Scale { from: (0.0, BOTTOM), to: (if greatest > 0.0 { greatest * 1.04 } else { 1.0 }, TOP) };
    let mut body = axes(x, y, "passes over the training images", y_title);
    let place = |point: &Point, number: f64| format!("{:.1} {:.1}", x.at(point.epoch.into()), y.at(number));
    // Writing to a string never fails.
    if let Some(band) = band.filter(|_| points.len() > 1) {
        let there = points.iter().map(|point| place(point, band(point)[1]));
        let back = points.iter().rev().map(|point| place(point, band(point)[0]));
        let outline = there.chain(back).collect::<Vec<_>>().join("L");
        let _ = write!(body, "<path class=\"band a\" d=\"M{outline}Z\"/>");
    }
    let mut legend = String::new();
    for Curve { class, name, of } in curves {
        let path = points.iter().map(|point| place(point, of(point))).collect::<Vec<_>>().join("L");
        if points.len() > 1 {
            let _ = write!(body, "<path class=\"order {class}\" d=\"M{path}\"/>");
        }
        let marked = points.iter().filter(|_| points.len() <= MARKED);
        for point in marked {
            let _ = write!(
                body,
                "<circle class=\"dot {class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.4\"><title>{name}, pass {}: {:.4}\
                 </title></circle>",
                x.at(point.epoch.into()),
                y.at(of(point)),
                point.epoch,
                of(point),
            );
        }
        legend.push_str(&key(&format!("<path class=\"order {class}\" d=\"M1 6H23\"/>"), name));
    }
    let said = |curve: &Curve| {
        let last =
            points.last().map_or_else(|| "none".to_owned(), |point| format!("{:.4}", (curve.of)(point)));
        format!("{}: {last}", curve.name)
    };
    let description =
        format!("Behind pass {last}: {}.", curves.iter().map(said).collect::<Vec<_>>().join("; "));
    figure(Caption { id, title, description: &description, legend: &legend, note, class: "" }, HEIGHT, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(epoch: u32) -> Point {
        let accuracy = 1.0 - 1.0 / f64::from(epoch + 1);
        Point {
            epoch,
            steps: u64::from(epoch) * 10,
            learning_rate: 0.1,
            loss: 2.0 / f64::from(epoch),
            distillation: 0.5,
            train_accuracy: accuracy,
            validation_accuracy: accuracy,
            interval: [accuracy - 0.02, accuracy + 0.02],
            subnetwork_accuracy: accuracy - 0.1,
            seconds: 60.0,
        }
    }

    #[test]
    fn a_page_holds_its_curves_and_loads_nothing() {
        let points: Vec<Point> = (1..=60).map(point).collect();
        let page = html("<net>.log.csv", &points);
        assert!(page.contains("After 60 passes and 600 steps") && page.contains("1.0 hours"), "{page}");
        assert!(page.contains("&lt;net&gt;") && !page.contains("http"), "self-contained");
        assert_eq!(page.matches("<figure").count(), 3);
        assert!(!page.contains("NaN") && !page.contains("inf"));
    }

    #[test]
    fn no_pass_and_one_pass_and_a_loss_that_is_no_number_are_drawn_too() {
        assert!(html("net", &[]).contains("No pass is done yet"));
        assert!(html("net", &[point(1)]).contains("<circle"));
        let broken = Point { loss: f64::NAN, ..point(2) };
        assert!(html("net", &[point(1), broken]).contains("<figure"));
    }
}
