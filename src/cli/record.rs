//! `peakhour record`: live traffic becomes a recording, by a reverse proxy in front of a server.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use socket2::{Domain, Socket, Type};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::capture::import::{Found, Import, Imported};
use crate::cli::exit::Exit;
use crate::cli::files::check_recording;
use crate::cli::interrupt::Interrupt;
use crate::cli::load::listed;
use crate::cli::redact::{Secrets, told};
use crate::cli::{Voice, outputs, wall_clock};
use crate::drive::health::raise_open_files_limit;
use crate::drive::stop::Stop;
use crate::record::{Clock, Passed, ROOM, Tee};
use crate::recording::file::writer::{RecordingWriter, unfinished};
use crate::recording::redaction::Redactor;
use crate::recording::{FORMAT_VERSION, Header};
use crate::scenario::fields;
use crate::units::{format_count, format_duration};

/// Arguments of `record`.
#[derive(Debug, clap::Args)]
pub struct Record {
    /// Where clients connect to.
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The server that answers them, HTTP/1 without TLS.
    #[arg(long, value_name = "HOST:PORT")]
    upstream: String,
    /// The recording to write, once the last connection has ended.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// End by itself after so long; otherwise Ctrl-C or SIGTERM ends it.
    #[arg(long = "for", value_name = "DURATION", value_parser = length)]
    length: Option<Duration>,
    /// At the end, how long open connections are still served.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = length)]
    grace: Duration,
    /// What happens to secrets.
    #[command(flatten)]
    secrets: Secrets,
}

const LONGEST: Duration = Duration::from_hours(7 * 24);

fn length(text: &str) -> Result<Duration, String> {
    fields::duration(text, Duration::ZERO..=LONGEST).map_err(|mistake| mistake.to_string())
}

/// Runs `record`.
pub fn record(command: &Record, voice: Voice) -> anyhow::Result<Exit> {
    check_recording(&command.output, &[])?;
    let redactor = command.secrets.redactor()?;
    let upstream = resolved(&command.upstream, voice)?;
    if is_itself(command.listen, upstream) {
        bail!(
            "{upstream} is both --listen and --upstream: every connection would go to itself; let \
             the server listen on another port"
        );
    }
    let listener =
        listener(command.listen).with_context(|| format!("cannot listen on {}", command.listen))?;
    let listen = listener.local_addr().context("cannot listen")?;
    // A connection takes two.
    let files = raise_open_files_limit();
    let stop = Stop::new();
    let stopping = stop.clone();
    let quiet = voice.quiet;
    let output = command.output.clone();
    Interrupt::listen_and(move || forget(&output))?.then(move || {
        outputs::note(quiet, "interrupted: serving what is open, then writing the recording");
        stopping.request();
    })?;
    let writer = RecordingWriter::create(&command.output)?;
    let passed = Arc::<Passed>::default();
    let (recorder, mut seen) = mpsc::unbounded_channel();
    let clock = Clock::showing(wall_clock::now().unix_ns());
    let tee = Tee::new(upstream, clock, ROOM, recorder, Arc::clone(&passed));
    let served = serve(tee, listener, stop, command)?;
    outputs::note(
        voice.quiet,
        &format!(
            "recording http://{listen} -> {upstream}, {} connections at once; Ctrl-C ends it",
            format_count(files / 2)
        ),
    );

    let mut import = Import::default();
    let mut keeping = Keeping { writer, failed: None, redactor };
    let mut warned = false;
    while let Some(seen) = seen.blocking_recv() {
        passed.taken(&seen);
        import.event(&seen.event(), &mut |found| keeping.keep(found));
        if !warned && passed.local_errors.load(Ordering::Relaxed) > 0 {
            warned = true;
            outputs::note(false, OUT_OF_CONNECTIONS);
        }
    }
    let mut imported = import.finish(&mut |found| keeping.keep(found));
    imported.servers.addresses.extend(passed.fronts());
    imported.servers.addresses.sort_unstable();
    imported.servers.addresses.dedup();
    served.join().map_err(|_| anyhow::anyhow!("the proxy's thread panicked"))??;
    passed.account(&mut imported.ledger);
    written(command, voice, Done { listen, keeping, imported, passed: &passed })
}

/// Said at once: clients are waiting.
const OUT_OF_CONNECTIONS: &str = "warning: this machine has no connection to give, and clients \
                                  wait; raise its limit on open files (ulimit -n)";

/// Connections that may wait to be accepted: the peak comes at once, and a thread may be busy.
const BACKLOG: i32 = 4_096;

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Whether connections to the upstream would arrive here.
fn is_itself(listen: SocketAddr, upstream: SocketAddr) -> bool {
    let [own, theirs] = [listen.ip().to_canonical(), upstream.ip().to_canonical()];
    // An address to which a socket can be bound is one of this machine's.
    let is_local = || UdpSocket::bind((theirs, 0)).is_ok();
    listen.port() == upstream.port() && (own == theirs || (own.is_unspecified() && is_local()))
}

