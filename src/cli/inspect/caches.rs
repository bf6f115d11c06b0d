//! What a cache would do with the recorded reads, as text.

use std::fmt::Write;
use std::time::Duration;

use crate::cli::inspect::chart::{Axis, COLUMNS, drawn};
use crate::recording::Header;
use crate::shape::forecast::{Filling, Forecast, NineOfTen, RampStep, Stampede};
use crate::stats::counts::{as_f64, as_index};
use crate::units::{format_count, format_counted, format_duration, format_share};

/// Rows of the tables.
const ROWS: usize = 8;

/// Characters of a route.
const NAME: usize = 80;

/// The forecast; a line where there is nothing to forecast.
pub(super) fn told(forecast: &Forecast, header: &Header) -> String {
    let mut text = String::from("\ncaches\n");
    if forecast.reads == 0 {
        line(&mut text, "reads", "none that a cache may answer (GET, HEAD, or GET of Redis)");
        return text;
    }
    reads(&mut text, forecast, header);
    text += &curve(forecast);
    sizes(&mut text, forecast);
    filling(&mut text, forecast);
    cold(&mut text, forecast);
    stampedes(&mut text, forecast);
    capacity(&mut text, forecast);
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "{name:<20} {value}");
}

fn reads(text: &mut String, forecast: &Forecast, header: &Header) {
    let keys = format_counted(forecast.keys, "key", "keys");
    line(text, "reads", &format!("{} of {keys}", format_count(forecast.reads)));
    let first = format_share(forecast.first_share);
    line(text, "first reads", &format!("{first}: no cache that begins empty hits them"));
    if forecast.writes > 0 {
        let writes = format_counted(forecast.writes, "write", "writes");
        let assumed = "each taken to fill the cache, so that the next read of its key hits; what \
                       is deleted or expires is not followed";
        line(text, "writes", &format!("{writes} of Redis, {assumed}"));
    }
    if forecast.sampled < 1.0 {
        let share = format_share(forecast.sampled);
        let apart = forecast.curve_spread.map_or_else(String::new, |spread| {
            format!("; miss ratios are the mean of three samples, at most {spread:.4} apart")
        });
        line(text, "too many to keep", &format!("estimated from {share} of the keys{apart}"));
    }
    if header.redaction.is_none() && !header.redacted_headers.is_empty() {
        let _ = writeln!(
            text,
            "warning: secrets in URLs were replaced by filler, so that keys that differ in them \
             alone count as one: what a cache hits is forecast too high"
        );
    }
}

/// The share that LRU caches miss by their size, from one key to all.
fn curve(forecast: &Forecast) -> String {
    let (Some((smallest, _)), Some((largest, _))) = (forecast.curve.first(), forecast.curve.last())
    else {
        return String::new();
    };
    let most = as_f64(*largest).max(2.0);
    let height = |column: usize| {
        let size = most.powf(as_f64(column as u64) / as_f64(COLUMNS as u64 - 1));
        let next = forecast.curve.partition_point(|(at, _)| as_f64(*at) < size - 1e-9);
        let (at, ratio) = forecast.curve.get(next).or(forecast.curve.last()).copied()?;
        let Some((before, earlier)) = next.checked_sub(1).and_then(|it| forecast.curve.get(it))
        else {
            return Some(ratio);
        };
        // Between two sizes of the curve, along their logarithm.
        let part = (size / as_f64(*before)).ln() / (as_f64(at) / as_f64(*before)).ln();
        Some(earlier + (ratio - earlier) * part.clamp(0.0, 1.0))
    };
    let heights: Vec<f64> = (0..COLUMNS).filter_map(height).collect();
    let axis = Axis {
        title: "misses of an LRU cache that begins empty, by its size (logarithmic)",
        top: "100%".to_owned(),
        start: format_counted(*smallest, "key", "keys"),
    };
    drawn(&heights, &axis, &format_counted(*largest, "key", "keys"))
}

fn sizes(text: &mut String, forecast: &Forecast) {
    let _ = writeln!(text, "\n{:>12}  misses", "keys");
    let step = forecast.curve.len().div_ceil(ROWS).max(1);
    // The last one, all keys, is always there.
    let shown = forecast.curve.iter().rev().step_by(step).collect::<Vec<_>>();
    for (size, ratio) in shown.into_iter().rev() {
        let _ = writeln!(text, "{:>12}  {:>6}", format_count(*size), format_share(*ratio));
    }
    let NineOfTen { from_empty, when_warm } = forecast.nine_of_ten;
    let keys = |keys: u64| format_counted(keys, "key", "keys");
    let empty = from_empty.map_or("no cache that begins empty".to_owned(), keys);
    let warm = when_warm.map_or("none".to_owned(), keys);
    line(text, "to hit 90%", &format!("{empty}; when warm {warm}, by popularity alone (Che)"));
}

