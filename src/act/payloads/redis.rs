//! Large values of a Redis server. Every key has an expiry from the moment at which it exists, so
//! that nothing stays behind whatever becomes of this program.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use crate::act::payloads::bystanders::{Small, start};
use crate::act::payloads::evidence::{Fate, Sweep, What};
use crate::act::payloads::rig::{Load, Rig, Sent};
use crate::act::payloads::sizes::ladder;
use crate::act::payloads::wire::{Message, Parser, Reply, carry};
use crate::drive::clock::Epoch;
use crate::protocol::resp::{Value, command, command_around};
use crate::scenario::endpoint::Endpoint;
use crate::units::format_size;

/// What is swept.
pub(super) const SWEEPS: [What; 5] =
    [What::RedisSet, What::RedisGet, What::RedisRange, What::RedisHash, What::RedisDelete];

/// What the keys of this program begin with.
const PREFIX: &str = "peakhour:";

/// Seconds after which a key is gone by itself.
const EXPIRY: &[u8] = b"60";

/// Smallest value: below, nothing is felt.
const SMALLEST: u64 = 16 << 10;

/// Bytes of an element of a list or hash, and elements added by one command.
const ELEMENT: usize = 1_000;
const ELEMENTS_AT_ONCE: u64 = 500;

/// Longest that opening a connection and a small question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest that cleaning may take: who stops a run does not wait, and what is left expires.
const CLEANING: Duration = Duration::from_secs(1);

/// Between making what is deleted and deleting it.
const SETTLING: Duration = Duration::from_millis(50);

/// After a stop, for what was on its way when its connection was cut.
const CUT: Duration = Duration::from_millis(100);

/// Sweeps large values at an endpoint.
pub(super) fn sweep(mut rig: Rig<'_>, name: &str, what: What) -> Sweep {
    let (endpoint, address, runtime) = match rig.endpoint(name) {
        Ok(found) => found,
        Err(reason) => return Sweep::unknown(name, what, "", reason),
    };
    let mut sweep = Sweep::new(name, what, "");
    let small = Small::Redis(hello(endpoint), command(&[b"PING"]));
    runtime.block_on(async {
        let mut load = RedisLoad {
            server: Server { address, hello: hello(endpoint), epoch: rig.ground.epoch },
            what,
            key: key(),
            connection: None,
            is_filled: false,
        };
        let room = match load.room().await {
            Ok(room) => room,
            Err(reason) => {
                sweep.unknown = Some(reason);
                return;
            }
        };
        let max = rig.options.max.min(room);
        if max < rig.options.max {
            sweep.ended = Some(format!(
                "nothing larger than {} was stored: the server's memory has no room for more",
                format_size(max)
            ));
        }
        match start(small, address, rig.ground.epoch) {
            Ok(watch) => {
                let sizes = ladder(SMALLEST, max, max);
                rig.climb(&mut sweep, &sizes, &watch, &mut load).await;
            }
            Err(error) => sweep.unknown = Some(format!("no thread or timer: {error}")),
        }
        load.clean(&rig).await;
        if rig.ground.stop.is_requested() {
            sleep_until(Instant::now() + CUT).await;
            load.clean(&rig).await;
        }
    });
    sweep
}

/// A key that nobody else has: the standard library seeds its hashes from the system's randomness.
fn key() -> String {
    format!("{PREFIX}{:016x}", RandomState::new().build_hasher().finish())
}

/// What opens a connection.
fn hello(endpoint: &Endpoint) -> Vec<Vec<u8>> {
    let mut commands = Vec::new();
    if let Some(password) = &endpoint.password {
        let mut words: Vec<&[u8]> = vec![b"AUTH"];
        words.extend(endpoint.user.as_ref().map(String::as_bytes));
        words.push(password.as_bytes());
        commands.push(command(&words));
    }
    let database = endpoint.path.split('?').next().unwrap_or_default();
    if !database.is_empty() {
        commands.push(command(&[b"SELECT", database.as_bytes()]));
    }
    commands
}

struct Server {
    address: SocketAddr,
    hello: Vec<Vec<u8>>,
    epoch: Epoch,
}

impl Server {
    async fn open(&self) -> Result<TcpStream, String> {
        let opening = async {
            let opened = TcpStream::connect(self.address).await;
            let mut stream = opened.map_err(|error| format!("cannot be reached: {error}"))?;
            let _ = stream.set_nodelay(true); // It fails only on a connection that is gone.
            for hello in &self.hello {
                self.ask(&mut stream, hello, 0, &[])
                    .await
                    .map_err(|fate| format!("the server does not let us in: it {}", fate.told()))?;
            }
            Ok(stream)
        };
        let opened = timeout(PATIENCE, opening).await;
        opened.unwrap_or_else(|_| Err("cannot be reached in time".to_owned()))
    }

