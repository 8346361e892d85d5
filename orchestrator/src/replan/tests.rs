//! The rules against simulated clusters: noise, steps, flaps, losses, and plans that do not deliver.

use std::time::Duration;

use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use weir_shared::arch::{Arch, LayerId};
use weir_shared::digest::Digest;
use weir_shared::ids::{PeerName, Role, WorkerId};
use weir_shared::plan::{ActiveSet, Dataflow, Encoding, Node, Partition, StageProgram};

use super::trace::{self, Entry, What};
use super::*;
use crate::planner::snapshot::*;

/// Reports come four times a second.
const PERIOD: Duration = Duration::from_millis(250);

fn worker(name: &str) -> WorkerId {
    name.parse().unwrap()
}

fn main_peer() -> PeerName {
    PeerName::new(Role::Orchestrator, "main").unwrap()
}

fn peer(name: &str) -> PeerName {
    if name == "main" { main_peer() } else { worker(name).peer() }
}

/// Three workers, all pairs linked, `a` slow and near, the others fast.
pub(super) fn snapshot() -> Snapshot {
    let network = Arch::ResNet20.network();
    let state = |name: &str, macs_per_second: f64| WorkerState {
        name: worker(name),
        layer_seconds: vec![],
        macs_per_second,
        memory_bytes: None,
        idle_watts: 1.0,
        active_watts: 3.0,
        power_budget_watts: None,
        joules_per_byte_sent: 1e-8,
        joules_per_byte_received: 1e-8,
    };
    let names = ["main", "a", "b", "c"];
    let pairs = names.iter().flat_map(|from| names.iter().map(move |to| (*from, *to)));
    let link = |(from, to): (&str, &str)| LinkState {
        from: peer(from),
        to: peer(to),
        rtt_seconds: 0.02,
        goodput: 2e6,
        loss: 0.0,
        doubted: false,
    };
    let candidate = |off: &str, loss_points| Candidate {
        active: ActiveSet::parse(off, &network).unwrap(),
        loss_points,
        source: LossSource::Measured,
    };
    Snapshot {
        version: VERSION,
        taken_unix_ms: 0,
        network: Arch::ResNet20.into(),
        weights: Digest::of(b""),
        gateway: main_peer(),
        batch: 1,
        offered_load: 5.0,
        workers: vec![state("a", 2e8), state("b", 8e8), state("c", 7.8e8)],
        links: pairs.filter(|(from, to)| from != to).map(link).collect(),
        accuracy: AccuracyTable {
            full_accuracy: Some(0.9),
            candidates: vec![
                candidate("", 0.0),
                candidate("F:layer1.1,F:layer1.2", 1.0),
                candidate("F:layer2.1,F:layer2.2,F:layer3.1", 0.5),
            ],
            encodings: vec![],
        },
        codec: vec![],
        current: None,
    }
}

/// The snapshot without a worker and its links.
fn without(mut snapshot: Snapshot, lost: &WorkerId) -> Snapshot {
    snapshot.workers.retain(|state| state.name != *lost);
    snapshot.links.retain(|link| link.from != lost.peer() && link.to != lost.peer());
    snapshot
}

/// The way to a worker is slow.
fn slow(to: &WorkerId) -> Snapshot {
    let mut snapshot = snapshot();
    change_link(&mut snapshot, "main", to.as_str(), |link| link.goodput /= 20.0);
    snapshot
}

pub(super) fn change_link(
    snapshot: &mut Snapshot,
    from: &str,
    to: &str,
    change: impl FnOnce(&mut LinkState),
) {
    let (from, to) = (peer(from), peer(to));
    change(snapshot.links.iter_mut().find(|link| link.from == from && link.to == to).unwrap());
}

/// The sum of the parts' times, over every pair of workers and some cuts, by trying them all.
struct Brute;

impl Brute {
    fn placements(snapshot: &Snapshot) -> Vec<Placement> {
        let cuts = [4u16, 13];
        let names: Vec<_> = snapshot.workers.iter().map(|state| state.name.clone()).collect();
        let mut shapes: Vec<(Vec<LayerId>, Vec<WorkerId>)> = Vec::new();
        for a in &names {
            shapes.push((vec![], vec![a.clone()]));
            for b in names.iter().filter(|b| *b != a) {
                shapes.extend(cuts.map(|cut| (vec![LayerId(cut)], vec![a.clone(), b.clone()])));
            }
        }
        let sets = snapshot.accuracy.candidates.iter().map(|candidate| candidate.active.clone());
        let with = |active: ActiveSet| {
            shapes.iter().map(move |(cuts, workers)| Placement {
                active: active.clone(),
                cuts: cuts.clone(),
                workers: workers.clone(),
                encodings: vec![],
            })
        };
        sets.flat_map(with).collect()
    }
}

