//! Who may do what on the admin port: every route, asked without a token, with a wrong one, as a viewer and as an admin.

use reqwest::Method;
use reqwest::blocking::Client;

use crate::support::{Cluster, Site, failure_of, orchestrator_command};

const VIEWER: &str = "a-token-of-viewers-0123";
const ADMIN: &str = "a-token-of-admins-0123";

/// Routes that anybody may read.
const PUBLIC: [&str; 5] = ["/livez", "/readyz", "/readyz?verbose", "/metrics", "/api/v1/version"];

/// Routes that a viewer may ask.
const VIEWED: [(&str, &str); 15] = [
    ("GET", "/api/v1/state"),
    ("GET", "/api/v1/workers"),
    ("GET", "/api/v1/workers/camera"),
    ("GET", "/api/v1/links"),
    ("GET", "/api/v1/plan"),
    ("GET", "/api/v1/plans"),
    ("GET", "/api/v1/pareto"),
    ("GET", "/api/v1/policy"),
    ("GET", "/api/v1/pins"),
    ("GET", "/api/v1/events"),
    ("GET", "/api/v1/events/stream"),
    ("GET", "/api/v1/log-level"),
    ("GET", "/api/v1/snapshot"),
    ("GET", "/api/v1/trace"),
    ("POST", "/api/v1/plan/solve"),
];

/// Routes that change something, and two that do not exist.
const CHANGING: [(&str, &str); 12] = [
    ("POST", "/api/v1/workers/camera/cordon"),
    ("POST", "/api/v1/workers/camera/drain"),
    ("POST", "/api/v1/workers/camera/uncordon"),
    ("PUT", "/api/v1/plan"),
    ("POST", "/api/v1/replanning/force"),
    ("POST", "/api/v1/replanning/pause"),
    ("POST", "/api/v1/replanning/resume"),
    ("PUT", "/api/v1/policy?dry_run=true"),
    ("PUT", "/api/v1/pins"),
    ("PUT", "/api/v1/log-level"),
    ("GET", "/api/v1/unheard-of"),
    ("POST", "/livez"),
];

struct Door<'a> {
    client: Client,
    cluster: &'a Cluster<'a>,
}

impl Door<'_> {
    /// The status, and the challenge if there is one.
    fn knock(&self, method: &str, path: &str, token: Option<&str>) -> (u16, Option<String>) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("http://{}{path}", self.cluster.admin));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.body("x").send().unwrap();
        let challenge =
            response.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), challenge)
    }

    /// A guard that lets through says neither 401 nor 403; what the route then says is its own affair.
    fn check(&self, method: &str, path: &str, token: Option<&str>, refused: Option<u16>) {
        let (status, challenge) = self.knock(method, path, token);
        match refused {
            Some(expected) => assert_eq!(status, expected, "{method} {path} with {token:?}"),
            None => assert!(![401, 403].contains(&status), "{method} {path} with {token:?}: {status}"),
        }
        let challenged = challenge.is_some_and(|challenge| challenge.starts_with("Bearer"));
        assert_eq!(challenged, status == 401, "{method} {path}");
    }
}

#[test]
fn every_route_asks_for_its_role() {
    let site = Site::new("resnet20");
    let (viewers, admins) = (site.path("viewers"), site.path("admins"));
    std::fs::write(&viewers, format!("{VIEWER}\n")).unwrap();
    std::fs::write(&admins, format!("an-older-admins-token\n{ADMIN}\n")).unwrap();
    let files =
        ["--viewer-token-file", viewers.to_str().unwrap(), "--admin-token-file", admins.to_str().unwrap()];
    let cluster = site.start(&[], &files);
    cluster.until("the admin API", || cluster.admin("/api/v1/version"));
    let door = Door { client: Client::new(), cluster: &cluster };
    let bad = Some("a-token-of-nobody-0123");
    for path in PUBLIC {
        for token in [None, bad, Some(VIEWER), Some(ADMIN)] {
            door.check("GET", path, token, None);
        }
    }
    for (method, path) in VIEWED.into_iter().chain(CHANGING) {
        let viewed = VIEWED.contains(&(method, path));
        door.check(method, path, None, Some(401));
        door.check(method, path, bad, Some(401));
        door.check(method, path, Some(VIEWER), if viewed { None } else { Some(403) });
        // A stream does not end by itself; that it opens for a viewer is enough.
        if path != "/api/v1/events/stream" {
            door.check(method, path, Some(ADMIN), None);
        }
    }
    // What the API says of itself knows no route that this test does not.
    let listed = cluster.admin("/api/v1/openapi.json").and_then(|api| api["paths"].as_object().cloned());
    for (path, methods) in listed.unwrap_or_default() {
        let path = path.replace("{name}", "camera");
        for method in methods.as_object().unwrap().keys().map(|method| method.to_uppercase()) {
            let known =
                |&(asked, route): &(&str, &str)| asked == method && route.split('?').next() == Some(&path);
            let public =
                method == "GET" && (PUBLIC.contains(&path.as_str()) || path == "/api/v1/openapi.json");
            let known = public || VIEWED.iter().chain(&CHANGING).any(known);
            assert!(
                known || !path.starts_with("/api/"),
                "add {method} {path} to this test, and to admin/access/need.rs"
            );
        }
    }
    // A replaced token counts at once, and the old one no longer.
    std::fs::write(&viewers, "another-token-of-viewers\n").unwrap();
    door.check("GET", "/api/v1/workers", Some(VIEWER), Some(401));
    door.check("GET", "/api/v1/workers", Some("another-token-of-viewers"), None);
    let told = [cluster.text("/metrics"), std::fs::read_to_string(site.path("orchestrator.log")).unwrap()];
    for text in told {
        for token in [VIEWER, ADMIN, "an-older-admins-token", "a-token-of-nobody-0123"] {
            assert!(!text.contains(token), "{token} is told:\n{text}");
        }
    }
}

#[test]
fn without_tokens_a_rebound_name_and_a_foreign_page_are_refused() {
    let site = Site::new("resnet20");
    let cluster = site.start(&[], &[]);
    cluster.until("the admin API", || cluster.admin("/api/v1/version"));
    let url = |path: &str| format!("http://{}{path}", cluster.admin);
    let client = Client::new();
    let status = |request: reqwest::blocking::RequestBuilder| request.send().unwrap().status().as_u16();
    assert_eq!(status(client.get(url("/api/v1/workers"))), 200);
    assert_eq!(status(client.get(url("/api/v1/workers")).header("host", "weir.evil.example")), 403);
    assert_eq!(status(client.get(url("/metrics")).header("host", "weir.example")), 200);
    let foreign = client.put(url("/api/v1/policy")).header("origin", "http://evil.example").body("");
    assert_eq!(status(foreign), 403);
}

#[test]
fn a_token_file_that_cannot_be_used_stops_the_start() {
    let site = Site::new("resnet20");
    let short = site.path("short");
    std::fs::write(&short, "hunter2\n").unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let mut command = orchestrator_command();
    command.args(site.orchestrator_arguments(any, any, any)).arg("--admin-token-file").arg(&short);
    let said = failure_of(&mut command);
    assert!(said.contains("line 1") && said.contains("at least 16") && !said.contains("hunter2"), "{said}");
}
