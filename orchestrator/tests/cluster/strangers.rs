//! Who must not get in: another authority, the wrong role, another release, other weights.

use std::net::SocketAddr;

use weir_shared::ids::{PeerName, Role, Term};
use weir_shared::transport::{Authority, FrameReader, FrameWriter, Identity, Protocol, Settings, Transport};
use weir_shared::wire::control::{FromWorker, Hello, ToWorker};

use crate::support::{Cluster, Process, Site, images};

fn refusals(cluster: &Cluster<'_>, reason: &str) -> u64 {
    let line = format!(r#"weir_refused_total{{reason="{reason}"}} "#);
    let text = cluster.text("/metrics");
    text.lines().find_map(|l| l.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
}

#[test]
fn a_worker_of_another_authority_does_not_join() {
    let site = Site::new("resnet20");
    let cluster = site.start(&["camera"], &[]);
    cluster.plan_over(1);
    let theirs = Authority::create().unwrap();
    let certs = site.certificates_by(&theirs, Role::Worker, "stranger", "stranger");
    // It knows our authority's certificate, which is public; its own comes from elsewhere.
    std::fs::copy(site.path("certs/main/ca.crt"), certs.join("ca.crt")).unwrap();
    let _stranger = Process(cluster.worker_command(&certs, &site.weights()).spawn().unwrap());
    cluster.until("a refused handshake", || (refusals(&cluster, "handshake") > 0).then_some(()));
    let workers = cluster.admin("/api/v1/workers").unwrap();
    assert_eq!(workers["workers"].as_array().map(Vec::len), Some(1));
    cluster.infer(&images(1, 32), 1);
}

#[test]
fn a_worker_with_other_weights_is_told_which_layer_differs_and_the_plan_waits() {
    let site = Site::new("resnet20");
    let other = site.random_weights(2, "other.safetensors");
    let mut cluster = site.start_orchestrator(1, &[]);
    cluster.start_worker_with("camera", &other);
    let problem = cluster.until("a problem document with the reason", || {
        let document = cluster.admin("/api/v1/plan")?;
        document["detail"].as_str().filter(|detail| detail.contains("camera")).map(str::to_owned)
    });
    assert!(problem.contains("stem") && problem.contains("digest"), "{problem}");
    cluster.start_worker("camera");
    cluster.plan_over(1);
}

#[test]
fn another_protocol_version_is_rejected_by_name() {
    let site = Site::new("resnet20");
    let cluster = site.start_orchestrator(1, &[]);
    let identity = Identity::load(&site.certificates(Role::Worker, "future")).unwrap();
    cluster.until("the orchestrator's admin port", || cluster.admin("/api/v1/version"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reply = runtime.block_on(async {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let transport = Transport::bind(&identity, any, Settings::default()).unwrap();
        let main = PeerName::new(Role::Orchestrator, "main").unwrap();
        let peer = transport.connect(&main, cluster.quic, Protocol::Control).await.unwrap();
        let (send, receive) = peer.connection.open_bi().await.unwrap();
        let hello = Hello {
            protocol: 99,
            release: "99.0.0".to_owned(),
            data_address: any,
            threads: 1,
            term: Term(0),
            live: vec![],
        };
        FrameWriter::new(send).send(&FromWorker::Hello(hello)).await.unwrap();
        FrameReader::<ToWorker>::new(receive).receive().await.unwrap()
    });
    let ToWorker::Reject { reason } = reply else { panic!("{reply:?}") };
    assert!(reason.contains("version 99") && reason.contains("same release"), "{reason}");
}

#[test]
fn an_orchestrator_does_not_join_as_a_worker() {
    let site = Site::new("resnet20");
    let cluster = site.start_orchestrator(1, &[]);
    let certs = site.certificates(Role::Orchestrator, "second");
    let error = crate::support::failure_of(&mut cluster.worker_command(&certs, &site.weights()));
    assert!(error.contains("a worker needs <name>.worker.weir.internal"), "{error}");
}
