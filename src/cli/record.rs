//! `peakhour record`: live traffic becomes a recording, by a reverse proxy in front of a server.

mod names;
mod part;
mod parts;
mod upstream;
mod recorder;

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use socket2::{Domain, Socket, Type};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::cli::exit::Exit;
use crate::cli::files::check_recording;
use crate::cli::files::longest_body;
use crate::cli::interrupt::Interrupt;
use crate::cli::load::listed;
use crate::cli::record::names::forget;
use crate::cli::record::parts::{Parts, Rotation, Series, Totals};
use crate::cli::record::recorder::Recorder;
use crate::cli::record::upstream::{Upstream, protocol, route};
use crate::cli::redact::{Secrets, told};
use crate::cli::{Voice, outputs, wall_clock};
use crate::drive::health::raise_open_files_limit;
use crate::drive::stop::Stop;
use crate::record::passed::Passed;
use crate::record::{Clock, ROOM, Tee};
use crate::recording::stored::spool::Spool;
use crate::scenario::fields;
use crate::units::{format_count, format_duration, parse_size};

/// Arguments of `record`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Record {
    /// Where clients connect to.
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The server that answers them; with `https://` in front where it speaks TLS.
    #[arg(long, value_name = "[https://]HOST:PORT", value_parser = upstream::parse)]
    upstream: Upstream,
    /// The recording to write, once the last connection has ended. With --rotate or --rotate-size
    /// each file's name gets its start in UTC: peak.parquet becomes
    /// peak-20261126-103000-250.parquet.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// End by itself after so long; otherwise Ctrl-C or SIGTERM ends it.
    #[arg(long = "for", value_name = "DURATION", value_parser = length)]
    length: Option<Duration>,
    /// At the end, how long open connections are still served.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = length)]
    grace: Duration,
    /// Speak TLS to clients with this certificate (PEM; the server's own first, then those of its
    /// issuers). What is recorded is what was inside.
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = TLS)]
    tls_cert: Option<PathBuf>,
    /// The key of --tls-cert (PEM, without passphrase).
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = TLS)]
    tls_key: Option<PathBuf>,
    /// Trust only the issuers in this file (PEM) for the upstream's certificate, instead of those
    /// that this machine trusts.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure", help_heading = TLS)]
    cacert: Option<PathBuf>,
    /// Take any certificate of the upstream: whoever stands in between can then read everything.
    #[arg(short = 'k', long, help_heading = TLS)]
    insecure: bool,
    /// The name that the upstream is asked for (SNI) and that its certificate must have, instead of
    /// the host of --upstream.
    #[arg(long, value_name = "NAME", help_heading = TLS)]
    upstream_name: Option<String>,
    /// The only protocols to agree on inside of TLS (ALPN), such as `h2,http/1.1`. Without it, an
    /// upstream in TLS chooses among what each client offers; an upstream without TLS is taken for
    /// http/1.1, and so are clients without TLS.
    #[arg(long, value_name = "NAME", value_delimiter = ',', help_heading = TLS)]
    #[arg(value_parser = protocol)]
    alpn: Vec<String>,
    /// Begin a new file each time so much time has passed.
    #[arg(long, value_name = "DURATION", value_parser = interval, help_heading = FILES)]
    rotate: Option<Duration>,
    /// Begin a new file once one has about this size.
    #[arg(long, value_name = "SIZE", value_parser = file_size, help_heading = FILES)]
    rotate_size: Option<u64>,
    /// Keep only so many of the files that this run has finished: the oldest is removed.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[arg(help_heading = FILES)]
    keep: Option<u32>,
    /// Record bodies of requests whole up to this size. Those over 1MiB pass through a file beside
    /// the recording; of longer ones the first MiB is kept, and they are not replayed.
    #[arg(long, value_name = "SIZE", value_parser = longest_body, default_value = "16GiB")]
    longest_body: u64,
    /// Keep of each response's body a digest, and of JSON the names and types of its fields, so
    /// that replays are compared with them; see docs/responses.md.
    #[arg(long)]
    contents: bool,
    /// What happens to secrets.
    #[command(flatten)]
    secrets: Secrets,
}

const TLS: &str = "TLS";
const FILES: &str = "Several files";

const EXAMPLES: &str = "Examples:
  In front of a server without TLS, for an hour:
    peakhour record --listen 0.0.0.0:8080 --upstream 127.0.0.1:8081 -o peak.parquet --for 1h
  TLS on both sides, HTTP/1.1 and HTTP/2 as each client and the upstream agree:
    peakhour record --listen 0.0.0.0:443 --tls-cert chain.pem --tls-key key.pem \\
      --upstream https://10.1.2.3 --upstream-name shop.example -o peak.parquet
  A file an hour, those of the last day; then all of them as one:
    peakhour record --listen 0.0.0.0:8080 --upstream 127.0.0.1:8081 -o peak.parquet \\
      --rotate 1h --keep 24
    peakhour import peak-*.parquet -o day.parquet";

const LONGEST: Duration = Duration::from_hours(7 * 24);

fn length(text: &str) -> Result<Duration, String> {
    fields::duration(text, Duration::ZERO..=LONGEST).map_err(|mistake| mistake.to_string())
}

/// Files of less than a second would be more names than traffic.
fn interval(text: &str) -> Result<Duration, String> {
    fields::duration(text, Duration::from_secs(1)..=LONGEST).map_err(|mistake| mistake.to_string())
}

/// Smallest size at which files are cut: below it, most of a file is its footer.
const SMALLEST: u64 = 1 << 20;