impl Model for Brute {
    fn solve(&self, snapshot: &Snapshot) -> Result<Solved, String> {
        let all = Self::placements(snapshot);
        let mut all: Vec<_> =
            all.iter().filter_map(|placement| self.judge(snapshot, placement).ok()).collect();
        all.sort_by(|a, b| a.objective.total_cmp(&b.objective));
        if all.is_empty() {
            return Err("no worker can be reached".to_owned());
        }
        Ok(Solved { found: all, unmet: None })
    }

    fn judge(&self, snapshot: &Snapshot, placement: &Placement) -> Result<Judged, String> {
        let known = |name: &&WorkerId| snapshot.workers.iter().any(|state| state.name == **name);
        if let Some(gone) = placement.workers.iter().find(|name| !known(name)) {
            return Err(format!("worker {gone} is gone"));
        }
        let network = snapshot.network.network();
        let stages = Partition::new(&network, placement.cuts.clone()).unwrap().stages(&network);
        let programs = StageProgram::derive(&Dataflow::new(&network, &placement.active), &stages);
        let name = |node| match node {
            Node::Gateway => snapshot.gateway.clone(),
            Node::Stage(stage) => placement.workers[usize::from(stage.0)].peer(),
        };
        for program in &programs {
            let here = name(Node::Stage(program.stage));
            let inlets = program.inlets.iter().map(|inlet| (name(inlet.from), here.clone()));
            for (from, to) in
                inlets.chain(program.outlets.iter().map(|outlet| (here.clone(), name(outlet.to))))
            {
                if !snapshot.links.iter().any(|link| link.from == from && link.to == to) {
                    return Err(format!("the link from {from} to {to} is gone"));
                }
            }
        }
        let set = snapshot.accuracy.candidates.iter().find(|set| set.active == placement.active);
        let loss = set.ok_or("nobody knows what the active set loses")?.loss_points;
        let latency: f64 = correction::parts(snapshot, placement).iter().map(|(_, seconds)| seconds).sum();
        let terms = Terms {
            latency_seconds: latency,
            period_seconds: latency,
            energy_joules: 0.0,
            accuracy_loss_points: loss,
        };
        let objective = latency + 0.02 * loss;
        Ok(Judged { placement: placement.clone(), terms, objective, excess: 0.0, tie: None })
    }
}

/// The same with a bound on latency in seconds.
struct Bounded(f64);

impl Model for Bounded {
    fn solve(&self, snapshot: &Snapshot) -> Result<Solved, String> {
        let all = Brute::placements(snapshot);
        let mut found: Vec<_> = all.iter().filter_map(|one| self.judge(snapshot, one).ok()).collect();
        found.sort_by(|a, b| (a.excess, a.objective).partial_cmp(&(b.excess, b.objective)).unwrap());
        if found.is_empty() { Err("nobody is there".to_owned()) } else { Ok(Solved { found, unmet: None }) }
    }

    fn judge(&self, snapshot: &Snapshot, placement: &Placement) -> Result<Judged, String> {
        let judged = Brute.judge(snapshot, placement)?;
        Ok(Judged { excess: (judged.terms.latency_seconds / self.0 - 1.0).max(0.0), ..judged })
    }
}

/// Accuracy alone is made small; ties are told apart by latency, as the planner's model does.
struct AccuracyFirst;

impl Model for AccuracyFirst {
    fn solve(&self, snapshot: &Snapshot) -> Result<Solved, String> {
        let all = Brute::placements(snapshot);
        let mut found: Vec<_> = all.iter().filter_map(|one| self.judge(snapshot, one).ok()).collect();
        found.sort_by(|a, b| a.objective.total_cmp(&b.objective));
        Ok(Solved { found, unmet: None })
    }

