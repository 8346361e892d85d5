//! The whole way from a command line to a program's arguments.

use clap::{ArgMatches, Parser};

use super::{Completed, ConfigError, complete};

/// Arguments with what is known of where they come from.
#[derive(Debug)]
pub struct Read<T> {
    /// The arguments.
    pub arguments: T,
    /// What the file added.
    pub completed: Completed,
    /// As clap found them.
    pub matches: ArgMatches,
}

/// Reads the command line, the environment, and the table of the configuration file. On wrong arguments, and where help is
/// asked for, the process ends as clap ends it.
///
/// # Errors
/// If the file cannot be used.
pub fn read<T: Parser>(table: &'static str) -> Result<Read<T>, ConfigError> {
    let mut command = T::command();
    command.build();
    let completed = complete(table, &command, std::env::args_os().collect(), |name| std::env::var_os(name))?;
    let mut matches = T::command().get_matches_from(&completed.arguments);
    let whole = matches.clone();
    match T::from_arg_matches_mut(&mut matches) {
        Ok(arguments) => Ok(Read { arguments, completed, matches: whole }),
        Err(error) => error.format(&mut T::command()).exit(),
    }
}
