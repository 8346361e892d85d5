//! From beliefs to the planner's frozen input.
//!
//! A link that was never measured takes the figures of its reverse direction, and where that was not measured either the
//! worst of all links that were: so a first plan can be made before every link is known, and prefers those that are. A link
//! that is known to be broken is left out. One that has carried nothing since another link of the same peer collapsed is
//! doubted.

use std::collections::BTreeMap;
use std::time::Instant;

use weir_shared::arch::NetworkSpec;
use weir_shared::digest::Digest;
use weir_shared::ids::{PeerName, WorkerId};
use weir_shared::plan::Encoding;

use super::doubt::Doubts;
use super::{Cluster, WorkerView};
use crate::planner::SnapshotError;
use crate::planner::snapshot::{
    AccuracyTable, CodecCost, LinkState, Placement, Snapshot, VERSION, WorkerState,
};
use crate::telemetry::{LayerEstimate, LinkEstimate, Trust};

/// Round-trip time and goodput of a link while none in the cluster was measured: a poor Wi-Fi link.
const UNKNOWN_RTT: f64 = 0.05;
const UNKNOWN_GOODPUT: f64 = 500_000.0;

/// Slower links are no links: a request would take minutes.
const GOODPUT_MIN: f64 = 1_000.0;

/// What a snapshot holds that the cluster does not know.
#[derive(Debug, Clone)]
pub struct SnapshotInput<'a> {
    /// The calendar's time, for people.
    pub taken_unix_ms: u64,
    /// The network.
    pub network: NetworkSpec,
    /// Its weights, by [`weights_digest`](weir_shared::profile::weights_digest).
    pub weights: Digest,
    /// The gateway's name.
    pub gateway: PeerName,
    /// Samples in one request.
    pub batch: u16,
    /// Requests per second that are offered.
    pub offered_load: f64,
    /// What may be dropped, and what it costs.
    pub accuracy: &'a AccuracyTable,
    /// What runs now.
    pub current: Option<Placement>,
}

impl Cluster {
    /// The planner's input at `now`.
    ///
    /// In it are the workers that are connected, not left out for now, and whose readings are trusted and possible. A worker
    /// of the current placement that is left out stays in it, so that what runs can be judged; one whose readings are not
    /// trusted stays with the last that were: to doubt them is no reason to stop what serves.
    pub fn snapshot(&self, now: Instant, input: &SnapshotInput<'_>) -> Snapshot {
        self.freeze(now, input).0
    }

    /// [`snapshot`](Self::snapshot), and the workers that are not in it because of readings that the planner cannot use.
    pub fn freeze(
        &self,
        now: Instant,
        input: &SnapshotInput<'_>,
    ) -> (Snapshot, Vec<(WorkerId, SnapshotError)>) {
        let in_use = |worker: &WorkerId| {
            input.current.as_ref().is_some_and(|current| current.workers.contains(worker))
        };
        let left_out = self.left_out(now);
        let network = input.network.network();
        let state = |name: &WorkerId, view: &WorkerView| {
            let estimate = view.estimates.estimate(now, &network);
            let of_request = |layer: &LayerEstimate| layer.seconds().map(|s| s * f64::from(input.batch));
            WorkerState {
                name: name.clone(),
                layer_seconds: estimate.layers.iter().map(of_request).collect(),
                macs_per_second: estimate.macs_per_second,
                memory_bytes: estimate.memory_bytes,
                idle_watts: estimate.power.idle_watts,
                active_watts: estimate.power.active_watts,
                power_budget_watts: estimate.budget_watts,
                joules_per_byte_sent: estimate.joules_per_byte.0,
                joules_per_byte_received: estimate.joules_per_byte.1,
            }
        };
        let (mut workers, mut views, mut unusable) = (Vec::new(), Vec::new(), Vec::new());
        for (name, view) in self.connected() {
            let is_fresh = || !left_out.contains(name) && view.estimates.trust(now) == Trust::Fresh;
            if !in_use(name) && !is_fresh() {
                continue;
            }
            let state = state(name, view);
            match state.check(&network) {
                Ok(()) => {
                    workers.push(state);
                    views.push(view);
                }
                Err(error) => unusable.push((name.clone(), error)),
            }
        }
        let peers: Vec<PeerName> = std::iter::once(input.gateway.clone())
            .chain(workers.iter().map(|worker| worker.name.peer()))
            .collect();
        // What was seen of links to a peer that is gone is its end, and says nothing of those that are there.
        let mut known = self.link_estimates(now, &input.gateway);
        known.retain(|(_, to), _| {
            *to == input.gateway || self.connected().any(|(worker, _)| worker.peer() == *to)
        });
        let snapshot = Snapshot {
            version: VERSION,
            taken_unix_ms: input.taken_unix_ms,
            network: input.network,
            weights: input.weights,
            gateway: input.gateway.clone(),
            batch: input.batch,
            offered_load: input.offered_load,
            workers,
            links: links(&peers, &input.gateway, &known),
            accuracy: input.accuracy.clone(),
            codec: codec(views.into_iter()),
            current: input.current.clone(),
        };
        (snapshot, unusable)
    }
}

