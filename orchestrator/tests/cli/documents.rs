//! The command lines in README and docs: each that calls one of the programs must be one that the program understands.
//!
//! Lines of `weir` are read by the same code as in the program; those of the other two run with `--help` behind the
//! command, after each flag was found in the help.

use std::path::Path;
use std::process::Command;

use clap::Parser as _;
use weir_orchestrator::cli::Cli;

use crate::blocks;
use crate::support::worker_binary;

/// Shell words, up to a comment, a pipe, a redirection or the next command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.trim_start_matches("$ ").chars() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), letter) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '>' | ';' | '&' | '<') => break,
            (None, ' ') => words.extend(word.take()),
            (None, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    // "And so on."
    words.retain(|word| word != "…" && word != "...");
    // Settings before the program are the shell's.
    let is_setting = |word: &&String| {
        word.split_once('=')
            .is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
    };
    let settings = words.iter().take_while(is_setting).count();
    words.split_off(settings)
}

/// Every flag must be in the help of the command.
fn has_flags(program: &Path, words: &[String]) -> Result<(), String> {
    let command: Vec<_> = words[1..].iter().take_while(|word| !word.starts_with('-')).take(1).collect();
    let output = Command::new(program).args(&command).arg("--help").output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let help = String::from_utf8(output.stdout).unwrap();
    let known = |flag: &str| help.split_whitespace().any(|word| word.trim_end_matches(',') == flag);
    let flags = words.iter().filter(|word| word.starts_with("--") && word.len() > 2);
    let unknown = flags.map(|flag| flag.split('=').next().unwrap()).find(|flag| !known(flag));
    unknown.map_or(Ok(()), |flag| Err(format!("{flag} is unknown to {}", words[0])))
}

#[test]
fn every_command_line_in_the_documents_is_understood() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for block in blocks::all().iter().filter(|block| block.is_shell()) {
        for line in block.commands() {
            let words = words(&line);
            let orchestrator = Path::new(env!("CARGO_BIN_EXE_weir-orchestrator"));
            let result = match words.first().map(String::as_str) {
                Some("weir") => match Cli::try_parse_from(&words) {
                    Err(error) if error.use_stderr() => Err(error.to_string()),
                    _ => Ok(()),
                },
                Some("weir-orchestrator") => has_flags(orchestrator, &words),
                Some("weir-worker") => has_flags(&worker_binary(), &words),
                _ => continue,
            };
            seen += 1;
            if let Err(why) = result {
                wrong.push(format!("{}: {line}\n  {why}", block.place));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 15, "only {seen} command lines were found: are they looked for in the right place?");
}

/// The examples of the help texts, too: those that begin with `weir`.
#[test]
fn every_example_in_the_help_is_understood() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for block in blocks::helps() {
        for line in block.commands().iter().filter(|line| line.starts_with("weir ")) {
            seen += 1;
            match Cli::try_parse_from(words(line)) {
                Err(error) if error.use_stderr() => wrong.push(format!("{}: {line}\n  {error}", block.place)),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 50, "only {seen} examples were found");
}

#[test]
fn words_are_those_of_a_shell() {
    let line = "$ WEIR_THREADS=4 weir infer 'a b.png' \"c\" --top=1 # what is it? | less";
    assert_eq!(words(line), ["weir", "infer", "a b.png", "c", "--top=1"]);
    assert_eq!(words("weir snapshot > now.json"), ["weir", "snapshot"]);
}
