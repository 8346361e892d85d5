//! `make bench-planner`: the planner's targets as a table, its growth as a plot, and the MILP side by side.
//!
//! Times are of the processor on one core (`/proc/thread-self/schedstat`), so that other work on the machine counts less.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench")]

#[path = "../tests/planner/brute.rs"]
#[allow(dead_code, reason = "the MILP uses a part")]
mod brute;
#[path = "../tests/planner/instances.rs"]
mod instances;
#[path = "../tests/planner/milp.rs"]
mod milp;

use std::fmt::Write as _;
use std::time::Instant;

use instances::Recipe;
use weir_orchestrator::checker;
use weir_orchestrator::planner::snapshot::Snapshot;
use weir_orchestrator::planner::{Effort, Policy, Solution, solve};
use weir_shared::arch::Arch;

/// Seeds for each case; the table shows the median and the worst.
const SEEDS: u64 = 5;

fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split_whitespace().next()?.parse::<f64>().ok()? * 1e-9)
}

/// Short calls are repeated for this long: the processor's own count is a few milliseconds coarse.
const LEAST_SECONDS: f64 = 0.1;

/// Milliseconds of one call, and what it gave.
fn timed<T>(mut call: impl FnMut() -> T) -> (f64, T) {
    let (wall, before) = (Instant::now(), processor_seconds());
    let mut calls = 0.0;
    loop {
        let result = call();
        calls += 1.0;
        let spent = before.and_then(|before| processor_seconds().map(|now| now - before));
        if wall.elapsed().as_secs_f64() >= LEAST_SECONDS {
            return (spent.unwrap_or_else(|| wall.elapsed().as_secs_f64()) / calls * 1e3, result);
        }
    }
}

fn planned(snapshot: &Snapshot) -> (f64, Solution) {
    let effort = Effort { gap: 0.01, ..Effort::default() };
    let (ms, solution) = timed(|| solve(snapshot, &Policy::default(), &effort));
    let solution = solution.unwrap();
    checker::check(snapshot, &Policy::default(), &solution).unwrap();
    (ms, solution)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    println!(
        "ResNet-152, cuts inside blocks, 3 encodings, full mesh, {SEEDS} seeds, gap at most 1 %, one core\n"
    );
    println!("workers  sets  load   median ms    worst ms  target ms  largest gap  stages  verdict");
    let mut missed = 0;
    for (workers, target) in [(8, 20.0), (32, 150.0), (128, 1000.0)] {
        for load in [0.5, 1.5, 3.0] {
            let draw = |seed| Recipe { load, ..Recipe::new(Arch::ResNet152, workers, 60, seed) }.draw();
            let runs: Vec<(f64, Solution)> = (0..SEEDS).map(|seed| planned(&draw(seed))).collect();
            let worst = runs.iter().map(|run| run.0).fold(0.0, f64::max);
            let gap = runs.iter().map(|run| run.1.gap).fold(0.0, f64::max);
            let stages = runs.iter().map(|run| run.1.placement.workers.len()).max().unwrap_or(0);
            let middle = median(runs.iter().map(|run| run.0).collect());
            let fine = worst <= target && gap <= 0.01 + 1e-9;
            missed += usize::from(!fine);
            let verdict = if fine {
                "pass".to_owned()
            } else {
                format!("worst is {:.1} times the target", worst / target)
            };
            println!(
                "{workers:7}  {:4}  {load:4}  {middle:10.1}  {worst:10.1}  {target:9.0}  {:9.3} %  {stages:6}  {verdict}",
                60,
                gap * 100.0
            );
        }
    }
    side_by_side();
    growth();
    println!(
        "{}",
        if missed == 0 { "\nall targets met".to_owned() } else { format!("\n{missed} rows fall short") }
    );
}

fn side_by_side() {
    println!("\nplanner and MILP (microlp), everything of the model, to the optimum\n");
    println!("network   workers  sets   planner ms     MILP ms   times faster  objectives");
    let cases =
        [(Arch::ResNet20, 4, 2), (Arch::ResNet20, 8, 2), (Arch::ResNet20, 8, 8), (Arch::ResNet34, 6, 4)];
    for (arch, workers, sets) in cases {
        let snapshot = Recipe { load: 0.3, ..Recipe::new(arch, workers, sets, 2) }.draw();
        let policy = Policy::default();
        let (ours, solution) = timed(|| solve(&snapshot, &policy, &Effort::exact()).unwrap());
        let (theirs, optimum) = timed(|| milp::best(&snapshot, &policy).unwrap());
        let equal = (solution.objective - optimum).abs() <= 1e-6 * optimum;
        let verdict = if equal { "equal" } else { "DIFFERENT" };
        println!(
            "{:8}  {workers:7}  {sets:4}  {ours:11.2}  {theirs:10.1}  {:13.0}  {verdict}",
            arch.name(),
            theirs / ours
        );
    }
}