fn file_size(text: &str) -> Result<u64, String> {
    let size = parse_size(text).map_err(|error| error.to_string())?;
    if size >= SMALLEST { Ok(size) } else { Err("files have 1MiB at least".to_owned()) }
}

/// Runs `record`.
pub fn record(command: &Record, voice: Voice) -> anyhow::Result<Exit> {
    let rotation = Rotation {
        every: command.rotate,
        size: command.rotate_size,
        keep: command.keep.map(|keep| keep as usize),
    };
    if command.keep.is_some() && !rotation.is_on() {
        bail!("--keep is for several files: give --rotate or --rotate-size, too");
    }
    check_recording(&command.output, &[])?;
    let redactor = command.secrets.redactor()?;
    let route = route(command, voice.quiet)?;
    let upstream = route.upstream;
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
    let unfinished = Arc::<Mutex<Vec<PathBuf>>>::default();
    let left = Arc::clone(&unfinished);
    let clean = move || {
        left.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|path| forget(path));
    };
    Interrupt::listen_and(clean)?.then(move || {
        outputs::note(quiet, "interrupted: serving what is open, then writing the recording");
        stopping.request();
    })?;
    let scheme = if route.clients.is_some() { "https" } else { "http" };
    let origin = format!("recorded at {listen} in front of {}", command.upstream.address);
    let series = Series { output: command.output.clone(), origin, rotation, redactor, quiet };
    let clock = Clock::showing(wall_clock::now().unix_ns());
    let parts = Parts::begin(series, clock.now_ns(), unfinished)?;
    let passed = Arc::<Passed>::default();
    let (sender, seen) = mpsc::unbounded_channel();
    let mut recorder = Recorder::new(parts, Arc::clone(&passed), route.clients.is_some());
    let spool = Spool::beside(&command.output).up_to(command.longest_body);
    recorder.keep_bodies(spool);
    if command.contents {
        recorder.keep_contents();
    }
    let tee = Tee::new(route, clock, ROOM, sender, Arc::clone(&passed));
    let served = serve(tee, listener, stop, command)?;
    outputs::note(
        voice.quiet,
        &format!(
            "recording {scheme}://{listen} -> {upstream}, {} connections at once; Ctrl-C ends it",
            format_count(files / 2)
        ),
    );
    warn_of_insecurity(command);
    recorder.follow(seen, clock)?;
    served.join().map_err(|_| anyhow::anyhow!("the proxy's thread panicked"))??;
    let totals = recorder.end();
    warn_of_insecurity(command);
    written(command, voice, Done { listen, totals, passed: &passed })
}

fn warn_of_insecurity(command: &Record) {
    if command.insecure {
        let said = format!(
            "WARNING: --insecure: any certificate is taken for that of {}; whoever stands in \
             between reads and changes everything",
            command.upstream.address
        );
        outputs::note(false, &said);
    }
}

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

/// What was done until the end.
struct Done<'a> {
    listen: SocketAddr,
    totals: Totals,
    passed: &'a Passed,
}

fn written(command: &Record, voice: Voice, done: Done<'_>) -> anyhow::Result<Exit> {
    let Done { listen, totals, passed } = done;
    let file = command.output.display();
    warn_of_losses(voice, &totals, passed);
    if let Some(error) = totals.error.filter(|_| totals.lost_files > 0) {
        let advice = "make room on its disk, or name a file on another one with -o";
        if totals.files == 0 {
            return Err(error.context(format!("nothing was written to {file}; {advice}")));
        }
        return Err(error.context(format!(
            "{} of {} exchanges are lost with {} files that could not be written; {} were; \
             {advice}",
            format_count(totals.lost_exchanges),
            format_count(totals.exchanges),
            format_count(totals.lost_files),
            format_count(totals.files)
        )));
    }
    let Some(header) = totals.last else {
        let speaks = if command.tls_cert.is_some() { "inside of TLS" } else { "without TLS" };
        bail!(
            "no request that can be read came through ({} connections; {}); nothing was written. \
             Point clients that speak HTTP, Redis, MySQL or PostgreSQL, {speaks}, at {listen}, and \
             check that {} answers",
            format_count(passed.connections.load(Ordering::Relaxed)),
            listed(&totals.ledger.notes),
            command.upstream.address
        );
    };
    if let Some(redaction) = &totals.redaction {
        outputs::note(voice.quiet, &told(redaction));
    }
    let said = if header.part.is_some() {
        let removed = match totals.removed {
            0 => String::new(),
            removed => format!(", of which {} were removed (--keep)", format_count(removed)),
        };
        format!(
            "{} exchanges in {} files{removed}\nas one recording: peakhour import FILE... -o ALL",
            format_count(totals.exchanges),
            format_count(totals.files)
        )
    } else {
        let length = format_duration(Duration::from_nanos(header.duration_ns));
        format!(
            "{} exchanges on {} connections in {length} -> {file}\nwhat became of every byte: \
             peakhour inspect {file}",
            format_count(header.exchanges),
            format_count(header.connections),
        )
    };
    outputs::note(voice.quiet, &said);
    Ok(Exit::Pass)
}

fn warn_of_losses(voice: Voice, totals: &Totals, passed: &Passed) {
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
    let failures = passed.failures();
    if !failures.is_empty() {
        outputs::note(voice.quiet, &format!("warning: not all went well: {}", listed(&failures)));
    }
    let sealed = totals.ledger.notes.get("connections with tls").copied().unwrap_or(0);
    if sealed > 0 {
        let said = format!(
            "warning: {} connections were in TLS, and passed on without being read; to read them, \
             speak TLS here: --tls-cert and --tls-key",
            format_count(sealed)
        );
        outputs::note(voice.quiet, &said);
    }
}
