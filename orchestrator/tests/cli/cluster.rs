//! The commands that look at a cluster and steer it, on a small real one that asks for a token.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::images::site;
use crate::support::{Cluster, Site};

/// Nothing here takes longer, even on two busy cores.
const PATIENCE: Duration = Duration::from_secs(60);

struct Operator<'a> {
    cluster: &'a Cluster<'a>,
    token: PathBuf,
}

impl Operator<'_> {
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(line.split_whitespace()).current_dir(self.cluster.site.folder.path());
        command.env("WEIR_ADMIN_URL", format!("http://{}", self.cluster.admin));
        command.env("WEIR_TOKEN_FILE", &self.token).env_remove("WEIR_OUTPUT").stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = self.command(line).output().unwrap();
        (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
    }

    /// The exit status must be `status` and what is printed contain `expect`.
    fn check(&self, line: &str, status: i32, expect: &str) -> String {
        let (found, printed) = self.run(line);
        assert_eq!(found, Some(status), "weir {line}: {printed}\n{}", self.cluster.logs());
        assert!(printed.contains(expect), "weir {line} should say {expect:?}, but says:\n{printed}");
        printed
    }

    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.check(&format!("{line} --output json"), 0, "")).unwrap()
    }

    fn until(&self, line: &str, story: &str, is_so: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let (_, printed) = self.run(line);
            if is_so(&printed) {
                return printed;
            }
            assert!(began.elapsed() < PATIENCE, "never came: {story}\n{printed}\n{}", self.cluster.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Who computes, in the order of the stages.
    fn stages(&self) -> Vec<String> {
        let plan = self.json("plan");
        let stages = plan["stages"].as_array().unwrap().iter().filter(|stage| stage["bypassed"] == false);
        stages.map(|stage| stage["worker"].as_str().unwrap().to_owned()).collect()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.cluster.site.path(name), text).unwrap();
    }
}

/// Follows events in a process that does not outlive the test.
struct Follower(Child);

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(site: &Site) -> (Cluster<'_>, PathBuf) {
    let token = site.path("token");
    std::fs::write(&token, "correct-horse-battery-staple\n").unwrap();
    let profile = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models/shapes-resnet20.profile.json");
    let (token_text, profile) = (token.display().to_string(), profile.display().to_string());
    let more = ["--planner", "adaptive", "--profile", &profile, "--admin-token-file", &token_text];
    (site.start(&["camera", "attic"], &more), token)
}

#[test]
fn an_operator_looks_at_a_cluster_and_steers_it() {
    let site = site();
    let (mut cluster, token) = start(&site);
    let weir = Operator { cluster: &cluster, token: token.clone() };
    weir.until("status", "requests would be answered", |printed| printed.starts_with("ready      yes"));
    let mut bare = weir.command("workers");
    let refused = bare.env_remove("WEIR_TOKEN_FILE").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--token-file"));

    weir.check("workers", 0, "camera");
    weir.check("workers show attic", 0, "macs_per_second");
    weir.check("workers show nobody", 1, "nobody");
    weir.check("links", 0, "goodput");
    weir.check("events", 0, "worker_joined");
    weir.check("plan history", 0, "first");
    weir.check("top", 0, "re-planning running");

    // The policy, with the tag of what it was made of.
    let policy = weir.check("policy get", 0, "# etag: ");
    weir.write("home.toml", &format!("{policy}# mine\n"));
    weir.check("policy set --dry-run home.toml", 0, "nothing was changed");
    weir.check("policy set home.toml", 0, "in force");
    weir.check("policy get", 0, "# mine");
    weir.check("policy set home.toml", 1, "somebody has changed the policy meanwhile");
    weir.write("bad.toml", "[bounds]\nlatency = 1\n");
    weir.check("policy set bad.toml", 1, "latency");

    weir.check("replanning pause", 0, "re-planning is paused");
    weir.check("top --once", 0, "re-planning paused");
    weir.check("replanning resume", 0, "re-planning is running");

    weir.check("plan solve", 0, "objective");
    assert!(weir.json("plan solve --pareto").as_array().is_some_and(|front| !front.is_empty()));

    weir.check("pins set --off F:layer3.2", 0, "pinned off  F:layer3.2");
    weir.check("pins set --off F:layer9.9", 1, "layer9.9");
    weir.check("replanning force", 0, "re-planning is running");
    weir.until("plan", "the pinned branch is off", |printed| printed.contains("F:layer3.2"));
    weir.check("pins set", 0, "pinned off  nothing");

    // On loopback one worker computes all. It leaves, and comes back.
    let first = weir.stages()[0].clone();
    weir.check(&format!("workers drain {first}"), 0, "leaves the plan");
    weir.until("workers", "the worker is out of the plan", |printed| printed.contains(", draining"));
    let began = Instant::now();
    while weir.stages().contains(&first) {
        assert!(began.elapsed() < PATIENCE, "{first} stays in the plan");
        std::thread::sleep(Duration::from_millis(50));
    }
    weir.check(&format!("workers uncordon {first}"), 0, "may use");

    weir.write("plan.toml", "workers = [\"camera\", \"attic\"]\ncuts = [\"layer2.0.conv1\"]\n");
    weir.check("plan apply --dry-run plan.toml", 0, "nothing was changed");
    weir.check("plan apply plan.toml", 0, "re-planning is paused");
    weir.until("plan", "two stages", |printed| printed.contains("camera") && printed.contains("attic"));
    weir.write("plan.toml", "workers = [\"camera\", \"nobody\"]\ncuts = [\"layer2.0.conv1\"]\n");
    weir.check("plan apply plan.toml", 1, "nobody");
    weir.check("replanning resume", 0, "running");

    // What the planner saw and decided, again offline.
    let snapshot = weir.check("snapshot", 0, "workers");
    weir.write("now.json", &snapshot);
    weir.check("plan --snapshot now.json", 0, "objective");
    weir.check("record --out trace.jsonl --seconds 2", 0, "decisions in trace.jsonl");
    weir.check("replay trace.jsonl", 0, "decisions are as recorded");

    let log = site.path("events.log");
    let mut follow = weir.command("events --follow --kind worker_lost --limit 0");
    let follower = Follower(follow.stdout(std::fs::File::create(&log).unwrap()).spawn().unwrap());
    std::thread::sleep(Duration::from_millis(500));
    cluster.kill_worker("attic");
    let began = Instant::now();
    while !std::fs::read_to_string(&log).unwrap().contains("attic") {
        assert!(began.elapsed() < PATIENCE, "the follower does not tell of the loss\n{}", cluster.logs());
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(follower);
}