    fn judge(&self, snapshot: &Snapshot, placement: &Placement) -> Result<Judged, String> {
        let judged = Brute.judge(snapshot, placement)?;
        let tie = 1e-6 * judged.terms.latency_seconds;
        Ok(Judged { objective: judged.terms.accuracy_loss_points + tie, tie: Some(tie), ..judged })
    }

    fn floor(&self) -> f64 {
        0.5
    }
}

/// What runs is the best there is.
struct Content;

impl Model for Content {
    fn solve(&self, snapshot: &Snapshot) -> Result<Solved, String> {
        let found = vec![self.judge(snapshot, snapshot.current.as_ref().ok_or("nothing runs")?)?];
        Ok(Solved { found, unmet: None })
    }

    fn judge(&self, _: &Snapshot, placement: &Placement) -> Result<Judged, String> {
        let terms = Terms {
            latency_seconds: 0.1,
            period_seconds: 0.1,
            energy_joules: 0.0,
            accuracy_loss_points: 4.0,
        };
        Ok(Judged { placement: placement.clone(), terms, objective: 0.1, excess: 0.0, tie: None })
    }
}

/// A cluster on paper: commits what is decided at once, and keeps the trace.
struct Sim {
    replanner: Replanner,
    model: Box<dyn Model>,
    at: Duration,
    decisions: Vec<(Duration, Decision)>,
    trace: Vec<Entry>,
}

impl Sim {
    fn new(rules: Rules) -> Self {
        let replanner = Replanner::new(rules, Duration::ZERO);
        Self { replanner, model: Box::new(Brute), at: Duration::ZERO, decisions: vec![], trace: vec![] }
    }

    fn under(model: impl Model + 'static, rules: Rules) -> Self {
        let mut sim = Self { model: Box::new(model), ..Self::new(rules) };
        sim.run(20, snapshot);
        sim.decisions.clear();
        sim
    }

    fn note(&mut self, what: What) {
        self.trace.push(Entry { at_ms: self.at.as_millis() as u64, what });
    }

    fn take(&mut self, decided: Option<Decision>) {
        if let Some(decision) = decided {
            self.note(What::Decision(Box::new(decision.clone())));
            self.decisions.push((self.at, decision));
            self.replanner.committed(self.at);
            self.note(What::Committed {});
        }
    }

    fn step(&mut self, snapshot: &Snapshot) {
        self.at += PERIOD;
        if let Some(question) = self.replanner.ask(self.at, snapshot.clone()) {
            self.note(What::Snapshot(Box::new(snapshot.clone())));
            let answer = question.answer(&*self.model);
            self.note(What::Answered {});
            let decided = self.replanner.decide(self.at, &answer);
            self.take(decided);
        }
    }

    fn run(&mut self, seconds: u64, mut snapshot: impl FnMut() -> Snapshot) {
        for _ in 0..seconds * 4 {
            self.step(&snapshot());
        }
    }

    fn measure(&mut self, median_seconds: f64) {
        self.count(Window { answers: 5, arrivals: 5, failures: 0, seconds: 0.25, median_seconds });
    }

    fn count(&mut self, window: Window) {
        self.note(What::Measured(window));
        let decided = self.replanner.measured(self.at, window).decision;
        self.take(decided);
    }

    /// Settled on the plan for [`snapshot`], with the decisions so far forgotten.
    fn settled() -> Self {
        Self::under(Brute, Rules::default())
    }

    /// The first worker of what runs.
    fn first(&self) -> WorkerId {
        self.replanner.running().unwrap().workers[0].clone()
    }

    fn kinds(&self) -> Vec<Kind> {
        self.decisions.iter().map(|(_, decision)| decision.kind).collect()
    }
}

/// Every round-trip time differs from snapshot to snapshot by up to `share`, each on its own.
fn noisy(rng: &mut ChaCha8Rng, share: f64) -> Snapshot {
    let mut snapshot = snapshot();
    for link in &mut snapshot.links {
        link.rtt_seconds *= rng.random_range(1.0 - share..1.0 + share);
    }
    snapshot
}

#[test]
fn two_minutes_of_noise_change_nothing() {
    for seed in 0..4 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut sim = Sim::settled();
        sim.run(120, || noisy(&mut rng, 0.2));
        assert_eq!(sim.kinds(), [], "seed {seed}");
    }
}

