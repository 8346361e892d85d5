//! Each command, in front of an admin API that answers what the test says.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs `weir` away from any environment that the developer has set.
fn weir(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).env_remove("WEIR_ADMIN_URL").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The exit status must be `status`, and what is printed (on both outputs) contain all of `expect`.
fn check(arguments: &[&str], status: i32, expect: &[&str]) -> Output {
    let output = weir(arguments);
    let printed = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {printed}");
    for expect in expect {
        assert!(printed.contains(expect), "{arguments:?} should say {expect:?}, but says:\n{printed}");
    }
    output
}

#[test]
fn help_names_every_command_and_shows_examples() {
    check(&["--help"], 0, &["demo", "certs", "status", "plan", "workers", "links"]);
    check(
        &["demo", "--help"],
        0,
        &[
            "Examples:",
            "--scenario",
            "--stream",
            "--conditions",
            "congested-wifi",
            "report.html",
            "exit status",
        ],
    );
    check(&["certs", "--help"], 0, &["Examples:", "--orchestrator main", "To renew"]);
    check(&["plan", "--help"], 0, &["WEIR_ADMIN_URL", "http://127.0.0.1:7610", "json"]);
    check(&["--version"], 0, &[env!("CARGO_PKG_VERSION")]);
}

#[test]
fn wrong_arguments_end_with_2_and_say_what_is_known() {
    check(&[], 2, &["Usage"]);
    check(&["dance"], 2, &["unrecognized subcommand"]);
    check(&["demo", "--conditions", "5g"], 2, &["home is a mix", "good-wifi"]);
    check(&["demo", "--arch", "vgg16"], 2, &["unknown network", "resnet20"]);
    check(&["demo", "--workers", "99"], 2, &["1..=8"]);
    check(&["demo", "--images", "0"], 2, &["--images"]);
    check(&["demo", "--stream", "--dataset", "cifar10"], 2, &["--data <DIR>"]);
    check(&["demo", "--images", "3"], 2, &["--stream"]);
    check(&["demo", "--scenario", "/nowhere.toml"], 1, &["cannot read the scenario /nowhere.toml"]);
    check(&["workers", "--output", "xml"], 2, &["table", "json"]);
}

#[test]
fn nobody_at_the_address_is_told_with_the_remedy() {
    for command in ["status", "plan", "workers", "links"] {
        // Port 1 is reserved and nobody listens there.
        let arguments = [command, "--admin", "http://127.0.0.1:1"];
        check(&arguments, 1, &["no orchestrator answers at http://127.0.0.1:1", "WEIR_ADMIN_URL"]);
        check(&[command, "--admin", "127.0.0.1:7610"], 1, &["write it as http://host:port"]);
    }
}

#[test]
fn certs_makes_an_authority_once_and_adds_peers_later() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("certs");
    let out = out.to_str().unwrap();
    let arguments =
        ["certs", "--out", out, "--orchestrator", "main", "--worker", "camera", "--worker", "attic"];
    check(&arguments, 0, &["made authority", "made orchestrator main", "made worker attic", "90 days"]);
    for (file, mode) in
        [("ca/ca.key", 0o600), ("worker/attic/tls.key", 0o600), ("worker/attic/tls.crt", 0o644)]
    {
        let metadata = std::fs::metadata(Path::new(out).join(file)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{file}");
    }
    let authority = std::fs::read(Path::new(out).join("ca/ca.crt")).unwrap();
    check(
        &["certs", "--out", out, "--worker", "attic", "--worker", "porch"],
        0,
        &["kept authority", "kept worker attic", "made worker porch"],
    );
    assert_eq!(std::fs::read(Path::new(out).join("ca/ca.crt")).unwrap(), authority);
    check(&["certs", "--out", out, "--worker", "Porch"], 1, &["only lower-case letters"]);
    check(&["certs", "--out", "/proc/weir", "--worker", "porch"], 1, &["/proc/weir"]);
    std::fs::remove_file(Path::new(out).join("ca/ca.key")).unwrap();
    check(&["certs", "--out", out], 1, &["ca.crt but no ca.key"]);
}

#[test]
fn demo_without_binaries_or_weights_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    check(&["demo", "--out", path, "--bin-dir", path], 1, &["weir-orchestrator is not in", "make build"]);
    for name in ["weir-orchestrator", "weir-worker"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let arguments = ["demo", "--out", path, "--bin-dir", path, "--weights", "/nowhere.safetensors"];
    check(&arguments, 1, &["/nowhere.safetensors", "weir-worker train"]);
    check(&["demo", "--out", "/proc/weir"], 1, &["/proc/weir", "--out"]);
}