/// Every ordered pair of peers whose link is not known to be broken.
fn links(
    peers: &[PeerName],
    gateway: &PeerName,
    known: &BTreeMap<(PeerName, PeerName), LinkEstimate>,
) -> Vec<LinkState> {
    let doubts = Doubts::new(known, gateway);
    let between = |from: &PeerName, to: &PeerName| known.get(&(from.clone(), to.clone()));
    let rtts = known.values().filter_map(LinkEstimate::trusted_rtt);
    let goodputs = known.values().filter_map(LinkEstimate::trusted_goodput);
    let worst_rtt = rtts.reduce(f64::max).unwrap_or(UNKNOWN_RTT);
    let worst_goodput = goodputs.reduce(f64::min).unwrap_or(UNKNOWN_GOODPUT).max(GOODPUT_MIN);
    let pairs = peers.iter().flat_map(|from| peers.iter().map(move |to| (from, to)));
    let link = |(from, to): (&PeerName, &PeerName)| {
        let (there, back) = (between(from, to), between(to, from));
        // Without a word about it a link is hoped to work; the rollout finds out.
        let broken = there.is_some_and(|link| link.failed);
        if from == to || broken {
            return None;
        }
        let worth = there.and_then(|link| doubts.worth(link, from, to));
        let first = |of: fn(&LinkEstimate) -> Option<f64>| there.and_then(of).or_else(|| back.and_then(of));
        Some(LinkState {
            from: from.clone(),
            to: to.clone(),
            rtt_seconds: first(LinkEstimate::trusted_rtt)
                .unwrap_or(worst_rtt)
                .max(worth.map_or(0.0, |worth| worth.rtt_seconds)),
            goodput: first(LinkEstimate::trusted_goodput)
                .unwrap_or(worst_goodput)
                .min(worth.map_or(f64::INFINITY, |worth| worth.goodput))
                .max(GOODPUT_MIN),
            loss: there.map_or(0.0, |link| link.loss),
            doubted: worth.is_some(),
        })
    };
    pairs.filter_map(link).collect()
}