#[test]
fn a_step_changes_the_plan_once_within_two_seconds() {
    let steps: [fn(&mut LinkState); 2] = [|link| link.goodput /= 20.0, |link| link.rtt_seconds = 0.2];
    for step in steps {
        for seed in 0..3 {
            let mut sim = Sim::settled();
            let first = sim.replanner.running().unwrap().workers[0].to_string();
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            sim.run(10, || noisy(&mut rng, 0.2));
            let began = sim.at;
            sim.run(60, || {
                let mut snapshot = noisy(&mut rng, 0.2);
                change_link(&mut snapshot, "main", &first, step);
                snapshot
            });
            assert_eq!(sim.kinds(), [Kind::Improvement], "{:?}", sim.decisions);
            let (at, decision) = &sim.decisions[0];
            assert!(*at - began <= Duration::from_secs(2), "{:?}", *at - began);
            assert!(decision.shifted.iter().any(|shift| shift.what.contains(&format!("main -> {first}"))));
            assert!(decision.gain.unwrap() > 0.2);
        }
    }
}

#[test]
fn a_lost_worker_is_replaced_at_once_whatever_the_rules_say() {
    let rules = Rules { margin: 5.0, hold_ms: 60_000, dwell_ms: 600_000, burst: 1, ..Rules::default() };
    let mut sim = Sim::new(rules);
    sim.run(2, snapshot);
    for _ in 0..2 {
        let lost = sim.replanner.running().unwrap().workers[0].clone();
        let without = without(snapshot(), &lost);
        let before = sim.decisions.len();
        sim.step(&without);
        assert_eq!(sim.kinds()[before..], [Kind::WorkerLost]);
    }
}

#[test]
fn a_lost_link_is_named() {
    let mut sim = Sim::settled();
    let first = sim.replanner.running().unwrap().workers[0].peer();
    let mut without = snapshot();
    without.links.retain(|link| link.to != first || link.from != main_peer());
    sim.step(&without);
    assert_eq!(sim.kinds(), [Kind::LinkLost]);
}

#[test]
fn a_flapping_link_is_left_alone_until_it_is_quiet() {
    let mut sim = Sim::settled();
    let first = sim.replanner.running().unwrap().workers[0].to_string();
    let mut tick = 0;
    // Down for half a second, up for half a second.
    sim.run(60, || {
        tick += 1;
        let mut snapshot = snapshot();
        if tick % 4 < 2 {
            change_link(&mut snapshot, "main", &first, |link| link.goodput /= 50.0);
        }
        snapshot
    });
    assert!(sim.decisions.len() <= 3, "{:?}", sim.kinds());
    sim.decisions.clear();
    sim.run(60, snapshot);
    assert!(sim.decisions.len() <= 1, "{:?}", sim.kinds());
}

#[test]
fn a_plan_that_does_not_deliver_is_rolled_back_and_left_out() {
    let mut sim = Sim::settled();
    let good = sim.replanner.running().unwrap().clone();
    let mut shifted = snapshot();
    change_link(&mut shifted, "main", good.workers[0].as_str(), |link| link.goodput /= 20.0);
    sim.run(2, || shifted.clone());
    assert_eq!(sim.kinds(), [Kind::Improvement]);
    let bad = sim.decisions[0].1.new.clone();
    for _ in 0..12 {
        sim.step(&shifted);
        sim.measure(3.0);
    }
    assert_eq!(sim.kinds()[..2], [Kind::Improvement, Kind::Rollback]);
    assert_eq!(sim.decisions[1].1.new, good);
    sim.run(30, || shifted.clone());
    assert!(sim.decisions[2..].iter().all(|(_, decision)| decision.new != bad), "{:?}", sim.kinds());
}

#[test]
fn a_plan_that_answers_nobody_is_rolled_back() {
    let mut sim = Sim::settled();
    let good = sim.replanner.running().unwrap().clone();
    let shifted = slow(&good.workers[0]);
    sim.run(2, || shifted.clone());
    assert_eq!(sim.kinds(), [Kind::Improvement]);
    assert!(sim.replanner.is_on_trial());
    for _ in 0..12 {
        sim.step(&shifted);
        sim.count(Window { arrivals: 5, failures: 5, seconds: 0.25, ..Window::default() });
    }
    assert_eq!(sim.kinds()[..2], [Kind::Improvement, Kind::Rollback]);
    assert_eq!(sim.decisions[1].1.new, good);
    assert!(sim.decisions[1].1.because.contains("20 of 20 attempts failed"), "{:?}", sim.decisions[1].1);
}

