//! What is logged, changed while the process runs, and logs as JSON.

use serde_json::{Value, json};

use crate::support::{Cluster, Site};

fn put(cluster: &Cluster<'_>, body: &Value) -> (u16, Value) {
    let url = format!("http://{}/api/v1/log-level", cluster.admin);
    let answer = reqwest::blocking::Client::new().put(url).json(body).send().unwrap();
    (answer.status().as_u16(), answer.json().unwrap())
}

#[test]
fn the_level_changes_while_it_runs_and_every_line_is_json() {
    let site = Site::new("resnet20");
    let cluster = site.start(&[], &["--log-format", "json"]);
    cluster.until("the admin API", || cluster.admin("/api/v1/version"));
    let log = || {
        let text = std::fs::read_to_string(site.path("orchestrator.log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect::<Vec<Value>>()
    };
    // The guard tells at DEBUG whom it refused.
    let provoke = || {
        let url = format!("http://{}/api/v1/plan", cluster.admin);
        reqwest::blocking::Client::new().get(url).header("host", "evil.example").send().unwrap();
        log().iter().filter(|line| line["message"] == "admin request refused").count()
    };
    assert_eq!(provoke(), 0);
    assert_eq!(cluster.admin("/api/v1/log-level"), Some(json!({ "filter": "info,actix_server=warn" })));
    let wanted = json!({ "filter": "info,weir_orchestrator::admin=debug" });
    assert_eq!(put(&cluster, &wanted), (200, wanted.clone()));
    assert_eq!(cluster.admin("/api/v1/log-level"), Some(wanted.clone()));
    assert_eq!(provoke(), 1);
    for (bad, expect) in
        [("inof", "\"inof\" is no level"), ("", "is empty"), ("info,x=9", "\"9\" is no level")]
    {
        let (status, problem) = put(&cluster, &json!({ "filter": bad }));
        assert_eq!(status, 422, "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(expect)), "{problem}");
    }
    assert_eq!(cluster.admin("/api/v1/log-level"), Some(wanted));
    put(&cluster, &json!({ "filter": "info" }));
    assert_eq!(provoke(), 1);
    let events = cluster.admin("/api/v1/events").unwrap();
    let told: Vec<_> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["kind"] == "log_level_changed")
        .collect();
    assert_eq!(told.len(), 2, "{events}");
    assert_eq!(told[1]["message"], "the log is filtered by info");
    let started = log().into_iter().find(|line| line["message"] == "orchestrator started").unwrap();
    assert_eq!(
        (&started["level"], &started["target"]),
        (&json!("INFO"), &json!("weir_orchestrator::app")),
        "{started}"
    );
    assert!(started["timestamp"].is_string() && started["admin"].is_string(), "{started}");
}
