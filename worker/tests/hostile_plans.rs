//! Plans that a worker must not carry out: it says why and what to do, and goes on with the plan that it has.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod cluster;

use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::peers::ANY_PORT;
use cluster::{Cluster, Reference};
use weir_shared::arch::Arch;
use weir_shared::digest::Digest;
use weir_shared::ids::{Epoch, Term};
use weir_shared::plan::{ActiveSet, Plan, PlanDraft};
use weir_worker::stage::{GetReport, ObeyTerm, RetirePlan};

/// Two workers that serve a plan of epoch 1.
async fn two_workers() -> (Cluster, Plan) {
    let cluster = Cluster::start(2, Arc::new(Reference::of(Arch::ResNet20)));
    let plan = cluster.plan(&[9], &ActiveSet::full());
    cluster.deploy(&plan).await;
    (cluster, plan)
}

/// Worker `a` refuses what `change` makes of the next plan, names all of `expect`, and goes on.
async fn check_refused(
    (cluster, live): (&Cluster, &Plan),
    change: impl FnOnce(&mut PlanDraft),
    expect: &[&str],
) {
    let mut draft = cluster.draft(&[12], &ActiveSet::full());
    change(&mut draft);
    let reason = cluster.prepare("a", &Plan::new(draft).unwrap()).await.unwrap_err();
    assert!(expect.iter().all(|text| reason.contains(text)), "{reason}");
    cluster.check_exact(live, 1).await;
}

#[test]
fn other_weights_than_the_plan_was_made_for_are_named_with_the_remedy() {
    cluster::run(async {
        let (cluster, live) = two_workers().await;
        let layer = usize::from(cluster.reference.before("layer1.2.conv2"));
        let other = Digest::of(b"other weights");
        let file = cluster.reference.weights.display().to_string();
        let expect =
            ["layer1.2.conv2", &file, &other.to_string(), "the checkpoint that the orchestrator serves"];
        check_refused((&cluster, &live), |draft| draft.weights[layer] = other, &expect).await;
        // A worker checks its own stage; what others hold is not its business.
        let mut draft = cluster.draft(&[12], &ActiveSet::full());
        draft.weights[28] = other;
        let plan = Plan::new(draft).unwrap();
        cluster.prepare("a", &plan).await.unwrap();
        assert!(cluster.prepare("b", &plan).await.unwrap_err().contains("layer head"));
    });
}

#[test]
fn a_plan_of_another_network_is_refused_by_the_tensor_that_does_not_fit() {
    cluster::run(async {
        let (cluster, live) = two_workers().await;
        let other = |draft: &mut PlanDraft| {
            let layers = Arch::ResNet56.network().layer_count();
            draft.network = Arch::ResNet56.into();
            draft.weights = vec![Digest::of(b""); usize::from(layers)];
            draft.stages[0].layers = 0..80;
            draft.stages[1].layers = 80..layers;
        };
        check_refused((&cluster, &live), other, &["layer", "tensor"]).await;
    });
}

#[test]
fn a_checkpoint_that_is_gone_is_named() {
    cluster::run(async {
        let (cluster, live) = two_workers().await;
        let file = cluster.reference.weights.clone();
        std::fs::remove_file(&file).unwrap();
        check_refused((&cluster, &live), |_| (), &[&file.display().to_string()]).await;
    });
}

#[test]
fn an_epoch_is_never_gone_back_to() {
    cluster::run(async {
        let (cluster, live) = two_workers().await;
        let story = (&cluster, &live);
        check_refused(story, |draft| draft.id = live.id(), &["not newer than plan 1.1, which is alive"])
            .await;
        check_refused(story, |draft| draft.id.epoch = Epoch(0), &["plan 1.0 is not newer"]).await;
        // Nor to one that is retired, though only an older one is alive.
        let given_up = cluster.plan(&[12], &ActiveSet::full());
        cluster.prepare("a", &given_up).await.unwrap();
        cluster.retire(&given_up).await;
        check_refused(story, |draft| draft.id = given_up.id(), &["which was retired here"]).await;
        // A later one is welcome.
        let next = cluster.plan(&[12], &ActiveSet::full());
        cluster.deploy(&next).await;
        cluster.check_exact(&next, 1).await;
    });
}