#[test]
fn a_plan_that_is_not_on_trial_is_measured_all_the_same() {
    let mut sim = Sim::settled();
    let lost = sim.first();
    let mut left = snapshot();
    left.workers.retain(|worker| worker.name != lost);
    left.links.retain(|link| link.from != lost.peer() && link.to != lost.peer());
    sim.run(2, || left.clone());
    assert_eq!(sim.kinds(), [Kind::WorkerLost]);
    assert!(!sim.replanner.is_on_trial());
    let window = Window { answers: 5, arrivals: 5, seconds: 0.25, median_seconds: 0.2, failures: 0 };
    let shown = (0..12).find_map(|_| {
        sim.step(&left);
        sim.at += Duration::from_millis(250);
        sim.replanner.measured(sim.at, window).outcome
    });
    let shown = shown.unwrap();
    assert!(shown.trial.is_none() && (shown.measured_seconds.unwrap() - 0.2).abs() < 1e-9, "{shown:?}");
}

#[test]
fn a_broken_bound_is_relieved_however_many_changes_there_were() {
    let mut sim = Sim::under(Bounded(0.12), Rules::default());
    for round in 1..=6 {
        let (slow, began) = (slow(&sim.first()), sim.at);
        sim.run(5, || slow.clone());
        assert_eq!(sim.decisions.len(), round, "{:?}", sim.kinds());
        assert!(sim.decisions[round - 1].0 - began <= Duration::from_secs(1));
    }
    assert!(sim.kinds().iter().all(|kind| *kind == Kind::Infeasible), "{:?}", sim.kinds());
    // A bound that is broken now here and now there does not move the network with every reading.
    sim.decisions.clear();
    for _ in 0..40 {
        let slow = slow(&sim.first());
        sim.step(&slow);
    }
    assert!(sim.decisions.len() <= 11, "{:?}", sim.kinds());
}

#[test]
fn where_accuracy_is_all_that_counts_latency_decides_among_equals() {
    let mut sim = Sim::under(AccuracyFirst, Rules::default());
    let slow = slow(&sim.first());
    sim.run(10, || slow.clone());
    assert_eq!(sim.kinds(), [Kind::Improvement]);
    assert!(sim.replanner.running().unwrap().active.is_full(), "accuracy is not given up for it");
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut sim = Sim::under(AccuracyFirst, Rules::default());
    sim.run(120, || noisy(&mut rng, 0.2));
    assert_eq!(sim.kinds(), []);
}

#[test]
fn another_policy_decides_once_and_not_by_an_older_answer() {
    let mut sim = Sim::settled();
    let slow = slow(&sim.first());
    let late = sim.replanner.ask(sim.at, slow.clone()).unwrap().answer(&Brute);
    let patient = Rules { hold_ms: 3_000, sharp_margin: 10.0, ..Rules::default() };
    sim.replanner.policy_changed(patient);
    assert_eq!(sim.replanner.decide(sim.at, &late), None);
    // What runs is the best under the new policy too; what comes later is not the policy's doing.
    sim.run(2, snapshot);
    assert_eq!(sim.kinds(), []);
    let began = sim.at;
    sim.run(10, || slow.clone());
    assert_eq!(sim.kinds(), [Kind::Improvement]);
    assert!(sim.decisions[0].0 - began >= Duration::from_secs(3));
}

#[test]
fn who_refused_something_serves_on_and_gets_nothing_new() {
    let mut sim = Sim::settled();
    let (first, other) = (sim.first(), if sim.first() == worker("b") { "c" } else { "b" });
    sim.replanner.leave_out(std::slice::from_ref(&first));
    sim.run(10, snapshot);
    assert_eq!(sim.kinds(), [], "what runs is judged with it");
    let slow = slow(&first);
    sim.run(10, || slow.clone());
    assert_eq!(sim.kinds(), [Kind::Improvement]);
    assert!(!sim.decisions[0].1.new.workers.contains(&first));
    let both = [worker("b"), worker("c")];
    sim.replanner.leave_out(&both);
    let only_a = without(snapshot(), &worker(other));
    sim.run(10, || only_a.clone());
    assert!(sim.decisions[1..].iter().all(|(_, decision)| decision.new.workers == [worker("a")]));
}

