//! One connection, whatever is spoken on it: the reader of its protocol, and how one reader hands
//! over to another.

use crate::capture::pairing::Request;
use crate::capture::streams::Turn;
use crate::capture::streams::conversation::Conversation;
use crate::capture::streams::http2::Http2;
use crate::capture::streams::mysql::Mysql;
use crate::capture::streams::postgres::Postgres;
use crate::capture::streams::redis::Redis;
use crate::capture::streams::tls::Tls;
use crate::capture::tcp::{Data, Event, Link, Mark, Side, What};

/// One connection. It is taken for HTTP/1 until its bytes tell otherwise.
#[derive(Debug)]
pub(super) struct Talk {
    speaker: Speaker,
}

/// Who reads the bytes.
#[derive(Debug)]
enum Speaker {
    Http1(Box<Conversation>),
    Http2(Box<Http2>),
    Tls(Box<Tls>),
    Redis(Box<Redis>),
    Mysql(Box<Mysql>),
    Postgres(Box<Postgres>),
    /// Nobody does: they end in the bucket.
    Unread(&'static str),
}

/// A connection goes on in another protocol.
#[derive(Debug)]
pub(super) struct Handover {
    /// Its name, which is also a bucket of bytes.
    pub(super) to: &'static str,
    /// What was seen of it, in the order of time: bytes that ended in no bucket yet.
    pub(super) pieces: Vec<Piece>,
    /// The connection's number, once it had a message.
    pub(super) number: Option<u64>,
    /// Who sends requests, as far as it is known.
    pub(super) client: Option<Side>,
    /// The start of the connection was seen.
    pub(super) is_begun: bool,
    /// The connection.
    pub(super) link: Link,
    /// Position of the next request on the connection.
    pub(super) next_seq: u32,
    /// The request by which the other protocol was asked for, if its response will come in that.
    pub(super) upgraded: Option<Box<Request>>,
    /// What was spoken so far goes on inside of the other protocol.
    pub(super) goes_on_inside: bool,
}

impl Handover {
    /// The side that told what is spoken, and how its bytes begin: as much as tells it again.
    pub(super) fn front(&self) -> (Option<Side>, Vec<u8>) {
        const LENGTH: usize = 1_024;
        let side = self.pieces.first().map(|piece| piece.side);
        let of_side = self.pieces.iter().filter(|piece| Some(piece.side) == side);
        (side, of_side.flat_map(|piece| piece.bytes.iter().copied()).take(LENGTH).collect())
    }
}

/// Bytes of one side.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) side: Side,
    pub(super) mark: Mark,
    pub(super) bytes: Vec<u8>,
    pub(super) fresh: bool,
}

impl Piece {
    pub(super) fn new(side: Side, data: &Data<'_>) -> Self {
        Self { side, mark: data.mark, bytes: data.bytes.to_vec(), fresh: data.fresh }
    }
}

impl Talk {
    pub(super) fn new(link: Link) -> Self {
        Self { speaker: Speaker::Http1(Box::new(Conversation::new(link))) }
    }

    /// Bytes held.
    pub(super) fn kept(&self) -> usize {
        match &self.speaker {
            Speaker::Http1(conversation) => conversation.kept(),
            Speaker::Http2(http2) => http2.kept(),
            Speaker::Tls(tls) => tls.kept(),
            Speaker::Redis(redis) => redis.kept(),
            Speaker::Mysql(mysql) => mysql.kept(),
            Speaker::Postgres(postgres) => postgres.kept(),
            Speaker::Unread(_) => 0,
        }
    }

    /// The connection's number, once it had a message of HTTP/1.
    pub(super) fn number(&self) -> Option<u64> {
        match &self.speaker {
            Speaker::Http1(conversation) => conversation.number,
            Speaker::Tls(tls) => tls.inner().and_then(Self::number),
            _ => None,
        }
    }

    /// Bytes that wait for secrets of TLS.
    pub(super) fn waiting(&self) -> usize {
        match &self.speaker {
            Speaker::Tls(tls) => tls.waiting(),
            _ => 0,
        }
    }

    /// Reads what has waited for secrets of TLS, with those that are there.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>) {
        if let Speaker::Tls(tls) = &mut self.speaker {
            tls.go_on(turn);
        }
    }

    pub(super) fn event(&mut self, event: &Event<'_>, turn: &mut Turn<'_>) {
        let mut handover = self.speaker.event(event, turn);
        // Taken apart only where there is one: it is large, and nearly no event brings one.
        while let Some(next) = handover {
            handover = None;
            let goes_on_inside = next.goes_on_inside;
            let (speaker, pieces) = Speaker::taking_over(next, event.link, turn);
            let speaker = std::mem::replace(&mut self.speaker, speaker);
            if let (Speaker::Tls(tls), true) = (&mut self.speaker, goes_on_inside) {
                tls.carry(Self { speaker });
            }
            for piece in pieces {
                let Piece { side, mark, ref bytes, fresh } = piece;
                if let Some(again) = &mut handover {
                    again.pieces.push(piece);
                } else {
                    let what = What::Data(Data { mark, bytes, fresh });
                    handover = self.speaker.event(&Event { side, what, ..*event }, turn);
                }
            }
        }
    }
}

impl Speaker {
    /// The reader of what is spoken now, and what it reads first.
    fn taking_over(mut handover: Handover, link: Link, turn: &Turn<'_>) -> (Self, Vec<Piece>) {
        let speaker = match handover.to {
            "http2" => Self::Http2(Box::new(Http2::new(&mut handover))),
            // Not again inside of itself.
            "tls" if !turn.is_inside => Self::Tls(Box::new(Tls::new(link, turn))),
            "redis" => Self::Redis(Box::new(Redis::new(link, &handover))),
            "mysql" => Self::Mysql(Box::new(Mysql::new(link, &handover))),
            "postgres" => Self::Postgres(Box::new(Postgres::new(link, &handover))),
            unread => Self::Unread(unread),
        };
        (speaker, handover.pieces)
    }

    fn event(&mut self, event: &Event<'_>, turn: &mut Turn<'_>) -> Option<Handover> {
        match self {
            Self::Http1(conversation) => {
                conversation.event(event, turn);
                if conversation.handover.is_some() { conversation.handover.take() } else { None }
            }
            Self::Http2(http2) => {
                http2.event(event, turn);
                None
            }
            Self::Tls(tls) => {
                tls.event(event, turn);
                None
            }
            Self::Redis(redis) => {
                redis.event(event, turn);
                None
            }
            Self::Mysql(mysql) => mysql.event(event, turn),
            Self::Postgres(postgres) => postgres.event(event, turn),
            Self::Unread(bucket) => {
                if let What::Data(data) = event.what {
                    turn.ledger.stream_bytes.end(bucket, data.bytes.len() as u64);
                }
                None
            }
        }
    }
}
