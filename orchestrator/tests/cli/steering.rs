//! Commands that change something: what they send, and what they say when the orchestrator refuses.

use std::process::{Command, Output};

use serde_json::Value;

use crate::stub::{Running, Stub};

fn weir(stub: &Running, line: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(line).env_clear().env("WEIR_ADMIN_URL", &stub.url).output().unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8([output.stdout.as_slice(), &output.stderr].concat()).unwrap()
}

fn check(stub: &Running, line: &[&str], status: i32, expect: &str) {
    let output = weir(stub, line);
    let printed = printed(&output);
    assert_eq!(output.status.code(), Some(status), "{line:?}: {printed}");
    assert!(printed.contains(expect), "{line:?} should say {expect:?}, but says:\n{printed}");
}

const POLICY: &str = "[bounds]\naccuracy_loss_points = 1.0\n";

#[test]
fn a_policy_replaces_only_what_it_was_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("home.toml");
    let file = file.to_str().unwrap();
    let mut stub = Stub::default();
    stub.answer_with("GET /api/v1/policy", 200, "etag: \"5f1c\"\r\n", POLICY);
    stub.answer_with("PUT /api/v1/policy", 200, "etag: \"77aa\"\r\n", r#"{"policy":"accepted"}"#);
    let stub = stub.start();
    std::fs::write(file, weir(&stub, &["policy", "get"]).stdout).unwrap();
    check(&stub, &["policy", "set", file], 0, "the policy is in force");
    check(&stub, &["policy", "set", "--if-match", "*", file], 0, "in force");
    // A file of a person's own has no tag: it replaces what is in force now.
    std::fs::write(file, POLICY).unwrap();
    check(&stub, &["policy", "set", file], 0, "in force");
    let puts: Vec<_> = stub.asked().into_iter().filter(|asked| asked.route.starts_with("PUT")).collect();
    for (put, tag) in puts.iter().zip(["\"5f1c\"", "*", "\"5f1c\""]) {
        assert_eq!(put.body, POLICY);
        assert!(put.headers.contains(&format!("if-match: {tag}\r\n")), "{}", put.headers);
        assert!(put.headers.contains("content-type: application/toml\r\n"), "{}", put.headers);
    }
    assert_eq!(puts.len(), 3);

    let mut stub = Stub::default();
    stub.answer_with("GET /api/v1/policy", 200, "etag: \"5f1c\"\r\n", POLICY);
    stub.answer("PUT /api/v1/policy", 412, r#"{"title":"Changed","detail":"the policy is \"77aa\" by now"}"#);
    let stub = stub.start();
    check(&stub, &["policy", "set", file], 1, "somebody has changed the policy meanwhile");
    check(&stub, &["policy", "set", "/nowhere.toml"], 1, "cannot read the policy /nowhere.toml");

    check(&stub, &["policy", "check", file], 0, "is a usable policy");
    std::fs::write(file, "[bounds]\naccuracy_loss_point = 1.0\n").unwrap();
    check(&stub, &["policy", "check", file], 1, "accuracy_loss_point");
}

#[test]
fn a_token_is_sent_and_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "\n  correct-horse-battery  \nother\n").unwrap();
    let file = file.to_str().unwrap();
    let mut stub = Stub::default();
    stub.answer("POST /api/v1/replanning/pause", 401, r#"{"title":"No token","detail":"a token is needed"}"#);
    stub.answer(
        "POST /api/v1/replanning/force",
        403,
        r#"{"title":"Viewer","detail":"a viewer may not do this"}"#,
    );
    let stub = stub.start();
    check(&stub, &["replanning", "pause"], 1, "--token-file (WEIR_TOKEN_FILE)");
    check(&stub, &["replanning", "force", "--token-file", file], 1, "a viewer may not do this");
    let asked = stub.asked();
    assert!(!asked[0].headers.contains("authorization"));
    assert!(asked[1].headers.contains("authorization: bearer correct-horse-battery\r\n"));
    check(&stub, &["workers", "--token-file", "/nowhere"], 1, "cannot read the token file /nowhere");
    std::fs::write(file, "\n").unwrap();
    check(&stub, &["workers", "--token-file", file], 1, "has no token");
    assert_eq!(stub.asked().len(), 2, "nothing is asked without the token that was wanted");
}

