//! A message of any length over a connection, and its answer.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use crate::act::payloads::evidence::Fate;
use crate::drive::clock::{Epoch, nanoseconds};
use crate::drive::response::{Ending, ResponseReader};
use crate::protocol::resp::{Reader, Value};

/// What is sent; the filler is never held as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    /// What comes before the filler.
    pub(super) head: &'a [u8],
    /// Bytes of filler.
    pub(super) filler: u64,
    /// What comes behind it.
    pub(super) tail: &'a [u8],
}

/// Reads the answer.
pub(super) enum Parser {
    Http(Box<ResponseReader>),
    Resp(Reader),
}

/// A whole answer.
#[derive(Debug)]
pub(super) enum Reply {
    Http { status: u16, reusable: bool },
    Resp(Value),
}

/// What came back.
#[derive(Debug)]
pub(super) struct Carried {
    /// The answer, or why there is none.
    pub(super) reply: Result<Reply, Fate>,
    /// When its first byte came.
    pub(super) first_byte_ns: Option<u64>,
}

/// Bytes handed to the kernel, or taken from it, at once.
const PIECE: usize = 64 << 10;

/// What payloads are made of. It compresses well, and says nothing.
static FILLER: [u8; PIECE] = [b'x'; PIECE];

/// Sends a message and reads its answer, which may come before the message is sent: then the rest
/// of it is not sent.
pub(super) async fn carry(
    stream: &mut TcpStream,
    message: Message<'_>,
    mut parser: Parser,
    epoch: Epoch,
) -> Carried {
    let (reader, writer) = stream.split();
    let mut first_byte_ns = None;
    let reply = {
        let mut reading = std::pin::pin!(read(reader, &mut parser, epoch, &mut first_byte_ns));
        let mut writing = std::pin::pin!(write(writer, message));
        let mut is_written = false;
        loop {
            tokio::select! {
                biased;
                reply = &mut reading => break reply,
                // A server that refuses says so, and closes: the answer is still to be read, and
                // where there is none the reader meets the same end.
                _ = &mut writing, if !is_written => is_written = true,
            }
        }
    };
    Carried { reply, first_byte_ns }
}

async fn write(mut to: WriteHalf<'_>, message: Message<'_>) -> io::Result<()> {
    to.write_all(message.head).await?;
    let mut left = message.filler;
    while left > 0 {
        let piece = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        to.write_all(&FILLER[..piece]).await?;
        left -= piece as u64;
    }
    to.write_all(message.tail).await
}

async fn read(
    mut from: ReadHalf<'_>,
    parser: &mut Parser,
    epoch: Epoch,
    first_byte_ns: &mut Option<u64>,
) -> Result<Reply, Fate> {
    let mut buffer = vec![0; PIECE];
    loop {
        let count = match from.read(&mut buffer).await {
            Ok(count) => count,
            Err(error) => return Err(fate_of(&error)),
        };
        if count == 0 {
            return parser.end();
        }
        first_byte_ns.get_or_insert_with(|| nanoseconds(epoch.now()));
        if let Some(reply) = parser.push(&buffer[..count])? {
            return Ok(reply);
        }
    }
}

/// What a broken connection means.
fn fate_of(error: &io::Error) -> Fate {
    match error.kind() {
        io::ErrorKind::TimedOut => Fate::TimedOut,
        _ => Fate::Reset,
    }
}

impl Parser {
    pub(super) fn http(method: &str) -> Self {
        Self::Http(Box::new(ResponseReader::new(method)))
    }

    pub(super) fn resp() -> Self {
        Self::Resp(Reader::new())
    }

    fn push(&mut self, mut input: &[u8]) -> Result<Option<Reply>, Fate> {
        match self {
            Self::Http(reader) => match reader.push(input) {
                Ok(answer) => Ok(answer.map(|answer| Reply::Http {
                    status: answer.status,
                    reusable: answer.reusable,
                })),
                Err(_) => Err(Fate::Status(0)),
            },
            Self::Resp(reader) => match reader.read(&mut input) {
                Ok(value) => Ok(value.map(Reply::Resp)),
                Err(_) => Err(Fate::Error("something that is no RESP".to_owned())),
            },
        }
    }

    /// The stream ended.
    fn end(&self) -> Result<Reply, Fate> {
        match self {
            Self::Http(reader) => match reader.end() {
                Ending::Whole(answer) => Ok(Reply::Http { status: answer.status, reusable: false }),
                Ending::NotHttp { .. } => Err(Fate::Status(0)),
                Ending::Cut => Err(Fate::Closed),
            },
            Self::Resp(_) => Err(Fate::Closed),
        }
    }
}
