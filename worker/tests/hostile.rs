//! Peers that are not what they should be, and frames that are not what they claim: each is refused, and the
//! worker answers the next honest request as if nothing had been.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod cluster;

use std::sync::Arc;
use std::time::Duration;

use cluster::peers::{ANY_PORT, close_of};
use cluster::{Cluster, Dialled, MAX_BATCH, Reference, eventually};
use weir_shared::arch::Arch;
use weir_shared::ids::{Epoch, Term};
use weir_shared::plan::{ActiveSet, Encoding, Plan, Value};
use weir_shared::transport::{AcceptError, Link, Parcel, Protocol, Transport, Undelivered, close_code};
use weir_shared::wire::control::FailureKind;
use weir_shared::wire::{Header, codec};

/// A worker with the whole network, and the plan that it serves.
async fn one_worker() -> (Cluster, Plan) {
    let cluster = Cluster::start(1, Arc::new(Reference::of(Arch::ResNet20)));
    let plan = cluster.plan(&[], &ActiveSet::full());
    cluster.deploy(&plan).await;
    (cluster, plan)
}

// Who gets in.

#[test]
fn a_peer_outside_the_plan_is_turned_away() {
    cluster::run(async {
        let (cluster, plan) = one_worker().await;
        let stranger = cluster.dial_as(&cluster.peers.worker("z"), "a").await;
        let (code, reason) = close_of(&stranger.link).await;
        assert_eq!(code, u64::from(close_code::NOT_IN_PLAN), "{reason}");
        assert_eq!(cluster.refused("a", "not_in_plan"), 1);
        cluster.check_exact(&plan, 1).await;
    });
}

#[test]
fn a_peer_is_turned_away_when_the_last_plan_that_named_it_is_retired() {
    cluster::run(async {
        let (cluster, plan) = one_worker().await;
        let gateway = cluster.dial_as(&cluster.peers.gateway(), "a").await;
        assert!(gateway.link.connection.close_reason().is_none());
        cluster.retire(&plan).await;
        assert_eq!(close_of(&gateway.link).await.0, u64::from(close_code::NOT_IN_PLAN));
    });
}

#[test]
fn a_peer_that_is_turned_away_does_not_ask_all_the_time() {
    cluster::run(async {
        let cluster = Cluster::start(1, Arc::new(Reference::of(Arch::ResNet20)));
        let (peer, address) = cluster.address("a");
        let transport = cluster.peers.bind(&cluster.peers.worker("z"));
        let link = Link::open(transport, peer, address, Default::default(), Arc::new(|_| ()));
        link.connected().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        // At once, because it was just asked for, and then after pauses of 50, 50, 100, 200 and 400 ms.
        let refused = cluster.refused("a", "not_in_plan");
        assert!((1..=7).contains(&refused), "{refused} times in a second");
    });
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    cluster::run(async {
        let (cluster, plan) = one_worker().await;
        // It bears the gateway's own name.
        let forged = cluster.peers.forged(&cluster.peers.gateway());
        let forger = Transport::bind(&forged, ANY_PORT, Default::default()).unwrap();
        let (peer, address) = cluster.address("a");
        // TLS 1.3 lets a client believe that it is connected until the server has looked at its certificate.
        if let Ok(link) = forger.connect(&peer, address, Protocol::Data).await {
            link.connection.closed().await;
        }
        eventually("the handshake is counted as refused", async || cluster.refused("a", "handshake") == 1)
            .await;
        cluster.check_exact(&plan, 1).await;
    });
}

#[test]
fn a_worker_refuses_to_be_an_orchestrator() {
    cluster::run(async {
        let (cluster, plan) = one_worker().await;
        let (peer, address) = cluster.address("a");
        for caller in [cluster.peers.worker("z"), cluster.peers.gateway()] {
            let transport = cluster.peers.bind(&caller);
            let link = transport.connect(&peer, address, Protocol::Control).await.unwrap();
            let (code, reason) = close_of(&link).await;
            assert_eq!(code, u64::from(close_code::WRONG_ROLE), "{reason}");
        }
        assert_eq!(cluster.refused("a", "protocol"), 2);
        cluster.check_exact(&plan, 1).await;
    });
}

