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

/// Asks, and returns status, ETag and body.
fn ask(
    cluster: &Cluster<'_>,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String, Value) {
    let client = reqwest::blocking::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
    let url = format!("http://{}/api/v1/{path}", cluster.admin);
    let mut request = client.request(method.parse().unwrap(), url).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().unwrap();
    let status = response.status().as_u16();
    let header =
        |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let (tag, kind) = (header("etag"), header("content-type"));
    let text = response.text().unwrap();
    let problem = kind == "application/problem+json";
    assert_eq!(problem, status >= 400, "{method} {path}: {status} {kind} {text}");
    (status, tag, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

const TOML: (&str, &str) = ("content-type", "application/toml");

fn workers_of(plan: &Value) -> Vec<&str> {
    plan["stages"].as_array().unwrap().iter().map(|stage| stage["worker"].as_str().unwrap()).collect()
}

/// A cluster that adapts, on whose loopback links one worker alone is best.
fn adaptive<'a>(site: &'a Site, more: &[&str]) -> Cluster<'a> {
    std::fs::write(site.path("policy.toml"), "minimise = 'latency'\n[replan]\nmargin = 0.3\n").unwrap();
    let policy = site.path("policy.toml").display().to_string();
    let cluster = site.start(&["camera", "router"], &[&["--policy", policy.as_str()], more].concat());
    cluster.until("a plan", || cluster.plan());
    cluster
}

#[test]
fn a_policy_is_changed_by_whoever_has_seen_it_and_tried_by_anybody() {
    let site = Site::new("resnet20");
    let cluster = adaptive(&site, &[]);
    let (status, tag, text) = ask(&cluster, "GET", "policy", &[], "");
    assert_eq!((status, text.as_str().unwrap().contains("margin = 0.3")), (200, true));
    assert_eq!(cluster.admin("/api/v1/state").unwrap()["policy_etag"], json!(tag));
    let other = "minimise = 'energy'\n[replan]\nmargin = 0.3\n";
    let (status, _, plan) = ask(&cluster, "PUT", "policy?dry_run=true", &[TOML], other);
    assert!(status == 200 && plan["objective"].as_f64().unwrap() > 0.0, "{plan}");
    for (headers, text, expect, words) in [
        (&[TOML][..], other, 428, "If-Match"),
        (&[TOML, ("if-match", "\"0123\"")], other, 412, "read it again"),
        (&[TOML, ("if-match", tag.as_str())], "minimise = 'beauty'", 422, "beauty"),
        (&[TOML, ("if-match", tag.as_str())], "[pins]\noff = ['F:layer9.9']", 422, "layer9.9"),
        (&[TOML, ("if-match", tag.as_str())], "[pins]\noff = ['F:layer1.1']", 422, "mandatory"),
        (&[("content-type", "application/json"), ("if-match", tag.as_str())], other, 415, "application/toml"),
    ] {
        let (status, _, refused) = ask(&cluster, "PUT", "policy", headers, text);
        assert!(status == expect && refused["detail"].as_str().unwrap().contains(words), "{text} {refused}");
    }
    let large = "#".repeat(300 << 10);
    assert_eq!(ask(&cluster, "PUT", "policy", &[TOML, ("if-match", "*")], &large).0, 413);
    assert_eq!(ask(&cluster, "GET", "policy", &[], "").1, tag);
    let (status, new, _) = ask(&cluster, "PUT", "policy", &[TOML, ("if-match", &tag)], other);
    assert_eq!((status, new == tag), (200, false));
    assert_eq!(ask(&cluster, "GET", "policy", &[], ""), (200, new, json!(other)));
    let events = cluster.admin("/api/v1/events").unwrap();
    assert!(kinds(&events["events"]).contains(&"policy_changed"), "{events}");

    let json = ("content-type", "application/json");
    let (status, _, plan) = ask(&cluster, "POST", "plan/solve", &[json], "{}");
    assert!(status == 200 && plan["gap"].is_number(), "{plan}");
    let snapshot = cluster.admin("/api/v1/snapshot").unwrap();
    let asked = json!({ "snapshot": snapshot, "policy": "minimise = 'latency'", "pareto": true }).to_string();
    let (status, _, front) = ask(&cluster, "POST", "plan/solve", &[json], &asked);
    assert!(status == 200 && !front.as_array().unwrap().is_empty(), "{front}");
    let impossible = json!({ "policy": "[bounds]\nlatency_seconds = 1e-9" }).to_string();
    let (status, _, why) = ask(&cluster, "POST", "plan/solve", &[json], &impossible);
    assert!(status == 422 && why["detail"].as_str().unwrap().contains("latency"), "{why}");
    for (body, expect) in [("{", 400), ("{\"polcy\": 1}", 422), ("{\"snapshot\": {\"version\": 1}}", 422)] {
        assert_eq!(ask(&cluster, "POST", "plan/solve", &[json], body).0, expect, "{body}");
    }
    let (status, _, front) = ask(&cluster, "GET", "pareto", &[], "");
    let today = front["points"].as_array().unwrap().iter().filter(|point| point["today"] == true);
    assert_eq!((status, today.count()), (200, 1), "{front}");
}

