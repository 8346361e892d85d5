//! Plans that adapt: a worker's death is bypassed, switches under load cost nothing, and a policy that cannot be met
//! stops nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_orchestrator::app::{Config, Orchestrator};
use weir_orchestrator::layers::LayerServer;
use weir_orchestrator::planner::LinkMap;
use weir_orchestrator::replan::model;
use weir_orchestrator::supervisor::{GetDecisions, PlanSource, Policy, SetPolicy};
use weir_shared::arch::{Arch, NetworkSpec};
use weir_shared::ids::Role;
use weir_shared::plan::ActiveSet;
use weir_shared::profile::schema::{Document, Kind, Provenance, SetResult, SplitData, StudyData, VERSION};
use weir_shared::profile::{Profile, Score, macs, mean_cut_bytes, weights_digest};
use weir_shared::transport::{Certificates, Settings};
use weir_shared::weights::{Checkpoint, Manifest};

use crate::support::{Answer, Cluster, Site, images, logits};

/// Images of the made-up study.
const IMAGES: u32 = 1000;

/// A made-up profile of the site's weights: 90 % with everything active, and the given sets with what they lose.
pub fn profile(site: &Site, sets: &[(&str, u32)]) -> Profile {
    let arch: Arch = site.arch.parse().unwrap();
    let (spec, network) = (NetworkSpec::from(arch), arch.network());
    let digests = Manifest::compute(&Checkpoint::open(site.weights()).unwrap(), &spec).unwrap().digests();
    let score = |lost: u32| Score::new(900 - lost * 10, IMAGES).unwrap();
    let result = |&(off, points): &(&str, u32)| {
        let active = ActiveSet::parse(off, &network).unwrap();
        SetResult {
            off: active.describe(&network),
            kind: Kind::Random,
            macs_kept: macs(&network, &active) as f64 / network.macs() as f64,
            bytes_kept: mean_cut_bytes(&network, &active) / mean_cut_bytes(&network, &ActiveSet::full()),
            validation: score(points),
            test: Some(score(points)),
            active,
        }
    };
    let split = SplitData { images: IMAGES, sha256: weir_shared::digest::Digest::of(b"images") };
    Profile::from_measurements(Document {
        version: VERSION,
        network: spec,
        weights: weights_digest(&digests),
        data: StudyData { name: "made-up".into(), seed: None, validation: split.clone(), test: split },
        full_validation: score(0),
        full_test: score(0),
        orders: vec![],
        sets: sets.iter().map(result).collect(),
        encodings: vec![],
        surrogate: None,
        provenance: Provenance {
            command: "made up".into(),
            release: "none".into(),
            seed: 1,
            batch: 100,
            batch_norm: Default::default(),
        },
    })
    .unwrap()
}

fn write(site: &Site, name: &str, text: &[u8]) -> String {
    std::fs::write(site.path(name), text).unwrap();
    site.path(name).display().to_string()
}

/// What the unsplit network answers with connections off.
fn unsplit(site: &Site, off: &str, image: &[f32]) -> Vec<f64> {
    let plan = write(site, "unsplit.toml", format!("workers = ['alone']\noff = '{off}'").as_bytes());
    let cluster = site.start(&["alone"], &["--plan", &plan]);
    cluster.plan_over(1);
    cluster.infer(image, 1)
}

/// Keeps the trace of what was decided, where `WEIR_TEST_TRACES` names a folder: so the files in tests/traces were made.
fn keep_trace(cluster: &Cluster<'_>, name: &str) {
    let Ok(folder) = std::env::var("WEIR_TEST_TRACES") else { return };
    let trace = cluster.admin("/api/v1/trace").unwrap();
    let entries = trace["entries"].as_array().unwrap().iter().map(|numbered| &numbered["entry"]);
    let lines: Vec<String> = std::iter::once(&trace["header"]).chain(entries).map(Value::to_string).collect();
    std::fs::write(std::path::Path::new(&folder).join(name), lines.join("\n") + "\n").unwrap();
}

