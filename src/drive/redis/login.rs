//! The beginning of a connection: the target's own login, the recorded version of the protocol,
//! and the database.

use std::io::{self, IoSlice};

use crate::drive::desk::Run;
use crate::drive::failure;
use crate::drive::redis::link::{Link, is_torn};
use crate::drive::redis::memory::Memory;
use crate::drive::redis::refusal::{is_turned_away, of_error};
use crate::protocol::resp::command;
use crate::sample::{Declined, Fate};

/// Bytes of replies read at once.
const READ_BUFFER: usize = 4 * 1024;

/// Says what must be said before the first command, all at once, and waits until each of it was
/// answered well. Says nothing where nothing must be said.
pub(super) async fn log_in(link: &mut Link, run: &Run, memory: &Memory) -> Result<(), Fate> {
    let (words, reasons) = opening(run, memory);
    write(link, &words).await?;
    let mut reasons = reasons.into_iter();
    let mut next = reasons.next();
    let mut buffer = [0; READ_BUFFER];
    while let Some(reason) = next {
        let count = read(link, &mut buffer).await?;
        let mut rest = buffer.get(..count).unwrap_or_default();
        next = Some(reason);
        while let Some(reason) = next
            && !rest.is_empty()
        {
            let Some(reply) = link.replies.read(&mut rest).map_err(|_| Fate::Malformed)? else {
                break;
            };
            if reply.is_push {
                continue;
            }
            if let Some(error) = reply.error {
                return Err(refused(&error, reason));
            }
            next = reasons.next();
        }
        if !rest.is_empty() {
            return Err(Fate::Malformed);
        }
    }
    Ok(())
}

/// What is said, and what a refusal of each part of it means.
fn opening(run: &Run, memory: &Memory) -> (Vec<u8>, Vec<Declined>) {
    let (mut words, mut reasons) = (Vec::new(), Vec::new());
    let Some(target) = run.dialler.redis() else { return (words, reasons) };
    if let Some(password) = &target.endpoint.password {
        let user = target.endpoint.user.as_deref();
        let login: Vec<&[u8]> =
            [Some("AUTH"), user, Some(password)].into_iter().flatten().map(str::as_bytes).collect();
        words.extend(command(&login));
        reasons.push(Declined::Login);
    }
    if let Some(greeting) = &memory.greeting {
        words.extend_from_slice(greeting);
        reasons.push(Declined::Setup);
    }
    if let Some(database) = target.database {
        words.extend(command(&[b"SELECT", database.to_string().as_bytes()]));
        reasons.push(Declined::Setup);
    } else if let Some(database) = &memory.database {
        words.extend_from_slice(database);
        reasons.push(Declined::Setup);
    }
    (words, reasons)
}

fn refused(error: &[u8], reason: Declined) -> Fate {
    match (is_turned_away(error), of_error(error)) {
        (Some(banner), _) => Fate::Rejected { banner: banner.to_owned() },
        (None, Some(reason)) => Fate::Declined { reason },
        (None, None) => Fate::Declined { reason },
    }
}

async fn write(link: &mut Link, mut words: &[u8]) -> Result<(), Fate> {
    while !words.is_empty() || !link.stream.is_flushed() {
        let writable = link.stream.writable().await;
        writable.map_err(|error| failure::of_exchange(&error))?;
        match link.stream.try_write(&[IoSlice::new(words)]) {
            Ok(count) => words = words.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // What the server said before can still be read.
            Err(error) => {
                link.write_error = Some(error);
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn read(link: &mut Link, buffer: &mut [u8]) -> Result<usize, Fate> {
    loop {
        let readable = link.stream.readable().await;
        readable.map_err(|error| failure::of_exchange(&error))?;
        match link.stream.try_read(buffer) {
            Ok(0) => return Err(link.at_end()),
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if is_torn(&error) => return Err(link.at_end()),
            Err(error) => return Err(failure::of_exchange(&error)),
        }
    }
}
