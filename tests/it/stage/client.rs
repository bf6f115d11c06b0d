//! A client that sends exactly the bytes it is given.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body_bytes: usize,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a listening stage");
        // A stage that never answers must fail a test rather than hang it.
        stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a time above 0");
        stream.set_nodelay(true).expect("a TCP socket");
        Self { stream, unread: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("a stage that reads");
    }

    /// Sends as much as the stage takes.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).ok();
    }

    pub(crate) fn finish_sending(&mut self) {
        self.stream.shutdown(Shutdown::Write).ok();
    }

    pub(crate) fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Answer {
        self.send(bytes);
        self.answer()
    }

    pub(crate) fn answer(&mut self) -> Answer {
        let answer = self.head();
        self.take_body(answer.body_bytes);
        answer
    }

    /// An answer without its body, as to HEAD.
    pub(crate) fn head(&mut self) -> Answer {
        let end = loop {
            match self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(position) => break position + 4,
                None => assert!(self.read_more() > 0, "closed in a head: {:?}", self.unread),
            }
        };
        let head = String::from_utf8(self.unread.drain(..end).collect()).expect("a head in ASCII");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.expect("a status");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let body_bytes = length.map_or(0, |length| length.parse().expect("a length"));
        Answer { status, head, body_bytes }
    }

    fn take_body(&mut self, mut bytes: usize) {
        loop {
            let taken = bytes.min(self.unread.len());
            self.unread.drain(..taken);
            bytes -= taken;
            if bytes == 0 {
                return;
            }
            assert!(self.read_more() > 0, "closed {bytes} bytes before the end of a body");
        }
    }

    /// All bytes until the stage closes or resets the connection.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        self.stream.read_to_end(&mut self.unread).ok();
        std::mem::take(&mut self.unread)
    }

    fn read_more(&mut self) -> usize {
        let mut buffer = vec![0; 64 * 1024];
        let count = self.stream.read(&mut buffer).expect("an answer in time");
        self.unread.extend_from_slice(&buffer[..count]);
        count
    }
}
