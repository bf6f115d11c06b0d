//! A tiny shop: HTTP in front, an LRU cache of known size, one select of MariaDB for each miss.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use tokio::runtime::{Builder, Runtime};

pub(super) struct Shop {
    pub(super) port: u16,
    served: Arc<AtomicU64>,
}

impl Shop {
    /// Requests served so far.
    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::SeqCst)
    }
}

struct Shelf {
    /// The newest key first.
    cache: VecDeque<String>,
    size: usize,
    runtime: Runtime,
    database: Conn,
    /// A file that asks for the cache to be emptied.
    flush: PathBuf,
}

impl Shelf {
    fn look_up(&mut self, key: &str) {
        if fs::remove_file(&self.flush).is_ok() {
            self.cache.clear();
        }
        if let Some(position) = self.cache.iter().position(|kept| kept == key) {
            drop(self.cache.remove(position));
        } else {
            let Self { runtime, database, .. } = self;
            let read = database.query_drop("SELECT 1");
            runtime.block_on(read).unwrap();
        }
        self.cache.push_front(key.to_owned());
        self.cache.truncate(self.size);
    }
}

/// Serves until the test process ends.
pub(super) fn start(database: u16, size: usize, flush: &Path) -> Shop {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(database)
        .user(Some("root"))
        .prefer_socket(false);
    let database = runtime.block_on(Conn::new(options)).unwrap();
    let cache = VecDeque::new();
    let shelf = Shelf { cache, size, runtime, database, flush: flush.to_owned() };
    let shelf = Arc::new(Mutex::new(shelf));
    let served = Arc::<AtomicU64>::default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let shop = Shop { port: listener.local_addr().unwrap().port(), served: Arc::clone(&served) };
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (shelf, served) = (Arc::clone(&shelf), Arc::clone(&served));
            thread::spawn(move || serve(stream, &shelf, &served));
        }
    });
    shop
}

fn serve(mut stream: TcpStream, shelf: &Mutex<Shelf>, served: &AtomicU64) {
    let _ = stream.set_nodelay(true);
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(request)) = lines.next() {
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let Some(target) = request.split(' ').nth(1) else { return };
        shelf.lock().unwrap().look_up(target);
        served.fetch_add(1, Ordering::SeqCst);
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}
