//! The packet limit of a MySQL or MariaDB server: a statement just below, at and just above what it
//! says it takes.

use std::net::SocketAddr;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};

use crate::act::payloads::evidence::{Attempt, Boundary, Fate, Sweep, What};
use crate::act::payloads::rig::Rig;
use crate::scenario::endpoint::Endpoint;
use crate::units::format_size;

/// Around what fills a statement; it has no effect and no result.
const STATEMENT: [&str; 2] = ["DO LENGTH('", "')"];

/// The byte of a packet that says that it is a statement.
const COMMAND: u64 = 1;

/// Nothing smaller is a limit.
const SMALLEST: u64 = 1 << 10;

/// Looks for the largest packet that a server takes.
pub(super) fn packets(rig: &Rig<'_>, name: &str) -> Sweep {
    let (endpoint, address, runtime) = match rig.endpoint(name) {
        Ok(found) => found,
        Err(reason) => return Sweep::unknown(name, What::MysqlPacket, "", reason),
    };
    let opts = opts(endpoint, address);
    let mut sweep = Sweep::new(name, What::MysqlPacket, "");
    runtime.block_on(async {
        match rig.within(announced(&opts)).await {
            Ok(Ok(limit)) => {
                sweep.announced = Some(limit);
                look(rig, &mut sweep, &opts, limit).await;
            }
            Ok(Err(fate)) | Err(fate) => {
                sweep.unknown =
                    Some(format!("its max_allowed_packet is not known: {}", fate.told()));
            }
        }
    });
    sweep
}

fn opts(endpoint: &Endpoint, address: SocketAddr) -> Opts {
    let database = endpoint.path.split('?').next().filter(|name| !name.is_empty());
    OptsBuilder::default()
        .ip_or_hostname(address.ip().to_string())
        .tcp_port(address.port())
        .user(endpoint.user.clone())
        .pass(endpoint.password.clone())
        .db_name(database)
        .prefer_socket(false)
        // The client's own limit must not be what is found.
        .max_allowed_packet(Some(1 << 30))
        .into()
}

async fn announced(opts: &Opts) -> Result<u64, Fate> {
    let mut connection = Conn::new(opts.clone()).await.map_err(|error| fate(&error))?;
    let limit = connection.query_first::<u64, _>("SELECT @@max_allowed_packet").await;
    let _ = connection.disconnect().await; // It has told what it knew.
    limit.map_err(|error| fate(&error))?.ok_or(Fate::Closed)
}

async fn look(rig: &Rig<'_>, sweep: &mut Sweep, opts: &Opts, limit: u64) {
    if !(SMALLEST..=rig.options.max).contains(&limit) {
        sweep.ended = Some(format!("nothing above {} was sent", format_size(rig.options.max)));
        return;
    }
    for bytes in [limit - 1, limit, limit + 1] {
        let fate = match rig.within(statement(opts, bytes)).await {
            Ok(Ok(())) => Fate::Done,
            Ok(Err(fate)) | Err(fate) => fate,
        };
        sweep.attempts.push(Attempt { bytes, fate });
    }
    let accepted = sweep.attempts.iter().filter(|each| each.fate.is_answer());
    let accepted = accepted.map(|each| each.bytes).max();
    let refused = sweep.attempts.iter().find(|each| each.fate.refuses(&Fate::Done));
    sweep.boundary = accepted.zip(refused).map(|(accepted, refused)| Boundary {
        accepted,
        refused: refused.bytes,
        fate: refused.fate.clone(),
    });
    if accepted.is_none() {
        let small = statement(opts, SMALLEST);
        if !matches!(rig.within(small).await, Ok(Ok(()))) {
            sweep.unknown = Some("not even a small statement was answered".to_owned());
        }
    }
}

/// A statement whose packet has this many bytes, on a connection of its own.
async fn statement(opts: &Opts, bytes: u64) -> Result<(), Fate> {
    let frame = COMMAND + STATEMENT.iter().map(|part| part.len() as u64).sum::<u64>();
    let filler = usize::try_from(bytes.saturating_sub(frame)).unwrap_or(0);
    let statement = [STATEMENT[0], &"x".repeat(filler), STATEMENT[1]].concat();
    let mut connection = Conn::new(opts.clone()).await.map_err(|_| Fate::NoConnection)?;
    let done = connection.query_drop(statement).await.map_err(|error| fate(&error));
    let _ = connection.disconnect().await; // After a refusal there is nobody to take leave of.
    done
}

/// What an error means. Its text is not told: it may repeat the statement.
fn fate(error: &mysql_async::Error) -> Fate {
    match error {
        mysql_async::Error::Server(error) => Fate::Error(format!("error {}", error.code)),
        mysql_async::Error::Io(_) => Fate::Reset,
        mysql_async::Error::Driver(mysql_async::DriverError::ConnectionClosed) => Fate::Closed,
        mysql_async::Error::Driver(mysql_async::DriverError::PacketTooLarge) => {
            Fate::Error("packet too large".to_owned())
        }
        _ => Fate::Error("an error of the client".to_owned()),
    }
}
