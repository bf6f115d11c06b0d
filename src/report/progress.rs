//! What a person sees while a run goes on: two lines on a terminal, redrawn five times a second;
//! a plain line every ten seconds elsewhere.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::units::{format_count, format_duration};

/// How a run is doing at a moment. Counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgressSnapshot {
    /// Since the start of the run.
    pub elapsed: Duration,
    /// Due moment of the last arrival; the run ends some time after it.
    pub planned: Duration,
    /// Arrivals that were due so far.
    pub due: u64,
    /// Requests whose first byte was sent so far.
    pub sent: u64,
    /// Arrivals that ended in an error so far.
    pub errors: u64,
    /// Requests in flight now.
    pub in_flight: u64,
    /// Connections open now.
    pub connections: u64,
    /// 99th percentile of the latency so far; `None` before the first answer.
    pub latency_p99: Option<Duration>,
    /// Largest lateness of our own so far.
    pub max_lateness: Duration,
}

/// Where progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Two lines on a terminal, redrawn.
    Live,
    /// A line every ten seconds, for logs.
    Plain,
    /// Nowhere.
    Quiet,
}

/// Quiet where asked for, live on a terminal, else plain.
pub fn choose_mode(quiet: bool) -> Mode {
    match (quiet, io::stderr().is_terminal()) {
        (true, _) => Mode::Quiet,
        (false, true) => Mode::Live,
        (false, false) => Mode::Plain,
    }
}

/// A display that runs until it is finished or dropped; both wait for its last line.
#[derive(Debug)]
pub struct Progress {
    /// Dropped to stop the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Starts to show progress on standard error; `snapshot` is called from a thread of its own.
pub fn start<F>(mode: Mode, snapshot: F) -> Progress
where
    F: Fn() -> ProgressSnapshot + Send + 'static,
{
    let (stop, stopped) = channel();
    let thread = match mode {
        Mode::Quiet => None,
        Mode::Live => Some(thread::spawn(move || show_live(&snapshot, &stopped))),
        Mode::Plain => Some(thread::spawn(move || {
            show_plain(&snapshot, &stopped, &mut io::stderr());
        })),
    };
    Progress { stop: Some(stop), thread }
}

impl Progress {
    /// Takes the display away.
    pub fn finish(self) {
        drop(self);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A display that panicked has said so on standard error; the run is not its affair.
            let _ = thread.join();
        }
    }
}

/// Five times a second: smooth to the eye, and nothing to the processor.
const TICK: Duration = Duration::from_millis(200);

/// Seconds between plain lines.
const PLAIN_SECONDS: u64 = 10;

/// Rates are taken over at least this long, or they would flicker.
const RATE_SPAN: Duration = Duration::from_secs(1);

fn show_live(snapshot: &dyn Fn() -> ProgressSnapshot, stopped: &Receiver<()>) {
    let target = ProgressDrawTarget::stderr_with_hz(5);
    let bar = ProgressBar::with_draw_target(Some(0), target).with_style(live_style());
    let mut rates = Rates::default();
    loop {
        let now = snapshot();
        rates.update(&now);
        bar.set_length(millis(now.planned));
        bar.set_position(millis(now.elapsed.min(now.planned)));
        bar.set_prefix(clock_text(&now));
        bar.set_message(figures(&now, &rates));
        if !wait(stopped) {
            break;
        }
    }
    bar.finish_and_clear();
}

fn live_style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {prefix}\n{wide_msg}")
        .expect("the template is a constant with known keys")
        .progress_chars("━╸ ")
}

fn show_plain(
    snapshot: &dyn Fn() -> ProgressSnapshot,
    stopped: &Receiver<()>,
    output: &mut dyn Write,
) {
    let mut rates = Rates::default();
    let mut next_second = PLAIN_SECONDS;
    loop {
        let now = snapshot();
        rates.update(&now);
        if now.elapsed.as_secs() >= next_second {
            next_second = (now.elapsed.as_secs() / PLAIN_SECONDS + 1) * PLAIN_SECONDS;
            // A log that is gone must not end the run.
            let _ = writeln!(output, "{}: {}", clock_text(&now), figures(&now, &rates));
        }
        if !wait(stopped) {
            break;
        }
    }
}

/// Waits a tick; false once the display is to stop.
fn wait(stopped: &Receiver<()>) -> bool {
    matches!(stopped.recv_timeout(TICK), Err(RecvTimeoutError::Timeout))
}

