//! A command in a process group of its own, which ends with its owner: what it started as well.

use std::io;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// A running command of the scenario.
pub(crate) struct Group {
    /// Its process; whoever reads from it takes its pipes.
    pub(crate) child: Child,
    id: Option<Pid>,
}

impl Group {
    /// Starts a command with its input, output and errors. Must be called within a runtime that
    /// has I/O enabled.
    pub(crate) fn spawn(command: &str, [input, output, errors]: [Stdio; 3]) -> io::Result<Self> {
        let child = Command::new("sh")
            .arg("-c")
            .arg(command)
            .stdin(input)
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child, id })
    }

    /// Ends all that the command started; once, as the number is free for others afterwards.
    pub(crate) fn end(&mut self) {
        if let Some(id) = self.id.take() {
            let _ = kill_process_group(id, Signal::KILL);
        }
    }

    /// Lets what the command started live on, such as a server that it began again.
    pub(crate) fn leave(mut self) {
        self.id = None;
    }

    /// How the command ended, for people; it is about to.
    pub(crate) async fn fate(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => format!("the command ended ({status})"),
            Err(_) => "the command ended".to_owned(),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}
