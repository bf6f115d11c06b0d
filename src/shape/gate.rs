//! A metric held against its tolerance.

use crate::shape::metrics::Evaluated;
use crate::shape::{Metric, MetricOutcome};
use crate::units::format_counted;

/// What a value must be.
#[derive(Clone, Copy, Debug)]
pub enum Gate {
    /// At least this much.
    AtLeast(f64),
    /// At most this much.
    AtMost(f64),
    /// A ratio between these.
    Band([f64; 2]),
    /// Anything: it is only printed.
    Report,
}

/// Holds a value against its gate. With the unit `%`, value and gate are shares.
pub fn metric(name: &str, unit: &str, value: Evaluated, gate: Gate) -> Metric {
    let limit = limit_text(unit, gate);
    let (value, ratio, outcome, note) = match value {
        Err(reason) => (None, None, MetricOutcome::NotEvaluable, reason),
        Ok(value) if value.is_nan() => {
            let reason = "it is no number: nothing is left to divide by".to_owned();
            (None, None, MetricOutcome::NotEvaluable, reason)
        }
        Ok(value) => {
            let ratio = utilisation(value, gate);
            let outcome = match ratio {
                None => MetricOutcome::Report,
                Some(ratio) if ratio <= 1.0 => MetricOutcome::Pass,
                Some(_) => MetricOutcome::Fail,
            };
            let shown = if unit == "%" { value * 100.0 } else { value };
            (Some(shown), ratio, outcome, String::new())
        }
    };
    Metric { name: name.to_owned(), value, unit: unit.to_owned(), limit, ratio, outcome, note }
}

/// The share of the tolerance that a value uses up; 1 is the limit. The rounding of decimal
/// fractions must not fail a value that is exactly at it.
fn utilisation(value: f64, gate: Gate) -> Option<f64> {
    let ratio = match gate {
        Gate::Report => return None,
        Gate::AtMost(limit) => value / limit,
        Gate::AtLeast(limit) => (1.0 - value) / (1.0 - limit),
        Gate::Band([_, high]) if value >= 1.0 => (value - 1.0) / (high - 1.0),
        Gate::Band([low, _]) => (1.0 - value) / (1.0 - low),
    };
    Some(if (ratio - 1.0).abs() < 1e-9 { 1.0 } else { ratio.max(0.0) })
}

fn limit_text(unit: &str, gate: Gate) -> String {
    let scaled = |value: f64| if unit == "%" { value * 100.0 } else { value };
    // Six decimals hide the rounding of decimal fractions such as 0.07 × 100.
    let number = |value: f64| {
        let text = format!("{:.6}", scaled(value));
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let space = if unit.is_empty() { "" } else { " " };
    match gate {
        Gate::Report => String::new(),
        Gate::AtLeast(limit) => format!("≥ {}{space}{unit}", number(limit)),
        Gate::AtMost(limit) => format!("≤ {}{space}{unit}", number(limit)),
        Gate::Band([low, high]) => {
            // As many as there are, of those of a floor four: a value must not look within.
            let has = |digits: i32| {
                let scale = 10.0_f64.powi(digits);
                let is_whole = |value: f64| (value * scale - (value * scale).round()).abs() < 1e-6;
                is_whole(low) && is_whole(high)
            };
            let digits = if has(2) {
                2
            } else if has(3) {
                3
            } else {
                4
            };
            format!("{low:.digits$}–{high:.digits$}")
        }
    }
}

/// `WAPE 1 s is 2.41 %, limit ≤ 1 %`.
pub fn described(metric: &Metric) -> String {
    let value = significant(metric.value.unwrap_or(0.0));
    let space = if metric.unit.is_empty() { "" } else { " " };
    format!("{} is {value}{space}{}, limit {}", metric.name, metric.unit, metric.limit)
}

/// The worst failure and the number of the others: a reader finds all of them in the table.
pub fn failures<'a>(metrics: impl Iterator<Item = &'a Metric>) -> String {
    let failed: Vec<&Metric> =
        metrics.filter(|metric| metric.outcome == MetricOutcome::Fail).collect();
    let ratio = |metric: &Metric| metric.ratio.unwrap_or(0.0);
    let worst = failed.iter().max_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let worst = worst.map_or_else(String::new, |metric| described(metric));
    match failed.len().saturating_sub(1) {
        0 => worst,
        others => format!(
            "{worst}, and {} beyond theirs",
            format_counted(others as u64, "other", "others")
        ),
    }
}