/// How a cache without a bound fills, as it was recorded and by popularity alone.
fn filling(text: &mut String, forecast: &Forecast) {
    if forecast.filling.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{:>12}  hits of an unbounded cache, by popularity alone", "after");
    for Filling { reads, as_recorded, by_popularity } in &forecast.filling {
        let [recorded, alone] = [*as_recorded, *by_popularity].map(format_share);
        let _ = writeln!(text, "{:>12}  {recorded:>26}  {alone:>18}", format_count(*reads));
    }
}

/// Rates of the origin's reads, cold and warm.
fn cold(text: &mut String, forecast: &Forecast) {
    let keys = forecast.cache_keys.map_or("an unbounded cache".to_owned(), |keys| {
        format!("an LRU cache of {}", format_counted(keys, "key", "keys"))
    });
    let ttl = forecast.cache_ttl_ns.map_or_else(String::new, |ttl| {
        format!(" that forgets a key after {}", format_duration(Duration::from_nanos(ttl)))
    });
    let _ = writeln!(
        text,
        "\ncold start of {keys}{ttl}: reads of the origin a second, {} for each miss",
        number(forecast.reads_per_miss)
    );
    let _ = writeln!(
        text,
        "{:>12}  {:>10}  {:>11}  {:>10}  {:>10}",
        "from", "reads/s", "first reads", "cold", "warm"
    );
    for stretch in forecast.stretches(ROWS) {
        let _ = writeln!(
            text,
            "{:>12}  {:>10}  {:>11}  {:>10}  {:>10}",
            format_duration(Duration::from_nanos(stretch.at_ns)),
            number(stretch.reads),
            format_share(stretch.first_share),
            number(stretch.cold),
            number(stretch.warm)
        );
    }
    let bin = format_duration(Duration::from_nanos(forecast.bin_ns));
    line(
        text,
        "most in a bin",
        &format!(
            "{}/s cold, {}/s warm, up to {:.1} times as many, in bins of {bin}",
            number(forecast.peak_cold),
            number(forecast.peak_warm),
            forecast.peak_amplification
        ),
    );
}

fn stampedes(text: &mut String, forecast: &Forecast) {
    let Some(miss) = forecast.miss_seconds else {
        let unknown = "not known: no answer says how long it took; give --miss-time";
        line(text, "stampedes", unknown);
        return;
    };
    let miss = format_duration(Duration::try_from_secs_f64(miss).unwrap_or_default());
    if forecast.stampedes.is_empty() {
        let none = format!("no key is asked for again while a miss is read, which takes {miss}");
        line(text, "stampedes", &none);
        return;
    }
    let keys = format_counted(forecast.stampede_keys, "key is", "keys are");
    let told = format!("{keys} asked for again while a miss is read, which takes {miss}:");
    line(text, "stampedes", &told);
    let _ = writeln!(text, "{:>12}  {:>10}  key", "more reads", "reads/s");
    for Stampede { route, key, per_second, expected } in &forecast.stampedes {
        let route: String = route.replace('\n', " ").chars().take(NAME).collect();
        let _ = writeln!(text, "{expected:>12.1}  {per_second:>10.1}  {route} #{key}");
    }
}

fn capacity(text: &mut String, forecast: &Forecast) {
    let Some(capacity) = forecast.capacity else { return };
    let above = if forecast.is_too_much() {
        let above = Duration::try_from_secs_f64(forecast.seconds_above).unwrap_or_default();
        format!("too little for a cold start: {} of it ask for more", format_duration(above))
    } else {
        "enough for a cold start".to_owned()
    };
    line(text, "the origin stands", &format!("{}/s: {above}", number(capacity)));
    let Some(RampStep { share, .. }) = forecast.ramp.first() else { return };
    let ramp = if forecast.full_after().is_some_and(|full| full.is_zero()) {
        "everybody may come at once".to_owned()
    } else {
        let full = forecast.told_full().unwrap_or_default();
        format!("{} of the users at first, {full}", format_share(*share))
    };
    line(text, "safe ramp", &ramp);
}

/// A rate: whole where it is large, with digits where it is small.
fn number(value: f64) -> String {
    if value >= 100.0 {
        format_count(as_index(value.round()) as u64)
    } else {
        let text = format!("{value:.1}");
        text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
    }
}
