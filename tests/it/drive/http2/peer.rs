//! Targets that speak HTTP/2: by the library, or frame by frame.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use peakhour::protocol::http2::PREFACE;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use crate::drive::server::Client;

/// A server that really speaks HTTP/2; it goes on until the process ends.
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Peer {
    /// Connections accepted so far.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(SeqCst)
    }
}

/// A request that is to be answered.
pub(super) struct Answers {
    pub(super) path: String,
    send: SendResponse<Bytes>,
}

impl Answers {
    pub(super) fn answer(&mut self, status: u16, body: &'static [u8]) {
        let response = Response::builder().status(status).body(()).unwrap();
        let mut stream = self.send.send_response(response, body.is_empty()).unwrap();
        if !body.is_empty() {
            stream.send_data(Bytes::from_static(body), true).unwrap();
        }
    }

    pub(super) fn with_trailers(&mut self, body: &'static [u8], trailers: HeaderMap) {
        let mut stream = self.send.send_response(Response::new(()), false).unwrap();
        stream.send_data(Bytes::from_static(body), false).unwrap();
        stream.send_trailers(trailers).unwrap();
    }

    pub(super) fn in_head(&mut self, headers: HeaderMap) {
        let mut response = Response::new(());
        *response.headers_mut() = headers;
        self.send.send_response(response, true).unwrap();
    }

    pub(super) fn reset(&mut self, reason: Reason) {
        self.send.send_reset(reason);
    }
}

pub(super) fn serve(answer: impl Fn(Answers) + Send + Sync + 'static) -> Peer {
    serve_inside(None, |_| {}, answer)
}

pub(super) fn serve_with(
    limits: impl Fn(&mut Builder) + Send + Sync + 'static,
    answer: impl Fn(Answers) + Send + Sync + 'static,
) -> Peer {
    serve_inside(None, limits, answer)
}

/// Answers each request on a thread of its own, inside of TLS where that is given.
pub(super) fn serve_inside(
    tls: Option<TlsAcceptor>,
    limits: impl Fn(&mut Builder) + Send + Sync + 'static,
    answer: impl Fn(Answers) + Send + Sync + 'static,
) -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let (count, answer) = (Arc::clone(&accepted), Arc::new(answer));
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((socket, _)) = listener.accept().await {
                count.fetch_add(1, SeqCst);
                let mut builder = Builder::new();
                limits(&mut builder);
                let (answer, tls) = (Arc::clone(&answer), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => speak(&builder, socket, answer).await,
                        Some(tls) => {
                            // Whoever offers something else is told so.
                            let Ok(stream) = tls.accept(socket).await else { return };
                            speak(&builder, stream, answer).await;
                        }
                    }
                });
            }
        });
    });
    Peer { address, accepted }
}

async fn speak(
    builder: &Builder,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: Arc<impl Fn(Answers) + Send + Sync + 'static>,
) {
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    while let Some(Ok((request, send))) = connection.accept().await {
        take(&request, send, Arc::clone(&answer));
    }
}

fn take(
    request: &Request<RecvStream>,
    send: SendResponse<Bytes>,
    answer: Arc<impl Fn(Answers) + Send + Sync + 'static>,
) {
    let path = request.uri().path().to_owned();
    thread::spawn(move || answer(Answers { path, send }));
}

/// A frame of a kind, with flags, of a stream.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub(super) fn said(client: &mut Client, bytes: &[u8]) {
    // The driver may have gone away, as tests ask of it.
    let _ = client.stream.write_all(bytes);
}

/// Reads what a client says first, until the head of its first request.
pub(super) fn read_headers(client: &mut Client) {
    let mut preface = [0; PREFACE.len()];
    client.stream.read_exact(&mut preface).unwrap();
    assert_eq!(&preface, PREFACE);
    loop {
        let mut head = [0; 9];
        client.stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        std::io::copy(&mut (&client.stream).take(u64::from(length)), &mut std::io::sink()).unwrap();
        if head[3] == 1 {
            return;
        }
    }
}
