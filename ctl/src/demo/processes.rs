//! Child processes of the demo: started with a log file, waited for until they serve, always ended.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::error::{Error, io};

/// A program that does not serve after this does not start.
const START: Duration = Duration::from_secs(20);
/// A program that has not ended this long after SIGTERM is killed.
const END: Duration = Duration::from_secs(5);
/// Between two looks into a log file.
const LOOK: Duration = Duration::from_millis(20);

/// A running program. It is in a process group of its own, so that Ctrl-C reaches only the demo,
/// which then ends it; it dies with this value in any case.
pub(crate) struct Process {
    name: String,
    log: PathBuf,
    child: Child,
    group: Option<Pid>,
}

impl Process {
    /// Starts `command` with output to `log`, which is appended to when it exists.
    pub(crate) fn start(name: &str, mut command: Command, log: &Path) -> Result<Process, Error> {
        let file = File::options().create(true).append(true).open(log);
        let file = file.map_err(|error| io("write", log, &error))?;
        let copy = file.try_clone().map_err(|error| io("write", log, &error))?;
        let program = command
            .as_std()
            .get_program()
            .to_string_lossy()
            .into_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(copy)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Error::Failed(format!("cannot start {name} ({program}): {error}")))?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Ok(Process {
            name: name.to_owned(),
            log: log.to_owned(),
            child,
            group,
        })
    }

    /// Starts a program and waits until it prints its `ready` line.
    pub(crate) async fn start_serving(
        name: &str,
        command: Command,
        log: &Path,
    ) -> Result<Process, Error> {
        let offset = std::fs::metadata(log).map_or(0, |data| data.len());
        let mut process = Process::start(name, command, log)?;
        process.wait_ready(offset).await?;
        Ok(process)
    }

    async fn wait_ready(&mut self, offset: u64) -> Result<(), Error> {
        let deadline = Instant::now() + START;
        loop {
            let text = std::fs::read(&self.log).unwrap_or_default();
            let new = text.get(offset as usize..).unwrap_or_default();
            if String::from_utf8_lossy(new)
                .lines()
                .any(|line| line.starts_with("ready"))
            {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failed(&format!("ended while starting ({status})")));
            }
            if Instant::now() > deadline {
                return Err(self.failed(&format!("is not ready after {} s", START.as_secs())));
            }
            sleep(LOOK).await;
        }
    }

    fn failed(&self, what: &str) -> Error {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        let tail: String = lines
            .iter()
            .rev()
            .map(|line| format!("\n    {line}"))
            .collect();
        Error::Failed(format!(
            "{} {what}; the end of {}:{tail}",
            self.name,
            self.log.display()
        ))
    }

    /// An error when it is not running any more.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.failed(&format!("ended by itself ({status})"))),
            Err(error) => Err(self.failed(&format!("cannot be watched: {error}"))),
        }
    }

    /// Kills it as a crash would.
    pub(crate) async fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait().await;
    }

    /// Asks it to end, and kills it when it does not. The result tells whether it ended cleanly.
    pub(crate) async fn end(&mut self) -> Result<(), Error> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return self.verdict(status);
        }
        self.signal(Signal::TERM);
        match timeout(END, self.child.wait()).await {
            Ok(Ok(status)) => self.verdict(status),
            _ => {
                self.kill().await;
                Err(self.failed(&format!(
                    "did not end within {} s of SIGTERM",
                    END.as_secs()
                )))
            }
        }
    }

    fn verdict(&self, status: ExitStatus) -> Result<(), Error> {
        match status.success() {
            true => Ok(()),
            false => Err(self.failed(&format!("ended with {status}"))),
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group.filter(|_| self.child.id().is_some()) {
            // Already gone is what we want.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn alive(process: &Process) -> bool {
        let group = process.group.unwrap();
        rustix::process::test_kill_process_group(group).is_ok()
    }

    #[tokio::test]
    async fn a_program_that_serves_is_waited_for_and_ended() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let serve = shell(
            "echo starting; echo ready on x; trap 'exit 0' TERM; while :; do sleep 0.1; done",
        );
        let mut process = Process::start_serving("x", serve, &log).await.unwrap();
        process.check().unwrap();
        process.end().await.unwrap();
        assert!(process.check().is_err());
        let log = std::fs::read_to_string(&log).unwrap();
        assert!(log.starts_with("starting\nready on x\n"), "{log}");
    }

    #[tokio::test]
    async fn a_program_that_ends_early_is_told_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let started =
            Process::start_serving("x", shell("echo no such device >&2; exit 3"), &log).await;
        let error = started.err().unwrap().to_string();
        assert!(
            error.contains("x ended while starting (exit status: 3)"),
            "{error}"
        );
        assert!(error.ends_with("no such device"), "{error}");
    }

    /// No process outlives the demo, nor do the children of one.
    #[tokio::test]
    async fn a_dropped_program_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let stubborn = shell("trap '' TERM INT; echo ready; sleep 1000 & wait; sleep 1000");
        let process = Process::start_serving("x", stubborn, &log).await.unwrap();
        assert!(alive(&process));
        let group = process.group.unwrap();
        drop(process);
        let deadline = Instant::now() + Duration::from_secs(5);
        while rustix::process::test_kill_process_group(group).is_ok() {
            assert!(Instant::now() < deadline, "still there");
            sleep(LOOK).await;
        }
    }
}
