//! This machine: whether it produced the load, and how it was doing.

use std::time::Duration;

use crate::drive::health::Calibration;
use crate::sample::Unsent;
use crate::shape::{Fault, Origin, ShapeReport, ShapeVerdict};
use crate::summary::flight::BIN;
use crate::units::{format_count, format_counted, format_duration, format_share};
use crate::verdict::detectors::{DetectorInput, quantile_text};
use crate::verdict::little::{Bins, Little};
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "generator";

/// From this share of processor time on, the hypervisor or other programs are named as a cause.
const NOTABLE_STEAL: f64 = 0.02;

/// See [`NOTABLE_STEAL`].
const NOTABLE_BUSY: f64 = 0.85;

/// Says whether this machine was at fault.
pub fn detect(input: &DetectorInput, shape: &ShapeReport) -> Finding {
    let lateness = &input.summary.lateness;
    if lateness.is_empty() {
        return finding(CHECK, Outcome::Unknown, "no request was dispatched");
    }
    let p99 = quantile_text(lateness, 0.99);
    let mut found = match shape.verdict {
        ShapeVerdict::Invalid { fault: Fault::Generator } => {
            let mut found = finding(CHECK, Outcome::Fail, shape.statement.clone());
            found.advice = advice(input);
            found
        }
        ShapeVerdict::Invalid { fault: Fault::Interruption | Fault::Recording } => {
            finding(CHECK, Outcome::Unknown, shape.statement.clone())
        }
        _ => finding(
            CHECK,
            Outcome::Pass,
            format!("this machine kept the schedule: p99 of its lateness is {p99}"),
        ),
    };
    found.evidence = evidence(input);
    found
}

fn evidence(input: &DetectorInput) -> Vec<String> {
    let (health, lateness) = (input.health, &input.summary.lateness);
    let mut lines = vec![format!(
        "lateness p50 {}, p99 {}, p99.9 {}, largest {}",
        quantile_text(lateness, 0.5),
        quantile_text(lateness, 0.99),
        quantile_text(lateness, 0.999),
        quantile_text(lateness, 1.0)
    )];
    for reason in [
        Unsent::LocalResources,
        Unsent::BodyUnread,
        Unsent::InFlightLimit,
        Unsent::InFlightBytes,
        Unsent::ConnectionLimit,
        Unsent::Hook,
    ] {
        if let Some(&count) = input.summary.fates.get(reason.name()) {
            let count = format_counted(count, "request", "requests");
            lines.push(format!("{count} {}", reason.name()));
        }
    }
    if health.read_late > 0 {
        lines.push(format!(
            "{} from the plan only after their moment",
            format_counted(health.read_late, "request was read", "requests were read")
        ));
    }
    lines.extend(health.calibration.map(|tried| tried_text(&tried)));
    if let Some(little) = Little::of(input.summary, health).filter(|little| little.holds()) {
        lines.push(format!(
            "{:.3} requests were in flight on average, and as many follow from their rate and \
             their times (Little's law)",
            little.counted
        ));
    }
    let Bins { agreed, unknown, parted } = Bins::of(input.summary, health);
    if agreed > 0 && parted.is_none() {
        lines.push(format!(
            "the same holds in {agreed} of {} parts of {} each, as looks from aside tell",
            agreed + unknown,
            format_duration(BIN)
        ));
    }
    if let Some(share) = health.busy_share {
        let processors = format_counted(u64::from(health.processors), "processor", "processors");
        lines.push(format!("{} of the time of {processors} was in use", format_share(share)));
    }
    if let Some(share) = health.steal_share {
        lines.push(format!("{} was taken by the hypervisor", format_share(share)));
    }
    if let Some(seconds) = health.run_queue_wait_seconds {
        lines.push(format!("this process waited {seconds:.2} s for a processor"));
    }
    lines
}

/// What the machine did when it was tried.
fn tried_text(tried: &Calibration) -> String {
    format!(
        "before the run this machine sent {}/s of {}/s to itself, with a p99 lateness of {}: it \
         resolves {}",
        format_count(tried.sent_rate()),
        format_count(tried.asked_rate),
        format_duration(Duration::from_nanos(tried.lateness_p99_ns)),
        format_duration(Duration::from_nanos(tried.resolves_ns()))
    )
}

fn advice(input: &DetectorInput) -> String {
    let health = input.health;
    let (milder, less) = match input.facts.origin {
        Origin::Recorded => ("`tolerance: ci`", "scale"),
        Origin::Generated => ("`--tolerance ci`", "rate"),
    };
    if let Some(&count) = input.summary.fates.get(Unsent::LocalResources.name()) {
        return format!(
            "{} found no port, file or memory here. Raise the limit of open files \
             ({} now) and the range of local ports, or use more machines.",
            format_counted(count, "request", "requests"),
            health.open_files_limit.map_or_else(|| "unknown".to_owned(), format_count)
        );
    }
    if let Some(&count) = input.summary.fates.get(Unsent::BodyUnread.name()) {
        return format!(
            "The bodies of {} could not be read from the recording, though they could before the \
             run. Do not change its file while it is replayed, and look at its disk.",
            format_counted(count, "request", "requests")
        );
    }
    let peak = input.facts.peak_rate;
    if let Some(tried) = health.calibration.filter(|tried| tried.sent_rate() < peak) {
        return format!(
            "This machine sent no more than {}/s even to itself, and the peak is {}/s. Use a \
             larger machine, or lower the {less}.",
            format_count(tried.sent_rate()),
            format_count(peak)
        );
    }
    if health.steal_share.is_some_and(|share| share >= NOTABLE_STEAL) {
        return format!(
            "The hypervisor took processor time away. Run on a machine of its own, or with \
             {milder}."
        );
    }
    if health.busy_share.is_some_and(|share| share >= NOTABLE_BUSY) {
        return format!(
            "The processors of this machine were busy. Stop other programs, use a larger machine, \
             or lower the {less}."
        );
    }
    if health.read_late > 0 {
        return "The recording could not be read fast enough. Keep it on a local disk, and stop \
                what else uses that."
            .to_owned();
    }
    format!(
        "Run again on a quieter machine, or with {milder} where small deviations are acceptable."
    )
}
