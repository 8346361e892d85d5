//! Runs what the documents and the help texts show, against a small real cluster: a person who types it in must get what
//! is promised. `examples.sh` makes the files that the examples speak of, and ends what would go on for long.
//!
//! Always true: a command of a shell block is run here or is on the list `NOT_RUN`, and what is on the list is shown
//! somewhere.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::blocks::{self, Block, root};
use crate::images;
use crate::support::{Cluster, Site, free_address, worker_binary};

/// How commands begin that are not run, and why.
const NOT_RUN: [(&str, &str); 10] = [
    (
        "make ",
        "runs all tests, this one among them, or plays for minutes; orchestrator/tests/demo.rs plays short ones",
    ),
    ("weir demo", "plays for minutes; orchestrator/tests/demo.rs plays short ones"),
    (
        "docker ",
        "needs Docker; helm/tests/test_programs.py makes the images' roots and runs the programs in them",
    ),
    ("helm ", "needs a Kubernetes API; helm/tests/test_lifecycle.py runs Helm against an emulated one"),
    ("kubectl ", "needs a Kubernetes API; helm/tests starts the rendered pods as processes"),
    ("pip ", "scripts/setup-python.sh has installed the same packages, pinned"),
    ("cargo build ", "builds everything anew; make test-otlp does it"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT=", "needs that build and a collector; orchestrator/tests/otlp.rs has both"),
    ("weir man | man ", "needs the program man; orchestrator/tests/cli/help.rs reads the pages"),
    (
        "source <(weir completions ",
        "one line with a function of this shell; orchestrator/tests/cli/help.rs runs bash",
    ),
];

/// No block takes longer, even on two busy cores.
const PATIENCE: &str = "90";

const PLAN: &str = "workers = [\"camera\", \"router\"]\ncuts = [\"layer2.0.conv1\"]\n";

/// A cluster that all blocks look at and steer, and the files that they speak of.
struct Stage<'a> {
    cluster: &'a Cluster<'a>,
    stock: PathBuf,
    resnet50: PathBuf,
}

impl<'a> Stage<'a> {
    fn new(cluster: &'a Cluster<'a>) -> Self {
        let (stock, resnet50) = (cluster.site.path("stock"), cluster.site.path("resnet50.safetensors"));
        std::fs::create_dir(&stock).unwrap();
        let picture = image::RgbImage::from_fn(96, 64, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
        picture.save(stock.join("cat.jpg")).unwrap();
        let documents = blocks::all();
        for (name, file) in [("/etc/weir.toml", "weir.toml"), ("home.toml", "home.toml")] {
            let shown = |block: &&Block| block.text.starts_with(&format!("# {name}\n"));
            let block = documents.iter().find(shown).unwrap_or_else(|| panic!("no document shows {name}"));
            std::fs::write(stock.join(file), &block.text).unwrap();
        }
        std::fs::write(stock.join("plan.toml"), PLAN).unwrap();
        std::fs::write(stock.join("viewer.token"), "a-token-of-viewers-0123\n").unwrap();
        let trace = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces/a-worker-dies.jsonl");
        std::fs::copy(trace, stock.join("trace.jsonl")).unwrap();
        let mut init = Command::new(worker_binary());
        init.args(["init", "--arch", "resnet50", "--out"]).arg(&resnet50);
        assert!(init.stdout(Stdio::null()).status().unwrap().success());
        Self { cluster, stock, resnet50 }
    }

    /// Runs commands as one script in a folder of their own, and says what went wrong.
    fn run(&self, commands: &[String]) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let starts_its_own = commands.iter().any(|command| command.starts_with("weir-orchestrator "));
        let addresses = if starts_its_own {
            [free_address(), free_address(), free_address()]
        } else {
            [self.cluster.quic, self.cluster.http, self.cluster.admin]
        };
        let here = |text: &str| here(text, addresses, folder.path());
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        let settings = std::fs::read_to_string(self.stock.join("weir.toml")).unwrap();
        std::fs::write(folder.path().join("etc/weir.toml"), here(&settings)).unwrap();
        let prelude = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/examples.sh");
        let script = format!("source {}\n{}\nfinish\n", prelude.display(), here(&commands.join("\n")));

        let programs = worker_binary().parent().unwrap().to_owned();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let python = std::env::var("WEIR_TEST_PYTHON").expect(
            "WEIR_TEST_PYTHON is not set; run `make test`, or set it to scripts/setup-python.sh's output",
        );
        let [quic, http, admin] = addresses;
        let mut bash = Command::new("timeout");
        bash.args([PATIENCE, "bash", "-euo", "pipefail", "-c", &script]).current_dir(folder.path());
        bash.env("PATH", path).env("CARGO_TARGET_DIR", programs.parent().unwrap()).env("ROOT", root());
        bash.env("STOCK", &self.stock).env("RESNET50", &self.resnet50).env("WEIR_TEST_PYTHON", python);
        bash.env("QUIC", quic.to_string()).env("HTTP", http.to_string()).env("ADMIN", admin.to_string());
        bash.env("WEIR_ADMIN_URL", format!("http://{admin}")).env("WEIR_HTTP_URL", format!("http://{http}"));
        let output = bash.stdin(Stdio::null()).output().unwrap();
        if output.status.success() {
            return Ok(());
        }
        let (printed, told) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let tail = &printed[printed.floor_char_boundary(printed.len().saturating_sub(600))..];
        Err(format!("{}\n{told}\nprinted last: {tail}", output.status))
    }

