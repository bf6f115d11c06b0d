//! A shell command that prints a number.

use std::process::Stdio;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::probe::client::Failure;
use crate::probe::record::{Readings, SeriesKind};

pub(crate) struct Shell {
    pub(crate) command: String,
    pub(crate) limit: Option<f64>,
}

/// Most bytes read of what a command prints.
const MAX_OUTPUT: u64 = 4 << 10;

impl Shell {
    pub(crate) async fn look(&self) -> Result<Readings, Failure> {
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(&self.command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut printed = Vec::new();
        if let Some(output) = child.stdout.take() {
            output.take(MAX_OUTPUT).read_to_end(&mut printed).await?;
        }
        let status = child.wait().await?;
        if !status.success() {
            return Err(Failure::passing(format!("the command failed ({status})")));
        }
        // What was printed is not repeated: it may be anything.
        let text = String::from_utf8_lossy(&printed);
        let number = text.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
        let number = number.filter(|number| number.is_finite());
        let value = number.ok_or_else(|| Failure::passing("the command printed no number"))?;
        Ok(Readings {
            values: vec![("value", SeriesKind::Gauge, "", value)],
            limits: self.limit.map(|limit| ("value", limit)).into_iter().collect(),
            facts: Vec::new(),
        })
    }
}
