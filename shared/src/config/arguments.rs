//! Puts the settings of a file where flags would stand, unless a flag or the environment says otherwise.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::error::{ContextKind, ErrorKind};
use clap::{Arg, ArgAction, Command};

use super::VARIABLE;
use super::file::{ConfigError, File};
use super::nearest::hint;

/// Flags about the file itself and about clap are no settings.
const NOT_SETTINGS: [&str; 5] = ["config", "check_config", "show_config", "help", "version"];

/// A command line with what the file adds.
#[derive(Debug, Clone, PartialEq)]
pub struct Completed {
    /// The arguments, the program's name first.
    pub arguments: Vec<OsString>,
    /// Names of the arguments that were taken from the file.
    pub from_file: Vec<String>,
    /// All settings of the file, also those that are overridden.
    pub settings: Vec<(String, Vec<String>)>,
    /// The file, where there is one.
    pub file: Option<PathBuf>,
}

/// Completes `arguments` of `command` from the table of the file that `--config` or the environment names.
///
/// `environment` looks a variable up. Every key is checked, also those that a flag overrides.
///
/// # Errors
/// If the file cannot be used.
pub fn complete(
    table: &'static str,
    command: &Command,
    mut arguments: Vec<OsString>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Completed, ConfigError> {
    let named = value_of(&arguments, "--config").or_else(|| environment(VARIABLE));
    let Some(path) = named.filter(|path| !path.is_empty()).map(PathBuf::from) else {
        return Ok(Completed { arguments, from_file: Vec::new(), settings: Vec::new(), file: None });
    };
    let file = File::read(&path)?;
    let known = keys(command);
    let (at, running) = place(command, &arguments);
    let (mut added, mut from_file) = (Vec::new(), Vec::new());
    let settings = file.settings(table)?;
    for (key, values) in &settings {
        let Some(argument) = known.iter().find(|argument| argument.get_id().as_str() == *key) else {
            let key = key.clone();
            let hint = hint(&key, known.iter().map(|argument| argument.get_id().as_str()));
            return Err(ConfigError::Key { path: file.path().to_owned(), table, key, hint });
        };
        try_alone(argument, values).map_err(|reason| {
            let path = file.path().to_owned();
            ConfigError::Value { path, table, key: key.clone(), reason }
        })?;
        let variable = argument.get_env().and_then(OsStr::to_str).and_then(&environment);
        let taken = running.get_arguments().any(|argument| argument.get_id().as_str() == *key);
        if taken && variable.is_none() && !is_given(&arguments, argument) {
            added.extend(flags(argument, argument.get_long().unwrap_or_default(), values));
            from_file.push(key.clone());
        }
    }
    arguments.splice(at..at, added);
    Ok(Completed { arguments, from_file, settings, file: Some(path) })
}

/// The settings of a program: those of all its commands.
pub(super) fn keys(command: &Command) -> Vec<&Arg> {
    let own = command.get_arguments().filter(|argument| is_setting(argument));
    let mut found: Vec<&Arg> = own.collect();
    for below in command.get_subcommands().flat_map(keys) {
        if !found.iter().any(|known| known.get_id() == below.get_id()) {
            found.push(below);
        }
    }
    found
}

/// What can be set: a flag with a value that can be given as an environment variable too.
pub(super) fn is_setting(argument: &Arg) -> bool {
    let named = argument.get_long().is_some() && argument.get_env().is_some();
    named && !NOT_SETTINGS.contains(&argument.get_id().as_str())
}

/// Where flags of the command that is called may stand, and that command.
fn place<'a>(command: &'a Command, arguments: &[OsString]) -> (usize, &'a Command) {
    let (mut at, mut running) = (1, command);
    while let Some(word) = arguments.get(at).and_then(|word| word.to_str()) {
        if word == "--config" {
            at += 2;
        } else if word.starts_with("--config=") {
            at += 1;
        } else if let Some(below) = running.find_subcommand(word) {
            (at, running) = (at + 1, below);
        } else {
            break;
        }
    }
    (at.min(arguments.len()), running)
}

/// The values as flags of the name `long`.
fn flags(argument: &Arg, long: &str, values: &[String]) -> Vec<OsString> {
    if matches!(argument.get_action(), ArgAction::SetTrue) {
        let on = values.iter().all(|value| value == "true");
        return if on { vec![format!("--{long}").into()] } else { Vec::new() };
    }
    values.iter().map(|value| format!("--{long}={value}").into()).collect()
}

/// The value of `--name VALUE` or `--name=VALUE`.
fn value_of(arguments: &[OsString], flag: &str) -> Option<OsString> {
    let mut words = arguments.iter().skip(1);
    while let Some(word) = words.next() {
        match word.to_str() {
            Some(word) if word == flag => return words.next().cloned(),
            Some("--") => return None,
            Some(word) => {
                if let Some(value) = word.strip_prefix(flag).and_then(|rest| rest.strip_prefix('=')) {
                    return Some(value.into());
                }
            }
            None => {}
        }
    }
    None
}