#[test]
fn a_plan_that_is_retired_while_it_is_loaded_does_not_come_alive() {
    cluster::run(async {
        let (cluster, live) = two_workers().await;
        let plan = cluster.plan(&[12], &ActiveSet::full());
        let retired = cluster.worker("a").stage.send(RetirePlan(plan.id()));
        let (prepared, retired) = tokio::join!(cluster.prepare("a", &plan), retired);
        retired.unwrap();
        assert!(prepared.unwrap_err().contains("retired"));
        let (.., alive) = cluster.worker("a").stage.send(GetReport).await.unwrap();
        assert_eq!(alive, [live.id()]);
    });
}

#[test]
fn an_orchestrator_whose_term_is_over_is_fenced_off() {
    cluster::run(async {
        let (cluster, live) = two_workers().await;
        let stage = &cluster.worker("a").stage;
        stage.send(ObeyTerm(Term(5))).await.unwrap().unwrap();
        let error = stage.send(ObeyTerm(Term(4))).await.unwrap().unwrap_err().to_string();
        assert!(error.contains("term 4 is over") && error.contains("term 5"), "{error}");
        check_refused((&cluster, &live), |_| (), &["fenced", "term 1 is over", "term 5"]).await;
        // Of the plan that it serves nothing is taken back; the new orchestrator's comes beside it.
        let mut draft = cluster.draft(&[12], &ActiveSet::full());
        draft.id.term = Term(5);
        draft.id.epoch = Epoch(1);
        cluster.deploy(&Plan::new(draft).unwrap()).await;
        cluster.check_exact(&live, 1).await;
    });
}

#[test]
fn a_third_plan_must_wait_unless_a_new_orchestrator_brings_it() {
    cluster::run(async {
        let (cluster, first) = two_workers().await;
        let second = cluster.plan(&[12], &ActiveSet::full());
        cluster.deploy(&second).await;
        let expect = ["two plans are alive", "retire one of 1.1 and 1.2"];
        check_refused((&cluster, &first), |_| (), &expect).await;
        cluster.check_exact(&second, 1).await;
        // The plans of an orchestrator that is gone are nobody's to retire: the older makes room.
        let mut draft = cluster.draft(&[15], &ActiveSet::full());
        draft.id.term = Term(2);
        let third = Plan::new(draft).unwrap();
        cluster.deploy(&third).await;
        let (.., alive) = cluster.worker("a").stage.send(GetReport).await.unwrap();
        assert_eq!(alive, [second.id(), third.id()]);
        cluster.check_exact(&second, 1).await;
        cluster.check_exact(&third, 1).await;
    });
}

#[test]
fn a_plan_without_this_worker_is_not_its_own() {
    cluster::run(async {
        let (cluster, live) = two_workers().await;
        let elsewhere = |draft: &mut PlanDraft| {
            draft.stages[0].worker = "z".parse().unwrap();
            for route in &mut draft.routes {
                for end in [&mut route.from, &mut route.to] {
                    if *end == cluster.peers.worker("a") {
                        *end = cluster.peers.worker("z");
                    }
                }
            }
        };
        check_refused((&cluster, &live), elsewhere, &["has no stage for this worker"]).await;
    });
}

#[test]
fn a_plan_that_was_not_prepared_cannot_be_connected() {
    cluster::run(async {
        let (cluster, _) = two_workers().await;
        let unknown = cluster.plan(&[12], &ActiveSet::full());
        assert!(cluster.connect("a", &unknown).await.unwrap_err().contains("plan 1.2 is not alive"));
    });
}

#[test]
fn a_peer_that_is_not_there_is_named_in_time() {
    cluster::run(async {
        let (cluster, live) = two_workers().await;
        // The socket is there, so the system does not refuse at once; nobody answers.
        let silent = std::net::UdpSocket::bind(ANY_PORT).unwrap();
        let address = silent.local_addr().unwrap();
        let mut draft = cluster.draft(&[12], &ActiveSet::full());
        let to_b = draft.routes.iter_mut().find(|route| route.to == cluster.peers.worker("b")).unwrap();
        to_b.address = address;
        let plan = Plan::new(draft).unwrap();
        cluster.prepare("a", &plan).await.unwrap();
        let began = Instant::now();
        let connecting = cluster.connect("a", &plan);
        // Requests of the live plan go on meanwhile.
        let (connected, ()) = tokio::join!(connecting, cluster.check_exact(&live, 1));
        let reason = connected.unwrap_err();
        assert!(reason.contains(&format!("worker b at {address}")), "{reason}");
        assert!(began.elapsed() < Duration::from_secs(12));
    });
}
