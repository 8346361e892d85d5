//! Workers without the checkpoint: layers come from the orchestrator, by content, once.

use weir_shared::ids::Role;

use crate::support::{Site, images};

/// How often the worker's log says that a layer came over the network.
fn fetched(site: &Site, worker: &str) -> usize {
    let log = std::fs::read_to_string(site.path(&format!("{worker}.log"))).unwrap();
    log.matches("layer fetched").count()
}

#[test]
fn a_worker_without_weights_fetches_its_own_layers_and_keeps_them() {
    let site = Site::new("resnet20");
    let image = images(1, 32);
    let expected = {
        let cluster = site.start(&["a", "b"], &[]);
        cluster.plan_over(2);
        cluster.infer(&image, 1)
    };
    let mut cluster = site.start_orchestrator(2, &[]);
    let caches = ["a", "b"].map(|name| site.path(&format!("cache-{name}")));
    cluster.start_worker_fetching("a", None, &caches[0]);
    // The other one has a checkpoint, but of other weights.
    let other = site.random_weights(7, "other.safetensors");
    cluster.start_worker_fetching("b", Some(&other), &caches[1]);
    cluster.plan_over(2);
    assert_eq!(cluster.infer(&image, 1), expected);
    let files = caches.each_ref().map(|cache| std::fs::read_dir(cache).unwrap().count());
    assert_eq!([fetched(&site, "a"), fetched(&site, "b")], files);
    // Stem, 18 convolutions and the head have weights; nobody fetched more than its stage.
    assert_eq!(files[0] + files[1], 20);

    cluster.kill_worker("a");
    cluster.plan_over(1);
    let alone = fetched(&site, "b");
    assert_eq!(alone, 20, "it has the whole network now");
    cluster.start_worker_fetching("a", None, &caches[0]);
    cluster.plan_over(2);
    assert_eq!(cluster.infer(&image, 1), expected);
    assert_eq!(
        (fetched(&site, "a"), fetched(&site, "b")),
        (files[0], alone),
        "what is kept does not travel again"
    );
}

#[test]
fn a_worker_with_other_weights_that_may_not_fetch_says_what_to_do() {
    let site = Site::new("resnet20");
    let mut cluster = site.start_orchestrator(1, &[]);
    let other = site.random_weights(7, "other.safetensors");
    cluster.start_worker_with("a", &other);
    cluster.until("a refusal that names the layer and the remedy", || {
        let status = cluster.admin("/api/v1/workers")?.to_string();
        (status.contains("layer stem") && status.contains("--cache")).then_some(())
    });
}

#[test]
fn a_stranger_is_given_no_weights() {
    let site = Site::new("resnet20");
    let cluster = site.start_orchestrator(1, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        use weir_shared::transport::{Identity, Protocol, Settings, Transport};
        let folder = site.certificates(Role::Orchestrator, "impostor");
        let identity = Identity::load(&folder).unwrap();
        let transport =
            Transport::bind(&identity, "127.0.0.1:0".parse().unwrap(), Settings::default()).unwrap();
        let main = weir_shared::ids::PeerName::new(Role::Orchestrator, "main").unwrap();
        let peer = transport.connect(&main, cluster.quic, Protocol::Weights).await.unwrap();
        let closed = peer.connection.closed().await.to_string();
        assert!(closed.contains("only workers are given weights"), "{closed}");
    });
}