/// The mean over the workers that were calibrated: one writes, another reads.
fn codec<'a>(views: impl Iterator<Item = &'a WorkerView>) -> Vec<CodecCost> {
    let all: Vec<_> = views
        .filter_map(|view| view.estimates.calibration())
        .flat_map(|calibration| calibration.codec.iter())
        .collect();
    let of = |encoding: Encoding| {
        let costs: Vec<f64> = all
            .iter()
            .filter(|cost| cost.encoding == encoding)
            .map(|cost| cost.encode_seconds + cost.decode_seconds)
            .collect();
        let mean = costs.iter().sum::<f64>() / costs.len() as f64;
        (!costs.is_empty()).then_some(CodecCost { encoding, seconds_per_element: mean })
    };
    Encoding::ALL.into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use weir_shared::arch::Arch;
    use weir_shared::ids::Role;
    use weir_shared::telemetry::{GoodputReading, LinkReport, Report, RttReading, StartId};

    use super::super::{full_only, tests::join};
    use super::*;

    fn link(to: &PeerName, rtt: f64, goodput: f64) -> LinkReport {
        let rtt = RttReading { seconds: rtt, variation_seconds: 0.0, minimum_seconds: rtt, age_seconds: 0.0 };
        let goodput = GoodputReading { bytes_per_second: goodput, samples: 1, age_seconds: 0.0 };
        LinkReport { up: true, rtt: Some(rtt), goodput: Some(goodput), ..LinkReport::unknown(to.clone()) }
    }

    fn peer(name: &str) -> PeerName {
        PeerName::new(Role::Worker, name).unwrap()
    }

    fn cluster(now: Instant, of_a: &[LinkReport]) -> Cluster {
        let mut cluster = Cluster::default();
        for name in ["a", "b", "c"] {
            join(&mut cluster, name, 1, vec![]);
            let links = if name == "a" { of_a.to_vec() } else { vec![] };
            let report = Report { start: StartId(1), uptime_seconds: 1.0, links, ..Report::default() };
            cluster.reported(now, &name.parse().unwrap(), report).unwrap();
        }
        cluster
    }

    fn snapshot(cluster: &Cluster, now: Instant, current: Option<Placement>) -> Snapshot {
        let input = SnapshotInput {
            taken_unix_ms: 0,
            network: Arch::ResNet20.into(),
            weights: Digest::of(b""),
            gateway: PeerName::new(Role::Orchestrator, "main").unwrap(),
            batch: 1,
            offered_load: 1.0,
            accuracy: &full_only(None),
            current,
        };
        cluster.snapshot(now, &input)
    }

    fn found(snapshot: &Snapshot, from: &str, to: &str) -> Option<(f64, f64)> {
        let link = snapshot.links.iter().find(|l| l.from.short() == from && l.to.short() == to)?;
        Some((link.rtt_seconds, link.goodput))
    }

    #[test]
    fn an_unmeasured_link_is_as_its_reverse_or_as_the_worst_that_is_known() {
        let now = Instant::now();
        let cluster = cluster(now, &[link(&peer("b"), 0.01, 5e6), link(&peer("c"), 0.08, 2e5)]);
        let snapshot = snapshot(&cluster, now, None);
        assert_eq!(snapshot.links.len(), 12);
        assert_eq!(found(&snapshot, "a", "b"), Some((0.01, 5e6)));
        assert_eq!(found(&snapshot, "b", "a"), Some((0.01, 5e6)));
        assert_eq!(found(&snapshot, "b", "c"), Some((0.08, 2e5)));
        assert_eq!(found(&snapshot, "main", "a"), Some((0.08, 2e5)));
    }

    #[test]
    fn before_anything_is_measured_every_link_is_poor_but_there() {
        let now = Instant::now();
        let snapshot = snapshot(&cluster(now, &[]), now, None);
        assert!(
            snapshot
                .links
                .iter()
                .all(|link| (link.rtt_seconds, link.goodput) == (UNKNOWN_RTT, UNKNOWN_GOODPUT))
        );
    }

    #[test]
    fn a_link_that_was_tried_and_failed_is_left_out() {
        let now = Instant::now();
        let broken = LinkReport { up: false, probes: 1, probe_failures: 1, ..link(&peer("b"), 0.01, 5e6) };
        let snapshot = snapshot(&cluster(now, &[broken]), now, None);
        assert_eq!(found(&snapshot, "a", "b"), None);
        assert!(found(&snapshot, "b", "a").is_some());
    }

    #[test]
    fn an_idle_link_is_doubted_where_its_neighbour_collapsed_and_more_so_where_its_own_way_became_longer() {
        let start = Instant::now();
        let mut cluster = cluster(start, &[link(&peer("b"), 0.01, 5e6), link(&peer("c"), 0.01, 5e6)]);
        let later = start + Duration::from_secs(1);
        let again = |rtt_of_b, samples_of_c| {
            let mut links = [link(&peer("b"), rtt_of_b, 5e6), link(&peer("c"), 0.01, 1e5)];
            if let Some(reading) = &mut links[1].goodput {
                reading.samples = samples_of_c;
            }
            Report { start: StartId(1), uptime_seconds: 2.0, links: links.to_vec(), ..Report::default() }
        };
        cluster.reported(later, &"a".parse().unwrap(), again(0.01, 2)).unwrap();
        let goodput = |cluster: &Cluster| found(&snapshot(cluster, later, None), "a", "b").unwrap().1;
        assert!((goodput(&cluster) - (1e5_f64 * 5e6).sqrt()).abs() < 1.0, "half-way: which end is at fault?");
        cluster.reported(later, &"a".parse().unwrap(), again(0.1, 2)).unwrap();
        assert_eq!(goodput(&cluster), 1e5);
    }

    #[test]
    fn a_worker_that_refused_something_stays_where_it_serves() {
        let now = Instant::now();
        let mut cluster = cluster(now, &[]);
        for name in ["a", "c"] {
            cluster.blamed(now, &name.parse().unwrap(), "too little memory");
        }
        let current = || Placement {
            active: Default::default(),
            cuts: vec![],
            workers: vec!["c".parse().unwrap()],
            encodings: vec![],
        };
        let names = |snapshot: Snapshot| {
            snapshot.workers.into_iter().map(|worker| worker.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(snapshot(&cluster, now, None)), ["b"]);
        assert_eq!(names(snapshot(&cluster, now, Some(current()))), ["b", "c"]);
        assert_eq!(cluster.left_out(now), ["a".parse().unwrap(), "c".parse().unwrap()]);
    }

    #[test]
    fn a_worker_with_impossible_readings_is_left_out_and_named_and_the_others_are_planned_for() {
        let now = Instant::now();
        let mut cluster = cluster(now, &[]);
        let layer = weir_shared::telemetry::LayerReading {
            layer: weir_shared::arch::LayerId(1),
            batch: 1,
            runs: 1,
            seconds: 1e-305,
        };
        let report =
            Report { start: StartId(1), uptime_seconds: 2.0, layers: vec![layer], ..Report::default() };
        cluster.reported(now, &"b".parse().unwrap(), report).unwrap();
        let accuracy = full_only(None);
        let input = SnapshotInput {
            taken_unix_ms: 0,
            network: Arch::ResNet20.into(),
            weights: Digest::of(b""),
            gateway: PeerName::new(Role::Orchestrator, "main").unwrap(),
            batch: 1,
            offered_load: 1.0,
            accuracy: &accuracy,
            current: None,
        };
        let (found, unusable) = cluster.freeze(now, &input);
        found.check().unwrap();
        assert_eq!(found.workers.len(), 2);
        assert!(unusable.len() == 1 && unusable[0].1.to_string().contains("worker b"), "{unusable:?}");
    }

    #[test]
    fn a_silent_worker_is_left_out_unless_it_serves() {
        let start = Instant::now();
        let mut cluster = cluster(start, &[]);
        let later = start + Duration::from_secs(3);
        let report = Report { start: StartId(1), uptime_seconds: 4.0, ..Report::default() };
        cluster.reported(later, &"a".parse().unwrap(), report).unwrap();
        let names = |snapshot: Snapshot| {
            snapshot.workers.into_iter().map(|worker| worker.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(snapshot(&cluster, later, None)), ["a"]);
        let workers = vec!["a".parse().unwrap(), "c".parse().unwrap()];
        let current = Placement { active: Default::default(), cuts: vec![], workers, encodings: vec![] };
        assert_eq!(names(snapshot(&cluster, later, Some(current))), ["a", "c"]);
    }
}
