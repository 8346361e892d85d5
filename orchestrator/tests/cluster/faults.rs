//! Workers and orchestrators that die, come back, or end in order, while requests flow.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::support::{Cluster, Process, Site, images};

/// Sends requests from `clients` threads while `story` runs; every answer must be right. Returns how many came.
fn under_load(cluster: &mut Cluster<'_>, clients: usize, story: impl FnOnce(&mut Cluster<'_>)) -> usize {
    let (image, done) = (images(1, 32), AtomicBool::new(false));
    let expected = cluster.infer(&image, 1);
    let (http, arch) = (cluster.http, cluster.site.arch);
    let ask = || {
        let client = reqwest::blocking::Client::new();
        let url = format!("http://{http}/v2/models/{arch}/infer");
        let input = serde_json::json!({ "name": "input", "shape": [1, 3, 32, 32], "datatype": "FP32", "data": image });
        let body = serde_json::json!({ "inputs": [input] });
        let mut answers = 0;
        while !done.load(Relaxed) {
            let response = client.post(&url).json(&body).send().unwrap();
            // 503 promises that nothing was tried; a client that waits and asks again loses nothing.
            if response.status() == 503 {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            }
            assert_eq!(response.status(), 200, "{}", response.text().unwrap());
            assert_eq!(crate::support::logits(&response.json().unwrap()), expected);
            answers += 1;
        }
        answers
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(ask)).collect();
        std::thread::sleep(Duration::from_millis(300));
        story(cluster);
        std::thread::sleep(Duration::from_millis(300));
        done.store(true, Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

#[test]
fn a_killed_worker_costs_no_answer_and_comes_back_into_the_plan() {
    let site = Site::new("resnet20");
    let mut cluster = site.start(&["camera", "router", "attic"], &[]);
    cluster.plan_over(3);
    let answers = under_load(&mut cluster, 3, |cluster| {
        let killed = Instant::now();
        cluster.kill_worker("router");
        cluster.plan_over(2);
        println!("plan over the survivors {:.2} s after the kill", killed.elapsed().as_secs_f64());
        cluster.start_worker("router");
        cluster.plan_over(3);
    });
    println!("{answers} answers, all right");
    assert!(answers > 20);
    let metrics = cluster.text("/metrics");
    assert!(metrics.contains("weir_requests_total{outcome=\"failed\"} 0\n"), "{metrics}");
}

#[test]
fn a_new_orchestrator_takes_a_higher_term_and_serves_with_the_same_workers() {
    let site = Site::new("resnet20");
    let mut cluster = site.start(&["camera", "router"], &[]);
    let first = cluster.plan_over(2);
    let image = images(1, 32);
    let expected = cluster.infer(&image, 1);
    cluster.restart_orchestrator();
    let second =
        cluster.plan_when("a plan of a later term", |plan| plan["term"].as_u64() > first["term"].as_u64());
    assert_eq!(second["stages"].as_array().map(Vec::len), Some(2));
    assert_eq!(cluster.infer(&image, 1), expected);
}

#[test]
fn an_orchestrator_that_is_told_to_stop_answers_what_it_admitted() {
    let site = Site::new("resnet56");
    let mut cluster = site.start(&["camera"], &[]);
    cluster.plan_over(1);
    let batch = images(8, 32);
    let pid = cluster.orchestrator.0.id().to_string();
    let answer = std::thread::scope(|scope| {
        let client = scope.spawn(|| cluster.try_infer(&batch, 8));
        std::thread::sleep(Duration::from_millis(30));
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        client.join().unwrap()
    });
    assert_eq!(answer.status, 200, "{}", answer.body);
    let status = cluster.orchestrator.0.wait().unwrap();
    assert!(status.success(), "{status}");
}

/// Stops a process for three seconds, which is longer than QUIC waits for a silent peer.
fn freeze(process: &Process) {
    let signal = |name: &str| {
        let id = process.0.id().to_string();
        assert!(std::process::Command::new("kill").args([name, &id]).status().unwrap().success());
    };
    signal("-STOP");
    std::thread::sleep(Duration::from_secs(3));
    signal("-CONT");
}

#[test]
fn a_worker_that_was_frozen_is_used_again() {
    let site = Site::new("resnet20");
    let cluster = site.start(&["camera"], &[]);
    cluster.plan_over(1);
    let image = images(1, 32);
    let expected = cluster.infer(&image, 1);
    freeze(&cluster.workers[0].1);
    cluster.until("readiness", || cluster.text("/readyz").starts_with("ok").then_some(()));
    assert_eq!(cluster.infer(&image, 1), expected);
}

#[test]
fn an_orchestrator_that_was_frozen_serves_again() {
    let site = Site::new("resnet20");
    let cluster = site.start(&["camera", "router"], &[]);
    cluster.plan_over(2);
    let image = images(1, 32);
    let expected = cluster.infer(&image, 1);
    freeze(&cluster.orchestrator);
    // It notices on waking that it was away; before that it may still say that it is ready.
    std::thread::sleep(Duration::from_secs(2));
    cluster.until("readiness", || cluster.text("/readyz").starts_with("ok").then_some(()));
    assert_eq!(cluster.infer(&image, 1), expected);
}

#[test]
fn addresses_that_nobody_stated_are_found_out() {
    let site = Site::new("resnet20");
    let mut cluster = site.start_orchestrator_on("0.0.0.0", 2, &[]);
    cluster.start_worker_on("0.0.0.0", "camera");
    cluster.start_worker_on("0.0.0.0", "router");
    let plan = cluster.plan_over(2);
    let routes = plan["routes"].as_array().unwrap();
    assert!(
        routes.iter().all(|route| route["address"].as_str().unwrap().starts_with("127.0.0.1:")),
        "{plan}"
    );
    cluster.infer(&images(1, 32), 1);
}
