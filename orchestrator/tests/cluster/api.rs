//! The admin API on a real cluster: what it shows, and what a person may tell it.

use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Cluster, Site, images};

/// Reads server-sent events until `done` says so.
fn follow(
    cluster: &Cluster<'_>,
    query: &str,
    last: Option<&str>,
    done: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    let client = reqwest::blocking::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
    let mut request = client.get(format!("http://{}/api/v1/events/stream{query}", cluster.admin));
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let response = request.send().unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"text/event-stream".parse().unwrap())
    );
    let (mut found, mut kind, mut id) = (Vec::new(), String::new(), Value::Null);
    for line in BufReader::new(response).lines().map_while(Result::ok) {
        match line.split_once(": ") {
            Some(("event", name)) => (kind, id) = (name.to_owned(), Value::Null),
            Some(("id", name)) => id = json!(name),
            Some(("data", data)) => {
                let data: Value = serde_json::from_str(data).unwrap();
                found.push(json!({ "event": kind, "id": id, "data": data }));
            }
            _ => {}
        }
        if done(&found) {
            break;
        }
    }
    found
}

fn kinds(events: &Value) -> Vec<&str> {
    events.as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

#[test]
fn state_history_and_stream_tell_the_same_story() {
    let site = Site::new("resnet20");
    let cluster = site.start(&["camera", "router"], &[]);
    cluster.plan_over(2);
    let image = images(1, 32);
    (0..5).for_each(|_| drop(cluster.infer(&image, 1)));
    let state = cluster.until("a state with answers and measured links", || {
        let state = cluster.admin("/api/v1/state")?;
        let measured = state["links"].as_array()?.iter().any(|link| link["rtt_seconds"].is_number());
        let reported = state["workers"].as_array()?.iter().all(|worker| worker["power_watts"].is_number());
        (state["answers"].is_object() && measured && reported).then_some(state)
    });
    assert_eq!(
        (&state["admission"], &state["replanning"], &state["policy_etag"]),
        (&json!("open"), &json!("off"), &Value::Null)
    );
    assert_eq!((&state["stem_worker"], &state["head_worker"]), (&json!("camera"), &json!("router")));
    let blocks = state["network"]["blocks"].as_array().unwrap();
    assert_eq!(
        (blocks.len(), &blocks[0]["name"], &blocks[0]["kind"]),
        (9, &json!("layer1.0"), &json!("identity"))
    );
    assert_eq!((&blocks[3]["kind"], &blocks[0]["residual"]), (&json!("pad"), &json!("mandatory")));
    assert!(blocks.iter().all(|block| !block["workers"].as_array().unwrap().is_empty()), "{state}");
    assert!(state["answers"]["latency_p50_seconds"].as_f64().unwrap() > 0.0, "{state}");
    assert_eq!((&state["accuracy"], &state["predicted"]), (&Value::Null, &Value::Null));
    let worker = cluster.admin("/api/v1/workers/camera").unwrap();
    assert_eq!(
        (&worker["name"], &worker["cordoned"], &worker["energy_source"]),
        (&json!("camera"), &json!(false), &json!("model"))
    );
    let stranger = cluster.admin("/api/v1/workers/porch").unwrap();
    assert!(
        stranger["status"] == 404 && stranger["detail"].as_str().unwrap().contains("camera, router"),
        "{stranger}"
    );
    let route = |link: &&Value| link["from"] == "camera" && link["to"] == "router";
    cluster.until("the plan's link", || {
        let links = cluster.admin("/api/v1/links")?;
        links["links"].as_array()?.iter().find(route).filter(|link| link["in_plan"] == true).cloned()
    });

    let events = cluster.admin("/api/v1/events").unwrap();
    assert_eq!(
        kinds(&events["events"]),
        ["worker_joined", "worker_joined", "plan_decided", "plan_committed"]
    );
    let decided = &events["events"][2];
    let plans = cluster.admin("/api/v1/plans").unwrap();
    assert_eq!((&plans["plans"][0]["number"], &plans["next"]), (&decided["number"], &Value::Null));
    let page = cluster.admin("/api/v1/events?limit=3").unwrap();
    assert_eq!((kinds(&page["events"]).len(), &page["next"]), (3, &decided["id"]));
    let rest = cluster.admin(&format!("/api/v1/events?cursor={}", page["next"].as_str().unwrap())).unwrap();
    assert_eq!((kinds(&rest["events"]), &rest["next"]), (vec!["plan_committed"], &Value::Null));
    for bad in ["?limit=0", "?limit=501", "?cursor=x", "?limt=3", "?limit=-1"] {
        for path in ["plans", "events"] {
            let refused = cluster.admin(&format!("/api/v1/{path}{bad}")).unwrap();
            assert_eq!(refused["status"], 400, "{bad} {refused}");
        }
    }

    // Without an id only what is new is told; with one, what is behind it, and all after a restart.
    let is_state = |found: &[Value]| found.iter().any(|event| event["event"] == "state");
    let logged = |found: Vec<Value>| found.iter().filter(|event| event["event"] == "log").count();
    assert_eq!(logged(follow(&cluster, "", None, is_state)), 0);
    let first = events["events"][0]["id"].as_str().unwrap();
    assert_eq!(logged(follow(&cluster, "", Some(first), is_state)), 3);
    assert_eq!(logged(follow(&cluster, "", Some("19a-3"), is_state)), 4);
    assert_eq!(logged(follow(&cluster, &format!("?cursor={first}"), None, is_state)), 3);
}

#[test]
fn a_follower_sees_a_plan_change_and_does_not_hold_up_the_end() {
    let site = Site::new("resnet20");
    let mut cluster = site.start(&["camera", "router"], &[]);
    cluster.plan_over(2);
    let (seen, process) = std::thread::scope(|scope| {
        let follower = scope.spawn(|| {
            follow(&cluster, "", None, |found| {
                found.iter().any(|event| event["data"]["kind"] == "plan_committed")
            })
        });
        std::thread::sleep(Duration::from_millis(300));
        let worker = std::process::Command::new("kill").arg(cluster.workers[1].1.0.id().to_string()).status();
        assert!(worker.unwrap().success());
        (follower.join().unwrap(), cluster.orchestrator.0.id())
    });
    let told: Vec<_> = seen.iter().filter(|event| event["event"] == "log").collect();
    assert_eq!(told[0]["data"]["kind"], "worker_lost", "{seen:?}");
    assert_eq!(told[0]["data"]["worker"], "router");
    assert_eq!(told[0]["id"], told[0]["data"]["id"]);
    let plans: Vec<_> =
        seen.iter().filter(|event| event["event"] == "plan").map(|event| &event["data"]["state"]).collect();
    assert!(plans.contains(&&json!("rolling_out")), "{seen:?}");
    let started = Instant::now();
    std::thread::scope(|scope| {
        let follower = scope.spawn(|| follow(&cluster, "", None, |_| false));
        std::thread::sleep(Duration::from_millis(300));
        assert!(std::process::Command::new("kill").arg(process.to_string()).status().unwrap().success());
        follower.join().unwrap();
    });
    cluster.orchestrator.0.wait().unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