fn growth() {
    let of = |arch, workers, sets| {
        let draw = |seed| Recipe { load: 1.5, ..Recipe::new(arch, workers, sets, seed) }.draw();
        median((0..3).map(|seed| planned(&draw(seed)).0).collect())
    };
    let workers = [8, 16, 32, 64, 128].map(|count| (count as f64, of(Arch::ResNet152, count, 12)));
    let layers = [Arch::ResNet18, Arch::ResNet34, Arch::ResNet50, Arch::ResNet101, Arch::ResNet152]
        .map(|arch| (f64::from(arch.network().layer_count()), of(arch, 32, 12)));
    let sets = [4, 8, 15, 30, 60].map(|count| (count as f64, of(Arch::ResNet152, 32, count)));
    let curves = [("workers", &workers[..]), ("layers", &layers[..]), ("sets", &sets[..])];
    println!(
        "\ngrowth at load 1.5 (12 sets, 32 workers, ResNet-152 where nothing else is said): time ~ n^exponent\n"
    );
    for (name, points) in curves {
        let each: Vec<String> = points.iter().map(|(n, ms)| format!("{n:.0}: {ms:.1} ms")).collect();
        println!("{name:8} exponent {:.2}   {}", exponent(points), each.join("   "));
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench");
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(format!("{folder}/planner.svg"), plot(&curves)).unwrap();
    println!("\nplotted in target/bench/planner.svg");
}

/// Slope of the least-squares line through the points' logarithms.
fn exponent(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = logs.len() as f64;
    let (mx, my) =
        (logs.iter().map(|p| p.0).sum::<f64>() / count, logs.iter().map(|p| p.1).sum::<f64>() / count);
    let rise: f64 = logs.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
    rise / logs.iter().map(|p| (p.0 - mx).powi(2)).sum::<f64>()
}

/// Three plots on logarithmic axes, side by side.
fn plot(curves: &[(&str, &[(f64, f64)])]) -> String {
    let mut svg = String::from(
        "<svg xmlns='http://www.w3.org/2000/svg' width='1080' height='360' font-family='sans-serif' font-size='12'>\n\
         <rect width='1080' height='360' fill='white'/>\n",
    );
    let all = || curves.iter().flat_map(|curve| curve.1.iter().map(|point| point.1.ln()));
    let (low, high) = (all().fold(f64::MAX, f64::min) - 0.3, all().fold(f64::MIN, f64::max) + 0.3);
    for (index, (name, points)) in curves.iter().enumerate() {
        let left = 60.0 + 350.0 * index as f64;
        let (first, last) = (points[0].0.ln(), points[points.len() - 1].0.ln());
        let at = |(x, y): (f64, f64)| {
            (left + (x.ln() - first) / (last - first) * 260.0, 300.0 - (y.ln() - low) / (high - low) * 240.0)
        };
        let _ = writeln!(svg, "<text x='{left}' y='30'>{name}: time ~ n^{:.2}</text>", exponent(points));
        let _ = writeln!(svg, "<path d='M{left} 50V300H{}' fill='none' stroke='gray'/>", left + 280.0);
        let line: Vec<String> = points.iter().map(|p| format!("{:.1},{:.1}", at(*p).0, at(*p).1)).collect();
        let _ = writeln!(
            svg,
            "<polyline points='{}' fill='none' stroke='#1f6feb' stroke-width='2'/>",
            line.join(" ")
        );
        for point in *points {
            let (x, y) = at(*point);
            let _ = writeln!(svg, "<circle cx='{x:.1}' cy='{y:.1}' r='3' fill='#1f6feb'/>");
            let _ = writeln!(
                svg,
                "<text x='{x:.1}' y='{:.1}' text-anchor='middle'>{:.0} ms</text>",
                y - 8.0,
                point.1
            );
            let _ = writeln!(svg, "<text x='{x:.1}' y='318' text-anchor='middle'>{:.0}</text>", point.0);
        }
    }
    svg.push_str("</svg>\n");
    svg
}
