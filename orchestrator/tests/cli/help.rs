//! What the commands say of themselves: help, the page docs/cli.md, completions, man pages.

use std::path::Path;
use std::process::Command;

use clap::CommandFactory as _;
use weir_orchestrator::cli::Cli;

use crate::expected::{check, check_file};

/// `weir`, and every command below it, as words.
fn commands() -> Vec<Vec<String>> {
    fn below(command: &clap::Command, words: &[String], found: &mut Vec<Vec<String>>) {
        found.push(words.to_vec());
        for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
            below(command, &[words, &[command.get_name().to_owned()]].concat(), found);
        }
    }
    let mut found = Vec::new();
    below(&Cli::command(), &[], &mut found);
    found
}

/// The names under which the help texts are kept.
pub fn names() -> Vec<String> {
    commands().iter().map(|words| [&["weir".to_owned()], words.as_slice()].concat().join("-")).collect()
}

fn weir(words: &[String], flag: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    let output = command.args(words).arg(flag).env_clear().output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_command_has_its_help() {
    for (words, name) in commands().iter().zip(names()) {
        let help = weir(words, "--help");
        check(&format!("help-{name}.txt"), &help);
        let wide = help.lines().find(|line| line.chars().count() > 100);
        assert_eq!(wide, None, "{name}: more than 100 columns");
        // What a person calls is taught by example; a command that only has others below it shows theirs.
        assert!(help.contains("Examples:") || words.len() == 2, "{name} shows no example");
    }
}

/// `docs/cli.md` has the help of every command, as it is, behind an introduction that is written by hand.
#[test]
fn the_page_has_every_command() {
    const MARK: &str =
        "<!-- From here on written by `WEIR_BLESS=1 cargo test -p weir-orchestrator --test cli`. -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (introduction, _) = page.split_once(MARK).expect("docs/cli.md has no mark for what is generated");
    let mut text = format!("{introduction}{MARK}");
    for words in commands().iter().filter(|words| !words.is_empty()) {
        let level = if words.len() == 1 { "##" } else { "###" };
        text += &format!("\n{level} weir {}\n\n```text\n{}```\n", words.join(" "), weir(words, "--help"));
    }
    check_file(&path, &text);
}

#[test]
fn a_real_bash_completes_commands_flags_and_values() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("weir.bash");
    let written = Command::new(env!("CARGO_BIN_EXE_weir")).args(["completions", "bash"]).output().unwrap();
    std::fs::write(&script, written.stdout).unwrap();
    let complete = |line: &str| -> Vec<String> {
        let words: Vec<&str> = line.split(' ').collect();
        let program = r#"source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
            _weir weir "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"; printf '%s\n' "${COMPREPLY[@]}""#;
        let mut bash = Command::new("bash");
        let output = bash.args(["--norc", "-c", program]).arg(&script).args(words).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    };
    assert_eq!(complete("weir work"), ["workers"]);
    assert_eq!(
        complete("weir replanning "),
        ["-h", "--config", "--help", "pause", "resume", "force", "help"]
    );
    assert_eq!(complete("weir bench --arrivals "), ["poisson", "even"]);
    assert!(complete("weir infer --t").contains(&"--top".to_owned()));
}

#[test]
fn the_other_shells_and_man_get_every_command() {
    let run = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_weir")).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for shell in ["zsh", "fish"] {
        let script = run(&["completions", shell]);
        for words in commands().iter().filter(|words| words.len() == 1) {
            assert!(script.contains(&words[0]), "{shell} does not know {words:?}");
        }
    }
    assert!(run(&["man"]).contains(".TH WEIR 1"));
    let folder = tempfile::tempdir().unwrap();
    run(&["man", "--out", folder.path().to_str().unwrap()]);
    for name in names() {
        let page = std::fs::read_to_string(folder.path().join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{name}");
    }
}
