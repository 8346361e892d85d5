//! The processes of a demonstration: started with a log file each, stopped in order, and never left behind.
//!
//! Always true: a process ends when this struct is dropped, also by an error or a panic. It has a process group of
//! its own: Ctrl-C reaches this program alone, which then stops the others in an order in which they can drain.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, setpriority_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Nobody waits for an answer any more, so draining takes a moment; a process that needs longer than this is stuck.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// Lines of a log that are shown where something went wrong.
const TAIL_LINES: usize = 12;

/// Bytes read for them.
const TAIL_BYTES: u64 = 16 * 1024;

/// All processes, in the order in which they were started.
#[derive(Debug, Default)]
pub struct Processes {
    running: Vec<Process>,
    /// Names of all that were ever started.
    started: BTreeSet<String>,
}

#[derive(Debug)]
struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

/// A process has ended that should run, or did not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It was not started.
    #[error("cannot start {} or write its log {}", program.display(), log.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Its log.
        log: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It ended by itself.
    #[error("{name} has ended ({status}); its log {} ends:\n{tail}", log.display())]
    Ended {
        /// Its name.
        name: String,
        /// How.
        status: ExitStatus,
        /// Where its log is.
        log: PathBuf,
        /// The end of it.
        tail: String,
    },
    /// It did not end when told to.
    #[error("{name} did not end within {} s of SIGTERM and was killed; see {}", STOP_LIMIT.as_secs(), log.display())]
    Stuck {
        /// Its name.
        name: String,
        /// Where its log is.
        log: PathBuf,
    },
    /// The system does not tell.
    #[error("cannot learn what became of {name}")]
    Unknown {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Processes {
    /// Starts `program`; what it prints goes to `log`.
    ///
    /// # Errors
    /// If the system does not start it, or the log cannot be written.
    pub fn start(
        &mut self,
        name: &str,
        program: &Path,
        arguments: &[String],
        log: &Path,
    ) -> Result<(), ProcessError> {
        let spawn = || {
            // A process that is started again goes on in its log.
            let fresh = !self.started.contains(name);
            let mut options = File::options();
            options.create(true).write(true).truncate(fresh).append(!fresh);
            let output = options.open(log)?;
            let mut command = Command::new(program);
            command.args(arguments).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
            // Logs are files: no colours in them.
            command.process_group(0).kill_on_drop(true).spawn()
        };
        let child = spawn().map_err(|source| ProcessError::Start {
            program: program.to_owned(),
            log: log.to_owned(),
            source,
        })?;
        self.started.insert(name.to_owned());
        self.running.push(Process { name: name.to_owned(), log: log.to_owned(), child });
        Ok(())
    }

    /// Gives a process a `nice` value; its threads inherit it. A system that refuses leaves it as it was.
    pub fn nice(&self, name: &str, value: u8) {
        let process = self.running.iter().find(|process| process.name == name);
        let id = process.and_then(Process::id).filter(|_| value > 0);
        if let Some(Err(error)) = id.map(|id| setpriority_process(Some(id), i32::from(value))) {
            tracing::warn!(name, %error, "cannot set the nice value");
        }
    }

    /// Kills a process with SIGKILL, as a power cut would, and waits until it is gone. From then on it is not
    /// missed; one that is not there has nothing to lose.
    ///
    /// # Errors
    /// If the system refuses.
    pub async fn kill(&mut self, name: &str) -> Result<(), ProcessError> {
        let Some(place) = self.running.iter().position(|process| process.name == name) else {
            return Ok(());
        };
        let mut process = self.running.remove(place);
        let killed = process.child.kill().await;
        killed.map_err(|source| ProcessError::Unknown { name: name.to_owned(), source })
    }

    /// Whether all of them run.
    ///
    /// # Errors
    /// Names the first that does not, with the end of its log.
    pub fn check(&mut self) -> Result<(), ProcessError> {
        for Process { name, log, child } in &mut self.running {
            let ended = child.try_wait();
            let ended = ended.map_err(|source| ProcessError::Unknown { name: name.clone(), source })?;
            if let Some(status) = ended {
                return Err(ProcessError::Ended {
                    name: name.clone(),
                    status,
                    tail: tail(log),
                    log: log.clone(),
                });
            }
        }
        Ok(())
    }

    /// Ends all with SIGTERM: first the one that was started first, then the others at once. Returns what did not
    /// go as it should.
    ///
    /// Each has the chance to end well: only one that does not within the limit is killed.
    pub async fn stop(&mut self) -> Vec<ProcessError> {
        let mut wrong = Vec::new();
        wrong.extend(self.check().err());
        let others = self.running.split_off(self.running.len().min(1));
        for group in [std::mem::take(&mut self.running), others] {
            stop_group(group, &mut wrong).await;
        }
        wrong
    }
}

async fn stop_group(group: Vec<Process>, wrong: &mut Vec<ProcessError>) {
    for process in &group {
        process.terminate();
    }
    for Process { name, log, mut child } in group {
        match timeout(STOP_LIMIT, child.wait()).await {
            Ok(Ok(status)) if status.success() => (),
            // One that had ended before has been named already.
            Ok(Ok(status)) if wrong.is_empty() => {
                let tail = tail(&log);
                wrong.push(ProcessError::Ended { name, status, log, tail });
            }
            Ok(Ok(_)) => (),
            Ok(Err(source)) => wrong.push(ProcessError::Unknown { name, source }),
            Err(_) => {
                // Dropping it does the same if this fails.
                let _ = child.kill().await;
                wrong.push(ProcessError::Stuck { name, log });
            }
        }
    }
}

impl Process {
    /// The shell's `kill` is in every POSIX system and needs no unsafe code. The number is still this child's:
    /// it is not given to another process before we have waited for it.
    fn terminate(&self) {
        if let Some(Err(error)) = self.id().map(|id| kill_process(id, Signal::TERM)) {
            tracing::warn!(name = self.name, %error, "cannot send SIGTERM");
        }
    }
}

impl Process {
    fn id(&self) -> Option<Pid> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }
}