/// Arrivals due and sent in a second, over the last [`RATE_SPAN`] or a little more.
#[derive(Clone, Copy, Debug, Default)]
struct Rates {
    since: ProgressSnapshot,
    due: u64,
    sent: u64,
}

impl Rates {
    fn update(&mut self, now: &ProgressSnapshot) {
        let span = now.elapsed.saturating_sub(self.since.elapsed);
        if span < RATE_SPAN {
            return;
        }
        self.due = per_second(now.due.saturating_sub(self.since.due), span);
        self.sent = per_second(now.sent.saturating_sub(self.since.sent), span);
        self.since = *now;
    }
}

fn per_second(count: u64, span: Duration) -> u64 {
    let rate = u128::from(count) * 1_000_000_000 / span.as_nanos().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

fn clock_text(now: &ProgressSnapshot) -> String {
    let whole = |time: Duration| format_duration(Duration::from_secs(time.as_secs()));
    match now.planned.checked_sub(now.elapsed) {
        Some(left) if !left.is_zero() => {
            format!("{} of {}, {} left", whole(now.elapsed), whole(now.planned), whole(left))
        }
        _ => format!("{}, waiting for the last answers", whole(now.elapsed)),
    }
}

fn figures(now: &ProgressSnapshot, rates: &Rates) -> String {
    format!(
        "due {}/s · sent {}/s · {} errors · p99 {} · late {} · {} in flight · {} conns",
        format_count(rates.due),
        format_count(rates.sent),
        format_count(now.errors),
        now.latency_p99.map_or_else(|| "–".to_owned(), format_duration),
        format_duration(now.max_lateness),
        format_count(now.in_flight),
        format_count(now.connections),
    )
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    fn at(seconds: u64) -> ProgressSnapshot {
        ProgressSnapshot {
            elapsed: Duration::from_secs(seconds),
            planned: Duration::from_mins(1),
            due: seconds * 1_000,
            sent: seconds * 998,
            errors: 3,
            in_flight: 12,
            connections: 50,
            latency_p99: Some(Duration::from_millis(12)),
            max_lateness: Duration::from_micros(310),
        }
    }

    #[test]
    fn a_log_gets_a_line_every_ten_seconds() {
        let (stop, stopped) = channel();
        let stop = RefCell::new(Some(stop));
        let calls = Cell::new(0);
        // Five seconds pass from call to call; the fifth is the last.
        let snapshot = || {
            calls.set(calls.get() + 1);
            if calls.get() == 5 {
                stop.take();
            }
            at(calls.get() * 5)
        };
        let mut log = Vec::new();
        show_plain(&snapshot, &stopped, &mut log);
        let log = String::from_utf8(log).unwrap();
        let starts: Vec<&str> = log.lines().filter_map(|line| line.split(':').next()).collect();
        assert_eq!(starts, ["10 s of 1 min, 50 s left", "20 s of 1 min, 40 s left"]);
        let figures = "due 1\u{202f}000/s · sent 998/s · 3 errors · p99 12 ms · \
                       late 310 µs · 12 in flight · 50 conns";
        assert!(log.lines().all(|line| line.ends_with(figures)), "{log}");
    }

    #[test]
    fn rates_are_taken_over_a_second_at_least() {
        let mut rates = Rates::default();
        rates.update(&at(1));
        assert_eq!((rates.due, rates.sent), (1_000, 998));
        let soon = ProgressSnapshot { elapsed: Duration::from_millis(1_200), due: 9_000, ..at(1) };
        rates.update(&soon);
        assert_eq!(rates.due, 1_000, "two tenths of a second are too short");
        rates.update(&ProgressSnapshot { due: 5_000, ..at(3) });
        assert_eq!(rates.due, 2_000);
    }

    #[test]
    fn figures_fit_a_terminal() {
        let mut rates = Rates::default();
        rates.update(&at(1));
        assert!(figures(&at(30), &rates).chars().count() <= 90);
    }

    #[test]
    fn after_the_last_arrival_answers_are_awaited() {
        assert_eq!(clock_text(&at(61)), "1 min 1 s, waiting for the last answers");
    }

    #[test]
    fn a_display_ends_when_it_is_dropped() {
        for mode in [Mode::Live, Mode::Plain, Mode::Quiet] {
            let (called, calls) = channel();
            let progress = start(mode, move || {
                let _ = called.send(());
                at(1)
            });
            if mode != Mode::Quiet {
                calls.recv().unwrap();
            }
            progress.finish();
            // The closure is gone, so its sender is: nothing can be drawn any more.
            assert!(calls.into_iter().count() < 100);
        }
    }
}
