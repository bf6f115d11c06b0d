//! Is the load of one recording that of another one? By every metric that the data supports, with
//! the field's names, and how far the two would be apart by chance.
//!
//! Paired first: where the other recording is a replay of the first, each request is set against
//! its own moment, and there is no chance to allow for. Otherwise both are samples of a load, and a
//! tolerance is never tighter than what two samples of one law differ by.

mod align;
mod curve;
mod differences;
mod metrics;
mod series;

use crate::shape::floor::Floors;
use crate::shape::gate::failures;
use crate::shape::judged::{Judged, Kind, faithful_from_ms};
use crate::shape::likeness::align::aligned;
use crate::shape::metrics::{MIN_WINDOWS, scale_of_ms};
use crate::shape::pairing::{LEAST_SHARE, Pairing, glance, pair};
use crate::shape::profile::Profile;
use crate::shape::tolerance::Tolerances;
use crate::shape::{Metric, MetricOutcome};
use crate::stats::counts::coarsen;
use crate::stats::distances::wape;
use crate::units::{format_counted, format_share};

/// One of the two recordings.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Its load.
    pub profile: &'a Profile,
    /// Smallest step of its clock, in nanoseconds: nothing is said below ten of them.
    pub clock_step_ns: u64,
    /// Requests that were there and are not in it, as a share: what no count can be better than.
    pub lost: f64,
    /// Which requests shared a connection is known. A log seldom says it, so that whoever reads it
    /// has to guess.
    pub knows_connections: bool,
    /// Connections whose handshake of TLS was seen: in full, and those that resumed a session.
    pub handshakes: [u64; 2],
}

/// How the requests of two recordings are set against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairs {
    /// One by one where one recording is a replay of the other.
    IfReplay,
    /// Never: both are samples of a load.
    Never,
}

/// Whether a load is another one's.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Likeness {
    /// The verdict.
    pub verdict: Verdict,
    /// One sentence for people.
    pub statement: String,
    /// Requests were set against each other one by one.
    pub paired: bool,
    /// How much later the other recording begins, in nanoseconds, from the first request of each:
    /// what was taken out before counts were compared.
    pub shift_ns: i64,
    /// `max(value / limit)` over the gating metrics; below 1 passes. The one scalar for trends.
    pub worst_ratio: f64,
    /// The metric that `worst_ratio` comes from.
    pub worst_metric: String,
    /// Tier of tolerances that was applied: `strict`, `standard` or `ci`.
    pub tier: String,
    /// What is different, in words, the most telling first.
    pub differences: Vec<String>,
    /// What limits the verdict.
    pub limits: Vec<String>,
    /// Every metric, always in the same order.
    pub metrics: Vec<Metric>,
    /// Dispersion of counts by time-scale.
    pub dispersion: Vec<Dispersion>,
    /// Quantiles of the gaps between requests.
    pub gaps: Vec<GapQuantile>,
    /// Requests in each second from the first request on, of the reference and of the other one
    /// after the shift was taken out; of the first six hours.
    pub seconds: [Vec<u64>; 2],
    /// Requests in each minute where one of the loads is longer than that; empty otherwise.
    pub minutes: [Vec<u64>; 2],
}

/// How bursty both loads are at one time-scale.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Dispersion {
    /// Length of the windows, in milliseconds.
    pub window_ms: u64,
    /// Index of dispersion for counts of the reference: 1 for a Poisson process.
    pub reference: f64,
    /// The same of the other load.
    pub other: f64,
}

/// A quantile of the gaps of both loads.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct GapQuantile {
    /// Which, 0 to 1.
    pub q: f64,
    /// Of the reference, in nanoseconds.
    pub reference_ns: u64,
    /// Of the other load.
    pub other_ns: u64,
}

/// What can be said.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Verdict {
    /// Every evaluable metric is within its tolerance.
    Faithful,
    /// Every evaluable metric is within its tolerance; requests are so sparse that the rate curve
    /// can be told only from a time-scale of minutes or hours up.
    FaithfulWhereTold {
        /// That scale, in milliseconds.
        scale_ms: u64,
    },
    /// Only burst metrics fail, and only below a time-scale.
    FaithfulFrom {
        /// That scale, in milliseconds.
        scale_ms: u64,
    },
    /// It is another load.
    Degraded,
    /// The recordings cannot support a verdict.
    Invalid,
}

impl Verdict {
    /// The word in front of the statement.
    pub fn word(&self) -> String {
        match self {
            Self::Faithful => "FAITHFUL".to_owned(),
            Self::FaithfulWhereTold { scale_ms } | Self::FaithfulFrom { scale_ms } => {
                format!("FAITHFUL AT SCALES ≥ {}", scale_of_ms(*scale_ms))
            }
            Self::Degraded => "DEGRADED".to_owned(),
            Self::Invalid => "INVALID".to_owned(),
        }
    }
}