/// The last lines of a log, indented; a log that cannot be read is said to be so.
pub fn tail(log: &Path) -> String {
    let read = || {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_else(|error| format!("(cannot be read: {error})"));
    let lines: Vec<_> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    last.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(processes: &mut Processes, script: &str, log: &Path) {
        let arguments = ["-c".to_owned(), script.to_owned()];
        processes.start("attic", Path::new("/bin/sh"), &arguments, log).unwrap();
    }

    #[tokio::test]
    async fn a_process_that_listens_ends_well() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("attic.log");
        let mut processes = Processes::default();
        shell(&mut processes, "trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done", &log);
        while !std::fs::read_to_string(&log).unwrap().contains("up") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        processes.check().unwrap();
        assert!(processes.stop().await.is_empty());
    }

    #[tokio::test]
    async fn a_process_that_dies_is_named_with_the_end_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut processes = Processes::default();
        shell(&mut processes, "echo no memory >&2; exit 7", &folder.path().join("attic.log"));
        let error = loop {
            if let Err(error) = processes.check() {
                break error.to_string();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert!(error.contains("attic has ended") && error.contains("no memory"), "{error}");
        assert_eq!(processes.stop().await.len(), 1);
    }

    #[tokio::test]
    async fn one_that_is_killed_on_purpose_is_not_missed_and_goes_on_in_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("attic.log");
        let mut processes = Processes::default();
        let loops = "trap 'exit 0' TERM; while :; do sleep 0.01; done";
        for line in ["first", "second"] {
            shell(&mut processes, &format!("echo {line}; {loops}"), &log);
            while !std::fs::read_to_string(&log).unwrap().contains(line) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            processes.kill("attic").await.unwrap();
            processes.check().unwrap();
        }
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "first\nsecond\n");
        assert!(processes.stop().await.is_empty());
    }

    #[test]
    fn a_tail_is_the_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let text: String = (0..5000).map(|line| format!("line {line}\n")).collect();
        std::fs::write(&log, text).unwrap();
        let tail = tail(&log);
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert!(tail.ends_with("line 4999"));
    }
}