#[test]
fn a_worker_does_not_send_to_an_impostor() {
    cluster::run(async {
        let cluster = Cluster::start(2, Arc::new(Reference::of(Arch::ResNet20)));
        let impostor = cluster.peers.bind(&cluster.peers.worker("z"));
        let mut draft = cluster.draft(&[9], &ActiveSet::full());
        let to_b = draft.routes.iter_mut().find(|route| route.to == cluster.peers.worker("b")).unwrap();
        to_b.address = impostor.address().unwrap();
        let plan = Plan::new(draft).unwrap();
        cluster.prepare("a", &plan).await.unwrap();
        let accepted = async { impostor.accept().await.unwrap().establish().await };
        let connect = tokio::time::timeout(Duration::from_millis(300), cluster.connect("a", &plan));
        let (connected, accepted) = tokio::join!(connect, accepted);
        assert!(connected.is_err(), "it keeps trying");
        assert!(matches!(accepted, Err(AcceptError::Handshake(_))), "{accepted:?}");
        assert!(!cluster.link("a", &cluster.peers.worker("b")).await.unwrap().up);
    });
}

// What they may say.

/// A worker, the plan that it serves, and somebody in that plan who does not behave.
struct Story {
    cluster: Cluster,
    plan: Plan,
    rogue: Dialled,
}

impl Story {
    async fn begin() -> Self {
        let (cluster, plan) = one_worker().await;
        let rogue = cluster.dial_as(&cluster.peers.gateway(), "a").await;
        Self { cluster, plan, rogue }
    }

    /// An honest frame, in its two parts.
    fn frame(&self) -> (Header, Vec<u8>) {
        let payload = codec::f32_bytes(&self.cluster.reference.images(1)).into_owned();
        (self.cluster.gateway.header(&self.plan, 1, &payload), payload)
    }

    /// The request of what `forge` makes of an honest frame fails as expected, and the next one does not.
    async fn check_fails(&self, forge: impl FnOnce(&mut Header, &mut Vec<u8>), expect: FailureKind) {
        let (mut header, mut payload) = self.frame();
        forge(&mut header, &mut payload);
        self.rogue.write(&[header.to_bytes().unwrap(), payload].concat()).await;
        let failure = self.cluster.gateway.failure_of(header.request).await;
        assert_eq!(failure.kind, expect, "{failure:?}");
        assert_eq!((failure.plan, failure.attempt), (header.plan, header.attempt));
        self.check_serves().await;
    }

    /// What `bytes` begin cannot be told to belong to any request; it is counted, and that is all.
    async fn check_malformed(&self, bytes: &[u8]) {
        let count = || self.cluster.refused("a", "malformed");
        let before = count();
        self.rogue.write(bytes).await;
        eventually("it is counted", async || count() == before + 1).await;
        self.check_serves().await;
    }

    async fn check_serves(&self) {
        let closed = self.rogue.link.connection.close_reason();
        assert_eq!(closed, None, "one bad stream does not cost the connection");
        self.cluster.check_exact(&self.plan, 1).await;
    }
}

#[test]
fn frames_that_do_not_fit_the_plan_fail_their_own_request_only() {
    use FailureKind::{Broken, Expired, StalePlan};
    cluster::run(async {
        let story = Story::begin().await;
        story.check_fails(|header, _| header.plan.epoch = Epoch(99), StalePlan).await;
        story.check_fails(|header, _| header.plan.term = Term(0), StalePlan).await;
        story.check_fails(|header, _| header.value = Value(7), StalePlan).await;
        story.check_fails(|header, _| header.value = Value(u16::MAX), StalePlan).await;
        story.check_fails(|header, _| header.plan_prefix ^= 1, StalePlan).await;
        story.check_fails(|header, _| header.encoding = Encoding::Int8, Broken).await;
        story.check_fails(|header, _| header.batch = 0, Broken).await;
        story.check_fails(|header, _| header.batch = 2, Broken).await;
        story.check_fails(|header, _| header.batch = MAX_BATCH + 1, Broken).await;
        story.check_fails(|header, _| header.batch = u16::MAX, Broken).await;
        story.check_fails(|header, _| header.checksum ^= 1, Broken).await;
        story.check_fails(|_, payload| payload[1000] ^= 1, Broken).await;
        story.check_fails(|_, payload| payload.truncate(payload.len() - 4), Broken).await;
        story.check_fails(|_, payload| payload.clear(), Broken).await;
        story.check_fails(|_, payload| payload.push(0), Broken).await;
        story.check_fails(|header, _| header.remaining_micros = 0, Expired).await;
        assert_eq!(story.cluster.report("a").await.executions, 16, "only the honest ones were computed");
    });
}

