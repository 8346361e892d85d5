//! What must hold of any answer, whatever the instance.

use proptest::prelude::*;
use weir_orchestrator::checker;
use weir_orchestrator::planner::snapshot::Snapshot;
use weir_orchestrator::planner::{Bounds, Effort, Infeasible, Limit, Policy, least_overrun, pareto, solve};
use weir_shared::arch::Arch;

use crate::instances::Recipe;

fn drawn(seed: u64, workers: usize) -> Snapshot {
    let (load, limited) =
        ([0.3, 0.9, 1.4][seed as usize % 3], if seed.is_multiple_of(2) { 0.0 } else { 0.2 });
    let arch = if seed.is_multiple_of(2) { Arch::ResNet18 } else { Arch::ResNet20 };
    Recipe { load, limited, ..Recipe::new(arch, workers, 4, seed) }.draw()
}

/// The objective, or infinity where there is no plan; what is found always passes the checker.
fn objective(snapshot: &Snapshot, policy: &Policy) -> f64 {
    match solve(snapshot, policy, &Effort::exact()) {
        Ok(solution) => {
            checker::check(snapshot, policy, &solution).unwrap();
            solution.objective
        }
        Err(Infeasible::Limits(_) | Infeasible::NoPath) => f64::INFINITY,
        Err(other) => panic!("{other}"),
    }
}

fn never_worse(after: f64, before: f64) {
    assert!(after <= before * (1.0 + 1e-9), "{after} is worse than {before}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_in_the_snapshot_decides_nothing(seed in 0u64..1_000_000) {
        let snapshot = drawn(seed, 5);
        let mut turned = snapshot.clone();
        turned.workers.reverse();
        turned.links.reverse();
        turned.accuracy.candidates.reverse();
        let one = solve(&snapshot, &Policy::default(), &Effort::default());
        let two = solve(&turned, &Policy::default(), &Effort::default());
        prop_assert_eq!(one.map(|s| (s.placement, s.objective)).ok(), two.map(|s| (s.placement, s.objective)).ok());
    }

    #[test]
    fn another_worker_or_link_never_makes_it_worse(seed in 0u64..1_000_000) {
        let snapshot = drawn(seed, 5);
        let all = objective(&snapshot, &Policy::default());
        let mut fewer = snapshot.clone();
        let gone = fewer.workers.remove(seed as usize % 5).name.peer();
        fewer.links.retain(|link| link.from != gone && link.to != gone);
        never_worse(all, objective(&fewer, &Policy::default()));
        let mut sparser = snapshot.clone();
        sparser.links.remove(seed as usize % snapshot.links.len());
        never_worse(all, objective(&sparser, &Policy::default()));
    }

    #[test]
    fn a_wider_bound_never_makes_it_worse(seed in 0u64..1_000_000, loss in 0.0f64..1.0, load in 0.1f64..1.0) {
        let mut snapshot = drawn(seed, 4);
        snapshot.offered_load *= load;
        let with = |points: f64, offered_load: bool| {
            let bounds = Bounds { accuracy_loss_points: Some(points), offered_load, ..Bounds::default() };
            objective(&snapshot, &Policy::default().with_bounds(bounds).unwrap())
        };
        let tight = with(loss, true);
        never_worse(with(loss * 1.5, true), tight);
        never_worse(with(loss, false), tight);
    }

    #[test]
    fn no_plan_of_the_front_beats_another(seed in 0u64..1_000) {
        let snapshot = drawn(seed, 3);
        let front = pareto(&snapshot, &Policy::default(), &Effort { nodes: 20_000, gap: 1e-3 });
        for one in &front {
            checker::check_placement(&snapshot, &Policy::default(), &one.placement).unwrap();
            for two in &front {
                let (a, b) = (one.terms, two.terms);
                prop_assert!(a == b || a.latency_seconds > b.latency_seconds || a.energy_joules > b.energy_joules
                    || a.accuracy_loss_points > b.accuracy_loss_points || a.latency_seconds == b.latency_seconds
                    && a.energy_joules == b.energy_joules);
            }
        }
    }
}

#[test]
fn everything_on_one_worker_where_links_are_slow() {
    let mut snapshot = drawn(2, 4);
    snapshot.offered_load = 0.0;
    snapshot.workers.iter_mut().for_each(|worker| worker.power_budget_watts = None);
    let between = |link: &weir_orchestrator::planner::snapshot::LinkState| {
        link.from.as_worker().is_some() && link.to.as_worker().is_some()
    };
    for link in snapshot.links.iter_mut().filter(|link| between(link)) {
        (link.goodput, link.rtt_seconds) = (1e3, 1.0);
    }
    let solution = solve(&snapshot, &Policy::default(), &Effort::default()).unwrap();
    assert_eq!(solution.placement.workers.len(), 1);
}