#[test]
fn a_person_takes_the_plan_into_their_hands_and_gives_it_back() {
    let site = Site::new("resnet20");
    let cluster = adaptive(&site, &[]);
    let image = images(1, 32);
    let expected = cluster.infer(&image, 1);
    // A cut inside a block sends two tensors: nothing that a planner would choose.
    let both = "workers = ['camera', 'router']\ncuts = ['layer1.1.conv2']\n";
    let (status, _, dry) = ask(&cluster, "PUT", "plan?dry_run=true", &[TOML], both);
    assert!(status == 200 && workers_of(&dry["plan"]) == ["camera", "router"], "{dry}");
    assert!(dry["predicted"]["latency_seconds"].as_f64().unwrap() > 0.0, "{dry}");
    assert_eq!(cluster.admin("/api/v1/state").unwrap()["replanning"], "running");
    for (text, words) in [
        ("workers = ['camera', 'porch']\ncuts = [9]", "porch"),
        ("workers = ['camera']\ncuts = ['layer9.0.conv1']", "layer9.0.conv1"),
        ("workers = ['camera']\noff = 'F:layer1.1'", "active set"),
    ] {
        let (status, _, refused) = ask(&cluster, "PUT", "plan", &[TOML], text);
        assert!(status == 422 && refused["detail"].as_str().unwrap().contains(words), "{refused}");
    }
    cluster
        .until("the plan by hand", || (ask(&cluster, "PUT", "plan", &[TOML], both).0 == 200).then_some(()));
    let is_by_hand = |plan: &Value| plan["stages"][1]["first"] == "layer1.1.conv2";
    cluster.plan_when("the plan by hand", is_by_hand);
    let image_answer = cluster.infer(&image, 1);
    assert_eq!(image_answer, expected);
    let state = cluster.admin("/api/v1/state").unwrap();
    assert_eq!(
        (&state["replanning"], &state["plan"]["stages"][1]["worker"]),
        (&json!("paused"), &json!("router"))
    );
    // Others are better by far, and yet it stays.
    std::thread::sleep(Duration::from_secs(2));
    assert!(is_by_hand(&cluster.plan().unwrap()));
    let forced = cluster.until("the planner's plan", || {
        let (status, _, forced) = ask(&cluster, "POST", "replanning/force", &[], "");
        (status == 200).then_some(forced)
    });
    assert_eq!((&forced["replanning"], &forced["decision"]["kind"]), (&json!("paused"), &json!("forced")));
    cluster.plan_when("the planner's plan", |plan| !is_by_hand(plan));
    let again = cluster.until("the planner asked again", || {
        let (status, _, forced) = ask(&cluster, "POST", "replanning/force", &[], "");
        (status == 200).then_some(forced)
    });
    assert!(
        !again["decision"].is_null() || again["reason"].as_str().unwrap().contains("runs already"),
        "{again}"
    );
    assert_eq!(ask(&cluster, "POST", "replanning/resume", &[], "").2["replanning"], "running");
    assert_eq!(ask(&cluster, "POST", "replanning/pause", &[], "").2["replanning"], "paused");
    let events = cluster.admin("/api/v1/events").unwrap();
    for kind in ["replanning_paused", "replanning_forced", "replanning_resumed"] {
        assert!(kinds(&events["events"]).contains(&kind), "{events}");
    }
    let metrics = cluster.text("/metrics");
    let counted = |line: &str| line.contains("reason=\"operator\"") && !line.ends_with(" 0");
    assert!(metrics.lines().any(counted), "{metrics}");
}

