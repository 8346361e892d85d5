//! What is true of the links at a time, and which steps are due.
//!
//! Always true: a step is handed out once, in order, and never before its time.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::spec::{Action, Event, LinkSide, NamedConditions, Scenario};
use crate::demo::emulator::LinkConditions;
use crate::demo::topology::GATEWAY;

/// Marks the random stream of noise, apart from arrivals and links.
const NOISE_STREAM: u64 = 3;

/// Something to do now.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// An event of the scenario; its changes of links come as [`Set`](Self::Set) behind it.
    Event(Event),
    /// A directed link behaves like this from now on.
    Set {
        /// Who sends.
        from: String,
        /// Who receives.
        to: String,
        /// How.
        conditions: LinkConditions,
    },
}

/// The links of a scenario as they are now, and what is still to come.
#[derive(Debug)]
pub struct Timeline {
    peers: Vec<String>,
    initial: BTreeMap<(String, String), NamedConditions>,
    now: BTreeMap<(String, String), NamedConditions>,
    events: std::vec::IntoIter<Event>,
    next: Option<Event>,
    noise: Option<Noise>,
    random: ChaCha8Rng,
}

#[derive(Debug, Clone, Copy)]
struct Noise {
    share: f64,
    period: Duration,
    next: Duration,
}

impl Timeline {
    /// At the start of `scenario`.
    pub fn new(scenario: &Scenario) -> Self {
        let initial = initial_links(scenario);
        let mut random = ChaCha8Rng::seed_from_u64(scenario.seed);
        random.set_stream(NOISE_STREAM);
        let mut events = scenario.events.clone().into_iter();
        let next = events.next();
        let peers = std::iter::once(GATEWAY.to_owned()).chain(scenario.worker_names()).collect();
        Self { peers, now: initial.clone(), initial, events, next, noise: None, random }
    }

    /// When the next step is due.
    pub fn next_due(&self) -> Option<Duration> {
        let event = self.next.as_ref().map(|event| event.at);
        let noise = self.noise.map(|noise| noise.next);
        event.into_iter().chain(noise).min()
    }

    /// What is to be done now.
    pub fn advance(&mut self, now: Duration) -> Vec<Step> {
        let mut steps = Vec::new();
        while let Some(event) = self.next.take_if(|event| event.at <= now) {
            self.next = self.events.next();
            steps.push(Step::Event(event.clone()));
            self.apply(&event, &mut steps);
        }
        if let Some(noise) = self.noise.as_mut().filter(|noise| noise.next <= now) {
            noise.next = now + noise.period;
            let share = noise.share;
            steps.extend(self.noisy(share));
        }
        steps
    }

    /// The links as they should be now.
    pub fn link(&self, from: &str, to: &str) -> Option<&NamedConditions> {
        self.now.get(&(from.to_owned(), to.to_owned()))
    }

    fn apply(&mut self, event: &Event, steps: &mut Vec<Step>) {
        match &event.action {
            Action::Link { side, conditions } => self.change(side, Some(conditions), steps),
            Action::Heal(None) => {
                self.noise = None;
                for peer in self.peers.clone() {
                    self.change(&LinkSide { peer, other: None }, None, steps);
                }
            }
            Action::Heal(Some(worker)) => {
                self.change(&LinkSide { peer: worker.clone(), other: None }, None, steps);
            }
            Action::Noise { share, period } => {
                self.noise = Some(Noise { share: *share, period: *period, next: event.at });
            }
            _ => (),
        }
    }

    /// Sets links to `conditions`, or back to what they were in the beginning.
    fn change(&mut self, side: &LinkSide, conditions: Option<&NamedConditions>, steps: &mut Vec<Step>) {
        for ((from, to), now) in &mut self.now {
            if !side.covers(from, to) {
                continue;
            }
            let Some(wanted) = conditions.or_else(|| self.initial.get(&(from.clone(), to.clone()))) else {
                continue;
            };
            if now != wanted || self.noise.is_some() {
                *now = wanted.clone();
                let conditions = wanted.conditions;
                steps.push(Step::Set { from: from.clone(), to: to.clone(), conditions });
            }
        }
    }

    fn noisy(&mut self, share: f64) -> Vec<Step> {
        let mut steps = Vec::new();
        for ((from, to), now) in &self.now {
            let factor = 1.0 + share * (2.0 * self.random.random::<f64>() - 1.0);
            // The delay changes, not the jitter: the emulated link adds that on its own.
            let conditions = LinkConditions { delay: now.conditions.delay.mul_f64(factor), ..now.conditions };
            steps.push(Step::Set { from: from.clone(), to: to.clone(), conditions });
        }
        steps
    }
}

/// A link for every ordered pair: as good as its worse end, unless the scenario says otherwise.
pub fn initial_links(scenario: &Scenario) -> BTreeMap<(String, String), NamedConditions> {
    let lan = crate::demo::emulator::Preset::Lan;
    let gateway = NamedConditions { name: lan.name().to_owned(), conditions: lan.conditions() };
    let gateway = (GATEWAY.to_owned(), gateway);
    let workers = scenario.workers.iter().map(|worker| (worker.name.clone(), worker.attachment.clone()));
    let peers: Vec<_> = std::iter::once(gateway).chain(workers).collect();
    let mut links = BTreeMap::new();
    for (from, at) in &peers {
        for (to, there) in peers.iter().filter(|(to, _)| to != from) {
            let worse = if badness(&there.conditions) > badness(&at.conditions) { there } else { at };
            links.insert((from.clone(), to.clone()), worse.clone());
        }
    }
    for (from, to, conditions) in &scenario.links {
        links.insert((from.clone(), to.clone()), conditions.clone());
    }
    links
}

/// Seconds that 16 KB take on a link, some activation's size: which of two attachments decides.
fn badness(link: &LinkConditions) -> f64 {
    let wire = link.rate.map_or(0.0, |rate| rate.time_for(16_384).as_secs_f64());
    wire + link.delay.as_secs_f64() + link.jitter.as_secs_f64() / 2.0 + link.loss.fraction()
}
