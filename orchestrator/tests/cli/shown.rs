//! What commands print of a cluster, as a table and as JSON: in front of an admin API that answers the same each time.
//!
//! `tests/cli/answers` holds what an orchestrator answered; names and numbers are those of an example.

use std::path::Path;
use std::process::Command;

use crate::expected::check;
use crate::stub::Stub;

/// The name of the expected text and the command line.
pub const NAMES: [(&str, &str); 13] = [
    ("status", "status"),
    ("workers", "workers"),
    ("worker", "workers show camera"),
    ("drain", "workers drain camera"),
    ("links", "links"),
    ("plan", "plan"),
    ("history", "plan history --limit 2"),
    ("policy", "policy get"),
    ("pause", "replanning pause"),
    ("pins", "pins"),
    ("events", "events --limit 3"),
    ("log-level", "log-level"),
    ("top", "top --once"),
];

fn answers() -> Stub {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/answers");
    let mut stub = Stub::default();
    for (route, file) in [
        ("GET /api/v1/version", "version.json"),
        ("GET /api/v1/state", "state.json"),
        ("GET /api/v1/workers", "workers.json"),
        ("GET /api/v1/workers/camera", "worker.json"),
        ("POST /api/v1/workers/camera/drain", "worker.json"),
        ("GET /api/v1/links", "links.json"),
        ("GET /api/v1/plan", "plan.json"),
        ("GET /api/v1/plans?limit=2", "plans.json"),
        ("POST /api/v1/replanning/pause", "paused.json"),
        ("GET /api/v1/pins", "pins.json"),
        ("GET /api/v1/events?limit=100", "events.json"),
        ("GET /api/v1/events?limit=100&cursor=7-3", "more-events.json"),
        ("GET /api/v1/log-level", "log-level.json"),
    ] {
        stub.answer(route, 200, &std::fs::read_to_string(folder.join(file)).unwrap());
    }
    stub.answer("GET /readyz", 200, "ok\n");
    stub.answer_with(
        "GET /api/v1/policy",
        200,
        "etag: \"5f1c\"\r\n",
        "[bounds]\naccuracy_loss_points = 1.0\n",
    );
    stub
}

#[test]
fn what_is_printed_is_as_expected() {
    let stub = answers().start();
    for (name, line) in NAMES {
        let forms = if name == "top" { &["table"][..] } else { &["table", "json"] };
        for form in forms {
            let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
            command.args(line.split(' ')).env_clear().env("WEIR_ADMIN_URL", &stub.url);
            let output = command.env("WEIR_OUTPUT", form).output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success() && told.is_empty(), "{line}: {told}");
            let end = if *form == "table" { "txt" } else { "json" };
            check(&format!("{name}.{end}"), &String::from_utf8(output.stdout).unwrap());
        }
    }
}