/// Every admitted request was answered.
fn nothing_lost(cluster: &Cluster<'_>) {
    let metrics = cluster.text("/metrics");
    for outcome in ["failed", "expired"] {
        let line = format!(r#"weir_requests_total{{outcome="{outcome}"}} "#);
        let lost = metrics.lines().find_map(|text| text.strip_prefix(&line));
        assert!(lost.is_none_or(|count| count == "0"), "{outcome}: {lost:?}\n{}", cluster.logs());
    }
}

/// Asks until `done`, and keeps every answer with the time at which it came. 503 promises that nothing was tried.
fn ask_until(cluster: &Cluster<'_>, image: &[f32], done: &AtomicBool) -> Vec<(Instant, Answer)> {
    let mut answers = Vec::new();
    while !done.load(Relaxed) {
        let answer = cluster.try_infer(image, 1);
        if answer.status == 503 {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        assert_eq!(answer.status, 200, "{}\n{}", answer.body, cluster.logs());
        answers.push((Instant::now(), answer));
    }
    answers
}

#[test]
fn survivors_answer_in_a_dead_workers_place_until_it_is_back() {
    let site = Site::new("resnet20");
    let image = images(1, 32);
    let bypassed = "F:layer1.1,F:layer1.2";
    let (whole, short) = (unsplit(&site, "", &image), unsplit(&site, bypassed, &image));
    assert_ne!(whole, short);
    let text = "workers = ['camera', 'router', 'attic']\ncuts = ['layer1.1.conv1', 'layer2.0.conv1']";
    let plan = write(&site, "plan.toml", text.as_bytes());
    let profile = write(&site, "profile.json", &profile(&site, &[(bypassed, 7)]).to_json().unwrap());
    let mut cluster = site.start(&["camera", "router", "attic"], &["--plan", &plan, "--profile", &profile]);
    cluster.plan_over(3);
    let router = cluster.workers.iter().position(|(name, _)| name == "router").unwrap();
    let victim = cluster.workers.remove(router).1;
    let done = AtomicBool::new(false);
    let (killed, answers) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(|| ask_until(&cluster, &image, &done))).collect();
        std::thread::sleep(Duration::from_millis(300));
        let killed = Instant::now();
        drop(victim);
        cluster.plan_over(2);
        std::thread::sleep(Duration::from_millis(300));
        done.store(true, Relaxed);
        (killed, clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>())
    });
    let is_degraded = |answer: &Answer| answer.body["parameters"]["degraded"] == true;
    for (_, answer) in &answers {
        assert_eq!(logits(&answer.body), if is_degraded(answer) { &short } else { &whole }[..]);
    }
    let (_, marked) = answers.iter().find(|(_, answer)| is_degraded(answer)).unwrap();
    assert_eq!(marked.body["parameters"]["expected_accuracy"], json!(0.83));
    assert_eq!(
        (&marked.headers["weir-degraded"], &marked.headers["weir-expected-accuracy"]),
        (&"true".parse().unwrap(), &"0.8300".parse().unwrap())
    );
    let first =
        answers.iter().filter(|(_, answer)| is_degraded(answer)).map(|(at, _)| *at - killed).min().unwrap();
    println!("first degraded answer {:.3} s after the kill", first.as_secs_f64());
    nothing_lost(&cluster);
    let marked = answers.iter().filter(|(_, answer)| is_degraded(answer)).count();
    assert!(cluster.text("/metrics").contains(&format!("weir_degraded_responses_total {marked}")));
    let events = cluster.admin("/api/v1/plans").unwrap();
    let last = events["plans"].as_array().unwrap().first().unwrap();
    assert_eq!(
        (&last["decision"]["kind"], &last["state"]),
        (&json!("bypass"), &json!("committed")),
        "{events}"
    );

    cluster.start_worker("router");
    cluster.plan_over(3);
    let answer = cluster.try_infer(&image, 1);
    assert_eq!((logits(&answer.body), is_degraded(&answer)), (whole, false));
}

#[test]
fn the_plan_behind_a_bypass_comes_by_itself() {
    let site = Site::new("resnet20");
    let image = images(1, 32);
    // Nothing gains ten times what there is: the plan changes where it must and nowhere else.
    let policy = "minimise = 'latency'\n[replan]\nbypass = 'always'\nmargin = 10.0";
    let policy = write(&site, "policy.toml", policy.as_bytes());
    let text = "workers = ['camera', 'router', 'attic']\ncuts = ['layer1.1.conv1', 'layer2.0.conv1']";
    let plan = write(&site, "plan.toml", text.as_bytes());
    let mut cluster = site.start(&["camera", "router", "attic"], &["--plan", &plan, "--policy", &policy]);
    cluster.plan_over(3);
    let expected = cluster.infer(&image, 1);
    let index = cluster.workers.iter().position(|(name, _)| name == "router").unwrap();
    let victim = cluster.workers.remove(index).1;
    let done = AtomicBool::new(false);
    let (killed, full, answers) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..2).map(|_| scope.spawn(|| ask_until(&cluster, &image, &done))).collect();
        std::thread::sleep(Duration::from_millis(500));
        let killed = Instant::now();
        drop(victim);
        cluster.plan_when("a full plan over the survivors", |plan| {
            let survivors = plan["stages"].as_array().unwrap();
            plan["active_off"] == "" && survivors.iter().all(|stage| stage["worker"] != "router")
        });
        let full = killed.elapsed();
        std::thread::sleep(Duration::from_millis(200));
        done.store(true, Relaxed);
        (killed, full, clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>())
    });
    let is_degraded = |answer: &Answer| answer.body["parameters"]["degraded"] == true;
    let first = answers.iter().filter(|(_, answer)| is_degraded(answer)).map(|(at, _)| *at - killed).min();
    println!("first degraded answer {first:?}, full plan {full:?} after the kill, {} answers", answers.len());
    // A neighbour may notice before the session does; then the full plan is there before a bypass is needed.
    assert!(full < Duration::from_secs(10), "{full:?}");
    for (_, answer) in answers.iter().filter(|(_, answer)| !is_degraded(answer)) {
        assert_eq!(logits(&answer.body), expected);
    }
    nothing_lost(&cluster);
    let snapshot: weir_orchestrator::planner::snapshot::Snapshot =
        serde_json::from_value(cluster.admin("/api/v1/snapshot").unwrap()).unwrap();
    assert_eq!(snapshot.workers.len(), 2);
    keep_trace(&cluster, "a-worker-dies.jsonl");
}

