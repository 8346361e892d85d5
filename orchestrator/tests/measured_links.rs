//! What telemetry says of links whose truth is known: real QUIC through the emulator.
//!
//! Bounds are wide for a busy machine; what was found is printed (on a quiet one 1.5 % of goodput).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_orchestrator::demo::emulator::{BitRate, EmulatedLink, LinkConditions, LossRate};
use weir_orchestrator::telemetry::{LinkEstimate, LinkEstimator};
use weir_shared::ids::{Attempt, Epoch, PeerName, RequestId, Role, Term};
use weir_shared::plan::{Encoding, PlanId, Value};
use weir_shared::transport::{
    Authority, Identity, Links, Parcel, PeerConnection, ProbeSink, Prober, Protocol, Settings, Transport,
};
use weir_shared::wire::Header;
use weir_shared::wire::control::{LinkReport, ProbeTarget};

/// Two peers with an emulated link between them.
struct Story {
    _folder: tempfile::TempDir,
    links: Links,
    transport: Transport,
    to: PeerName,
    link: EmulatedLink,
    estimator: LinkEstimator,
}

fn conditions(megabits: u64, rtt_millis: u64) -> LinkConditions {
    LinkConditions {
        rate: Some(BitRate::megabits(megabits)),
        reverse_rate: Some(BitRate::megabits(megabits)),
        delay: Duration::from_millis(rtt_millis / 2),
        queue_bytes: 256 * 1024,
        ..LinkConditions::PERFECT
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn absorb(peer: PeerConnection, probes: ProbeSink) {
    if peer.protocol == Protocol::Probe {
        return probes.absorb(&peer).await;
    }
    while let Ok(mut stream) = peer.connection.accept_uni().await {
        tokio::task::spawn_local(async move { stream.read_to_end(16 << 20).await });
    }
}

impl Story {
    fn new(conditions: LinkConditions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create().unwrap();
        let bind = |name: &str| {
            let peer = PeerName::new(Role::Worker, name).unwrap();
            let own = folder.path().join(name);
            authority.issue(&peer).unwrap().save(&own).unwrap();
            let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
            Transport::bind(&Identity::load(&own).unwrap(), any, Settings::default()).unwrap()
        };
        let (transport, receiver) = (bind("a"), bind("b"));
        let link = EmulatedLink::spawn_seeded(conditions, receiver.address().unwrap(), 7).unwrap();
        let (probes, to) = (ProbeSink::default(), receiver.name().clone());
        tokio::task::spawn_local(async move {
            while let Some(incoming) = receiver.accept().await {
                let probes = probes.clone();
                tokio::task::spawn_local(async move {
                    if let Ok(peer) = incoming.establish().await {
                        absorb(peer, probes).await;
                    }
                });
            }
        });
        let links = Links::new(transport.clone(), Arc::new(|_| ()));
        Self { _folder: folder, links, transport, to, link, estimator: LinkEstimator::default() }
    }

    fn send(&self, bytes: usize) {
        let header = Header {
            request: RequestId(1),
            attempt: Attempt(1),
            plan: PlanId { term: Term(1), epoch: Epoch(1) },
            plan_prefix: 0,
            value: Value::INPUT,
            batch: 1,
            encoding: Encoding::F32,
            remaining_micros: 0,
            checksum: 0,
            trace: None,
        };
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        let payload = bytes::Bytes::from(vec![7; bytes]);
        let sent = self.links.send(&self.to, self.link.address(), Parcel { header, payload, deadline });
        sent.map_err(|refused| refused.reason).unwrap();
    }

    fn report(&self) -> LinkReport {
        self.links.report().into_iter().find(|report| report.to == self.to).unwrap()
    }

    /// Sends an activation in each of so many periods, looks at the end of each as a worker does, and says what is believed.
    async fn load(&mut self, periods: u32, bytes: usize) -> LinkEstimate {
        for _ in 0..periods {
            self.send(bytes);
            tokio::time::sleep(Duration::from_millis(250)).await;
            self.estimator.fold(now(), &self.report(), false);
        }
        self.estimator.estimate(now())
    }
}

fn run<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, story)
}

/// Within `share` of the truth.
fn check(what: &str, found: f64, truth: f64, share: f64) {
    println!("{what}: {found:.6} for {truth:.6} ({:+.1} %)", 100.0 * (found / truth - 1.0));
    assert!((found / truth - 1.0).abs() <= share, "{what}: {found} for {truth}");
}

#[test]
fn goodput_and_round_trip_time_of_real_transfers_are_the_links_own() {
    // Mbit/s, milliseconds, bytes of an activation every 250 ms: from an idle link to one that is half full.
    for (megabits, rtt, bytes) in [(10, 20, 65_536), (10, 20, 150_000), (50, 8, 262_144), (2, 60, 16_384)] {
        run(async {
            let mut story = Story::new(conditions(megabits, rtt));
            story.links.reach(&story.to, story.link.address()).await;
            let found = story.load(10, bytes).await;
            let name = format!("{megabits} Mbit/s, {rtt} ms, {bytes} bytes");
            // Of 1200 to 1452 bytes in a packet, some 3 to 6 % are headers.
            check(&name, found.trusted_goodput().unwrap(), megabits as f64 * 125_000.0 * 0.95, 0.25);
            check(&name, found.trusted_rtt().unwrap(), rtt as f64 / 1e3, 0.5);
        });
    }
}

#[test]
fn a_collapse_is_believed_within_a_second_although_a_transfer_is_stuck_in_it() {
    run(async {
        let mut story = Story::new(conditions(40, 10));
        story.links.reach(&story.to, story.link.address()).await;
        story.load(6, 262_144).await;
        story.link.set(conditions(2, 10));
        let began = Instant::now();
        let patience = Duration::from_secs(8);
        while story.load(1, 262_144).await.trusted_goodput().unwrap() > 500_000.0 {
            assert!(began.elapsed() < patience, "{:?}", story.report());
        }
        println!("believed after {:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(3));
    });
}

#[test]
fn a_probe_measures_a_link_that_carries_nothing() {
    run(async {
        // Slow enough that a burst of 32 KiB takes many times what a busy machine is late by.
        let story = Story::new(conditions(4, 20));
        let prober = Prober::start(story.transport.clone(), story.links.book());
        prober.measure(vec![ProbeTarget { peer: story.to.clone(), address: story.link.address() }]);
        let patience = tokio::time::Instant::now() + Duration::from_secs(10);
        let report = loop {
            let found = story.links.report().into_iter().find(|report| report.goodput.is_some());
            if let Some(report) = found {
                break report;
            }
            assert!(tokio::time::Instant::now() < patience);
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert!(report.up && !report.open && report.probes == 1);
        check("goodput", report.goodput.unwrap().bytes_per_second, 0.5e6 * 0.95, 0.3);
        check("round trip", report.rtt.unwrap().minimum_seconds, 0.02, 0.5);
    });
}

#[test]
fn loss_is_seen_by_the_sender() {
    run(async {
        let lossy = LinkConditions { loss: LossRate::new(0.02).unwrap(), ..conditions(50, 8) };
        let mut story = Story::new(lossy);
        story.links.reach(&story.to, story.link.address()).await;
        let found = story.load(8, 262_144).await;
        println!("loss {}", found.loss);
        assert!((0.005..0.05).contains(&found.loss), "{}", found.loss);
    });
}
