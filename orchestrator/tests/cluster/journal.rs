//! An orchestrator that dies and comes back with its journal, or cannot write it.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Cluster, Process, Site, failure_of, images, logits, orchestrator_command};

/// Cut where nobody else would cut, so that whoever comes up with it has remembered it.
const ODD: &str = r#"
    cuts = ["layer1.0.conv2"]
    workers = ["camera", "router"]
"#;

/// The dwell time of the default rules.
const DWELL: Duration = Duration::from_secs(3);

/// What a plan says besides its numbers.
fn contents(plan: &Value) -> Value {
    let mut contents = plan.clone();
    let named = contents.as_object_mut().unwrap();
    ["term", "epoch", "parent", "hash"].iter().for_each(|number| drop(named.remove(*number)));
    contents
}

fn numbers(plan: &Value) -> (u64, u64) {
    (plan["term"].as_u64().unwrap(), plan["epoch"].as_u64().unwrap())
}

fn is_odd(plan: &Value) -> bool {
    plan["stages"][1]["first"] == "layer1.0.conv2"
}

fn put_plan(cluster: &Cluster<'_>) {
    let url = format!("http://{}/api/v1/plan", cluster.admin);
    let put =
        || reqwest::blocking::Client::new().put(&url).header("content-type", "application/toml").body(ODD);
    // Another plan may be on its way.
    cluster.until("the plan by hand taken", || put().send().unwrap().status().is_success().then_some(()));
}

/// Two workers, of which one would do.
fn start(site: &Site) -> Cluster<'_> {
    start_with(site, &["--planner", "balanced"])
}

fn start_with<'a>(site: &'a Site, more: &[&str]) -> Cluster<'a> {
    let journal = site.path("journal").display().to_string();
    let mut cluster = site.start_orchestrator(1, &[&["--journal", &journal], more].concat());
    ["camera", "router"].iter().for_each(|name| cluster.start_worker(name));
    cluster
}

