//! A shell command that prints a number.

use std::process::Stdio;

use tokio::io::AsyncReadExt;

use crate::probe::client::Failure;
use crate::probe::group::Group;
use crate::probe::record::{Readings, SeriesKind};

pub(crate) struct Shell {
    pub(crate) command: String,
    pub(crate) limit: Option<f64>,
}

/// Most bytes read of what a command prints.
const MAX_OUTPUT: u64 = 4 << 10;

impl Shell {
    pub(crate) async fn look(&self) -> Result<Readings, Failure> {
        let mut group =
            Group::spawn(&self.command, [Stdio::null(), Stdio::piped(), Stdio::null()])?;
        let output = group.child.stdout.take();
        let reading = async move {
            let mut printed = Vec::new();
            if let Some(output) = output {
                output.take(MAX_OUTPUT).read_to_end(&mut printed).await?;
            }
            std::io::Result::Ok(printed)
        };
        // What it left in the background may hold the output open.
        let ending = async {
            let status = group.child.wait().await;
            group.end();
            status
        };
        let (printed, status) = tokio::join!(reading, ending);
        let (printed, status) = (printed?, status?);
        if !status.success() {
            return Err(Failure::passing(format!("the command failed ({status})")));
        }
        // What was printed is not repeated: it may be anything.
        let text = String::from_utf8_lossy(&printed);
        let number = text.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
        let number = number.filter(|number| number.is_finite());
        let value = number.ok_or_else(|| Failure::passing("the command printed no number"))?;
        Ok(Readings {
            values: vec![("value".into(), SeriesKind::Gauge, "", value)],
            limits: self.limit.map(|limit| ("value", limit)).into_iter().collect(),
            facts: Vec::new(),
        })
    }
}