#[test]
fn a_policy_that_cannot_be_met_is_explained_and_stops_nothing() {
    let site = Site::new("resnet20");
    let policy = write(&site, "policy.toml", b"minimise = 'latency'\n[bounds]\nlatency_seconds = 0.000001");
    let mut cluster = site.start(&["camera", "router"], &["--policy", &policy]);
    cluster.until("a first plan", || cluster.plan());
    cluster.infer(&images(1, 32), 1);
    std::thread::sleep(Duration::from_secs(1));
    cluster.infer(&images(1, 32), 1);
    cluster
        .until("the log names the limit", || cluster.logs().contains("of latency instead of").then_some(()));
    keep_trace(&cluster, "impossible-policy.jsonl");
    records_and_replays(&cluster, &site);
    goes_on_without_a_worker(&mut cluster);
}

/// `weir record` asks several times, and what it keeps decides as the orchestrator did.
fn records_and_replays(cluster: &Cluster<'_>, site: &Site) {
    let trace = site.path("recorded.jsonl");
    let weir = || std::process::Command::new(env!("CARGO_BIN_EXE_weir"));
    let url = format!("http://{}", cluster.admin);
    let done =
        weir().args(["record", "--seconds", "2", "--admin", &url, "--out"]).arg(&trace).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let done = weir().arg("replay").arg(&trace).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}

#[test]
fn where_the_planner_knows_no_plan_at_all_a_loss_is_answered_by_an_even_spread() {
    let site = Site::new("resnet20");
    // Without a profile there is no active set without this branch, and no limit that could give way.
    let policy = write(&site, "policy.toml", b"[pins]\noff = ['F:layer1.1']");
    let mut cluster = site.start(&["camera", "router"], &["--policy", &policy]);
    cluster.plan_over(2);
    goes_on_without_a_worker(&mut cluster);
    assert!(cluster.logs().contains("work is spread evenly"), "{}", cluster.logs());
}

/// A worker of the plan dies, and the others answer.
fn goes_on_without_a_worker(cluster: &mut Cluster<'_>) {
    let plan = cluster.plan().unwrap();
    let name = plan["stages"][0]["worker"].as_str().unwrap().to_owned();
    let index = cluster.workers.iter().position(|(worker, _)| *worker == name).unwrap();
    drop(cluster.workers.remove(index));
    cluster.plan_when("a plan over the survivors", |plan| {
        plan["stages"].as_array().unwrap().iter().all(|stage| stage["worker"] != name)
    });
    cluster.infer(&images(1, 32), 1);
}

/// The orchestrator's parts for this site, as its command line would make them.
fn config(site: &Site, cluster: [std::net::SocketAddr; 3], policy: &str, profile: Profile) -> Config {
    let arch: Arch = site.arch.parse().unwrap();
    let checkpoint = Checkpoint::open(site.weights()).unwrap();
    let (rules, model) = model::read(policy).unwrap();
    let weights = Manifest::compute(&checkpoint, &arch.into()).unwrap().digests();
    Config {
        layers: LayerServer::new(checkpoint, arch.into(), &weights),
        weights,
        certificates: Certificates::open(&site.certificates(Role::Orchestrator, "main")).unwrap(),
        listen: cluster[0],
        advertise: None,
        http: cluster[1],
        admin: cluster[2],
        access: Default::default(),
        network: arch.into(),
        source: PlanSource::Balanced,
        first_workers: 3,
        links: LinkMap::default(),
        max_batch: 8,
        labels: None,
        max_in_flight: 64,
        deadline: Duration::from_secs(10),
        transport: Settings::default(),
        policy: Some(Policy { text: policy.to_owned(), rules, model: Arc::new(model) }),
        profile: Some(profile),
        journal: None,
    }
}