/// Fewest requests of either recording from which something is said.
pub const LEAST_REQUESTS: u64 = 2;

/// Judges the load of `other` by that of `reference`.
pub fn judge(reference: Side, other: Side, tolerances: &Tolerances, pairs: Pairs) -> Likeness {
    if let Some(reason) = unsupported(reference.profile, other.profile) {
        return invalid(reason, tolerances);
    }
    let (pairing, unpaired) = paired(reference.profile, other.profile, pairs);
    let (mut profile, shift_ns) = aligned(reference.profile, other.profile, pairing.as_ref());
    let same = reference.profile.of_the_classes_of(other.profile);
    if let Some(mix) = other.profile.mix.beside(&reference.profile.mix) {
        profile.set_mix(mix);
    }
    let reference = Side { profile: same.as_ref().unwrap_or(reference.profile), ..reference };
    let other = Side { profile: &profile, ..other };
    let (floors, way) = floors(reference.profile, other.profile, pairing.as_ref());
    let pairing = pairing.as_ref();
    let input = Input { reference, other, tolerances, floors, way, pairing, unpaired };
    let step_ns = reference.clock_step_ns.max(other.clock_step_ns);
    let mut judged = metrics::all(&input);
    for each in &mut judged {
        each.refuse_below(step_ns);
    }
    let verdict = verdict(&judged);
    let worst = judged
        .iter()
        .filter_map(|each| each.metric.ratio.map(|ratio| (ratio, &each.metric)))
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    Likeness {
        statement: statement(&verdict, &judged, &input),
        verdict,
        paired: pairing.is_some(),
        shift_ns,
        worst_ratio: worst.map_or(0.0, |(ratio, _)| ratio),
        worst_metric: worst.map_or_else(String::new, |(_, metric)| metric.name.clone()),
        tier: tolerances.name.to_owned(),
        differences: differences::told(&input, &judged),
        limits: differences::limits(&input, shift_ns),
        metrics: judged.into_iter().map(|each| each.metric).collect(),
        dispersion: series::dispersions(reference.profile, other.profile),
        gaps: series::gaps(reference.profile, other.profile),
        seconds: [reference.profile, other.profile]
            .map(|profile| coarsen(&profile.shape.counts, 100)),
        minutes: series::minutes([reference.profile, other.profile]),
    }
}

/// Curves that are this much nearer to each other than two samples of one load would be are those
/// of one load, and no chance is to be allowed for.
const NEAR: f64 = 0.25;

/// What chance may do, and how the two are compared.
fn floors(
    reference: &Profile,
    other: &Profile,
    pairing: Option<&Pairing>,
) -> (Floors, &'static str) {
    if pairing.is_some() {
        return (Floors::of_pairs(), "request by request");
    }
    let floors = Floors::of(reference, other);
    let [first, second] = [reference, other].map(|it| coarsen(&it.shape.counts, 100));
    let apart = wape(&first, &second).filter(|_| first.len() >= MIN_WINDOWS);
    // Of few requests a second nothing is near: two curves are never more than 2 apart.
    let are_near = |apart: f64| floors.wape_near < 1.0 && apart < floors.wape_near * NEAR;
    if apart.is_some_and(are_near) {
        return (Floors::of_pairs(), "second by second");
    }
    (floors, "as samples of a load")
}

/// What the metrics are computed from.
#[derive(Clone, Debug)]
struct Input<'a> {
    reference: Side<'a>,
    /// Aligned with the reference.
    other: Side<'a>,
    tolerances: &'a Tolerances,
    floors: Floors,
    /// How the two are compared, in words.
    way: &'static str,
    pairing: Option<&'a Pairing>,
    /// Why there is none.
    unpaired: String,
}

impl Input<'_> {
    /// Both are samples of a load, which differ by chance.
    fn allows_chance(&self) -> bool {
        self.floors.wape > 0.0
    }
}

/// The pairs of two recordings, or why they are not compared by pairs.
fn paired(reference: &Profile, other: &Profile, pairs: Pairs) -> (Option<Pairing>, String) {
    if pairs == Pairs::Never {
        return (None, "requests were not to be paired".to_owned());
    }
    let gap = reference.gaps.mean();
    let no_replay = glance(&reference.keys, &other.keys)
        .filter(|(pairing, part)| pairing.drift_ns.is_some() && !pairing.is_replay(gap * part));
    if let Some((pairing, _)) = no_replay {
        return (None, why_no_replay(&pairing));
    }
    let Some(pairing) = pair(&reference.keys, &other.keys) else {
        return (None, "the two recordings have no resource in common".to_owned());
    };
    if pairing.is_replay(gap) {
        return (Some(pairing), String::new());
    }
    let reason = why_no_replay(&pairing);
    (None, reason)
}