#[test]
fn streams_without_a_readable_header_are_counted_and_dropped() {
    cluster::run(async {
        let story = Story::begin().await;
        // Magic, version and length, as the preamble has them, and then the header itself.
        let damage: [(usize, &[u8]); 7] = [
            (0, b"HTTP"),
            (4, &[0, 9]),
            (6, &[0, 0]),
            (6, &[0, 1]),
            (6, &[0x10, 0x01]),
            (6, &[0xff, 0xff]),
            (8, &[0xff; 32]),
        ];
        for (at, bytes) in damage {
            let (header, payload) = story.frame();
            let mut frame = [header.to_bytes().unwrap(), payload].concat();
            frame[at..at + bytes.len()].copy_from_slice(bytes);
            story.check_malformed(&frame).await;
        }
        // Ends within the preamble, within the header, and before anything.
        story.check_malformed(b"WEIR\x00").await;
        story.check_malformed(b"WEIR\x00\x03\x00\x40half a header").await;
        story.check_malformed(b"").await;
    });
}

#[test]
fn numbers_that_are_none_are_computed_like_any_other() {
    cluster::run(async {
        let (cluster, plan) = one_worker().await;
        let nothing = vec![f32::NAN; cluster.reference.network.input.elements()];
        let logits = cluster.gateway.infer(&plan, 1, nothing).await.unwrap();
        assert_eq!(logits.len(), 10);
        assert!(logits.iter().all(|logit| logit.is_nan()));
        cluster.check_exact(&plan, 1).await;
    });
}

#[test]
fn a_worker_may_send_only_what_the_plan_lets_it_send() {
    cluster::run(async {
        let cluster = Cluster::start(2, Arc::new(Reference::of(Arch::ResNet20)));
        let plan = cluster.plan(&[9], &ActiveSet::full());
        cluster.deploy(&plan).await;
        // Worker a has a part in the plan, but the images are the gateway's to send, and not to b.
        let rogue = cluster.dial_as(&cluster.peers.worker("a"), "b").await;
        let payload = codec::f32_bytes(&cluster.reference.images(1)).into_owned();
        let header = cluster.gateway.header(&plan, 1, &payload);
        rogue.write(&[header.to_bytes().unwrap(), payload].concat()).await;
        assert_eq!(cluster.gateway.failure_of(header.request).await.kind, FailureKind::StalePlan);
        // And the gateway sends nothing to b at all.
        let gateway = cluster.dial_as(&cluster.peers.gateway(), "b").await;
        assert_eq!(close_of(&gateway.link).await.0, u64::from(close_code::NOT_IN_PLAN));
        cluster.check_exact(&plan, 1).await;
    });
}

#[test]
fn halves_of_requests_are_kept_up_to_a_bound() {
    /// As the worker has it.
    const WAITING_MAX: usize = 256;
    cluster::run(async {
        let reference = Arc::new(Reference::of(Arch::ResNet20));
        let cuts = [reference.before("layer1.1.conv2")];
        let cluster = Cluster::start(2, reference);
        let plan = cluster.plan(&cuts, &ActiveSet::full());
        cluster.deploy(&plan).await;
        let rogue = cluster.dial_as(&cluster.peers.worker("a"), "b").await;
        let inlet = plan.programs()[1].inlets[0];
        let payload = vec![0; Encoding::F32.payload_bytes(inlet.shape, 1)];
        for _ in 0..=WAITING_MAX {
            let header = Header { value: inlet.value, ..cluster.gateway.header(&plan, 1, &payload) };
            rogue.write(&[header.to_bytes().unwrap(), payload.clone()].concat()).await;
        }
        eventually("one too many is told", async || !cluster.gateway.failed().is_empty()).await;
        let kinds: Vec<_> = cluster.gateway.failed().iter().map(|failure| failure.kind).collect();
        assert_eq!(kinds, [FailureKind::Overloaded]);
        // With the plan go the halves.
        let next = cluster.plan(&cuts, &ActiveSet::full());
        cluster.deploy(&next).await;
        cluster.retire(&plan).await;
        cluster.check_exact(&next, 1).await;
    });
}