#[test]
fn fifty_switches_under_load_lose_nothing_and_every_answer_is_its_plans() {
    const SWITCHES: usize = 50;
    let site = Site::new("resnet20");
    let image = images(1, 32);
    let sets = ["", "F:layer1.1,F:layer1.2", "F:layer2.1"];
    let network = Arch::ResNet20.network();
    let expected: BTreeMap<String, Vec<f64>> = sets
        .iter()
        .map(|off| (ActiveSet::parse(off, &network).unwrap().describe(&network), unsplit(&site, off, &image)))
        .collect();
    let profile = profile(&site, &[(sets[1], 3), (sets[2], 1)]);
    let policies: Vec<String> = ["latency", "period"]
        .iter()
        .flat_map(|goal| sets.iter().map(move |off| (goal, off)))
        .map(|(goal, off)| {
            let names = |text: &str| text.split(',').filter(|n| !n.is_empty()).map(|n| format!("'{n}'")).collect::<Vec<_>>();
            let on: Vec<String> = sets.iter().flat_map(|set| names(set)).filter(|n| !names(off).contains(n)).collect();
            let rest = "[replan]\nmargin = 0.0\nmove_margin = 0.0\nnoise_factor = 0.0\ntrial_max_ms = 1\nburst = 1000\n";
            format!(
                "minimise = '{goal}'\nencodings = ['f32']\n{rest}[bounds]\noffered_load = false\naccuracy_loss_points = 100\n[pins]\non = [{}]\noff = [{}]",
                on.join(", "),
                names(off).join(", ")
            )
        })
        .collect();
    let mut cluster = site.bare();
    let ports = [cluster.quic, cluster.http, cluster.admin];
    let (send, addresses) = std::sync::mpsc::sync_channel(1);
    let config = config(&site, ports, &policies[0], profile);
    let stop = Arc::new(tokio::sync::Notify::new());
    let stopped = stop.clone();
    let host = std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let orchestrator = Orchestrator::start(config).unwrap();
            send.send(orchestrator.supervisor().clone()).unwrap();
            stopped.notified().await;
            orchestrator.stop().await;
        });
    });
    let supervisor = addresses.recv().unwrap();
    for name in ["camera", "router", "attic"] {
        cluster.start_worker(name);
    }
    cluster.until("a first plan", || cluster.plan());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = AtomicBool::new(false);
    let mut gaps = Vec::new();
    let answers = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(|| ask_until(&cluster, &image, &done))).collect();
        let mut switched = 0;
        for number in 1.. {
            if switched == SWITCHES {
                break;
            }
            let before = cluster.plan().unwrap();
            let began = Instant::now();
            let policy = policies[number * 5 % policies.len()].clone();
            runtime.block_on(supervisor.send(SetPolicy(policy))).unwrap().unwrap();
            // A policy may want just what runs already.
            while began.elapsed() < Duration::from_millis(1500) {
                if cluster.plan().unwrap()["epoch"] != before["epoch"] {
                    gaps.push(began.elapsed());
                    switched += 1;
                    // Some requests on each plan.
                    std::thread::sleep(Duration::from_millis(50));
                    break;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            assert!(number < 4 * SWITCHES, "{switched} switches\n{}", cluster.logs());
        }
        done.store(true, Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    let asked = GetDecisions { before: None, limit: usize::MAX };
    let events = runtime.block_on(supervisor.send(asked)).unwrap().plans;
    let sets: BTreeMap<&str, String> = events
        .iter()
        .map(|event| (event.plan.as_str(), event.decision.new.active.describe(&network)))
        .collect();
    let mut used = BTreeMap::<&str, usize>::new();
    for (_, answer) in &answers {
        let plan = answer.body["parameters"]["weir_plan"].as_str().unwrap();
        assert_eq!(logits(&answer.body), expected[&sets[plan]], "plan {plan}");
        *used.entry(plan).or_default() += 1;
    }
    nothing_lost(&cluster);
    gaps.sort_unstable();
    println!(
        "{} answers on {} plans; order to effect: median {:?}, longest {:?}",
        answers.len(),
        used.len(),
        gaps[gaps.len() / 2],
        gaps[gaps.len() - 1]
    );
    stop.notify_one();
    host.join().unwrap();
}