/// Answers each path with its status and body, for as long as the test runs. Returns the address.
fn stub(answers: &'static [(&'static str, u16, &'static str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let request = lines.next().unwrap_or_default();
            // The headers end with an empty line; a GET has no body.
            lines.find(String::is_empty);
            let path = request.split(' ').nth(1).unwrap_or_default();
            let found = answers.iter().find(|(known, ..)| *known == path);
            let (_, status, body) = found.unwrap_or(&("", 404, r#"{"title":"Unknown route"}"#));
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} -\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
            stream.write_all((head + body).as_bytes()).unwrap();
        }
    });
    format!("http://{address}")
}

const PLAN: &str = r#"{"term":3,"epoch":2,"hash":"ab12cd34ef56","network":"resnet20","active_off":"F:layer2.1",
    "batch_norm":"folded","max_batch":8,"admitting":true,"stages":[{"index":0,"worker":"camera","layers":{"start":0,"end":29},
    "first":"stem","last":"head","macs":40813184,"weight_bytes":1088616,"bypassed":false}],
    "routes":[{"from":"main","to":"camera","address":"127.0.0.1:4001","encoding":"f32"}],"added_later":1}"#;

const WORKERS: &str = r#"{"workers":[{"name":"camera","state":"connected","address":"127.0.0.1:7601","threads":1,
    "release":"0.1.0","stage":0,"executions":200,"compute_seconds":0.5,"queue_length":3,"weight_bytes":1088616,
    "resident_bytes":130000000,"report_age_seconds":0.12}]}"#;

const LINKS: &str = r#"{"links":[{"from":"main","to":"camera","up":true,"rtt_seconds":0.0123,"activations":200,
    "sent_bytes":2457600,"packets_sent":2000,"packets_lost":7}]}"#;

#[test]
fn a_cluster_is_shown_as_tables_and_as_json() {
    let admin = stub(&[
        ("/readyz", 200, "ok\n"),
        ("/api/v1/version", 200, r#"{"release":"0.1.0","protocol":2}"#),
        ("/api/v1/plan", 200, PLAN),
        ("/api/v1/workers", 200, WORKERS),
        ("/api/v1/links", 200, LINKS),
    ]);
    check(
        &["plan", "--admin", &admin],
        0,
        &["plan 3.2 of resnet20", "F:layer2.1", "camera  stem", "40.8 M", "f32"],
    );
    check(&["workers", "--admin", &admin], 0, &["camera  connected", "2.5", "1.09 MB"]);
    check(&["links", "--admin", &admin], 0, &["main  camera  up", "12.3", "2.46 MB"]);
    check(
        &["status", "--admin", &admin],
        0,
        &["ready      yes", "1 of 1 connected", "1 of 1 of the plan are up"],
    );
    for (command, field) in
        [("plan", "epoch"), ("workers", "workers"), ("links", "links"), ("status", "plan")]
    {
        let output = check(&[command, "--admin", &admin, "--output", "json"], 0, &[]);
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(!json[field].is_null(), "{command}: {json}");
    }
    let from_environment =
        Command::new(env!("CARGO_BIN_EXE_weir")).arg("plan").env("WEIR_ADMIN_URL", &admin).output().unwrap();
    assert!(from_environment.status.success());
}

#[test]
fn a_cluster_without_a_plan_says_what_it_waits_for() {
    let admin = stub(&[
        ("/readyz", 503, "no plan is committed\n"),
        ("/api/v1/version", 200, r#"{"release":"0.1.0","protocol":2}"#),
        (
            "/api/v1/plan",
            404,
            r#"{"title":"No plan","detail":"no plan is committed yet. 1 of 4 workers are here"}"#,
        ),
        ("/api/v1/workers", 200, r#"{"workers":[]}"#),
        ("/api/v1/links", 200, r#"{"links":[]}"#),
    ]);
    check(&["plan", "--admin", &admin], 1, &["error: no plan is committed yet. 1 of 4 workers are here"]);
    check(
        &["status", "--admin", &admin],
        1,
        &["ready      no: no plan is committed yet. 1 of 4", "plan       none"],
    );
    check(&["workers", "--admin", &admin], 0, &["weir-worker serve"]);
    check(&["links", "--admin", &admin], 0, &["no links yet"]);
}

#[test]
fn another_server_at_the_address_is_told_apart() {
    let admin = stub(&[("/api/v1/plan", 200, "<html>"), ("/api/v1/workers", 500, "out of order")]);
    check(&["plan", "--admin", &admin], 1, &["is this the --admin address of a weir-orchestrator"]);
    check(&["workers", "--admin", &admin], 1, &["/api/v1/workers: out of order"]);
}