/// Four significant digits, as in the tables of the reports; none before the point is rounded away.
fn significant(value: f64) -> String {
    let digits = [1.0, 10.0, 100.0, 1_000.0].iter().filter(|&&bound| value.abs() >= bound).count();
    let text = format!("{value:.*}", 4 - digits);
    if digits == 4 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_like_the_published_table() {
        let limit = |unit: &str, gate: Gate| metric("m", unit, Ok(1.0), gate).limit;
        assert_eq!(limit("%", Gate::AtLeast(0.999)), "≥ 99.9 %");
        assert_eq!(limit("%", Gate::AtMost(0.07)), "≤ 7 %");
        assert_eq!(limit("ms", Gate::AtMost(50.0)), "≤ 50 ms");
        assert_eq!(limit("s", Gate::AtMost(0.2)), "≤ 0.2 s");
        assert_eq!(limit("", Gate::Band([0.9, 1.1])), "0.90–1.10");
        assert_eq!(limit("", Gate::Band([0.999, 1.001])), "0.999–1.001");
        assert_eq!(limit("", Gate::Band([1.0 / 1.08, 1.08])), "0.9259–1.0800");
        assert_eq!(limit("", Gate::Report), "");
    }

    #[test]
    fn a_metric_in_a_sentence_has_four_digits() {
        let said = |value: f64| described(&metric("m", "ms", Ok(value), Gate::AtMost(1.0)));
        assert_eq!(said(44.1712), "m is 44.17 ms, limit ≤ 1 ms");
        assert_eq!(said(0.0349), "m is 0.0349 ms, limit ≤ 1 ms");
        assert_eq!(said(100.0), "m is 100 ms, limit ≤ 1 ms");
        assert_eq!(said(12_000.4), "m is 12000 ms, limit ≤ 1 ms");
    }

    #[test]
    fn a_ratio_of_one_is_the_limit_from_either_side() {
        for (value, gate, ratio, outcome) in [
            (0.01, Gate::AtMost(0.01), 1.0, MetricOutcome::Pass),
            (0.011, Gate::AtMost(0.01), 1.1, MetricOutcome::Fail),
            (0.999, Gate::AtLeast(0.999), 1.0, MetricOutcome::Pass),
            (1.0, Gate::AtLeast(0.999), 0.0, MetricOutcome::Pass),
            (0.99, Gate::AtLeast(0.999), 10.0, MetricOutcome::Fail),
            (0.9, Gate::Band([0.9, 1.1]), 1.0, MetricOutcome::Pass),
            (1.1, Gate::Band([0.9, 1.1]), 1.0, MetricOutcome::Pass),
            (1.5, Gate::Band([0.8, 1.25]), 2.0, MetricOutcome::Fail),
            (0.6, Gate::Band([0.8, 1.25]), 2.0, MetricOutcome::Fail),
        ] {
            let judged = metric("m", "%", Ok(value), gate);
            let actual = judged.ratio.unwrap();
            assert!((actual - ratio).abs() < 1e-9, "{value} {gate:?}: {actual}");
            assert_eq!(judged.outcome, outcome, "{value} {gate:?}");
        }
    }

    #[test]
    fn what_is_not_evaluable_or_only_printed_gates_nothing() {
        let unknown = metric("m", "", Err("too few".into()), Gate::AtMost(1.0));
        assert_eq!((unknown.outcome, unknown.ratio), (MetricOutcome::NotEvaluable, None));
        assert_eq!(unknown.note, "too few");
        let printed = metric("m", "%", Ok(0.5), Gate::Report);
        assert_eq!((printed.outcome, printed.ratio), (MetricOutcome::Report, None));
        assert!(printed.value.is_some_and(|value| (value - 50.0).abs() < 1e-9));
        for gate in [Gate::AtMost(1.0), Gate::AtLeast(0.5), Gate::Band([0.9, 1.1]), Gate::Report] {
            let none = metric("m", "", Ok(f64::NAN), gate);
            assert_eq!((none.outcome, none.value), (MetricOutcome::NotEvaluable, None));
        }
    }
}