/// Removes what was written of a recording.
fn forget(output: &Path) {
    for left in unfinished(output) {
        let _ = std::fs::remove_file(left);
    }
}

/// The first address of a name that answers, or else the first: the server may begin later.
fn resolved(upstream: &str, voice: Voice) -> anyhow::Result<SocketAddr> {
    let advice = "name it as HOST:PORT, such as 127.0.0.1:8080";
    let addresses: Vec<SocketAddr> = upstream
        .to_socket_addrs()
        .with_context(|| format!("--upstream {upstream} is no address; {advice}"))?
        .collect();
    let answers = |address: &&SocketAddr| TcpStream::connect_timeout(address, PATIENCE).is_ok();
    if let Some(address) = addresses.iter().find(answers) {
        return Ok(*address);
    }
    outputs::note(voice.quiet, &format!("warning: {upstream} does not answer yet"));
    let first = addresses.first().copied();
    first.with_context(|| format!("--upstream {upstream} has no address; {advice}"))
}

/// For an address of the upstream to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The proxy, on a thread of its own: writing a recording must not delay it.
fn serve(
    tee: Tee,
    listener: TcpListener,
    stop: Stop,
    command: &Record,
) -> anyhow::Result<thread::JoinHandle<io::Result<()>>> {
    let (length, grace) = (command.length, command.grace);
    let serving = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            if let Some(length) = length {
                let (stop, ends) = (stop.clone(), Instant::now() + length);
                tokio::spawn(async move {
                    sleep_until(ends).await;
                    stop.request();
                });
            }
            tee.serve(listener, stop.subscribe(), grace).await;
            Ok(())
        })
    };
    thread::Builder::new()
        .name("proxy".to_owned())
        .spawn(serving)
        .context("cannot start the proxy's thread")
}

/// Exchanges on their way to the file. Where that fails, the proxy goes on.
struct Keeping {
    writer: RecordingWriter,
    failed: Option<anyhow::Error>,
    redactor: Option<Redactor>,
}

impl Keeping {
    fn keep(&mut self, found: Found) {
        let (Found::Exchange(mut exchange), None) = (found, &self.failed) else { return };
        if let Some(redactor) = &mut self.redactor {
            redactor.redact(&mut exchange);
        }
        if let Err(error) = self.writer.push(exchange) {
            let error = anyhow::Error::from(error);
            let goes_on = "connections are passed on, but nothing is recorded any more, and no \
                           file will be written: end this and record to another disk";
            outputs::note(false, &format!("error: {error:#}; {goes_on}"));
            self.failed = Some(error);
        }
    }
}

/// What was done until the end.
struct Done<'a> {
    listen: SocketAddr,
    keeping: Keeping,
    imported: Imported,
    passed: &'a Passed,
}

fn written(command: &Record, voice: Voice, done: Done<'_>) -> anyhow::Result<Exit> {
    let Done { listen, keeping, imported, passed } = done;
    let file = command.output.display();
    let connections = passed.connections.load(Ordering::Relaxed);
    if let Some(error) = keeping.failed {
        drop(keeping.writer);
        forget(&command.output);
        let advice = "make room on its disk, or name a file on another one with -o";
        return Err(error.context(format!("nothing was written to {file}; {advice}")));
    }
    if imported.exchanges == 0 {
        drop(keeping.writer);
        forget(&command.output);
        bail!(
            "no HTTP/1 request came through ({} connections; {}); nothing was written. Point \
             clients that speak it, without TLS, at {listen}, and check that {} answers",
            format_count(connections),
            listed(&imported.ledger.notes),
            command.upstream
        );
    }
    let redactor = keeping.redactor.as_ref();
    let length = format_duration(Duration::from_nanos(imported.duration_ns));
    let header = keeping.writer.finish(Header {
        format_version: FORMAT_VERSION,
        origin: format!("recorded at {listen} in front of {}", command.upstream),
        started_unix_ns: imported.started_unix_ns,
        duration_ns: imported.duration_ns,
        clock_resolution_ns: 1,
        exchanges: imported.exchanges,
        connections: imported.connections,
        servers: imported.servers,
        redacted_headers: redactor.map_or(Vec::new(), Redactor::headers),
        redaction: redactor.map(Redactor::account),
        ledger: imported.ledger,
    })?;
    let [copies, bytes] = passed.dropped.each_ref().map(|count| count.load(Ordering::Relaxed));
    if copies > 0 {
        outputs::note(
            voice.quiet,
            &format!(
                "warning: the recorder was behind, and {} bytes in {} pieces are missing from \
                 the recording; all were passed on",
                format_count(bytes),
                format_count(copies)
            ),
        );
    }
    if let Some(redaction) = &header.redaction {
        outputs::note(voice.quiet, &told(redaction));
    }
    outputs::note(
        voice.quiet,
        &format!(
            "{} exchanges on {} connections in {length} -> {file}\nwhat became of every byte: \
             peakhour inspect {file}",
            format_count(header.exchanges),
            format_count(header.connections),
        ),
    );
    Ok(Exit::Pass)
}