#[test]
fn an_event_names_what_changed_and_not_what_was_first_measured_before() {
    let mut sim = Sim::new(Rules::default());
    sim.run(1, || {
        let mut blind = snapshot();
        blind.links.iter_mut().for_each(|link| (link.goodput, link.rtt_seconds) = (5e5, 0.05));
        blind
    });
    let measured = |mut snapshot: Snapshot| {
        let layers = snapshot.network.network().layers().len();
        snapshot.workers.iter_mut().for_each(|worker| worker.layer_seconds = vec![Some(0.001); layers]);
        snapshot
    };
    sim.run(30, || measured(snapshot()));
    sim.decisions.clear();
    let slow = measured(slow(&sim.first()));
    sim.run(5, || slow.clone());
    let shifted = &sim.decisions[0].1.shifted;
    assert!(shifted.len() == 1 && shifted[0].what.contains("goodput"), "{shifted:?}");
}

#[test]
fn the_checker_sees_whatever_the_model_has_judged_and_only_memory_never_gives_way() {
    let check = |text: &str, change: fn(&mut Snapshot), expect: Result<(), &str>| {
        let (_, model) = model::read(text).unwrap();
        let mut snapshot = snapshot();
        let found = model.solve(&snapshot).unwrap().found;
        change(&mut snapshot);
        for one in found {
            let judged = model.judge(&snapshot, &one.placement).unwrap();
            match (model.check(&snapshot, &judged), expect) {
                (Ok(()), Ok(())) => {}
                (Err(why), Err(expect)) => assert!(why.contains(expect), "{why}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    };
    check("", |_| {}, Ok(()));
    // Overrun, and by how much is known.
    check("[bounds]\nlatency_seconds = 0.001", |_| {}, Ok(()));
    check("", |snapshot| snapshot.offered_load = 100.0, Ok(()));
    let little = |snapshot: &mut Snapshot| {
        snapshot.workers.iter_mut().for_each(|worker| worker.memory_bytes = Some(1000));
    };
    check("", little, Err("memory"));
}

#[test]
fn an_event_names_the_plans_own_parts_first_and_what_appeared_last() {
    let mut sim = Sim::settled();
    let (first, a) = (sim.first(), worker("a"));
    let mut shifted = slow(&first);
    // Another worker's link changes by more, it gets a budget, and load begins and ends with the collapse.
    change_link(&mut shifted, "a", "main", |link| link.goodput /= 100.0);
    shifted.workers.iter_mut().filter(|state| state.name == a).for_each(|state| {
        (state.power_budget_watts, state.idle_watts) = (Some(30.0), 2.0);
    });
    shifted.offered_load = 0.0;
    sim.run(2, || shifted.clone());
    let named: Vec<&str> = sim.decisions[0].1.shifted.iter().map(|shift| shift.what.as_str()).collect();
    assert!(named[0].contains(&format!("main -> {first}")), "{named:?}");
    assert!(named[1].contains("offered load"), "{named:?}");
    assert!(named[2].contains("a -> main") && named[3].contains("idle power"), "{named:?}");
    assert!(named[4].contains("power budget"), "{named:?}");
}

#[test]
fn a_decision_that_was_not_tried_costs_nothing() {
    let mut sim = Sim::under(Brute, Rules { burst: 1, refill_ms: 600_000, ..Rules::default() });
    let (slow, mut made) = (slow(&sim.first()), 0);
    for _ in 0..40 {
        sim.at += PERIOD;
        let Some(question) = sim.replanner.ask(sim.at, slow.clone()) else { continue };
        if sim.replanner.decide(sim.at, &question.answer(&Brute)).is_some() {
            sim.replanner.dropped();
            made += 1;
        }
    }
    assert!(made > 3, "{made}");
}

#[test]
fn an_adopted_plan_rests_for_the_dwell_time_and_a_loss_does_not_wait() {
    let adopted = || {
        let mut sim = Sim::new(Rules::default());
        sim.step(&snapshot());
        let mut decision = sim.decisions[0].1.clone();
        decision.kind = Kind::Adopted;
        let mut sim = Sim::new(Rules::default());
        sim.replanner.begin(decision);
        sim.replanner.committed(sim.at);
        sim
    };
    let mut sim = adopted();
    let (since, collapsed) = (sim.at, slow(&sim.first()));
    sim.run(10, || collapsed.clone());
    let dwell = Rules::default().dwell();
    assert!(sim.decisions[0].0 >= since + dwell, "{:?}", sim.decisions[0].0);
    let mut sim = adopted();
    let (since, lost) = (sim.at, without(snapshot(), &sim.first()));
    sim.run(1, || lost.clone());
    assert!(sim.kinds() == [Kind::WorkerLost] && sim.decisions[0].0 < since + dwell, "{:?}", sim.decisions);
}

#[test]
fn a_shed_is_immediate_and_accuracy_comes_back() {
    let mut sim = Sim::new(Rules::default());
    let alone = |macs_per_second: f64| {
        let mut snapshot = without(without(snapshot(), &worker("b")), &worker("c"));
        snapshot.workers[0].macs_per_second = macs_per_second;
        snapshot
    };
    sim.run(10, || alone(4e9));
    assert!(sim.replanner.running().unwrap().active.is_full());
    sim.decisions.clear();
    sim.step(&alone(1e8));
    assert_eq!(sim.kinds(), [Kind::Shed], "on the very snapshot that shows the shift");
    sim.run(10, || alone(4e9));
    assert_eq!(sim.kinds(), [Kind::Shed, Kind::Restore]);
    assert!(sim.replanner.running().unwrap().active.is_full());
}

#[test]
fn a_bypass_needs_to_be_known_and_bearable_and_the_plan_behind_it_comes_at_once() {
    let network = Arch::ResNet20.network();
    let three = Placement {
        active: ActiveSet::full(),
        cuts: vec![LayerId(4), LayerId(10)],
        workers: ["a", "b", "c"].map(worker).into(),
        encodings: vec![],
    };
    let with = |bypass, points: Option<f64>| {
        let mut sim = Sim::new(Rules { bypass, ..Rules::default() });
        sim.step(&snapshot());
        let mut decision = sim.decisions[0].1.clone();
        decision.new = three.clone();
        sim.replanner.begin(decision);
        sim.replanner.committed(sim.at);
        sim.decisions.clear();
        let decided = sim.replanner.emergency(&network, &[worker("b")], |_| points);
        sim.take(decided);
        sim
    };
    assert_eq!(with(Bypass::Profiled, None).kinds(), []);
    assert_eq!(with(Bypass::Profiled, Some(99.0)).kinds(), []);
    assert_eq!(with(Bypass::Never, Some(1.0)).kinds(), []);
    assert_eq!(with(Bypass::Always, None).kinds(), [Kind::Bypass]);
    let mut sim = with(Bypass::Profiled, Some(4.0));
    assert_eq!(sim.decisions[0].1.degraded_points, Some(4.0));
    assert!(sim.replanner.is_degraded());
    sim.step(&without(snapshot(), &worker("b")));
    assert_eq!(sim.kinds(), [Kind::Bypass, Kind::Restore]);
    assert!(!sim.replanner.is_degraded());
    assert!(!sim.replanner.is_on_trial(), "there is nothing to go back to");

    // Where nothing is better than the survivors' plan, it is a plan like any other.
    let mut sim = with(Bypass::Profiled, Some(4.0));
    sim.model = Box::new(Content);
    sim.step(&without(snapshot(), &worker("b")));
    assert_eq!(sim.kinds(), [Kind::Bypass, Kind::Restore]);
    assert_eq!(sim.decisions[0].1.new, sim.decisions[1].1.new);
    assert!(!sim.replanner.is_degraded());
    sim.run(5, || without(snapshot(), &worker("b")));
    assert_eq!(sim.decisions.len(), 2);
}

#[test]
fn what_a_bypass_loses_is_its_sets_loss_and_its_encodings() {
    let encoded = |encoding| Placement {
        active: ActiveSet::parse("F:layer1.2", &Arch::ResNet20.network()).unwrap(),
        cuts: vec![LayerId(4)],
        workers: ["a", "c"].map(worker).into(),
        encodings: vec![LinkEncoding { from: peer("a"), to: peer("c"), encoding }],
    };
    let mut snapshot = snapshot();
    snapshot.accuracy.encodings =
        vec![EncodingLoss { cut: LayerId(4), encoding: Encoding::Int8, loss_points: 0.5 }];
    let lost = |encoding| bypass::lost_points(snapshot.clone(), &encoded(encoding), 4.0);
    assert_eq!(lost(Encoding::F32), Some(4.0));
    assert_eq!(lost(Encoding::Int8), Some(4.5));
    assert_eq!(lost(Encoding::F16), None, "nobody knows");
}

#[test]
fn an_answer_about_another_plan_is_not_followed() {
    let mut sim = Sim::settled();
    let shifted = without(snapshot(), &sim.first());
    let late = sim.replanner.ask(sim.at, shifted.clone()).unwrap().answer(&Brute);
    let mut decision = sim.replanner.decide(sim.at, &late).unwrap();
    decision.new.active = ActiveSet::parse("F:layer1.1,F:layer1.2", &Arch::ResNet20.network()).unwrap();
    sim.replanner.begin(decision);
    sim.replanner.committed(sim.at);
    assert_eq!(sim.replanner.decide(sim.at, &late), None);
}

#[test]
fn a_recorded_trace_gives_the_same_decisions_and_another_policy_others() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut sim = Sim::new(Rules::default());
    sim.run(5, || noisy(&mut rng, 0.2));
    let first = sim.replanner.running().unwrap().workers[0].to_string();
    let shifted = |rng: &mut ChaCha8Rng| {
        let mut snapshot = noisy(rng, 0.2);
        change_link(&mut snapshot, "main", &first, |link| link.goodput /= 20.0);
        snapshot
    };
    sim.run(10, || shifted(&mut rng));
    sim.measure(0.05);
    let header = trace::Header { version: trace::VERSION, policy: String::new() };
    let lines = std::iter::once(serde_json::to_string(&header).unwrap());
    let lines = lines.chain(sim.trace.iter().map(|entry| serde_json::to_string(entry).unwrap()));
    let text = lines.collect::<Vec<_>>().join("\n");
    let (header, entries) = trace::parse(&text).unwrap();
    let read = |text: &str| -> Result<(Rules, Box<dyn Model>), String> {
        Ok((Rules::split(text).map_err(|error| error.to_string())?.0, Box::new(Brute)))
    };
    let same = trace::replay(&header.policy, &entries, &read).unwrap();
    assert!(same.len() == sim.decisions.len() && same.len() >= 2, "{}", same.len());
    assert!(same.iter().all(trace::Replayed::agrees));
    let other = trace::replay("[replan]\nmargin = 9.0", &entries, &read).unwrap();
    assert!(other.iter().any(|replayed| replayed.again.is_none()));
    assert!(matches!(trace::parse(""), Err(trace::TraceError::Empty)));
    let broken = trace::parse(&text.replace("\"at_ms\":500", "\"at_ms\":x")).unwrap_err().to_string();
    assert!(broken.contains("line "), "{broken}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Whatever the figures do: no panic, no decision that changes nothing, soft changes within the bucket, and gains
    /// that are numbers.
    #[test]
    fn wild_figures_do_not_break_the_rules(seed in any::<u64>()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut sim = Sim::new(Rules::default());
        for _ in 0..200 {
            let mut wild = noisy(&mut rng, 0.9);
            for link in &mut wild.links {
                link.goodput *= 10f64.powf(rng.random_range(-2.0..2.0));
            }
            match rng.random_range(0..8) {
                0 => wild = without(wild, &worker(["a", "b", "c"][rng.random_range(0..3)])),
                1 => wild.links[0].goodput = f64::NAN,
                2 => wild.workers[0].macs_per_second = 0.0,
                3 => wild.links.retain(|link| link.from != peer("b")),
                4 => wild.workers.clear(),
                _ => {}
            }
            sim.step(&wild);
            if rng.random_bool(0.3) {
                sim.measure([0.05, 1e9, f64::NAN, 0.0][rng.random_range(0..4)]);
            }
        }
        for (_, decision) in &sim.decisions {
            prop_assert!(decision.old.as_ref() != Some(&decision.new));
            prop_assert!(decision.gain.is_none_or(|gain| gain.is_finite()));
        }
        let soft = sim.decisions.iter().filter(|(_, decision)| decision.kind.is_soft()).count();
        // 50 seconds: the burst and what was refilled.
        let rules = Rules::default();
        prop_assert!(soft as u64 <= u64::from(rules.burst) + 50_000 / rules.refill_ms + 1, "{soft}");
    }
}