#[test]
fn a_worker_is_drained_by_its_name() {
    let mut stub = Stub::default();
    stub.answer("POST /api/v1/workers/attic/uncordon", 200, "{}");
    let detail = r#"{"title":"No plan","detail":"no plan could exist without camera"}"#;
    stub.answer("POST /api/v1/workers/camera/drain", 409, detail);
    let stub = stub.start();
    check(&stub, &["workers", "uncordon", "attic"], 0, "plans may use attic again");
    check(&stub, &["workers", "drain", "camera"], 1, "no plan could exist without camera");
    check(&stub, &["workers", "drain", "../plan"], 2, "lower-case letters");
}

#[test]
fn a_plan_and_pins_are_sent_as_they_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.toml");
    std::fs::write(&file, "workers = [\"camera\"]\n").unwrap();
    let file = file.to_str().unwrap();
    let mut stub = Stub::default();
    stub.answer("PUT /api/v1/plan?dry_run=true", 200, "{}");
    stub.answer("PUT /api/v1/plan", 422, r#"{"title":"Bad plan","detail":"attic is not here"}"#);
    stub.answer_with("GET /api/v1/pins", 200, "etag: \"a\"\r\n", r#"{"on":["F:layer2.1"],"off":[]}"#);
    stub.answer("PUT /api/v1/pins", 200, r#"{"on":["F:layer2.1"],"off":[]}"#);
    let stub = stub.start();
    check(&stub, &["plan", "apply", "--dry-run", file], 0, "nothing was changed");
    check(&stub, &["plan", "apply", file], 1, "attic is not here");
    check(&stub, &["pins", "set", "--on", "F:layer2.1", "--off", "S:layer1.0"], 0, "pinned on   F:layer2.1");
    let asked = stub.asked();
    assert_eq!(asked[0].body, "workers = [\"camera\"]\n");
    let put = asked.iter().find(|asked| asked.route == "PUT /api/v1/pins").unwrap();
    let body: Value = serde_json::from_str(&put.body).unwrap();
    assert_eq!(body, serde_json::json!({ "on": ["F:layer2.1"], "off": ["S:layer1.0"] }));
    assert!(
        put.headers.contains("if-match: \"a\"\r\n") && put.headers.contains("content-type: application/json")
    );
}

/// The stream breaks after each event; the next connection asks for what is behind the last one.
#[test]
fn following_goes_on_behind_the_last_event() {
    let event =
        |id: &str| format!(r#"{{"id":"{id}","unix_ms":0,"kind":"worker_lost","message":"event {id}"}}"#);
    let mut stub = Stub::default();
    stub.answer(
        "GET /api/v1/events?limit=100",
        200,
        &format!(r#"{{"events":[{}],"next":null}}"#, event("7-1")),
    );
    stub.stream("GET /api/v1/events/stream", &format!("event: log\nid: 7-2\ndata: {}\n\n", event("7-2")));
    let stub = stub.start();
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(["events", "--follow"]).env_clear().env("WEIR_ADMIN_URL", &stub.url);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let streams = || {
        let asked = stub.asked().into_iter().filter(|asked| asked.route.ends_with("stream"));
        asked.map(|asked| asked.headers).collect::<Vec<_>>()
    };
    let began = std::time::Instant::now();
    while streams().len() < 2 {
        assert!(began.elapsed().as_secs() < 20, "it does not connect again");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let printed = printed(&output);
    assert!(printed.contains("event 7-1") && printed.contains("event 7-2"), "{printed}");
    assert!(printed.contains("the connection to the orchestrator is lost"), "{printed}");
    assert!(streams()[0].contains("last-event-id: 7-1\r\n"), "{}", streams()[0]);
    assert!(streams()[1].contains("last-event-id: 7-2\r\n"), "{}", streams()[1]);
}
