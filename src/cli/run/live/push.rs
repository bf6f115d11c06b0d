//! One request to a monitoring system, and what it answers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, RETRY_AFTER, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::cli::out::collector::{Collector, Form};
use crate::report::metrics::{Batch, Origin, otlp, remote_write};
use crate::scenario::tls::{Tls, TlsSpec};

/// How long a system may take, from the connection to its answer. A run waits for it at its end.
const LIMIT: Duration = Duration::from_secs(5);

/// Most of an answer that is read: it says in a line what was not kept.
const MAX_ANSWER: usize = 64 * 1024;

/// Why numbers did not arrive.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) reason: String,
    pub(super) again: Again,
}

/// Whether the same numbers may arrive later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// They would be refused again.
    Never,
    /// It answered, and has too much to do; so long it wants to be left alone.
    Busy(Duration),
    /// It did not answer.
    Unreached,
}

impl Refusal {
    fn unreached(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), again: Again::Unreached }
    }
}

/// What a system answers.
struct Answer {
    status: StatusCode,
    /// It wants to be left alone so long.
    rest: Duration,
    body: Bytes,
}

/// Sends to one system.
pub(super) struct Pusher {
    to: Collector,
    tls: Option<Tls>,
    origin: Origin,
    runtime: Runtime,
}

impl Pusher {
    pub(super) fn new(to: &Collector, origin: Origin) -> anyhow::Result<Self> {
        let trusted = TlsSpec::default();
        let tls = to.is_secure.then(|| trusted.ready(&to.host)).transpose()?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            // Names are looked up there. A look-up that hangs keeps the next ones waiting.
            .max_blocking_threads(1)
            .build()
            .context("a thread that sends numbers cannot be set up")?;
        Ok(Self { to: to.clone(), tls, origin, runtime })
    }

    /// Sends some batches in one request. Says how many of their numbers were not kept although
    /// it was taken.
    pub(super) fn push(&self, batches: &[Batch]) -> Result<u64, Refusal> {
        let request = self.request(batches)?;
        let sent = async { timeout(LIMIT, self.send(request)).await };
        match self.runtime.block_on(sent) {
            Ok(answered) => outcome(self.to.form, &answered?),
            Err(_) => Err(Refusal::unreached(format!("no answer within {} s", LIMIT.as_secs()))),
        }
    }

    /// Ends without waiting for a look-up of the name that hangs.
    pub(super) fn close(self) {
        self.runtime.shutdown_background();
    }

    fn request(&self, batches: &[Batch]) -> Result<Request<Full<Bytes>>, Refusal> {
        let unfit = |reason: String| Refusal { reason, again: Again::Never };
        let (headers, body): (&[_], _) = match self.to.form {
            Form::RemoteWrite => {
                let body = remote_write::encode(&self.origin, batches);
                (&remote_write::HEADERS, body.map_err(|error| unfit(error.to_string()))?)
            }
            Form::Otlp => (&otlp::HEADERS, otlp::encode(&self.origin, batches)),
        };
        let mut request = Request::post(&self.to.path)
            .header(HOST, self.to.authority())
            .header(USER_AGENT, format!("peakhour/{}", self.origin.version));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(value) = &self.to.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        request.body(Full::new(Bytes::from(body))).map_err(|error| unfit(error.to_string()))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Refusal> {
        let socket = TcpStream::connect((self.to.host.as_str(), self.to.port)).await;
        let socket = socket.map_err(|error| Refusal::unreached(error.to_string()))?;
        let Some(tls) = &self.tls else { return ask(socket, request).await };
        let connector = TlsConnector::from(Arc::clone(tls.config(false, None)));
        let shaken = connector.connect(tls.name.clone(), socket).await;
        ask(shaken.map_err(|error| Refusal::unreached(error.to_string()))?, request).await
    }
}

async fn ask<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let foreign = |_| Refusal::unreached("the answer is not HTTP's, or was cut off");
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(foreign)?;
    let driver = tokio::spawn(connection);
    let answered = async {
        let (head, body) = sender.send_request(request).await.map_err(foreign)?.into_parts();
        let rest =
            head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let rest = Duration::from_secs(rest.unwrap_or(0));
        // The status has said what counts, whatever becomes of the rest.
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_or_else(|_| Bytes::new(), Collected::to_bytes);
        Ok(Answer { status: head.status, rest, body })
    };
    let answered = answered.await;
    driver.abort();
    answered
}

/// What an answer means: overload passes, and what is wrong with the numbers or with our rights
/// does not. Which status is which, both protocols say themselves.
fn outcome(form: Form, answer: &Answer) -> Result<u64, Refusal> {
    let status = answer.status;
    if status.is_success() {
        let is_told = form == Form::Otlp;
        return Ok(if is_told { otlp::refused(&answer.body) } else { 0 });
    }
    let is_busy = status == StatusCode::TOO_MANY_REQUESTS
        || match form {
            Form::RemoteWrite => status.is_server_error(),
            Form::Otlp => matches!(status.as_u16(), 502..=504),
        };
    let hint = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            " (credentials stand in the URL, or in PEAKHOUR_OUT_AUTHORIZATION)"
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            " (is the path right, and is receiving switched on?)"
        }
        _ => "",
    };
    let reason = format!("it answers with status {}{hint}", status.as_u16());
    Err(Refusal { reason, again: if is_busy { Again::Busy(answer.rest) } else { Again::Never } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again_and_what_is_wrong_is_not() {
        let rest = Duration::from_secs(7);
        let (busy, never) = (Some(Again::Busy(rest)), Some(Again::Never));
        for (status, remote_write, otlp) in [
            (204, None, None),
            (200, None, None),
            (429, busy, busy),
            (503, busy, busy),
            (500, busy, never),
            (400, never, never),
            (408, never, never),
            (301, never, never),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer { status, rest, body: Bytes::new() };
            for (form, again) in [(Form::RemoteWrite, remote_write), (Form::Otlp, otlp)] {
                let found = outcome(form, &answer).err().map(|refusal| refusal.again);
                assert_eq!(found, again, "{status} {form:?}");
            }
        }
        let body = Bytes::from_static(br#"{"partialSuccess":{"rejectedDataPoints":"3"}}"#);
        let partly = Answer { status: StatusCode::OK, rest, body };
        assert_eq!(outcome(Form::Otlp, &partly).unwrap(), 3);
        assert_eq!(outcome(Form::RemoteWrite, &partly).unwrap(), 0);
    }
}
