//! A real TLS client talks to a real nginx; what went through in between becomes a capture.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use peakhour::capture::FIN;
use peakhour::capture::import::{Found, Imported, read_capture_with};
use peakhour::capture::source::Source;
use peakhour::capture::tls::keylog::Secrets;

use crate::servers::{self, Server, pause};
use crate::support::program;
use crate::talk::Talk;

/// Bytes of the large answer.
pub(crate) const LARGE: usize = 300_000;

/// Payload of a segment, in bytes.
pub(crate) const SEGMENT: usize = 700;

/// How it ends.
const END: &str = "the end of the large answer";

/// A server for all versions and suites; it has what a client asks for, and a large file.
pub(crate) fn shop() -> Option<Server> {
    let openssl = program("openssl")?;
    servers::nginx("", "", |port, folder| {
        servers::certificate(&openssl, folder);
        fs::write(folder.join("large"), "l".repeat(LARGE - END.len()) + END).unwrap();
        let at = folder.display();
        format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_early_data on;\n\
             ssl_certificate {at}/certificate.pem; ssl_certificate_key {at}/key.pem;\n\
             ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; ssl_ciphers 'ALL:@SECLEVEL=0';\n\
             client_max_body_size 10m; location = /large {{ root {at}; }}\n\
             location / {{ return 200 'served $request_uri.'; }} }}"
        )
    })
}

/// What the client says, and what it waits for afterwards.
pub(crate) type Line<'a> = (&'a str, &'a str);

/// A request, and the answer to wait for.
pub(crate) fn get(target: &str) -> (String, String) {
    let head = format!("GET {target} HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    let answer = if target == "/large" { END.to_owned() } else { format!("served {target}.") };
    (head, answer)
}

/// A conversation as captured, and the client's key log.
pub(crate) struct Tape {
    pub(crate) talk: Talk,
    pub(crate) keylog: String,
}

impl Tape {
    /// Imports it, with the secrets of a key log.
    pub(crate) fn import(&self, keylog: &str) -> (Vec<Found>, Imported) {
        import(crate::talk::file_of(&self.talk.pieces), keylog)
    }
}

/// Imports a capture with a key log; its ledger adds up.
pub(crate) fn import(source: Source, keylog: &str) -> (Vec<Found>, Imported) {
    let mut secrets = Secrets::default();
    secrets.read(&mut keylog.as_bytes()).unwrap();
    let mut found = Vec::new();
    let imported =
        read_capture_with(vec![source], secrets, None, false, &mut |one| found.push(one)).unwrap();
    assert!(imported.ledger.reconciles(), "{:#?}", imported.ledger);
    (found, imported)
}

/// Four requests: one with a body, one with a large answer.
pub(crate) fn visit(server: &Server, arguments: &[&str]) -> Tape {
    let post = format!(
        "POST /cart HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 50000\r\n\r\n{}",
        "b".repeat(50_000)
    );
    let (first, large, last) = (get("/first"), get("/large"), get("/last"));
    let lines = [(first.0, first.1), (post, "served /cart.".into()), large, last];
    let lines: Vec<(&str, &str)> = lines.iter().map(|(a, b)| (&a[..], &b[..])).collect();
    tape(server, arguments, &lines)
}

/// How these requests are shown.
pub(crate) fn expected() -> [String; 4] {
    [
        "GET /first 0 > 200 14".into(),
        "POST /cart 50000 > 200 13".into(),
        format!("GET /large 0 > 200 {LARGE}"),
        "GET /last 0 > 200 13".into(),
    ]
}

/// Lets `openssl s_client` say its lines to the server, and writes down what goes through.
pub(crate) fn tape(server: &Server, arguments: &[&str], lines: &[Line<'_>]) -> Tape {
    let lines: Vec<_> = lines.iter().map(|(a, b)| (a.as_bytes(), b.as_bytes())).collect();
    tape_of_bytes(server, arguments, &lines)
}

/// The same where what is said is no text.
pub(crate) fn tape_of_bytes(server: &Server, arguments: &[&str], lines: &[(&[u8], &[u8])]) -> Tape {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let upstream = server.port;
    let between = thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        pass_on(client, TcpStream::connect(("127.0.0.1", upstream)).unwrap())
    });
    let keylog = server.folder().join(format!("keys-{port}"));
    let mut client = Client::start(port, &keylog, arguments);
    for (says, awaited) in lines {
        client.say(says, awaited);
    }
    client.end();
    let mut talk = Talk::new();
    for (is_client, bytes) in between.join().unwrap() {
        for segment in bytes.chunks(SEGMENT) {
            talk.say(is_client, segment);
        }
    }
    talk.close(true, FIN).close(false, FIN);
    Tape { talk, keylog: fs::read_to_string(keylog).unwrap() }
}

/// Who sent what, in the order in which it went through.
type Heard = Vec<(bool, Vec<u8>)>;

fn pass_on(client: TcpStream, server: TcpStream) -> Heard {
    let heard = Arc::new(Mutex::new(Heard::new()));
    let copy = |mut from: TcpStream, mut to: TcpStream, is_client: bool| {
        let heard = Arc::clone(&heard);
        thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                // Written down before it goes on, so that no answer comes before its question.
                heard.lock().unwrap().push((is_client, buffer[..count].to_vec()));
                if to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Write);
        })
    };
    let (again, back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let threads = [copy(client, server, true), copy(back, again, false)];
    for thread in threads {
        thread.join().unwrap();
    }
    std::mem::take(&mut *heard.lock().unwrap())
}

struct Client {
    child: Child,
    /// All that it has said so far, on both outputs.
    said: Arc<Mutex<Vec<u8>>>,
    /// How much of it was an answer to what was said before.
    heard: usize,
}

impl Client {
    fn start(port: u16, keylog: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new("openssl")
            .args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-keylogfile"])
            .arg(keylog)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for mut output in outputs {
            let said = Arc::clone(&said);
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = output.read(&mut buffer) {
                    said.lock().unwrap().extend_from_slice(&buffer[..count]);
                }
            });
        }
        Self { child, said, heard: 0 }
    }

    /// Says something, and waits until it has been answered.
    fn say(&mut self, text: &[u8], awaited: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(text).unwrap();
        for _ in 0..500 {
            let said = self.said.lock().unwrap();
            let mut new = said[self.heard..].windows(awaited.len());
            if let Some(at) = new.position(|it| it == awaited) {
                self.heard += at + awaited.len();
                return;
            }
            drop(said);
            pause();
        }
        let awaited = String::from_utf8_lossy(awaited);
        panic!("no {awaited}: {}", String::from_utf8_lossy(&self.said.lock().unwrap()));
    }

    /// Without more to say it closes the connection.
    fn end(mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