fn why_no_replay(pairing: &Pairing) -> String {
    if pairing.share < LEAST_SHARE {
        let share = format_share(pairing.share);
        format!("too few requests have a partner ({share}) for one recording to be a replay")
    } else {
        "neighbours do not stay neighbours, as they do in a replay".to_owned()
    }
}

/// Why nothing can be said about two recordings.
fn unsupported(reference: &Profile, other: &Profile) -> Option<String> {
    for (name, profile) in [("the first recording", reference), ("the second recording", other)] {
        let requests = profile.shape.total;
        if requests < LEAST_REQUESTS {
            let requests = format_counted(requests, "request", "requests");
            return Some(format!("{name} has {requests}: there is no load to compare"));
        }
        if profile.length.is_zero() {
            return Some(format!(
                "all requests of {name} are at one instant: there is no shape to compare"
            ));
        }
    }
    None
}

fn invalid(reason: String, tolerances: &Tolerances) -> Likeness {
    Likeness {
        verdict: Verdict::Invalid,
        statement: reason,
        paired: false,
        shift_ns: 0,
        worst_ratio: 0.0,
        worst_metric: String::new(),
        tier: tolerances.name.to_owned(),
        differences: Vec::new(),
        limits: Vec::new(),
        metrics: Vec::new(),
        dispersion: Vec::new(),
        gaps: Vec::new(),
        seconds: [Vec::new(), Vec::new()],
        minutes: [Vec::new(), Vec::new()],
    }
}

/// The coarsest scale, in milliseconds, at which the curve of every load is tried. What is told at
/// none but wider ones is sparse.
const DENSE_MS: u64 = 10_000;

fn verdict(judged: &[Judged]) -> Verdict {
    let failed: Vec<usize> = (0..judged.len())
        .filter(|&index| judged[index].metric.outcome == MetricOutcome::Fail)
        .collect();
    // Without the amount, the rate curve and what was asked for, nothing is known of the load.
    let is_told = |name: &str| {
        judged.iter().any(|each| each.metric.name.starts_with(name) && each.metric.ratio.is_some())
    };
    let told = metrics::told_from_ms(judged);
    let is_known = told.is_some() && ["completeness", "mix TVD"].into_iter().all(is_told);
    let sparse = told.filter(|&ms| ms > DENSE_MS);
    match (failed.is_empty(), faithful_from_ms(judged, &failed)) {
        // It could be faithful, as far as that is known.
        (true, _) | (false, Some(_)) if !is_known => Verdict::Invalid,
        (true, _) => {
            sparse.map_or(Verdict::Faithful, |scale_ms| Verdict::FaithfulWhereTold { scale_ms })
        }
        (false, Some(scale_ms)) => {
            Verdict::FaithfulFrom { scale_ms: scale_ms.max(sparse.unwrap_or(0)) }
        }
        (false, None) => Verdict::Degraded,
    }
}

fn statement(verdict: &Verdict, judged: &[Judged], input: &Input) -> String {
    let unjudged = unjudged(judged);
    let failures = failures(judged.iter().map(|each| &each.metric));
    let how = input.way;
    let finest = judged.iter().find_map(|each| match each.kind {
        Kind::Burst(ms) if each.metric.outcome == MetricOutcome::Pass => Some(ms),
        _ => None,
    });
    match verdict {
        Verdict::Faithful => {
            let from = finest.map_or_else(String::new, |ms| {
                format!(", at time-scales from {} up", scale_of_ms(ms))
            });
            format!("the target received what the reference did{from} ({how}){unjudged}")
        }
        Verdict::FaithfulWhereTold { scale_ms } => format!(
            "the target received what the reference did at time-scales from {} up; below, there \
             are too few requests to tell one load from another ({how}){unjudged}",
            scale_of_ms(*scale_ms)
        ),
        Verdict::FaithfulFrom { scale_ms } => format!(
            "the target received what the reference did at time-scales from {} up, and other \
             bursts below: {failures} ({how}){unjudged}",
            scale_of_ms(*scale_ms)
        ),
        Verdict::Degraded => {
            format!(
                "the target did not receive what the reference did: {failures} ({how}){unjudged}"
            )
        }
        Verdict::Invalid => {
            format!("there is too little to tell one load from another{unjudged}")
        }
    }
}

/// How metrics begin that there are of pairs only.
const PAIRED: [&str; 2] = ["lateness", "session inversions"];

/// What could not be judged of the metrics that gate, as the end of a sentence.
fn unjudged(judged: &[Judged]) -> String {
    let names: Vec<&str> = judged
        .iter()
        .filter(|each| each.metric.outcome == MetricOutcome::NotEvaluable)
        .filter(|each| !each.metric.limit.is_empty())
        .filter(|each| !PAIRED.iter().any(|start| each.metric.name.starts_with(start)))
        .map(|each| each.metric.name.as_str())
        .collect();
    if names.is_empty() { String::new() } else { format!("; not evaluable: {}", names.join(", ")) }
}

#[cfg(test)]
mod tests;