    /// Runs all blocks, each by itself. Returns the beginnings of `NOT_RUN` that were met.
    fn run_all(&self, blocks: &[Block]) -> BTreeSet<&'static str> {
        let (mut left_out, mut failed) = (BTreeSet::new(), Vec::new());
        for block in blocks {
            let mut commands = block.commands();
            commands.retain(|command| {
                let listed = NOT_RUN.iter().find(|(beginning, _)| command.starts_with(beginning));
                left_out.extend(listed.map(|(beginning, _)| *beginning));
                listed.is_none()
            });
            if commands.is_empty() {
                continue;
            }
            let began = std::time::Instant::now();
            if let Err(why) = self.run(&commands) {
                failed.push(format!("{} does not work as printed: {why}", block.place));
            }
            println!("{:5.1} s  {}", began.elapsed().as_secs_f64(), block.place);
        }
        assert!(failed.is_empty(), "{}\n{}", failed.join("\n\n"), self.cluster.logs());
        left_out
    }
}

/// What the documents call by names of other machines and folders of the system, as this test has it.
fn here(text: &str, [quic, http, admin]: [SocketAddr; 3], folder: &Path) -> String {
    let mut text = text.to_owned();
    for (names, address) in [
        (&["192.0.2.1:7600"][..], quic),
        (&["192.0.2.1:8080", "127.0.0.1:8080"], http),
        (&["192.0.2.1:7610", "127.0.0.1:7610", "home-weir-admin.weir.svc:7610"], admin),
    ] {
        for name in names {
            text = text.replace(name, &address.to_string());
        }
    }
    for (theirs, ours) in
        [("/etc/weir", "etc/weir"), ("/var/lib/", "var/lib/"), ("/usr/share/man/man1", "man")]
    {
        text = text.replace(theirs, &folder.join(ours).display().to_string());
    }
    text
}

fn start(site: &Site) -> Cluster<'_> {
    let profile = root().join("models/shapes-resnet20.profile.json").display().to_string();
    let cluster = site.start(&["camera", "router"], &["--planner", "adaptive", "--profile", &profile]);
    cluster.plan_when("a plan", |_| true);
    cluster
}

#[test]
fn what_the_documents_show_works_as_printed() {
    let site = images::site();
    let cluster = start(&site);
    let (shell, other): (Vec<_>, Vec<_>) = blocks::all().into_iter().partition(Block::is_shell);
    assert!(
        shell.len() > 25,
        "only {} blocks were found: are they looked for in the right place?",
        shell.len()
    );
    // A block that somebody forgot to name is not overlooked.
    for block in &other {
        assert!(!block.language.is_empty(), "{}: say what the block is: sh, toml, text ...", block.place);
    }
    let stage = Stage::new(&cluster);
    let met = stage.run_all(&shell);
    let is_policy = |block: &&Block| {
        block.language == "toml" && ["[bounds]", "[replan]"].iter().any(|table| block.text.contains(table))
    };
    for block in other.iter().filter(is_policy) {
        let file = format!("cat > policy.toml <<'END'\n{}END", block.text);
        let checked = stage.run(&[file, "weir policy check policy.toml".to_owned()]);
        checked.unwrap_or_else(|why| panic!("{} is no policy: {why}", block.place));
    }
    let in_help = |beginning: &str| {
        blocks::helps().iter().flat_map(Block::commands).any(|command| command.starts_with(beginning))
    };
    let gone = NOT_RUN.iter().find(|(beginning, _)| !met.contains(beginning) && !in_help(beginning));
    assert_eq!(gone, None, "nothing shows this any more: take it off the list");
}

#[test]
fn what_the_help_shows_works_as_printed() {
    let site = images::site();
    let cluster = start(&site);
    Stage::new(&cluster).run_all(&blocks::helps());
}
