//! The fate of one arrival.

use std::time::Duration;

use crate::record::failures::TlsFailure;
use crate::recording::contents::Contents;

/// What became of an arrival. Every arrival has exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A whole response came back.
    Answered {
        /// Its status code.
        status: u16,
    },
    /// The target refused the connection.
    Refused,
    /// The target did not complete the connection in time.
    ConnectTimedOut,
    /// The connection was reset.
    Reset,
    /// No whole response within the limit.
    TimedOut,
    /// The target closed the connection before a whole response.
    ClosedEarly {
        /// Bytes of the response seen before.
        after_bytes: u64,
    },
    /// The target sent something that is not HTTP, such as a banner, and closed.
    Rejected {
        /// The first bytes of it, printable characters only, at most [`MAX_BANNER`].
        banner: String,
    },
    /// The target took the connection and declined the command, for a reason of its own.
    Declined {
        /// Which.
        reason: Declined,
    },
    /// The response broke the protocol.
    Malformed,
    /// TLS with the target failed, in its handshake or later.
    Tls {
        /// Why.
        failure: TlsFailure,
    },
    /// The connection ended inside of TLS without saying so, and only that would have told whether
    /// the response was whole.
    Truncated,
    /// HTTP/2 was broken off.
    Http2 {
        /// How.
        failure: Http2Failure,
    },
    /// A call of gRPC was answered whole, and has failed.
    GrpcFailed,
    /// It never left this machine.
    Unsent {
        /// Why.
        reason: Unsent,
    },
}

/// How HTTP/2 with a target came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http2Failure {
    /// The target does not speak it.
    NotSpoken,
    /// The target broke the stream off.
    StreamReset,
    /// The target refused the stream without having looked at it, twice.
    StreamRefused,
    /// The target went away before it looked at the stream, twice.
    GoneAway,
    /// What the target said breaks the protocol.
    Malformed,
}

/// Characters kept of a banner.
pub const MAX_BANNER: usize = 80;

/// Why a Redis declined a command: not for what the command asks, but for the state that the server
/// or the connection is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Declined {
    /// `OOM`: its memory is full.
    OutOfMemory,
    /// `LOADING`: it still reads its data.
    Loading,
    /// `NOAUTH`: it wants a login.
    NoLogin,
    /// `WRONGPASS`, or any other answer but a good one to our login.
    Login,
    /// `NOPERM`: its user may not do that.
    NoPermission,
    /// The database that the target's URL names, or the version that was recorded, is refused.
    Setup,
    /// `READONLY`: it is a replica.
    ReadOnly,
    /// `BUSY`: a script has been running for too long.
    Busy,
    /// `MISCONF`: it cannot save what it has.
    CannotSave,
    /// `CLUSTERDOWN`, `MASTERDOWN` or `TRYAGAIN`: parts of it are not there.
    ClusterDown,
    /// `MOVED`: another node of the cluster has the key.
    Moved,
    /// `ASK`: another node of the cluster is about to have the key.
    Ask,
}

impl Declined {
    /// The name in reports and machine output.
    pub fn name(self) -> &'static str {
        match self {
            Self::OutOfMemory => "declined: out of memory",
            Self::Loading => "declined: loading",
            Self::NoLogin => "declined: no login",
            Self::Login => "declined: login refused",
            Self::NoPermission => "declined: no permission",
            Self::Setup => "declined: database or protocol refused",
            Self::ReadOnly => "declined: read-only",
            Self::Busy => "declined: busy",
            Self::CannotSave => "declined: cannot save",
            Self::ClusterDown => "declined: cluster down",
            Self::Moved => "redirected: moved",
            Self::Ask => "redirected: ask",
        }
    }
}

/// Why an arrival was not sent. These are our own failures or the user's wish, except for those
/// that waited for answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unsent {
    /// The run was stopped before it was sent.
    Interrupted,
    /// The run was held when it was due.
    Held,
    /// As many requests as allowed were already in flight.
    InFlightLimit,
    /// As many connections as allowed were already open.
    ConnectionLimit,
    /// Those in flight already held as many bytes as this machine keeps for them.
    InFlightBytes,
    /// This machine had no port, descriptor or memory for the connection.
    LocalResources,
    /// Its body, which is too large for memory, could not be read from the recording any more.
    BodyUnread,
    /// HTTP/2 has no such request.
    NotInHttp2,
    /// The hook of the scenario gave no answer that can be sent.
    Hook,
    /// The hook of the scenario left it out.
    HookSkipped,
    /// The run ended, with its grace period, before the request could be written.
    RunEnded,
    /// Earlier answers of its session took so much longer than in the recording that its turn did
    /// not come before the end of the run, or that too many requests waited for theirs.
    SessionBehind,
}

impl Fate {
    /// Whether somebody left the request out of the load on purpose: a person who held the run, or
    /// the hook. It is no part of the load that is claimed, nor of what is expected of it.
    pub fn is_set_aside(&self) -> bool {
        matches!(self, Self::Unsent { reason } if Unsent::SET_ASIDE.contains(reason))
    }

