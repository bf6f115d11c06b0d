//! A target that misbehaves exactly as told, one thread a connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

/// A server on a port of its own; it goes on until the process ends.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Server {
    /// Connections accepted so far.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(SeqCst)
    }
}

/// One accepted connection.
pub(super) struct Client {
    /// Its number, from 0, in order of acceptance.
    pub(super) number: usize,
    pub(super) stream: TcpStream,
    reader: BufReader<TcpStream>,
}

/// Serves each connection with `serve`; it is closed when that returns.
pub(super) fn start(serve: impl Fn(&mut Client) + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let (count, serve) = (Arc::clone(&accepted), Arc::new(serve));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let number = count.fetch_add(1, SeqCst);
            let serve = Arc::clone(&serve);
            thread::spawn(move || {
                let reader = BufReader::new(stream.try_clone().unwrap());
                serve(&mut Client { number, stream, reader });
            });
        }
    });
    Server { address, accepted }
}

/// A server that answers every request with an empty 200.
pub(super) fn healthy() -> Server {
    start(|client| while client.answer_next().is_some() {})
}

impl Client {
    /// Reads a request with its body and returns its target; `None` when the client has closed.
    pub(super) fn request(&mut self) -> Option<String> {
        let mut first = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).unwrap_or(0) == 0 {
                return None;
            }
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
            if first.is_empty() {
                first = line;
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).ok()?;
        Some(first.split(' ').nth(1).unwrap().to_owned())
    }

    pub(super) fn say(&mut self, text: &str) {
        // The driver may have gone away, as tests ask of it.
        let _ = self.stream.write_all(text.as_bytes());
    }

    pub(super) fn answer(&mut self) {
        self.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }

    pub(super) fn answer_next(&mut self) -> Option<String> {
        let target = self.request()?;
        self.answer();
        Some(target)
    }

    /// Bytes that were sent beyond the request just read.
    pub(super) fn has_more(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let more = !self.reader.buffer().is_empty() || self.stream.peek(&mut [0]).is_ok();
        self.stream.set_nonblocking(false).unwrap();
        more
    }

    /// The client has ended its side.
    pub(super) fn has_ended(&mut self) -> bool {
        self.stream.peek(&mut [0]).is_ok_and(|count| count == 0)
    }

    /// Waits until the client has closed.
    pub(super) fn wait_for_close(&mut self) {
        let _ = std::io::copy(&mut self.reader, &mut std::io::sink());
    }

    /// Closes with a reset.
    pub(super) fn reset(&self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }
}
