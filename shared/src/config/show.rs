//! The settings that hold, as the table of a configuration file, each with where it comes from.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use super::arguments::{Completed, is_setting};

/// The lines of the table `name`, in the order of the help.
pub fn lines(name: &str, command: &Command, matches: &ArgMatches, completed: &Completed) -> Vec<String> {
    let mut lines = vec![format!("[{name}]")];
    let settings = command.get_arguments().filter(|argument| is_setting(argument));
    lines.extend(settings.map(|argument| line(argument, matches, completed)));
    lines
}

/// The lines of the table `name`, for a program with many commands: what the file and the environment say, and defaults.
pub fn all(name: &str, command: &Command, completed: &Completed) -> Vec<String> {
    let mut lines = vec![format!("[{name}]")];
    for argument in super::arguments::keys(command) {
        let arguments = completed.settings.iter().find(|(key, _)| key == argument.get_id().as_str());
        let default = argument.get_default_values().first();
        let variable = argument.get_env().and_then(std::env::var_os);
        let key = argument.get_id().as_str();
        let text = |value: &std::ffi::OsStr| toml_value(&value.to_string_lossy());
        lines.push(match (variable, arguments, default) {
            (Some(value), ..) => format!("{key} = {}    # environment", text(&value)),
            (None, Some((_, values)), _) => format!("{key} = {}    # file", toml_value(&values.join(","))),
            (None, None, Some(value)) => format!("{key} = {}    # default", text(value)),
            (None, None, None) => format!("# {key} is not set"),
        });
    }
    lines
}

fn line(argument: &Arg, matches: &ArgMatches, completed: &Completed) -> String {
    let key = argument.get_id().as_str();
    let values: Vec<String> = matches
        .get_raw(key)
        .map(|values| values.map(|value| toml_value(&value.to_string_lossy())).collect())
        .unwrap_or_default();
    let origin = match matches.value_source(key) {
        None => return format!("# {key} is not set"),
        Some(ValueSource::DefaultValue) => "default",
        Some(ValueSource::EnvVariable) => "environment",
        Some(_) if completed.from_file.iter().any(|from_file| from_file == key) => "file",
        Some(_) => "flag",
    };
    let value = match values.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        more => format!("[{}]", more.join(", ")),
    };
    format!("{key} = {value}    # {origin}")
}

/// A number or a truth as it is, and everything else in quotes.
fn toml_value(text: &str) -> String {
    let bare = text.parse::<i64>().is_ok_and(|number| number.to_string() == text)
        || ["true", "false"].contains(&text);
    let float = text.parse::<f64>().is_ok_and(|number| number.is_finite()) && text.contains('.');
    if bare || (float && text.starts_with(|letter: char| letter.is_ascii_digit())) {
        text.to_owned()
    } else {
        toml::Value::String(text.to_owned()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_shown_with_its_origin() {
        let command = Command::new("x")
            .arg(Arg::new("admin").long("admin").env("T_SHOW_ADMIN").default_value("127.0.0.1:7602"))
            .arg(Arg::new("threads").long("threads").env("T_SHOW_THREADS"))
            .arg(Arg::new("watts").long("watts").env("T_SHOW_WATTS"))
            .arg(Arg::new("cache").long("cache").env("T_SHOW_CACHE"))
            .arg(Arg::new("help-me").long("help-me"));
        let arguments = ["x", "--threads=2", "--watts", "2.5"].map(Into::into).to_vec();
        let matches = command.clone().get_matches_from(&arguments);
        let completed =
            Completed { arguments, from_file: vec!["threads".to_owned()], settings: Vec::new(), file: None };
        let expect = [
            "[x]",
            "admin = \"127.0.0.1:7602\"    # default",
            "threads = 2    # file",
            "watts = 2.5    # flag",
            "# cache is not set",
        ];
        assert_eq!(lines("x", &command, &matches, &completed), expect);
    }
}