#[test]
fn what_cannot_be_met_is_explained_and_the_advice_is_right() {
    let snapshot = Recipe { load: 0.3, ..Recipe::new(Arch::ResNet20, 3, 3, 5) }.draw();
    let bounds = Bounds { latency_seconds: Some(1e-4), ..Bounds::default() };
    let policy = Policy::default().with_bounds(bounds).unwrap();
    let Err(Infeasible::Limits(relaxations)) = solve(&snapshot, &policy, &Effort::default()) else {
        panic!("a tenth of a millisecond is not possible")
    };
    assert_eq!(relaxations[0].limit, Limit::Latency);
    let allowed = Bounds { latency_seconds: Some(relaxations[0].possible * 1.000_001), ..bounds };
    solve(&snapshot, &policy.with_bounds(allowed).unwrap(), &Effort::default()).unwrap();
    let text = Infeasible::Limits(relaxations).to_string();
    assert!(text.contains("s of latency instead of 0.0001 s"), "{text}");
}

#[test]
fn where_limits_leave_nothing_they_give_way_by_the_least() {
    for seed in 0..6 {
        let mut snapshot = drawn(seed, 4);
        // Nobody may draw a tenth of a watt above idling, and an answer must come in no time.
        snapshot
            .workers
            .iter_mut()
            .for_each(|worker| worker.power_budget_watts = Some(worker.idle_watts + 0.1));
        let bounds = Bounds { latency_seconds: Some(1e-3), ..Bounds::default() };
        let policy = Policy::default().with_bounds(bounds).unwrap();
        assert_eq!(objective(&snapshot, &policy), f64::INFINITY);
        let overrun = least_overrun(&snapshot, &policy, &Effort::default()).unwrap();
        checker::check(&overrun.snapshot, &overrun.policy, &overrun.solution).unwrap();
        assert!(overrun.share > 0.0 && !overrun.relaxations.is_empty());
        // Everything that is advised, taken together, makes room for the plan.
        let mut bounds = bounds;
        for relaxation in &overrun.relaxations {
            let possible = relaxation.possible * 1.000_001;
            match &relaxation.limit {
                Limit::Latency => bounds.latency_seconds = Some(possible),
                Limit::Power(name) => {
                    let worker = snapshot.workers.iter_mut().find(|worker| worker.name == *name).unwrap();
                    worker.power_budget_watts = Some(possible);
                }
                Limit::Throughput => {
                    bounds.offered_load = false;
                    bounds.throughput = Some(relaxation.possible * 0.999_999);
                }
                other => panic!("{other} was not asked for"),
            }
        }
        let policy = policy.with_bounds(bounds).unwrap();
        checker::check_placement(&snapshot, &policy, &overrun.solution.placement).unwrap();
        assert!(overrun.advice().contains("s of latency instead of 0.0010 s"), "{}", overrun.advice());
    }
}

#[test]
fn impossible_policies_are_refused() {
    let check = |text: &str, expect: &str| {
        let error = Policy::parse(text).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    check("minimise = 'latency'\n[weights]\nenergy = 1.0", "both weights and minimise");
    check("[weights]\nlatency = -1.0", "weights.latency is -1");
    check("[weights]\nlatency = nan", "weights.latency is NaN");
    check("[weights]", "every weight is zero");
    check("[bounds]\nlatency_seconds = 0.0", "above zero");
    check("[bounds]\nthroughput = inf", "bounds.throughput is inf");
    check("encodings = ['f16']", "must contain \"f32\"");
    check("[bounds]\nspeed = 3", "unknown field");
    check("[pins]\non = ['F:layer1.1']\noff = ['F:layer1.1']", "both on and off");
    for text in ["", "[bounds]", "encodings = ['f32', 'f16', 'int8']"] {
        assert_eq!(Policy::parse(text).unwrap(), Policy::default(), "{text}");
    }
    // What is stated replaces what it states, and the rest keeps its default.
    let stated = Policy::parse("[bounds]\nlatency_seconds = 0.5").unwrap().bounds();
    assert_eq!((stated.latency_seconds, stated.accuracy_loss_points), (Some(0.5), Some(1.0)));
    let lifted = Bounds { accuracy_loss_points: None, ..Bounds::default() };
    let written = toml::to_string(&Policy::default().with_bounds(lifted).unwrap()).unwrap();
    assert_eq!(Policy::parse(&written).unwrap().bounds().accuracy_loss_points, Some(100.0));
    let written = toml::to_string(&Policy::default()).unwrap();
    assert_eq!(Policy::parse(&written).unwrap(), Policy::default());
}

#[test]
fn pins_hold() {
    let snapshot = drawn(7, 3);
    let network = snapshot.network.network();
    let set = &snapshot.accuracy.candidates[1].active;
    let name = set.describe(&network).split(',').next().unwrap().to_owned();
    let text = format!("[bounds]\noffered_load = false\n[pins]\noff = ['{name}']");
    let off = solve(&snapshot, &Policy::parse(&text).unwrap(), &Effort::default()).unwrap();
    assert!(off.placement.active.describe(&network).contains(&name));
    let on = solve(&snapshot, &Policy::parse(&text.replace("off =", "on =")).unwrap(), &Effort::default());
    assert!(!on.unwrap().placement.active.describe(&network).split(',').any(|other| other == name));
    let stranger = Policy::parse("[pins]\noff = ['F:layer9.9']").unwrap();
    assert!(matches!(solve(&snapshot, &stranger, &Effort::default()), Err(Infeasible::Pin(_))));
}