    /// A command, and its reply unless that is an error.
    async fn ask(
        &self,
        stream: &mut TcpStream,
        head: &[u8],
        filler: u64,
        tail: &[u8],
    ) -> Result<(Value, Option<u64>), Fate> {
        let message = Message { head, filler, tail };
        let carried = carry(stream, message, Parser::resp(), self.epoch).await;
        match carried.reply? {
            Reply::Resp(Value::Error(text)) => Err(Fate::Error(first_word(&text))),
            Reply::Resp(value) => Ok((value, carried.first_byte_ns)),
            Reply::Http { .. } => Err(Fate::Status(0)),
        }
    }
}

/// The code of an error: what follows it may repeat what was sent.
fn first_word(text: &str) -> String {
    let word = text.split(' ').next().unwrap_or_default();
    word.chars().filter(char::is_ascii_graphic).take(40).collect()
}

struct RedisLoad {
    server: Server,
    what: What,
    key: String,
    connection: Option<TcpStream>,
    /// What is to be deleted is there.
    is_filled: bool,
}

impl RedisLoad {
    /// A connection with nothing under way on it.
    async fn connection(&mut self) -> Result<TcpStream, String> {
        match self.connection.take() {
            Some(stream) => Ok(stream),
            None => self.server.open().await,
        }
    }

    /// The largest value that harms nobody: a quarter of what is left, since it is held several
    /// times over while it is written and read.
    async fn room(&mut self) -> Result<u64, String> {
        let mut stream = self.connection().await?;
        let info = command(&[b"INFO", b"memory"]);
        let asked = timeout(PATIENCE, self.server.ask(&mut stream, &info, 0, &[])).await;
        let text = match asked {
            Ok(Ok((Value::Bulk { kept, .. }, _))) => String::from_utf8_lossy(&kept).into_owned(),
            Ok(Err(fate)) => return Err(format!("its memory is not known: INFO {}", fate.told())),
            _ => return Err("its memory is not known: INFO was not answered".to_owned()),
        };
        self.connection = Some(stream);
        let number = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|number| number.trim().parse::<u64>().ok())
        };
        let used = number("used_memory").unwrap_or(0);
        let limit = number("maxmemory").filter(|limit| *limit > 0);
        let room = limit
            .or(number("total_system_memory"))
            .map_or(SMALLEST, |limit| limit.saturating_sub(used) / 4);
        if room < SMALLEST {
            let left = format_size(room);
            return Err(format!("its memory is full: a value of {left} would be too much"));
        }
        Ok(room)
    }

    /// A list or a hash, which expires from its first element on.
    async fn fill(&self, stream: &mut TcpStream, bytes: u64, is_list: bool) -> Result<(), Fate> {
        let element = [b'x'; ELEMENT];
        let (key, count) = (self.key.as_bytes(), (bytes / ELEMENT as u64).max(1));
        let mut done = 0;
        while done < count {
            let now = (count - done).min(ELEMENTS_AT_ONCE);
            let fields: Vec<String> = (done..done + now).map(|field| field.to_string()).collect();
            let mut words: Vec<&[u8]> = match (is_list, done) {
                (false, _) => vec![b"HMSET", key],
                (true, 0) => vec![b"RPUSH", key],
                // What is gone meanwhile need not begin again.
                (true, _) => vec![b"RPUSHX", key],
            };
            for field in &fields {
                if !is_list {
                    words.push(field.as_bytes());
                }
                words.push(&element);
            }
            // In one transaction: nothing is ever there without its expiry.
            let expire = command(&[b"EXPIRE", key, EXPIRY]);
            for step in [command(&[b"MULTI"]), command(&words), expire, command(&[b"EXEC"])] {
                self.server.ask(stream, &step, 0, &[]).await?;
            }
            done += now;
        }
        Ok(())
    }

    async fn set(&self, stream: &mut TcpStream, bytes: u64) -> Result<(Value, Option<u64>), Fate> {
        let (head, tail) = command_around(&[b"SET", self.key.as_bytes()], bytes, &[b"EX", EXPIRY]);
        self.server.ask(stream, &head, bytes, &tail).await
    }
}