    /// The name in reports and machine output.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Answered { .. } => "answered",
            Self::Refused => "refused",
            Self::ConnectTimedOut => "connect timed out",
            Self::Reset => "reset",
            Self::TimedOut => "timed out",
            Self::ClosedEarly { .. } => "closed early",
            Self::Rejected { .. } => "rejected",
            Self::Declined { reason } => reason.name(),
            Self::Malformed => "malformed response",
            Self::Tls { failure } => tls_name(*failure),
            Self::Truncated => "tls: cut off",
            Self::Http2 { failure } => failure.name(),
            Self::GrpcFailed => "grpc: failed",
            Self::Unsent { reason } => reason.name(),
        }
    }
}

fn tls_name(failure: TlsFailure) -> &'static str {
    match failure {
        TlsFailure::NotSpoken => "tls: not spoken",
        TlsFailure::NoCommonProtocol => "tls: no common protocol",
        TlsFailure::NoCommonVersion => "tls: no common version or cipher",
        TlsFailure::Expired => "tls: certificate expired",
        TlsFailure::NotValidYet => "tls: certificate not valid yet",
        TlsFailure::OtherName => "tls: certificate for another name",
        TlsFailure::UnknownIssuer => "tls: certificate not trusted",
        TlsFailure::NotAccepted => "tls: certificate not accepted",
        TlsFailure::ClientCertificate => "tls: client certificate refused",
        TlsFailure::Alert => "tls: alert",
        TlsFailure::Left => "tls: closed in the handshake",
        TlsFailure::TooSlow => "tls: handshake timed out",
        TlsFailure::Broken => "tls: broken",
    }
}

impl Http2Failure {
    /// The name in reports and machine output.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotSpoken => "http2: not spoken",
            Self::StreamReset => "http2: stream reset",
            Self::StreamRefused => "http2: stream refused",
            Self::GoneAway => "http2: gone away",
            Self::Malformed => "http2: malformed",
        }
    }
}

impl Unsent {
    /// Those of what was left out of the load on purpose.
    pub const SET_ASIDE: [Self; 2] = [Self::Held, Self::HookSkipped];

    /// The name in reports and machine output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupted => "unsent: interrupted",
            Self::Held => "unsent: held",
            Self::InFlightLimit => "unsent: in-flight limit",
            Self::ConnectionLimit => "unsent: connection limit",
            Self::InFlightBytes => "unsent: in-flight bytes",
            Self::LocalResources => "unsent: local resources",
            Self::BodyUnread => "unsent: body not readable",
            Self::NotInHttp2 => "unsent: no request of http2",
            Self::Hook => "unsent: hook",
            Self::HookSkipped => "unsent: skipped by the hook",
            Self::RunEnded => "unsent: run ended",
            Self::SessionBehind => "unsent: session behind",
        }
    }
}

/// One arrival's nine moments and its fate. Moments are since the start of the run; `None` when
/// they did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Planned moment (`t_plan`).
    pub due: Duration,
    /// By how much earlier answers of its session moved it, where sessions set the pace: its user
    /// could not have asked before `due` and this.
    pub drift: Duration,
    /// Picked up by the pacer (`t_disp`); later than `due` and `drift` by our own fault only.
    pub dispatched: Option<Duration>,
    /// The target took the connection that was opened for it (`t_tcp`); `None` where one was open.
    pub established: Option<Duration>,
    /// TLS is spoken on that connection (`t_tls`): hands were shaken since `established`.
    pub secured: Option<Duration>,
    /// Connection in hand (`t_conn`): waiting for a connect or for an earlier response.
    pub connected: Option<Duration>,
    /// First byte handed to the kernel (`t_w0`).
    pub sent: Option<Duration>,
    /// Last byte handed to the kernel (`t_w1`).
    pub sent_last: Option<Duration>,
    /// First byte of the response (`t_r0`).
    pub first_byte: Option<Duration>,
    /// Last byte of the response (`t_r1`), or the moment of failure.
    pub done: Option<Duration>,
    /// A connection was opened for it, or refused by the target: the target saw an attempt.
    pub opened: bool,
    /// Another request with a large body ([`crate::plan::LARGE_BODY`]) was in flight while it was.
    pub beside_large: bool,
    /// Bytes of the response's body, de-chunked.
    pub response_bytes: u64,
    /// What is known of the response's body, where production's is known, too.
    pub contents: Option<Box<Contents>>,
    /// What became of it.
    pub fate: Fate,
}

impl Sample {
    /// The moment at which its user would have sent it: the planned one, and what earlier answers
    /// of its session moved it by.
    pub fn ready(&self) -> Duration {
        self.due.saturating_add(self.drift)
    }

    /// How long shaking hands took, where TLS was begun for it.
    pub fn handshake(&self) -> Option<Duration> {
        let shaken = self.established.zip(self.secured);
        shaken.map(|(from, to)| to.saturating_sub(from))
    }
}
