//! The planner equals brute force.

use weir_orchestrator::checker;
use weir_orchestrator::planner::{Effort, Infeasible, evaluate, solve};
use weir_shared::arch::Arch;

use crate::brute::{Brute, policy_for};
use crate::cases;
use crate::instances::Recipe;
use crate::milp;

#[test]
fn the_planner_equals_brute_force() {
    let mut brute = Brute::default();
    let mut plans = 0;
    let mut impossible = 0;
    for seed in 0..cases(120, 6000) {
        // Few draws of candidates, so that partitions are derived once.
        let recipe = Recipe {
            load: [0.1, 0.5, 0.8, 1.2][seed as usize % 4],
            density: if seed.is_multiple_of(3) { 0.7 } else { 1.0 },
            limited: if seed.is_multiple_of(2) { 0.4 } else { 0.0 },
            twins: seed.is_multiple_of(5),
            ..Recipe::new(Arch::ResNet20, 2 + (seed as usize / 7) % 2, 3, seed)
        };
        let mut snapshot = recipe.draw();
        let sets = Recipe::new(Arch::ResNet20, 1, 3, seed % 5).draw().accuracy.candidates;
        for (candidate, set) in snapshot.accuracy.candidates.iter_mut().zip(sets) {
            *candidate = set;
        }
        let policy = policy_for(seed, &snapshot);
        let expect = brute.best(&snapshot, &policy);
        match (solve(&snapshot, &policy, &Effort::exact()), expect) {
            (Ok(solution), Some(expect)) => {
                let off = (solution.objective - expect).abs() / expect.max(1e-12);
                assert!(off < 1e-9, "seed {seed}: {} against {expect}, {solution:?}", solution.objective);
                assert!(solution.bound <= solution.objective && solution.gap < 1e-9, "seed {seed}");
                let again = evaluate(&snapshot, &solution.placement).unwrap();
                assert_eq!(again.terms, solution.terms);
                checker::check(&snapshot, &policy, &solution).unwrap();
                plans += 1;
            }
            (Err(Infeasible::Limits(_) | Infeasible::NoPath), None) => impossible += 1,
            (found, expect) => panic!("seed {seed}: {found:?} against {expect:?}"),
        }
    }
    println!("{plans} plans and {impossible} impossible cases equal brute force");
    assert!(plans > impossible);
}

#[test]
fn the_planner_equals_a_milp() {
    let mut compared = 0;
    for seed in 0..cases(6, 60) {
        let recipe = Recipe {
            load: [0.2, 0.8, 1.3][seed as usize % 3],
            limited: if seed.is_multiple_of(2) { 0.3 } else { 0.0 },
            ..Recipe::new(Arch::ResNet20, 3 + (seed as usize / 3) % 2, 2, 1000 + seed)
        };
        let snapshot = recipe.draw();
        // Goals without a priced period; the MILP has none.
        let policy = policy_for([0, 1, 3, 4][seed as usize % 4] + 6 * (seed / 4), &snapshot);
        let solved = solve(&snapshot, &policy, &Effort::exact());
        let expect = milp::best(&snapshot, &policy.clone());
        match (solved, expect) {
            (Ok(solution), Some(expect)) => {
                // microlp stops at absolute tolerances, which show where only the tie's weights are left.
                let off = (solution.objective - expect).abs();
                assert!(off < 1e-6 * expect + 1e-9, "seed {seed}: {} against {expect}", solution.objective);
                compared += 1;
            }
            (Err(_), None) => {}
            (found, expect) => panic!("seed {seed}: {found:?} against {expect:?}"),
        }
    }
    println!("{compared} plans equal the MILP's");
    assert!(compared > 0);
}