fn is_given(arguments: &[OsString], argument: &Arg) -> bool {
    let flag = format!("--{}", argument.get_long().unwrap_or_default());
    let begins =
        |word: &str| word.strip_prefix(&flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
    let before = arguments.iter().take_while(|word| *word != "--");
    before.filter_map(|word| word.to_str()).any(begins)
}

/// Lets clap read one setting by itself, so that what is wrong with it is told of the file and not of a flag.
fn try_alone(argument: &Arg, values: &[String]) -> Result<(), String> {
    // Whatever relates it to other arguments is left out: those are not here.
    let alone = Arg::new(argument.get_id().clone()).action(argument.get_action().clone()).long("setting");
    let alone = alone.value_parser(argument.get_value_parser().clone());
    let command = Command::new("settings").no_binary_name(true).disable_help_flag(true).arg(alone);
    match command.try_get_matches_from(flags(argument, "setting", values)) {
        Ok(_) => Ok(()),
        Err(error) => Err(reason(&error)),
    }
}

/// What clap has against a value, without the flag that it was made of.
fn reason(error: &clap::Error) -> String {
    let text = |kind| error.get(kind).map(ToString::to_string);
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    match error.kind() {
        ErrorKind::InvalidValue => {
            let known = text(ContextKind::ValidValue).unwrap_or_default();
            format!("{value:?} is none of {known}")
        }
        ErrorKind::ArgumentConflict => "it can be given once only".to_owned(),
        _ => std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        let worker = Command::new("serve")
            .arg(Arg::new("certs").long("certs").env("T_CERTS").required(true))
            .arg(Arg::new("weights").long("weights").env("T_WEIGHTS").required_unless_present("cache"))
            .arg(Arg::new("cache").long("cache").env("T_CACHE"))
            .arg(
                Arg::new("threads")
                    .long("threads")
                    .env("T_THREADS")
                    .value_parser(clap::value_parser!(u16).range(1..)),
            )
            .arg(Arg::new("planner").long("planner").env("T_PLANNER").value_parser(["adaptive", "balanced"]));
        Command::new("weir-worker").arg(Arg::new("config").long("config")).subcommand(worker)
    }

    fn run(text: &str, words: &str, environment: &[(&str, &str)]) -> Result<Completed, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weir.toml");
        std::fs::write(&path, text).unwrap();
        let mut arguments: Vec<OsString> = vec!["weir-worker".into(), "--config".into(), path.clone().into()];
        arguments.extend(words.split_whitespace().map(Into::into));
        let look =
            |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        let done = complete("worker", &command(), arguments, look);
        done.map_err(|error| error.to_string().replace(&path.display().to_string(), "weir.toml"))
    }

    fn check(text: &str, words: &str, environment: &[(&str, &str)], expect: &str) {
        let found = run(text, words, environment).unwrap().arguments;
        let words: Vec<_> = found[3..].iter().map(|word| word.to_string_lossy().into_owned()).collect();
        assert_eq!(words.join(" "), expect);
    }

    const FILE: &str = "[worker]\ncerts = 'c'\ncache = 'layers'\nthreads = 2\n";

    #[test]
    fn flags_beat_the_environment_and_that_the_file() {
        check(FILE, "serve", &[], "serve --cache=layers --certs=c --threads=2");
        check(FILE, "serve --threads 4", &[], "serve --cache=layers --certs=c --threads 4");
        check(FILE, "serve --threads=4", &[], "serve --cache=layers --certs=c --threads=4");
        check(FILE, "serve", &[("T_THREADS", "3")], "serve --cache=layers --certs=c");
        check(FILE, "", &[], "");
        let completed = run(FILE, "serve", &[]).unwrap();
        assert_eq!(completed.from_file, ["cache", "certs", "threads"]);
        // What relates settings to each other holds for those of the file.
        assert!(command().try_get_matches_from(completed.arguments).is_ok());
    }

    #[test]
    fn a_bad_setting_is_told_of_the_file_even_where_a_flag_overrides_it() {
        let check = |text: &str, expect: &str| {
            assert_eq!(run(text, "serve --threads 1", &[]).unwrap_err(), format!("weir.toml: {expect}"));
        };
        check("[worker]\nthread = 2", "unknown key thread in [worker]; did you mean threads?");
        check("[worker]\nthreads = 0", "threads in [worker] cannot be used: 0 is not in 1..=65535");
        check(
            "[worker]\nthreads = 'two'",
            "threads in [worker] cannot be used: invalid digit found in string",
        );
        check(
            "[worker]\nplanner = 'best'",
            "planner in [worker] cannot be used: \"best\" is none of adaptive, balanced",
        );
        check("[worker]\ncerts = ['a', 'b']", "certs in [worker] cannot be used: it can be given once only");
    }

    #[test]
    fn without_a_file_nothing_changes() {
        let arguments: Vec<OsString> = vec!["weir-worker".into(), "serve".into()];
        let completed = complete("worker", &command(), arguments.clone(), |_| None).unwrap();
        assert_eq!((completed.arguments, completed.file), (arguments, None));
        let look = |name: &str| (name == VARIABLE).then(|| "/nowhere.toml".into());
        let error = complete("worker", &command(), vec!["weir-worker".into()], look).unwrap_err();
        assert!(error.to_string().contains("cannot read the configuration file /nowhere.toml"));
    }
}
