//! Whether large requests hold up small ones, and from which size on that matters.

use std::time::Duration;

use crate::act::payloads::{BLOCKED_NS, Big, Fate, PERIOD_NS, Payloads, Rung, Sweep, What};
use crate::stats::counts::{as_f64, as_index};
use crate::stats::slopes::{Line, MAX_POINTS, median, theil_sen};
use crate::units::{format_duration, format_share, format_size};
use crate::verdict::acts::payloads::{BLOCKING, told_recorded};
use crate::verdict::{Finding, Outcome, finding};

/// Fewest sizes through which a line is drawn.
const MIN_SIZES: usize = 3;

/// Fewest large requests of a size that count.
const MIN_REQUESTS: usize = 3;

/// Small requests are held up by a large one when they wait at least this share of the time that
/// the server itself spends on it ...
const SHARE_OF_OWN: f64 = 0.5;

/// ... and at most this many times as long: what lasts longer has another cause.
const EXPLAINED_BY: f64 = 3.0;

/// New connections are slow, too, when they wait this share of what small requests do: then it is
/// not the event loop, since the kernel opens connections without it.
const CONNECT_SHARE: f64 = 0.5;

/// Judges one sweep.
pub(super) fn judge(sweep: &Sweep, all: &Payloads) -> Finding {
    let name = sweep.name();
    if let Some(reason) = &sweep.unknown {
        let mut found = finding(BLOCKING, Outcome::Unknown, format!("{name}: {reason}"));
        found.advice = advice_to_see(sweep);
        return found;
    }
    if let Some(Fate::Status(status)) = sweep.usual()
        && !(200..400).contains(status)
    {
        let title = format!("{name}: answered {status}, so that perhaps nobody dealt with them");
        let mut found = finding(BLOCKING, Outcome::Unknown, title);
        found.advice = advice_to_see(sweep);
        return found;
    }
    let rungs: Vec<&Rung> = sweep.rungs.iter().filter(|rung| is_enough(sweep, rung)).collect();
    let line = theil_sen(&points(&rungs, sweep.outside.p50_ns));
    let (Some(largest), Some(line), true) = (rungs.last(), line, rungs.len() >= MIN_SIZES) else {
        let title =
            format!("{name}: {} sizes were sent often enough; {MIN_SIZES} are needed", rungs.len());
        let mut found = finding(BLOCKING, Outcome::Unknown, title);
        found.evidence.extend(sweep.ended.clone());
        found.advice = "Give the act more time with `budget`, or larger sizes with `max`.".into();
        return found;
    };
    let seen = Seen::of(sweep, largest, line);
    let mut found = conclude(&seen, all);
    found.evidence.extend(seen.told());
    found.evidence.extend(sweep.ended.clone());
    if found.outcome != Outcome::Pass && sweep.what != What::HttpResponse {
        found.evidence.extend(told_recorded(&all.recorded));
    }
    found
}

fn advice_to_see(sweep: &Sweep) -> String {
    match sweep.what {
        What::HttpRequest => "Name a path that takes large bodies with `http: [/sync]`, and allow \
                              its method with `methods` where bodies may be sent to it."
            .into(),
        What::HttpResponse => "Let the target answer the recorded requests, then rehearse.".into(),
        _ => "Make the endpoint reachable for the rehearsal, and list its host in \
              `target.allow`."
            .into(),
    }
}

fn is_enough(sweep: &Sweep, rung: &Rung) -> bool {
    rung.requests.iter().filter(|big| counts(sweep, big)).count() >= MIN_REQUESTS
}

fn counts(sweep: &Sweep, big: &Big) -> bool {
    sweep.passes(&big.fate) && big.worst_ns.is_some()
}

/// Bytes and the longest wait meanwhile, a point for each large request.
///
/// Of a block of length S, the first bystander that meets it came up to a period P after its
/// beginning: it waits S − U(0, P), and whoever comes at the very beginning P/2 longer on average.
/// That is added. A block shorter than P is often met by nobody, so that its size is left out where
/// there are others.
fn points(rungs: &[&Rung], usual_ns: u64) -> Vec<(f64, f64)> {
    let met: Vec<(&Rung, Met)> = rungs.iter().map(|rung| (*rung, met(rung, usual_ns))).collect();
    let are_enough = met.iter().filter(|(_, met)| *met != Met::Partly).count() >= MIN_SIZES;
    let a_rung = MAX_POINTS / rungs.len().max(1);
    let of = |(rung, met): &(&Rung, Met)| {
        let bytes = as_f64(rung.bytes);
        let missed = if *met == Met::Always { PERIOD_NS / 2 } else { 0 };
        let waits = rung.requests.iter().filter_map(|big| big.worst_ns);
        waits.take(a_rung).map(|wait| (bytes, as_f64(wait + missed))).collect::<Vec<_>>()
    };
    met.iter().filter(|(_, met)| *met != Met::Partly || !are_enough).flat_map(of).collect()
}

