//! `make bench-planner`: the targets of the planner as a table, its growth as a plot, and the MILP side by side.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench")]

#[path = "../tests/planner/instances.rs"]
mod instances;

use std::time::Instant;

use instances::Recipe;
use weir_orchestrator::planner::{Effort, Policy, solve};
use weir_shared::arch::Arch;

fn main() {
    for (workers, target) in [(8, 20.0), (32, 150.0), (128, 1000.0)].into_iter().filter(|w| std::env::var("W").map_or(true, |s| s == w.0.to_string())) {
        for load in [0.5, 0.95, 1.5, 2.0, 3.0].into_iter().filter(|l| std::env::var("L").map_or(true, |s| s == l.to_string())) {
            for seed in 0..3 {
                let recipe = Recipe { load, ..Recipe::new(Arch::ResNet152, workers, 60, seed) };
                let snapshot = recipe.draw();
                for gap in [0.0, 0.01] {
                    let effort = Effort { nodes: 20_000, gap };
                    let start = Instant::now();
                    let found = solve(&snapshot, &Policy::default(), &effort);
                    let ms = start.elapsed().as_secs_f64() * 1e3;
                    match found {
                        Ok(s) => println!(
                            "{workers:4} load {load:4} seed {seed} gap<={gap}: {ms:9.1} ms (target {target}) stages {} nodes {} gap {:.5} obj {:.5}",
                            s.placement.workers.len(), s.nodes, s.gap, s.objective
                        ),
                        Err(e) => println!("{workers:4} load {load:4} seed {seed}: {ms:9.1} ms {}", e.to_string().chars().take(200).collect::<String>()),
                    }
                }
            }
        }
    }
}
