//! The planner's speed with criterion's statistics, on the cases of `planner_speed`'s table.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a bench")]

#[path = "../tests/planner/instances.rs"]
mod instances;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use instances::Recipe;
use weir_orchestrator::planner::{Effort, Policy, evaluate, solve};
use weir_shared::arch::Arch;

fn planner(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("solve-resnet152-60-sets");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for workers in [8, 32, 128] {
        let snapshot = Recipe::new(Arch::ResNet152, workers, 60, 1).draw();
        let effort = Effort { gap: 0.01, ..Effort::default() };
        group.bench_with_input(BenchmarkId::from_parameter(workers), &snapshot, |bencher, snapshot| {
            bencher.iter(|| solve(black_box(snapshot), &Policy::default(), &effort).unwrap());
        });
    }
    group.finish();
    let snapshot = Recipe::new(Arch::ResNet152, 8, 60, 1).draw();
    let placement = solve(&snapshot, &Policy::default(), &Effort::default()).unwrap().placement;
    criterion.bench_function("evaluate-resnet152", |bencher| {
        bencher.iter(|| evaluate(black_box(&snapshot), &placement).unwrap());
    });
}

criterion_group!(benches, planner);
criterion_main!(benches);