/// Sends requests while `story` runs. They may be refused, and every answer must be right. Returns how many came.
fn under_load(cluster: &mut Cluster<'_>, story: impl FnOnce(&mut Cluster<'_>)) -> usize {
    let (image, done) = (images(1, 32), AtomicBool::new(false));
    let expected = cluster.infer(&image, 1);
    let url = format!("http://{}/v2/models/{}/infer", cluster.http, cluster.site.arch);
    let input = json!({ "name": "input", "shape": [1, 3, 32, 32], "datatype": "FP32", "data": image });
    let body = json!({ "inputs": [input] });
    let ask = || {
        let client = reqwest::blocking::Client::new();
        let mut answers = 0;
        while !done.load(Relaxed) {
            match client.post(&url).json(&body).send() {
                Ok(response) if response.status() == 200 => {
                    // Whoever dies while it writes has not answered.
                    let Ok(body) = response.json() else { continue };
                    assert_eq!(logits(&body), expected);
                    answers += 1;
                }
                Ok(response) => {
                    assert_eq!(response.status(), 503);
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        answers
    };
    std::thread::scope(|scope| {
        let clients = [scope.spawn(ask), scope.spawn(ask)];
        std::thread::sleep(Duration::from_millis(300));
        story(cluster);
        done.store(true, Relaxed);
        clients.map(|client| client.join().unwrap()).iter().sum()
    })
}

#[test]
fn a_killed_orchestrator_comes_back_with_the_plan_that_ran_and_leaves_it_for_a_while() {
    let site = Site::new("resnet20");
    let mut cluster = start(&site);
    cluster.plan_over(2);
    comes_back(&mut cluster, 3);
}

#[test]
fn a_killed_orchestrator_whose_plans_adapt_comes_back_with_the_plan_that_ran_too() {
    let site = Site::new("resnet20");
    let policy = site.path("policy.toml");
    std::fs::write(&policy, "minimise = 'latency'\n").unwrap();
    let mut cluster = start_with(&site, &["--policy", policy.to_str().unwrap()]);
    cluster.until("two workers", || {
        let state = cluster.admin("/api/v1/state")?;
        (state["workers"].as_array()?.len() == 2).then_some(())
    });
    cluster.until("a plan", || cluster.plan());
    comes_back(&mut cluster, 1);
    let kinds = |plans: &Value| {
        plans["plans"]
            .as_array()
            .unwrap()
            .iter()
            .map(|plan| plan["decision"]["kind"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(&cluster.admin("/api/v1/plans").unwrap()).last(), Some(&json!("adopted")));
}

fn comes_back(cluster: &mut Cluster<'_>, times: usize) {
    put_plan(cluster);
    let mut last = cluster.plan_when("the plan by hand", is_odd);
    let answers = under_load(cluster, |cluster| {
        for _ in 0..times {
            cluster.restart_orchestrator();
            let back = Instant::now();
            let plan = cluster.until("a plan", || cluster.plan());
            println!("the same plan again {:.2} s after the start", back.elapsed().as_secs_f64());
            let ran = Instant::now();
            assert_eq!(numbers(&plan).0, numbers(&last).0 + 1, "{}", cluster.logs());
            assert!(numbers(&plan).1 > numbers(&last).1, "{plan}");
            assert_eq!(contents(&plan), contents(&last), "{}", cluster.logs());
            while ran.elapsed() < DWELL - Duration::from_millis(500) {
                assert_eq!(cluster.plan().as_ref(), Some(&plan), "{}", cluster.logs());
                std::thread::sleep(Duration::from_millis(50));
            }
            last = plan;
        }
    });
    println!("{answers} answers, all right");
    // What a person wanted is forgotten, and the planner's plan follows when the dwell time is over.
    cluster.plan_when("the planner's plan", |plan| !is_odd(plan));
}

#[test]
fn a_plan_whose_worker_was_restarted_too_is_not_adopted() {
    let site = Site::new("resnet20");
    let mut cluster = start(&site);
    let first = cluster.plan_over(2);
    put_plan(&cluster);
    cluster.plan_when("the plan by hand", is_odd);
    let _ = cluster.orchestrator.0.kill();
    cluster.start_worker("router");
    cluster.restart_orchestrator();
    let plan = cluster.until("a plan", || cluster.plan());
    assert!(!is_odd(&plan), "{plan}");
    assert!(numbers(&plan) > numbers(&first));
}

#[test]
fn a_plan_whose_worker_stays_away_is_given_up_after_a_while() {
    let site = Site::new("resnet20");
    let mut cluster = start(&site);
    let first = cluster.plan_over(2);
    let _ = cluster.orchestrator.0.kill();
    cluster.kill_worker("router");
    cluster.restart_orchestrator();
    let plan = cluster.plan_over(1);
    assert!(numbers(&plan) > numbers(&first));
    cluster.infer(&images(1, 32), 1);
}

/// An orchestrator that lives on when it may not write any more, and whose log is no file.
fn start_unlimited<'a>(site: &'a Site, journal: &str) -> Cluster<'a> {
    let mut cluster = site.bare();
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "trap '' XFSZ; exec \"$@\"",
        "sh",
        orchestrator_command().get_program().to_str().unwrap(),
    ]);
    command.args(site.orchestrator_arguments(cluster.quic, cluster.http, cluster.admin));
    command.args(["--planner", "balanced", "--journal", journal]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = child.stderr.take().unwrap();
    let mut log = std::fs::File::create(site.path("orchestrator.log")).unwrap();
    std::thread::spawn(move || std::io::copy(&mut said, &mut log));
    cluster.orchestrator = Process(child);
    cluster
}

/// Lets a process write files of so many bytes; what goes beyond fails as on a full disk.
fn limit_files(process: &Process, most: &str) {
    let id = process.0.id().to_string();
    let done = Command::new("prlimit").args(["--pid", &id, &format!("--fsize={most}")]).status();
    assert!(done.unwrap().success());
}

#[test]
fn a_plan_that_the_disk_refuses_is_not_committed_and_the_old_one_goes_on() {
    let site = Site::new("resnet20");
    let journal = site.path("journal").display().to_string();
    let mut cluster = start_unlimited(&site, &journal);
    cluster.start_worker("camera");
    let before = cluster.plan_over(1);
    let expected = cluster.infer(&images(1, 32), 1);
    limit_files(&cluster.orchestrator, "1:unlimited");
    cluster.start_worker("router");
    let aborted = || cluster.text("/metrics").contains("weir_rollouts_total{outcome=\"aborted\"} 2");
    cluster.until("two attempts that fail", || aborted().then_some(()));
    assert_eq!(cluster.plan().as_ref(), Some(&before));
    assert_eq!(cluster.infer(&images(1, 32), 1), expected);
    let metrics = cluster.text("/metrics");
    assert!(metrics.contains("weir_journal_write_seconds_count{outcome=\"failed\"} 2"), "{metrics}");
    let blocked = cluster.admin("/api/v1/state").unwrap()["blocked"].to_string();
    assert!(blocked.contains("cannot append to the journal") && blocked.contains("free space"), "{blocked}");
    limit_files(&cluster.orchestrator, "unlimited:unlimited");
    let plan = cluster.plan_over(2);
    assert!(numbers(&plan).1 > numbers(&before).1 + 2, "numbers of failed plans are not used again: {plan}");
}

#[test]
fn a_second_orchestrator_and_a_journal_that_cannot_be_had_are_refused_with_the_remedy() {
    let site = Site::new("resnet20");
    let cluster = start(&site);
    cluster.plan_over(2);
    let refused = |journal: &std::path::Path| {
        let any = "127.0.0.1:0".parse().unwrap();
        let arguments = site.orchestrator_arguments(any, any, any);
        failure_of(orchestrator_command().args(arguments).arg("--journal").arg(journal))
    };
    let second = refused(&site.path("journal"));
    assert!(second.contains("another orchestrator uses the journal"), "{second}");
    let nowhere = refused(&site.path("no/such/folder/journal"));
    assert!(nowhere.contains("check the folder, the rights and the free space"), "{nowhere}");
    let foreign = site.path("foreign");
    std::fs::write(&foreign, "something else\n").unwrap();
    let foreign = refused(&foreign);
    assert!(foreign.contains("move it away to begin anew"), "{foreign}");
    cluster.infer(&images(1, 32), 1);
}
