//! One request to a monitoring system, and what it answers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::Full;
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

/// Why numbers did not arrive.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) reason: String,
    /// The same numbers would be refused again.
    pub(super) is_final: bool,
}

impl Refusal {
    fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_final: false }
    }
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
            .build()
            .context("a thread that sends numbers cannot be set up")?;
        Ok(Self { to: to.clone(), tls, origin, runtime })
    }

    /// Sends some batches in one request.
    pub(super) fn push(&self, batches: &[Batch]) -> Result<(), Refusal> {
        let request = self.request(batches)?;
        let sent = async { timeout(LIMIT, self.send(request)).await };
        match self.runtime.block_on(sent) {
            Ok(answered) => outcome(answered?),
            Err(_) => Err(Refusal::passing(format!("no answer within {} s", LIMIT.as_secs()))),
        }
    }

    fn request(&self, batches: &[Batch]) -> Result<Request<Full<Bytes>>, Refusal> {
        let unfit = |what: String| Refusal { reason: what, is_final: true };
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

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<StatusCode, Refusal> {
        let socket = TcpStream::connect((self.to.host.as_str(), self.to.port)).await;
        let socket = socket.map_err(|error| Refusal::passing(error.to_string()))?;
        let Some(tls) = &self.tls else { return ask(socket, request).await };
        let connector = TlsConnector::from(Arc::clone(tls.config(false, None)));
        let shaken = connector.connect(tls.name.clone(), socket).await;
        ask(shaken.map_err(|error| Refusal::passing(error.to_string()))?, request).await
    }
}

async fn ask<S>(stream: S, request: Request<Full<Bytes>>) -> Result<StatusCode, Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let foreign = |_| Refusal::passing("the answer is not HTTP's, or was cut off");
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(foreign)?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(foreign);
    // What else it says is of no interest.
    driver.abort();
    Ok(response?.status())
}

/// What the status means: overload passes, and what is wrong with the numbers or with our rights
/// does not.
fn outcome(status: StatusCode) -> Result<(), Refusal> {
    if status.is_success() {
        return Ok(());
    }
    let passes = status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
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
    Err(Refusal { reason, is_final: !passes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again_and_what_is_wrong_is_not() {
        for (status, is_final) in
            [(204, None), (200, None), (429, Some(false)), (503, Some(false)), (400, Some(true))]
        {
            let found = outcome(StatusCode::from_u16(status).unwrap());
            assert_eq!(found.err().map(|refusal| refusal.is_final), is_final, "{status}");
        }
    }
}
