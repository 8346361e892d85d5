//! schemathesis asks a real orchestrator with real workers everything that the description of its admin API allows, and much
//! that it does not; then the cluster still answers.

use std::process::Command;

use serde_json::Value;

use crate::support::{Cluster, Site, images};

/// Long enough for every operation, and little enough for `make test`; `make test-api` asks for more.
const EXAMPLES: &str = "15";

fn ask_everything(cluster: &Cluster<'_>, headers: &[&str]) {
    let python = std::env::var("WEIR_TEST_SCHEMATHESIS").expect("make test-api sets WEIR_TEST_SCHEMATHESIS");
    let examples = std::env::var("WEIR_TEST_EXAMPLES").unwrap_or_else(|_| EXAMPLES.to_owned());
    let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let mut command = Command::new(python);
    command.args(["-m", "schemathesis.cli", "--config-file"]).arg(format!("{tests}/schemathesis.toml"));
    command.env("SCHEMATHESIS_HOOKS", format!("{tests}/schemathesis_hooks.py"));
    command.arg("run").arg(format!("http://{}/api/v1/openapi.json", cluster.admin));
    command.args(["--checks", "all", "--seed", "1", "--max-examples", &examples, "--no-color"]);
    command.args(["--request-timeout", "30", "--generation-database", "none"]);
    for header in headers {
        command.args(["--header", header]);
    }
    let output = command.current_dir(cluster.site.folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{wrong}\n{}", cluster.logs());
    println!(
        "{}",
        said.lines().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    );
}

/// Whatever was asked, requests are answered as before.
fn still_answers(cluster: &Cluster<'_>, expected: &[f64]) {
    assert_eq!(cluster.infer(&images(1, 32), 1), expected);
    let metrics = cluster.text("/metrics");
    assert!(metrics.contains("weir_requests_total{outcome=\"failed\"} 0"), "{metrics}");
}

#[test]
fn schemathesis_finds_nothing_without_tokens() {
    let site = Site::new("resnet20");
    std::fs::write(site.path("policy.toml"), "minimise = 'latency'").unwrap();
    let policy = site.path("policy.toml").display().to_string();
    let cluster = site.start(&["camera", "router"], &["--policy", &policy]);
    cluster.until("a plan", || cluster.plan());
    let expected = cluster.infer(&images(1, 32), 1);
    ask_everything(&cluster, &[]);
    still_answers(&cluster, &expected);
}

#[test]
fn schemathesis_finds_nothing_with_tokens() {
    let site = Site::new("resnet20");
    let token = "an-admin-of-this-test-0123456789";
    std::fs::write(site.path("admin.tokens"), token).unwrap();
    let file = site.path("admin.tokens").display().to_string();
    let cluster = site.start(&["camera", "router"], &["--admin-token-file", &file]);
    cluster.until("a plan", || {
        let ready = reqwest::blocking::get(format!("http://{}/readyz", cluster.admin)).ok()?;
        ready.status().is_success().then_some(())
    });
    let expected = cluster.infer(&images(1, 32), 1);
    ask_everything(&cluster, &[&format!("Authorization: Bearer {token}")]);
    still_answers(&cluster, &expected);
}

#[test]
fn the_description_names_every_route_and_its_page_is_served() {
    let site = Site::new("resnet20");
    let cluster = site.start_orchestrator(1, &[]);
    let api = cluster.until("the description", || cluster.admin("/api/v1/openapi.json"));
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1"), "{}", api["openapi"]);
    let refused = |path: &str, method: &str| {
        let client = reqwest::blocking::Client::new();
        let url = format!("http://{}{path}", cluster.admin);
        let response = client.request(method.parse().unwrap(), url).send().unwrap();
        (
            response.status().as_u16(),
            response.headers().get("allow").map(|allow| allow.to_str().unwrap().to_owned()),
        )
    };
    for (path, item) in api["paths"].as_object().unwrap() {
        let described: Vec<String> =
            item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        let (status, allowed) = refused(&path.replace("{name}", "camera"), "DELETE");
        assert_eq!((status, allowed), (405, Some(described.join(", "))), "{path}");
    }
    assert!(cluster.text("/docs/").contains("swagger-ui"), "{}", cluster.text("/docs/"));
    let unknown: Value = cluster.admin("/api/v1/nothing").unwrap();
    assert_eq!(unknown["status"], 404);
}