/// How often bystanders meet the blocks of a size.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Met {
    /// Too short to be met, or there is none.
    Hardly,
    /// Shorter than a period.
    Partly,
    /// A period or longer.
    Always,
}

/// By the upper quartile of the waits, which is S − P/4 where blocks are always met.
fn met(rung: &Rung, usual_ns: u64) -> Met {
    let mut waits: Vec<u64> = rung.requests.iter().filter_map(|big| big.worst_ns).collect();
    waits.sort_unstable();
    let quartile = waits.get(waits.len() * 3 / 4).copied().unwrap_or(0);
    if quartile > PERIOD_NS * 3 / 4 {
        Met::Always
    } else if quartile > usual_ns + PERIOD_NS / 10 {
        Met::Partly
    } else {
        Met::Hardly
    }
}

/// The figures of a sweep, at its largest size.
struct Seen<'a> {
    sweep: &'a Sweep,
    largest: &'a Rung,
    line: Line,
    /// The longest that a small request waits beside a large one: the median over the large ones.
    wait: f64,
    /// What the server itself spends on a large one.
    own: f64,
    /// What a new connection takes meanwhile.
    connect: Option<f64>,
}

impl<'a> Seen<'a> {
    fn of(sweep: &'a Sweep, largest: &'a Rung, line: Line) -> Self {
        let of = |value: fn(&Big) -> Option<u64>| {
            median(largest.requests.iter().filter_map(value).map(as_f64))
        };
        let wait = of(|big| big.worst_ns).unwrap_or(0.0);
        let own = of(|big| Some(big.own_ns)).unwrap_or(0.0);
        Self { sweep, largest, line, wait, own, connect: of(|big| big.connect_ns) }
    }

    /// Small requests wait in proportion to the bytes, and as long as the server is busy.
    fn is_held_up(&self) -> bool {
        let usual = as_f64(self.sweep.outside.p50_ns);
        self.line.slope_low > 0.0
            && self.wait > usual + as_f64(BLOCKED_NS)
            && self.wait >= self.own * SHARE_OF_OWN
            && self.wait <= usual + self.own * EXPLAINED_BY
    }

    /// New connections wait as well.
    fn is_elsewhere(&self) -> bool {
        let usual = self.sweep.connect_outside_ns.map_or(0.0, as_f64);
        self.connect.is_some_and(|connect| connect - usual > self.wait * CONNECT_SHARE)
    }

    /// The size beside which the slowest bystander waits for `slo_ns`. A line that begins below 0
    /// would promise more than its slope.
    fn safe_bytes(&self, slo_ns: u64) -> u64 {
        let constant = self.line.intercept.max(0.0);
        let bytes = (as_f64(slo_ns) - constant).max(0.0) / self.line.slope;
        as_index(bytes) as u64
    }

    fn told(&self) -> Vec<String> {
        let (inside, outside) = (&self.largest.inside, &self.sweep.outside);
        let mut lines = vec![
            format!(
                "beside {} a small request took {} at the median, p99 {}, at most {}; otherwise \
                 {}, p99 {}, at most {}",
                format_size(self.largest.bytes),
                nanos(inside.p50_ns),
                nanos(inside.p99_ns),
                nanos(inside.max_ns),
                nanos(outside.p50_ns),
                nanos(outside.p99_ns),
                nanos(outside.max_ns)
            ),
            format!(
                "{} of {} small requests beside it were blocked; it took {} itself",
                format_share(as_f64(self.largest.blocked) / as_f64(inside.count.max(1))),
                inside.count,
                time(self.own)
            ),
            format!(
                "each MiB adds {} (95 %: {} to {}), each byte {}",
                time(self.line.slope * MIB),
                time(self.line.slope_low * MIB),
                time(self.line.slope_high * MIB),
                per_byte(self.line.slope)
            ),
        ];
        if inside.failed > 0 {
            lines.push(format!("{} small requests beside it had no answer", inside.failed));
        }
        if let Some(connect) = self.connect {
            let usual = self
                .sweep
                .connect_outside_ns
                .map_or_else(String::new, |usual| format!(", {} otherwise", nanos(usual)));
            lines.push(format!("a new connection took {} meanwhile{usual}", time(connect)));
        }
        lines
    }
}

