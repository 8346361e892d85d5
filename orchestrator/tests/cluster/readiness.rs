//! Readiness: a request of the gateway's own through the live plan, and no figure of users that knows of it.

use std::time::Duration;

use crate::support::{Site, images};

fn status_of(cluster: &crate::support::Cluster<'_>, path: &str) -> u16 {
    reqwest::blocking::get(format!("http://{}{path}", cluster.admin)).unwrap().status().as_u16()
}

/// The value of a series, whatever else the metrics say.
fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find(|line| line.split(' ').next() == Some(series));
    let line = line.unwrap_or_else(|| panic!("no {series} in\n{metrics}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn readiness_shows_its_checks_and_the_canary_is_in_no_figure_of_users() {
    let site = Site::new("resnet20");
    let mut cluster = site.start_orchestrator(2, &[]);
    cluster.start_worker("camera");
    cluster.until("the admin API", || cluster.admin("/api/v1/version"));
    assert_eq!(status_of(&cluster, "/readyz"), 503);
    let said = cluster.text("/readyz?verbose");
    assert!(said.contains("[-]admission failed: no plan is committed"), "{said}");
    cluster.start_worker("router");
    cluster.plan_over(2);
    let said = cluster.until("a canary that passes", || {
        let said = cluster.text("/readyz?verbose");
        said.contains("readyz check passed").then_some(said)
    });
    for line in ["[+]actors ok", "[+]admission ok", "[+]canary ok: answered as before, in "] {
        assert!(said.contains(line), "{said}");
    }
    assert_eq!((status_of(&cluster, "/readyz"), cluster.text("/readyz").as_str()), (200, "ok\n"));
    std::thread::sleep(Duration::from_millis(2100));
    assert_eq!(status_of(&cluster, "/readyz"), 200);
    let metrics = cluster.text("/metrics");
    let passed = value(&metrics, r#"weir_canaries_total{outcome="passed"}"#);
    assert!((2.0..6.0).contains(&passed), "asked often, sent seldom: {passed}");
    assert_eq!(value(&metrics, r#"weir_requests_total{outcome="ok"}"#), 0.0);
    assert_eq!(value(&metrics, r#"weir_request_duration_seconds_count{outcome="ok"}"#), 0.0);
    cluster.infer(&images(1, 32), 1);
    let metrics = cluster.text("/metrics");
    assert_eq!(value(&metrics, r#"weir_requests_total{outcome="ok"}"#), 1.0);
    let stats = format!("http://{}/v2/models/stats", cluster.http);
    let stats: serde_json::Value = reqwest::blocking::get(stats).unwrap().json().unwrap();
    assert_eq!(stats["model_stats"][0]["inference_count"], 1);
}