impl Load for RedisLoad {
    async fn prepare(&mut self, rig: &Rig<'_>, bytes: u64) -> Result<(), String> {
        let mut stream = self.connection().await?;
        let preparing = async {
            match self.what {
                What::RedisGet => self.set(&mut stream, bytes).await.map(drop),
                What::RedisRange => self.fill(&mut stream, bytes, true).await,
                What::RedisHash | What::RedisDelete => {
                    self.is_filled = true;
                    self.fill(&mut stream, bytes, false).await
                }
                _ => Ok(()),
            }
        };
        match rig.within(preparing).await {
            Ok(Ok(())) => {
                self.connection = Some(stream);
                Ok(())
            }
            Ok(Err(fate)) | Err(fate) => Err(format!("storing the value {}", fate.told())),
        }
    }

    async fn send(&mut self, rig: &Rig<'_>, bytes: u64) -> Sent {
        let Ok(mut stream) = self.connection().await else {
            return Sent::at(rig.now_ns(), Fate::NoConnection);
        };
        let is_filled = std::mem::take(&mut self.is_filled);
        let key = self.key.as_bytes();
        // What is deleted must be there each time anew; its making is not what is judged.
        if self.what == What::RedisDelete {
            if !is_filled
                && !matches!(rig.within(self.fill(&mut stream, bytes, false)).await, Ok(Ok(())))
            {
                // That it could not be made again says nothing about deleting it.
                return Sent::at(rig.now_ns(), Fate::Stopped);
            }
            rig.wait(SETTLING).await;
        }
        let begun_ns = rig.now_ns();
        let asking = async {
            match self.what {
                What::RedisGet => {
                    self.server.ask(&mut stream, &command(&[b"GET", key]), 0, &[]).await
                }
                What::RedisRange => {
                    let range = command(&[b"LRANGE", key, b"0", b"-1"]);
                    self.server.ask(&mut stream, &range, 0, &[]).await
                }
                What::RedisHash => {
                    self.server.ask(&mut stream, &command(&[b"HGETALL", key]), 0, &[]).await
                }
                What::RedisDelete => {
                    self.server.ask(&mut stream, &command(&[b"DEL", key]), 0, &[]).await
                }
                _ => self.set(&mut stream, bytes).await,
            }
        };
        let asked = rig.within(asking).await.unwrap_or_else(Err);
        let done_ns = rig.now_ns();
        let is_read = !matches!(self.what, What::RedisSet | What::RedisDelete);
        match asked {
            Ok((value, first_byte_ns)) => {
                self.connection = Some(stream);
                let gone = matches!(
                    value,
                    Value::Null | Value::Array { length: 0, .. } | Value::Integer(0)
                );
                // Its minute was over: that is no refusal.
                let fate = if gone { Fate::Stopped } else { Fate::Done };
                Sent { fate, begun_ns, done_ns, first_byte_ns: first_byte_ns.filter(|_| is_read) }
            }
            Err(fate) => {
                // A reply to an error stands alone: the connection is still in step.
                if matches!(fate, Fate::Error(_)) {
                    self.connection = Some(stream);
                }
                Sent { fate, begun_ns, done_ns, first_byte_ns: None }
            }
        }
    }

    /// Frees the value on a thread of the server's where it can.
    async fn clean(&mut self, _rig: &Rig<'_>) {
        let cleaning = async {
            for verb in [&b"UNLINK"[..], b"DEL"] {
                let Ok(mut stream) = self.connection().await else { return };
                let remove = command(&[verb, self.key.as_bytes()]);
                match self.server.ask(&mut stream, &remove, 0, &[]).await {
                    Ok(_) => {
                        self.connection = Some(stream);
                        return;
                    }
                    // Before Redis 4 there is no UNLINK.
                    Err(Fate::Error(_)) => self.connection = Some(stream),
                    Err(_) => {}
                }
            }
        };
        // Where this fails, the expiry does it.
        let _ = timeout(CLEANING, cleaning).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ours_and_differ() {
        let (a, b) = (key(), key());
        assert!(a.starts_with("peakhour:") && a.len() == 25, "{a}");
        assert_ne!(a, b);
    }

    #[test]
    fn a_connection_opens_with_the_credentials_of_its_url() {
        let opens = |url: &str| hello(&Endpoint::parse(url).unwrap()).concat();
        assert_eq!(opens("redis://h"), b"");
        assert_eq!(opens("redis://:pw@h"), command(&[b"AUTH", b"pw"]));
        let both = [command(&[b"AUTH", b"u", b"pw"]), command(&[b"SELECT", b"2"])].concat();
        assert_eq!(opens("redis://u:pw@h/2"), both);
    }

    #[test]
    fn of_an_error_only_its_code_is_told() {
        assert_eq!(first_word("WRONGPASS invalid username-password pair"), "WRONGPASS");
        assert_eq!(first_word("ERR unknown command 'SECRET'"), "ERR");
        assert_eq!(first_word(""), "");
    }
}