#[test]
fn workers_leave_the_plan_when_they_are_told_to_and_somebody_must_stay() {
    let site = Site::new("resnet20");
    let cluster = adaptive(&site, &[]);
    let image = images(1, 32);
    cluster.infer(&image, 1);
    let (first, second) = ("camera".to_owned(), "router");
    let alone = "workers = ['camera']";
    cluster
        .until("the plan by hand", || (ask(&cluster, "PUT", "plan", &[TOML], alone).0 == 200).then_some(()));
    cluster.plan_when("the plan by hand", |plan| workers_of(plan) == ["camera"]);
    let (status, _, refused) = ask(&cluster, "POST", "workers/porch/cordon", &[], "");
    assert!(status == 404 && refused["detail"].as_str().unwrap().contains("camera, router"), "{refused}");
    let (status, _, worker) = ask(&cluster, "POST", &format!("workers/{first}/cordon"), &[], "");
    assert_eq!((status, &worker["cordoned"], &worker["stage"]), (200, &json!(true), &json!(0)), "{worker}");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(workers_of(&cluster.plan().unwrap()), [first.as_str()], "what runs goes on");
    let drained = cluster.until("the drain", || {
        let (status, _, worker) = ask(&cluster, "POST", &format!("workers/{first}/drain"), &[], "");
        (status == 200).then_some(worker)
    });
    assert_eq!((&drained["cordoned"], &drained["draining"]), (&json!(true), &json!(true)));
    cluster.plan_when("a plan without it", |plan| workers_of(plan) == [second]);
    cluster.infer(&image, 1);
    let refused = cluster.until("somebody must stay", || {
        let (status, _, refused) = ask(&cluster, "POST", &format!("workers/{second}/drain"), &[], "");
        (status == 409 && !refused.to_string().contains("in a moment")).then_some(refused)
    });
    assert!(refused["detail"].as_str().unwrap().len() > 10, "{refused}");
    let other = cluster.admin(&format!("/api/v1/workers/{second}")).unwrap();
    assert_eq!((&other["cordoned"], &other["draining"]), (&json!(false), &json!(false)), "nothing changed");
    let (status, _, refused) = ask(&cluster, "PUT", "plan", &[TOML], &format!("workers = ['{first}']"));
    assert!(status == 422 && refused["detail"].as_str().unwrap().contains("uncordon"), "{refused}");
    assert_eq!(ask(&cluster, "POST", &format!("workers/{first}/uncordon"), &[], "").2["cordoned"], false);
    let metrics = cluster.text("/metrics");
    assert!(metrics.contains("weir_requests_total{outcome=\"failed\"} 0"), "{metrics}");
}

#[test]
fn pinned_connections_stay_as_they_are() {
    let site = Site::new("resnet20");
    let known = crate::adaptive::profile(&site, &[("F:layer1.1", 0), ("F:layer1.1,F:layer1.2", 1)]);
    std::fs::write(site.path("profile.json"), known.to_json().unwrap()).unwrap();
    let profile = site.path("profile.json").display().to_string();
    let cluster = adaptive(&site, &["--profile", &profile]);
    let json_body = ("content-type", "application/json");
    let (status, tag, pins) = ask(&cluster, "GET", "pins", &[], "");
    assert_eq!((status, &pins), (200, &json!({ "on": [], "off": [] })));
    let matching = [json_body, ("if-match", tag.as_str())];
    for (body, words) in [
        (json!({ "off": ["F:layer9.1"] }), "layer9.1"),
        (json!({ "off": ["S:layer2.1"] }), "S:layer2.1 is mandatory"),
        (json!({ "on": ["F:layer1.1"], "off": ["F:layer1.1"] }), "F:layer1.1"),
        (json!({ "of": ["F:layer1.1"] }), "of"),
    ] {
        let (status, _, refused) = ask(&cluster, "PUT", "pins", &matching, &body.to_string());
        assert!(status == 422 && refused["detail"].as_str().unwrap().contains(words), "{refused}");
    }
    // By itself the planner drops both, which costs next to nothing.
    cluster.plan_when("the planner's own choice", |plan| plan["active_off"] == "F:layer1.1,F:layer1.2");
    let wanted = json!({ "on": ["F:layer1.1", "F:layer1.2"], "off": [] });
    let (status, new, pins) = ask(&cluster, "PUT", "pins", &matching, &wanted.to_string());
    assert_eq!((status, new == tag, &pins), (200, false, &wanted));
    assert_eq!(ask(&cluster, "PUT", "pins", &matching, "{}").0, 412);
    cluster.plan_when("the pins are obeyed", |plan| plan["active_off"] == "");
    let metrics = cluster.text("/metrics");
    let counted = |line: &str| line.contains("policy_changed") && !line.ends_with(" 0");
    assert!(metrics.lines().any(counted), "{}", cluster.logs());
    // What the pins did is part of the trace, so a replay sees it too.
    let trace = cluster.admin("/api/v1/trace").unwrap();
    let mut policies =
        trace["entries"].as_array().unwrap().iter().filter_map(|line| line["entry"]["policy"].as_str());
    assert!(policies.next_back().unwrap().contains("F:layer1.2"), "{trace}");
    let off = json!({ "on": [], "off": ["F:layer1.1"] });
    let any = [json_body, ("if-match", "*")];
    assert_eq!(ask(&cluster, "PUT", "pins", &any, &off.to_string()).0, 200);
    cluster
        .plan_when("the pins are obeyed", |plan| plan["active_off"].as_str().unwrap().contains("F:layer1.1"));
    let state = cluster.admin("/api/v1/state").unwrap();
    assert_eq!((&state["pins"], &state["network"]["blocks"][1]["residual"]), (&off, &json!("off")));
}