const MIB: f64 = 1_048_576.0;

/// A difference in ns; what shrinks reads as nothing.
fn time(ns: f64) -> String {
    nanos(as_index(ns.max(0.0)) as u64)
}

/// Fractions of a nanosecond matter where there are millions of bytes.
fn per_byte(ns: f64) -> String {
    if ns < 100.0 { format!("{ns:.2} ns") } else { time(ns) }
}

fn nanos(ns: u64) -> String {
    format_duration(Duration::from_nanos(ns))
}

fn conclude(seen: &Seen<'_>, all: &Payloads) -> Finding {
    let name = seen.sweep.name();
    let size = format_size(seen.largest.bytes);
    let waits = time(seen.wait);
    let is_beyond = seen.wait > as_f64(all.slo_ns);
    if !seen.is_held_up() {
        if !is_beyond {
            let title = format!(
                "{name} up to {size} do not block: beside them a small request waits {waits}, less \
                 than {}",
                nanos(all.slo_ns)
            );
            return finding(BLOCKING, Outcome::Pass, title);
        }
        let title = format!(
            "{name}: small requests waited {waits} beside {size}, but not as large requests that \
             block would make them"
        );
        let mut found = finding(BLOCKING, Outcome::Unknown, title);
        found.advice = "Look for what else was slow meanwhile, then rehearse again.".into();
        return found;
    }
    if seen.is_elsewhere() {
        let title = format!(
            "{name}: small requests wait {waits} beside {size}, and new connections as well: it is \
             the network or the host, not the event loop"
        );
        let mut found = finding(BLOCKING, Outcome::Unknown, title);
        found.advice = "Look at bandwidth, packet loss and processors of both machines; send from \
                        another machine."
            .into();
        return found;
    }
    let safe = seen.safe_bytes(all.slo_ns);
    let slo = nanos(all.slo_ns);
    let known = known_sizes(seen.sweep, all);
    let title = format!(
        "{name} block the event loop: beside {size} a small request waits {waits}; up to {} it \
         waits less than {slo}",
        format_size(safe)
    );
    match known {
        None if is_beyond => {
            let mut found = finding(BLOCKING, Outcome::Unknown, title);
            found.advice =
                "Compare the safe size with the largest that production has there.".into();
            found
        }
        Some(known) if safe < known => {
            let mut found = finding(BLOCKING, Outcome::Fail, title);
            found.advice = advice(seen.sweep.what);
            found
        }
        _ => {
            let title = format!(
                "{name} hold others up for {waits} beside {size}; up to {} for less than {slo}, \
                 which is above what production has",
                format_size(safe)
            );
            finding(BLOCKING, Outcome::Pass, title)
        }
    }
}

/// The sizes for which a rehearsal has to be ready: four times the largest recorded one. Bodies end
/// up in stores, whose own sizes are not recorded. Responses are only known as they were.
fn known_sizes(sweep: &Sweep, all: &Payloads) -> Option<u64> {
    let recorded = &all.recorded;
    match sweep.what {
        What::HttpResponse => Some(recorded.response_max).filter(|max| *max > 0),
        _ => Some(recorded.max.saturating_mul(4)).filter(|max| *max > 0),
    }
}

fn advice(what: What) -> String {
    match what {
        What::HttpRequest | What::MysqlPacket => {
            "Take large bodies off the event loop (a worker, streaming, splitting), or limit them \
             to the safe size in front of it; then rehearse again."
        }
        What::HttpResponse => {
            "Build large responses off the event loop, stream them or split them into pages; then \
             rehearse again."
        }
        What::RedisSet
        | What::RedisGet
        | What::RedisRange
        | What::RedisHash
        | What::RedisDelete => {
            "Split or compress values above the safe size, read lists and hashes in parts (LRANGE \
             with bounds, HSCAN), delete with UNLINK, keep what is large in a server of its own."
        }
    }
    .into()
}

#[cfg(test)]
mod tests;