#[test]
fn tensors_of_one_request_must_agree_on_the_batch() {
    cluster::run(async {
        let reference = Arc::new(Reference::of(Arch::ResNet20));
        let cluster = Cluster::start(2, reference.clone());
        let plan = cluster.plan(&[reference.before("layer1.1.conv2")], &ActiveSet::full());
        cluster.deploy(&plan).await;
        let rogue = cluster.dial_as(&cluster.peers.worker("a"), "b").await;
        let request = cluster.gateway.next_request();
        for (inlet, batch) in plan.programs()[1].inlets.iter().zip([1_u16, 2]) {
            let payload = vec![0; Encoding::F32.payload_bytes(inlet.shape, usize::from(batch))];
            let header =
                Header { request, value: inlet.value, ..cluster.gateway.header(&plan, batch, &payload) };
            rogue.write(&[header.to_bytes().unwrap(), payload].concat()).await;
        }
        assert_eq!(cluster.gateway.failure_of(request).await.kind, FailureKind::Broken);
        cluster.check_exact(&plan, 1).await;
    });
}

#[test]
fn a_large_activation_that_is_refused_fails_once_and_for_the_right_reason() {
    const BATCH: u16 = 32;
    cluster::run(async {
        let cluster = Cluster::start(1, Arc::new(Reference::of(Arch::ResNet18)));
        let plan = cluster.plan(&[], &ActiveSet::full());
        cluster.deploy(&plan).await;
        let mut draft = cluster.draft(&[], &ActiveSet::full());
        draft.max_batch = BATCH;
        let unknown = Plan::new(draft).unwrap();
        // 19 MB: far more than fits into any buffer, so it is still being written when the worker refuses it.
        let failure =
            cluster.gateway.infer(&unknown, BATCH, cluster.reference.images(BATCH)).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::StalePlan, "{failure:?}");
        cluster.check_exact(&plan, 1).await;
        assert_eq!(cluster.gateway.failed(), [failure], "the link is well, and says nothing");
    });
}

#[test]
fn a_receiver_that_takes_nothing_is_given_up_at_the_deadline() {
    cluster::run(async {
        let (cluster, plan) = one_worker().await;
        let idle = cluster.peers.bind(&cluster.peers.worker("z"));
        let (told, mut failed) = tokio::sync::mpsc::channel(4);
        let on_undelivered = Arc::new(move |undelivered: Undelivered| told.try_send(undelivered).unwrap());
        let sender = cluster.peers.bind(&cluster.peers.gateway());
        let link = Link::open(
            sender,
            cluster.peers.worker("z"),
            idle.address().unwrap(),
            Default::default(),
            on_undelivered,
        );
        // It accepts the connection, and then reads nothing.
        let _held = idle.accept().await.unwrap().establish().await.unwrap();
        let payload = bytes::Bytes::from(vec![0; 64 << 20]);
        let header = cluster.gateway.header(&plan, 1, &[]);
        let deadline = tokio::time::Instant::now() + Duration::from_millis(300);
        link.try_send(Parcel { header, payload, deadline }).unwrap();
        let undelivered = failed.recv().await.unwrap();
        assert_eq!(undelivered.kind, FailureKind::Expired, "{undelivered:?}");
    });
}

// How much they may cost.

/// Resident memory of this process in bytes.
fn resident() -> u64 {
    weir_worker::telemetry::resident_bytes()
}

#[test]
fn giant_claims_take_no_memory() {
    const STREAMS: u64 = 32;
    cluster::run(async {
        let cluster = Cluster::start(1, Arc::new(Reference::of(Arch::ResNet18)));
        let mut draft = cluster.draft(&[], &ActiveSet::full());
        draft.max_batch = weir_shared::plan::plan::BATCH_MAX;
        let plan = Plan::new(draft).unwrap();
        cluster.deploy(&plan).await;
        cluster.check_exact(&plan, 1).await;
        let rogue = cluster.dial_as(&cluster.peers.gateway(), "a").await;
        let before = resident();
        // Each announces 154 MB, which the plan allows, and sends nothing of it.
        let mut open = Vec::new();
        for _ in 0..STREAMS {
            let mut stream = rogue.link.connection.open_uni().await.unwrap();
            let header = cluster.gateway.header(&plan, plan.draft().max_batch, &[]);
            stream.write_all(&header.to_bytes().unwrap()).await.unwrap();
            open.push(stream);
        }
        cluster.check_exact(&plan, 1).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let grown = resident().saturating_sub(before);
        let claimed = STREAMS * 256 * cluster.reference.network.input.elements() as u64 * 4;
        assert!(claimed > 4 << 30);
        // The other tests of this process take some meanwhile.
        assert!(grown < 512 << 20, "{grown} bytes for claims of {claimed}");
        cluster.check_exact(&plan, 1).await;
    });
}
