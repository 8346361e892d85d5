//! Configuration files, with the real programs: what is refused and in which words, and what beats what.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use weir_shared::ids::{PeerName, Role};
use weir_shared::transport::Authority;

use crate::support::worker_binary;

struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap() };
        let authority = Authority::create().unwrap();
        for (role, name) in [(Role::Orchestrator, "main"), (Role::Worker, "camera")] {
            authority.issue(&PeerName::new(role, name).unwrap()).unwrap().save(&site.path(name)).unwrap();
        }
        // The shipped network with its manifest and labels.
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/shapes-resnet20.safetensors");
        std::os::unix::fs::symlink(models, site.path("weights")).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `weir config` for a file, in which DIR stands for the folder.
    fn config(&self, what: &str, text: &str, environment: &[(&str, &str)]) -> (Option<i32>, String) {
        let file = self.path("weir.toml");
        std::fs::write(&file, text.replace("DIR", &self.folder.path().display().to_string())).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(["config", what]).arg(&file).arg("--bin-dir").arg(worker_binary().parent().unwrap());
        let output = command.env_clear().envs(environment.iter().copied()).output().unwrap();
        (output.status.code(), printed(&output).replace(&self.folder.path().display().to_string(), "DIR"))
    }
}

fn printed(output: &Output) -> String {
    String::from_utf8([output.stdout.as_slice(), &output.stderr].concat()).unwrap()
}

const FILE: &str = r#"
[orchestrator]
certs = "DIR/main"
arch = "resnet20"
weights = "DIR/weights"
workers = 2

[worker]
certs = "DIR/camera"
cache = "DIR/layers"
threads = 2
power_budget_watts = 5.5

[weir]
admin = "http://192.0.2.1:7610"
"#;

#[test]
fn a_file_for_all_programs_is_checked_by_each() {
    let site = Site::new();
    let (status, told) = site.config("check", FILE, &[]);
    assert_eq!(
        (status, told.as_str()),
        (Some(0), "[orchestrator] can be used\n[worker] can be used\n[weir] can be used\n")
    );
    assert!(!site.path("layers").exists(), "asking changes nothing");
    let (status, shown) = site.config("show", FILE, &[("WEIR_THREADS", "4")]);
    assert_eq!(status, Some(0), "{shown}");
    for line in [
        "[orchestrator]",
        "arch = \"resnet20\"    # file",
        "workers = 2    # file",
        "listen = \"0.0.0.0:7600\"    # default",
        "# plan is not set",
        "[worker]",
        "threads = 4    # environment",
        "power_budget_watts = 5.5    # file",
        "admin = \"http://192.0.2.1:7610\"    # file",
        "http = \"http://127.0.0.1:8080\"    # default",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is not shown:\n{shown}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_table() {
    let site = Site::new();
    let check = |from: &str, to: &str, status: i32, expect: &str| {
        assert!(FILE.contains(from));
        let (found, told) = site.config("check", &FILE.replace(from, to), &[]);
        assert!(found == Some(status) && told.contains(expect), "{from} -> {to}: {found:?} {told}");
    };
    check("threads = 2", "thread = 2", 2, "weir.toml: unknown key thread in [worker]; did you mean threads?");
    check("threads = 2", "threads = 0", 2, "threads in [worker] cannot be used");
    check("resnet20", "vgg16", 2, "arch in [orchestrator] cannot be used: unknown network \"vgg16\"");
    check(
        "[weir]",
        "[wier]",
        2,
        "unknown table [wier]; the tables are [orchestrator], [weir], [worker]; did you mean weir?",
    );
    check("admin = ", "admins = ", 2, "unknown key admins in [weir]; did you mean admin?");
    check("workers = 2", "workers 2", 2, "is not TOML");
    check("DIR/main", "DIR/nobody", 1, "DIR/nobody");
    check("DIR/weights", "DIR/nothing", 1, "DIR/nothing");
    check("certs = \"DIR/camera\"\n", "", 2, "--certs <DIR>");
    let (status, told) = site.config("check", "workers = 2", &[]);
    assert!(status == Some(2) && told.contains("workers stands outside of a table"), "{told}");
}

#[test]
fn weir_takes_addresses_from_the_file_the_environment_and_flags() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weir.toml");
    std::fs::write(&file, "[weir]\nadmin = \"http://127.0.0.1:1\"\n").unwrap();
    let run = |words: &[&str], environment: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        printed(&command.args(words).env_clear().envs(environment.iter().copied()).output().unwrap())
    };
    let config = file.to_str().unwrap();
    let asks = |told: &str, port: u16| {
        let expect = format!("no orchestrator answers at http://127.0.0.1:{port}/");
        assert!(told.contains(&expect), "{told}");
    };
    asks(&run(&["workers"], &[("WEIR_CONFIG", config)]), 1);
    asks(&run(&["--config", config, "plan", "history"], &[]), 1);
    asks(&run(&["status", "--config", config], &[]), 1);
    let environment = [("WEIR_CONFIG", config), ("WEIR_ADMIN_URL", "http://127.0.0.1:2")];
    asks(&run(&["workers"], &environment), 2);
    asks(&run(&["workers", "--admin", "http://127.0.0.1:3"], &environment), 3);
    let told = run(&["workers"], &[("WEIR_CONFIG", "/nowhere.toml")]);
    assert!(told.contains("cannot read the configuration file /nowhere.toml"), "{told}");
}
