//! Who must not get in: another authority, the wrong role, another release, other weights.

use std::net::SocketAddr;

use weir_shared::ids::{PeerName, Role};
use weir_shared::transport::{Authority, Identity, Protocol, Settings, Transport};
use weir_shared::wire::control::{PREAMBLE_BYTES, check_preamble};

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
fn peers_of_different_releases_learn_which_version_the_other_speaks() {
    let site = Site::new("resnet20");
    let cluster = site.start_orchestrator(1, &[]);
    let identity = Identity::load(&site.certificates(Role::Worker, "future")).unwrap();
    cluster.until("the orchestrator's admin port", || cluster.admin("/api/v1/version"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let theirs = runtime.block_on(async {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let transport = Transport::bind(&identity, any, Settings::default()).unwrap();
        let main = PeerName::new(Role::Orchestrator, "main").unwrap();
        let peer = transport.connect(&main, cluster.quic, Protocol::Control).await.unwrap();
        let (mut send, mut receive) = peer.connection.open_bi().await.unwrap();
        // Version 99, and then whatever version 99 says.
        send.write_all(b"WEIR\x00\x63 and more").await.unwrap();
        let mut preamble = [0; PREAMBLE_BYTES];
        receive.read_exact(&mut preamble).await.unwrap();
        preamble
    });
    assert!(check_preamble(theirs).is_ok());
    cluster.until("the refusal", || (refusals(&cluster, "session") > 0).then_some(()));
    assert!(cluster.logs().contains("version 99"), "{}", cluster.logs());
}

#[test]
fn an_orchestrator_does_not_join_as_a_worker() {
    let site = Site::new("resnet20");
    let cluster = site.start_orchestrator(1, &[]);
    let certs = site.certificates(Role::Orchestrator, "second");
    let error = crate::support::failure_of(&mut cluster.worker_command(&certs, &site.weights()));
    assert!(error.contains("a worker needs <name>.worker.weir.internal"), "{error}");
}

#[test]
fn a_worker_that_refuses_does_not_stop_the_others() {
    let site = Site::new("resnet20");
    let other = site.random_weights(2, "other.safetensors");
    let mut cluster = site.start_orchestrator(2, &[]);
    cluster.start_worker_with("camera", &other);
    cluster.start_worker("router");
    cluster.plan_when("a plan over the healthy one", |plan| plan["stages"][0]["worker"] == "router");
    let workers = cluster.admin("/api/v1/workers").unwrap();
    let reason = workers["workers"][0]["left_out"].as_str().unwrap().to_owned();
    assert!(reason.contains("digest"), "{reason}");
    cluster.infer(&images(1, 32), 1);
}
