//! The program of a hook: a line in, a line out, each within a time.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::drive::clock::{monotonic_ns, nanoseconds};

/// Longest line in either direction: a body of 12 MiB, in base64.
pub const MAX_LINE: usize = 16 * 1024 * 1024;

/// How long a program may take to end once its input is closed.
const GOODBYE: Duration = Duration::from_millis(500);

/// Bytes read at once.
const PIECE: usize = 16 * 1024;

/// A program that runs.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
    /// What was read of the next line.
    read: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// The program has ended, or closed its input or output.
    Ended,
    /// It did not answer in time.
    TimedOut,
    /// Its line is longer than [`MAX_LINE`], or it said more than one.
    TooMuch,
}

impl Process {
    /// Starts it, in a group of its own, so that whatever it starts ends with it. What it says on
    /// its standard error is said on ours.
    pub(super) fn start(command: &[String]) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let process = Self { child, input: Some(input), output, read: Vec::new() };
        for end in [process.input.as_ref().map(AsFd::as_fd), Some(process.output.as_fd())] {
            end.map_or(Ok(()), |end| ioctl_fionbio(end, true))?;
        }
        Ok(process)
    }

    /// Says a line, with its end, and waits for the answer, without.
    pub(super) fn ask(&mut self, line: &[u8], timeout: Duration) -> Result<Vec<u8>, Silence> {
        let until = monotonic_ns().saturating_add(nanoseconds(timeout));
        if self.has_spoken() {
            return Err(Silence::TooMuch);
        }
        let mut left = line;
        while !left.is_empty() {
            let input = self.input.as_mut().ok_or(Silence::Ended)?;
            match input.write(left) {
                Ok(count) => left = left.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait(input.as_fd(), PollFlags::OUT, until)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Silence::Ended),
            }
        }
        let mut looked = 0;
        loop {
            let fresh = self.read.get(looked..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', fresh) {
                let rest = self.read.split_off(looked + end + 1);
                let mut answer = std::mem::take(&mut self.read);
                answer.pop();
                // Whatever is said unasked would be taken for the answer to the next line.
                return if rest.is_empty() { Ok(answer) } else { Err(Silence::TooMuch) };
            }
            looked = self.read.len();
            if looked > MAX_LINE {
                return Err(Silence::TooMuch);
            }
            self.read_more(until)?;
        }
    }

    /// Something was said that nobody asked for, or there is nobody any more.
    fn has_spoken(&self) -> bool {
        let mut ends = [PollFd::new(&self.output, PollFlags::IN)];
        poll(&mut ends, Some(&Timespec::default())).is_ok_and(|count| count > 0)
            && ends.iter().any(|end| end.revents().contains(PollFlags::IN))
    }

    fn read_more(&mut self, until: u64) -> Result<(), Silence> {
        let mut buffer = [0; PIECE];
        match self.output.read(&mut buffer) {
            Ok(0) => Err(Silence::Ended),
            Ok(count) => {
                self.read.extend_from_slice(buffer.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait(self.output.as_fd(), PollFlags::IN, until)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(_) => Err(Silence::Ended),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        // It may still have something to write down. Whether it did or not, it ends now.
        let until = monotonic_ns().saturating_add(nanoseconds(GOODBYE));
        let mut rest = [0; PIECE];
        while wait(self.output.as_fd(), PollFlags::IN, until).is_ok()
            && self.output.read(&mut rest).is_ok_and(|count| count > 0)
        {}
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// Waits for a pipe until a moment of the monotonic clock.
fn wait(end: impl AsFd, flags: PollFlags, until: u64) -> Result<(), Silence> {
    let left = Duration::from_nanos(until.saturating_sub(monotonic_ns()));
    if left.is_zero() {
        return Err(Silence::TimedOut);
    }
    let timeout = Timespec::try_from(left).map_err(|_| Silence::TimedOut)?;
    match poll(&mut [PollFd::new(&end, flags)], Some(&timeout)) {
        Ok(0) => Err(Silence::TimedOut),
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(_) => Err(Silence::Ended),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        Process::start(&["sh".to_owned(), "-c".to_owned(), script.to_owned()]).unwrap()
    }

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn lines_go_in_and_come_out_one_by_one() {
        let mut cat = shell("exec cat");
        for _ in 0..3 {
            assert_eq!(cat.ask(b"hello\n", PATIENCE).unwrap(), b"hello");
        }
        // More than a pipe holds at once.
        let mut long = vec![b'x'; 1 << 20];
        long.push(b'\n');
        let mut slow = shell("read -r line; echo \"$line\"");
        assert_eq!(slow.ask(&long, PATIENCE).unwrap().len(), 1 << 20);
        assert_eq!(slow.ask(b"again\n", PATIENCE), Err(Silence::Ended));
    }

    #[test]
    fn whoever_does_not_answer_as_agreed_is_told_apart() {
        let short = Duration::from_millis(50);
        assert_eq!(shell("read line; exit 3").ask(b"a\n", PATIENCE), Err(Silence::Ended));
        assert_eq!(shell("exec sleep 60").ask(b"a\n", short), Err(Silence::TimedOut));
        let two = || shell("read line; printf 'a\\nb\\n'; exec cat");
        assert_eq!(two().ask(b"\n", PATIENCE), Err(Silence::TooMuch));
        assert_eq!(shell("exec cat /dev/zero").ask(b"a\n", PATIENCE), Err(Silence::TooMuch));
        assert!(Process::start(&["/no/such/program".to_owned()]).is_err());
        assert!(Process::start(&[]).is_err());
    }
}
