//! The figures of the act `cold` in sentences.

use std::time::Duration;

use crate::act::cold::compare::Comparison;
use crate::act::cold::warming::{Ratio, Warming};
use crate::shape::forecast::{Forecast, Stampede};
use crate::stats::changes::Course;
use crate::units::{format_count, format_counted, format_duration, format_share};

/// The figures, a sentence each.
pub(super) fn told(comparison: &Comparison, found: &Warming) -> Vec<String> {
    let mut lines = vec![of("the median", &found.p50), of("p95", &found.p95)];
    for (name, ratio) in [("median", &found.p50), ("p95", &found.p95)] {
        if let Some((rule, fit)) = ratio.sustained.zip(ratio.fitted).filter(|_| ratio.is_disputed())
        {
            lines.push(format!(
                "for the {name} two rules disagree by more than 25 %: medians are steady after {}, \
                 the exponential fit after {}; trust neither to the second",
                format_duration(rule),
                format_duration(fit)
            ));
        }
    }
    if found.excess_seconds > 0.0 {
        lines.push(format!(
            "users waited {:.1} s longer in all than on warm caches",
            found.excess_seconds
        ));
    }
    let [cold, warm] = found.violations;
    if cold + warm > 0 {
        lines.push(format!(
            "{} requests were too slow or failed when cold, {} when warm, of {}",
            format_count(cold),
            format_count(warm),
            format_count(found.requests)
        ));
    }
    if let Some(([cold, warm], amplification)) = found.peak_reads.zip(found.amplification) {
        lines.push(format!(
            "the origin served at most {cold:.0} reads/s when cold and {warm:.0} reads/s when \
             warm: {amplification:.1} times as many in one bin"
        ));
    }
    if let Some([cold, warm]) = comparison.origin_reads {
        lines.push(format!(
            "{:.0} reads of the origin more than on warm caches ({cold:.0} against {warm:.0})",
            cold - warm
        ));
    }
    lines
}

/// A quantity's course in a sentence.
fn of(name: &str, ratio: &Ratio) -> String {
    if ratio.course == Course::Flat {
        return format!("{name}: flat, {:.2} times the warm one at the end", ratio.late);
    }
    let after = |time: Option<Duration>| time.map_or("–".to_owned(), format_duration);
    format!(
        "{name}: {}, at most {:.1} times the warm one, {:.2} times at the end; steady after {} by \
         medians within {}, {} by an exponential fit, {} by MSER-5",
        ratio.course.name(),
        ratio.worst,
        ratio.late,
        after(ratio.sustained),
        format_share(ratio.within),
        after(ratio.fitted),
        after(ratio.mser)
    )
}

/// What the recorded keys say, a sentence each.
pub(super) fn foreseen_lines(foreseen: &Forecast, ramp_file: Option<&str>) -> Vec<String> {
    let cache = foreseen.cache_keys.map_or("an unbounded cache".to_owned(), |keys| {
        format!("an LRU cache of {} keys", format_count(keys))
    });
    let mut lines = vec![format!(
        "{} reads of {} keys through {cache}: {:.0} reads of the origin when cold, {:.0} when \
         warm, up to {:.1} times as many in one bin",
        format_count(foreseen.reads),
        format_count(foreseen.keys),
        foreseen.cold_reads,
        foreseen.warm_reads,
        foreseen.peak_amplification
    )];
    if foreseen.seconds_above > 0.0 {
        lines.push(format!("above what the origin stands for {:.0} s", foreseen.seconds_above));
    }
    lines.push(format!(
        "{} of the reads are the first of their key: no cache that begins empty hits them",
        format_share(foreseen.first_share)
    ));
    if foreseen.writes > 0 {
        lines.push(format!(
            "{} of Redis fill the cache in this forecast: the next read of such a key hits; what \
             is deleted or expires is not followed",
            format_counted(foreseen.writes, "write", "writes")
        ));
    }
    lines.extend(stampedes(foreseen));
    if let Some((file, full)) = ramp_file.zip(foreseen.told_full()) {
        lines.push(format!("{file} admits users so that it stands it: {full}"));
    }
    if foreseen.sampled < 1.0 {
        lines.push(format!(
            "forecast from a sample of {} of the keys: {} reads are too many to be kept",
            format_share(foreseen.sampled),
            format_count(foreseen.reads)
        ));
    }
    lines
}

/// Keys that many ask for at once.
fn stampedes(foreseen: &Forecast) -> Option<String> {
    let Some(miss_seconds) = foreseen.miss_seconds else {
        return Some(
            "whether a key is asked for again while it is read is not known: no answer says how \
             long it took; set `miss_time` of the act `cold`"
                .to_owned(),
        );
    };
    let worst = foreseen.stampedes.first()?;
    let routes: Vec<&str> =
        foreseen.stampede_routes.iter().map(|(route, _)| route.as_str()).collect();
    let Stampede { route, key, per_second, expected } = worst;
    Some(format!(
        "{} keys are asked for again while they are still read ({}): without a lock each such \
         request reads the origin, too; a miss is taken to last {:.0} ms; the worst is {route} \
         #{key}, {per_second:.1} reads/s: {expected:.1} more while the first is read",
        format_count(foreseen.stampede_keys),
        routes.join(", "),
        miss_seconds * 1e3
    ))
}
