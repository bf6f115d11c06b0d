//! A page of metrics, in the text format of Prometheus and OpenMetrics.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderValue};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::probe::client::Failure;
use crate::probe::exposition::readings;
use crate::probe::record::Readings;
use crate::scenario::endpoint::Endpoint;

/// Most bytes of a page.
const MAX_PAGE: usize = 8 << 20;

pub(crate) struct Page {
    address: SocketAddr,
    request: Request<Empty<Bytes>>,
    series: Vec<String>,
    /// Kept open, so that it is there when no other can be opened.
    connection: Option<Connection>,
}

struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Page {
    pub(crate) fn open(
        endpoint: &Endpoint,
        address: SocketAddr,
        series: &[String],
    ) -> Result<Self, Failure> {
        let shown = endpoint.to_string();
        let mut request = Request::get(format!("/{}", endpoint.path))
            .header(HOST, shown.trim_start_matches("http://"))
            .body(Empty::new())
            .map_err(|_| Failure::passing("the path of the page is none"))?;
        if endpoint.user.is_some() || endpoint.password.is_some() {
            let part = |part: &Option<String>| part.clone().unwrap_or_default();
            let pair = format!("{}:{}", part(&endpoint.user), part(&endpoint.password));
            let value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)));
            let mut value = value.map_err(|_| Failure::passing("the password cannot be sent"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(Self { address, request, series: series.to_vec(), connection: None })
    }

    pub(crate) async fn look(&mut self) -> Result<Readings, Failure> {
        let kept = self.connection.take().filter(|kept| !kept.sender.is_closed());
        if let Some(mut kept) = kept {
            // One that was idle may be closed at this very moment: that says nothing.
            if let Ok(page) = self.ask(&mut kept).await {
                self.connection = Some(kept);
                return readings(&page, &self.series);
            }
        }
        let mut opened = connect(self.address).await?;
        let page = self.ask(&mut opened).await?;
        self.connection = Some(opened);
        readings(&page, &self.series)
    }

    async fn ask(&self, connection: &mut Connection) -> Result<String, Failure> {
        let foreign = |_| Failure::passing("the answer is not HTTP's, or was cut off");
        connection.sender.ready().await.map_err(foreign)?;
        let asked = connection.sender.send_request(self.request.clone());
        let response = asked.await.map_err(foreign)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(Failure::refused_user()),
            status => {
                let reason = format!("the page answers with status {}", status.as_u16());
                return Err(Failure::passing(reason));
            }
        }
        let body = Limited::new(response.into_body(), MAX_PAGE).collect().await;
        let body = body.map_err(|_| Failure::passing("the page is cut off, or endless"))?;
        Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
    }
}

async fn connect(address: SocketAddr) -> Result<Connection, Failure> {
    let stream = TcpStream::connect(address).await?;
    let (sender, driver) = handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Failure::passing("the answer is not HTTP's"))?;
    let driver = tokio::spawn(async move {
        let _ = driver.await;
    });
    Ok(Connection { sender, driver })
}
