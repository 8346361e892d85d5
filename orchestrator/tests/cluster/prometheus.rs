//! A real Prometheus scrapes a running cluster and finds every metric of docs/metrics.md.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use weir_shared::metric_names::{ALL, Exporter, Kind, Metric};

use crate::support::{Process, Site, free_address, images};

/// Debian's tools; `make test` sees to them.
fn tool(name: &str) -> PathBuf {
    let folder = std::env::var("WEIR_TEST_PROMETHEUS").expect(
        "WEIR_TEST_PROMETHEUS is not set; run `make test`, or set it to scripts/setup-prometheus.sh's output",
    );
    PathBuf::from(folder).join(name)
}

fn check_metrics(text: &str) {
    let mut child = Command::new(tool("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "promtool: {said}");
}

struct Prometheus {
    _process: Process,
    url: String,
    http: reqwest::blocking::Client,
}

impl Prometheus {
    fn start(site: &Site, targets: &[String]) -> Self {
        let (config, data) = (site.path("prometheus.yml"), site.path("prometheus-data"));
        let list: Vec<_> = targets.iter().map(|target| format!("'{target}'")).collect();
        let text = format!(
            "global: {{ scrape_interval: 500ms, scrape_timeout: 500ms }}\n\
             scrape_configs: [{{ job_name: weir, static_configs: [{{ targets: [{}] }}] }}]\n",
            list.join(", ")
        );
        std::fs::write(&config, text).unwrap();
        let address = free_address();
        let log = std::fs::File::create(site.path("prometheus.log")).unwrap();
        let process = Command::new(tool("prometheus"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address={address}"))
            .stderr(log)
            .spawn()
            .unwrap();
        let http = reqwest::blocking::Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
        Self { _process: Process(process), url: format!("http://{address}"), http }
    }

    /// All series of that name with their values.
    fn query(&self, expression: &str) -> Vec<(BTreeMap<String, String>, f64)> {
        let request = self.http.get(format!("{}/api/v1/query", self.url)).query(&[("query", expression)]);
        let Some(answer) = request.send().ok().and_then(|answer| answer.json::<Value>().ok()) else {
            return Vec::new();
        };
        let result = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let series = |one: Value| {
            let labels = serde_json::from_value(one["metric"].clone()).unwrap();
            (labels, one["value"][1].as_str().unwrap().parse().unwrap())
        };
        result.into_iter().map(series).collect()
    }
}

/// Series of a metric, by whichever of its names always has one.
fn series(metric: &Metric) -> String {
    let suffix = if metric.kind == Kind::Histogram { "_count" } else { "" };
    format!("{}{suffix}", metric.name)
}

/// The battery and the cap of the fixture's laptop are what makes every metric appear.
const SYSFS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../worker/tests/fixtures/sysfs/laptop");

#[test]
fn a_real_prometheus_finds_every_metric_with_a_sane_value() {
    let site = Site::new("resnet20");
    let mut cluster = site.start_orchestrator(2, &[]);
    for name in ["camera", "router"] {
        cluster.start_worker_arguments(name, &["--sysfs-root", SYSFS]);
    }
    cluster.plan_over(2);
    let image = images(1, 32);
    // Layer times are reported from the seventh run on.
    let sent = 10;
    for _ in 0..sent {
        cluster.infer(&image, 1);
    }
    let targets: Vec<_> = [cluster.admin]
        .into_iter()
        .chain(cluster.worker_admins())
        .map(|address| address.to_string())
        .collect();
    let prometheus = Prometheus::start(&site, &targets);

    for metric in ALL {
        let expected = match metric.by {
            Exporter::Orchestrator => 1,
            Exporter::Worker => 2,
            Exporter::Both => 3,
        };
        let found = cluster.until(metric.name, || {
            let found = prometheus.query(&series(metric));
            let instances: std::collections::BTreeSet<_> =
                found.iter().map(|(labels, _)| labels["instance"].clone()).collect();
            (instances.len() == expected).then_some(found)
        });
        for (labels, value) in &found {
            assert!(value.is_finite() && *value >= 0.0, "{} {labels:?}: {value}", metric.name);
            assert!(
                metric.labels.iter().all(|label| labels.contains_key(*label)),
                "{}: {labels:?}",
                metric.name
            );
            if metric.unit.starts_with("0 ") {
                assert!(*value <= 1.0, "{} {labels:?}: {value}", metric.name);
            }
        }
    }

    let one = |expression: &str, sane: &dyn Fn(f64) -> bool| {
        cluster.until(expression, || {
            let found = prometheus.query(expression);
            found.first().map(|(_, value)| *value).filter(|value| sane(*value))
        })
    };
    one("weir_requests_total{outcome='ok'}", &|n| n == f64::from(sent));
    one("sum(weir_stage_executions_total{outcome='ok'})", &|n| n >= f64::from(2 * sent));
    one("weir_link_believed_up{src='camera',dst='router'}", &|n| n == 1.0);
    one("weir_link_believed_min_rtt_seconds{src='camera',dst='router'}", &|rtt| rtt > 0.0 && rtt < 0.05);
    // Loopback: between 1 MB/s on a very busy machine and what memory can do.
    one("min(weir_link_believed_goodput_bytes_per_second)", &|rate| rate > 1e6 && rate < 1e11);
    one("weir_worker_macs_per_second{worker='camera'}", &|rate| rate > 1e7 && rate < 1e13);
    one("count(weir_worker_power_budget_watts == 28)", &|n| n == 2.0);
    one("weir_worker_battery_ratio{worker='camera'}", &|ratio| ratio == 0.55);
    one("count(weir_stage_layer_seconds > 0)", &|layers| layers == 29.0);
    one("sum(weir_telemetry_rejected_total)", &|n| n == 0.0);

    for target in &targets {
        check_metrics(&reqwest::blocking::get(format!("http://{target}/metrics")).unwrap().text().unwrap());
    }

    cluster.kill_worker("router");
    cluster.until("the series of a worker that left are gone", || {
        let text = cluster.text("/metrics");
        (!text.contains("worker=\"router\"") && !text.contains("src=\"router\"")).then_some(())
    });
}
