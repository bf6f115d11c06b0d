//! How far two series or two distributions are apart.

use std::collections::BTreeMap;

use crate::stats::counts::as_f64;

/// Weighted absolute percentage error of a rate curve: `Σ|produced − planned| / Σ planned`. The
/// shorter series is continued with zeros. `None` when nothing was planned.
pub fn wape(planned: &[u64], produced: &[u64]) -> Option<f64> {
    let total: u64 = planned.iter().sum();
    if total == 0 {
        return None;
    }
    let windows = planned.len().max(produced.len());
    let distance: u64 =
        (0..windows).map(|window| at(planned, window).abs_diff(at(produced, window))).sum();
    Some(as_f64(distance) / as_f64(total))
}

/// Normalised root mean square error of a rate curve: `√mean((produced − planned)²)` over the mean
/// of the planned one. The shorter series is continued with zeros. `None` when nothing was planned.
pub fn normalised_rmse(planned: &[u64], produced: &[u64]) -> Option<f64> {
    let total: u64 = planned.iter().sum();
    if total == 0 {
        return None;
    }
    let windows = planned.len().max(produced.len());
    let squares: f64 = (0..windows)
        .map(|window| as_f64(at(planned, window).abs_diff(at(produced, window))).powi(2))
        .sum();
    let windows = as_f64(windows as u64);
    Some((squares / windows).sqrt() / (as_f64(total) / windows))
}

/// The largest lag between two cumulative counts, in seconds: `max |A′(t) − A(t)| / λ`, λ being the
/// planned mean rate.
///
/// A burst of B requests that is 2 ms late as a whole would have a lag of B/λ by that formula,
/// which is seconds when the mean rate is low. So the lag at any moment is at most the time by
/// which the later curve really reaches the earlier one. Requests that never come are lagged by
/// the formula alone. `None` when nothing was planned.
pub fn max_cumulative_lag(planned: &[u64], produced: &[u64], window_seconds: f64) -> Option<f64> {
    let total: u64 = planned.iter().sum();
    if total == 0 {
        return None;
    }
    let rate = as_f64(total) / (as_f64(planned.len() as u64) * window_seconds);
    let windows = planned.len().max(produced.len());
    let (planned, produced) = (cumulated(planned, windows), cumulated(produced, windows));
    let behind = lag_of(&planned, &produced, rate, window_seconds);
    let ahead = lag_of(&produced, &planned, rate, window_seconds);
    Some(behind.max(ahead))
}

/// Total variation distance of two distributions over the same classes: `½ Σ|p − q|`, 0 to 1.
/// `None` when one of them is empty.
pub fn total_variation<K: Ord>(p: &BTreeMap<K, u64>, q: &BTreeMap<K, u64>) -> Option<f64> {
    let (p_total, q_total) = (total(p), total(q));
    if p_total <= 0.0 || q_total <= 0.0 {
        return None;
    }
    let distance: f64 = shares(p, q, p_total, q_total).map(|(p, q)| (p - q).abs()).sum();
    Some(distance / 2.0)
}

/// Jensen–Shannon divergence of two distributions over the same classes, in bits, 0 to 1. `None`
/// when one of them is empty.
pub fn jensen_shannon<K: Ord>(p: &BTreeMap<K, u64>, q: &BTreeMap<K, u64>) -> Option<f64> {
    let (p_total, q_total) = (total(p), total(q));
    if p_total <= 0.0 || q_total <= 0.0 {
        return None;
    }
    let part = |share: f64, middle: f64| {
        if share > 0.0 { share * (share / middle).log2() } else { 0.0 }
    };
    let divergence: f64 = shares(p, q, p_total, q_total)
        .map(|(p, q)| {
            let middle = f64::midpoint(p, q);
            f64::midpoint(part(p, middle), part(q, middle))
        })
        .sum();
    Some(divergence.max(0.0))
}

/// Cramér's V of two distributions over the same classes, as of two samples of one size: the root
/// of `½ Σ(p − q)²/(p + q)`, 0 to 1. `None` when one of them is empty.
pub fn cramers_v<K: Ord>(p: &BTreeMap<K, u64>, q: &BTreeMap<K, u64>) -> Option<f64> {
    let (p_total, q_total) = (total(p), total(q));
    if p_total <= 0.0 || q_total <= 0.0 {
        return None;
    }
    let parts = shares(p, q, p_total, q_total).filter(|(p, q)| p + q > 0.0);
    let sum: f64 = parts.map(|(p, q)| (p - q).powi(2) / (p + q)).sum();
    Some((sum / 2.0).sqrt())
}

/// All of a distribution, as a real number: counts from a file may be as large as there are.
fn total<K>(counts: &BTreeMap<K, u64>) -> f64 {
    counts.values().map(|&count| as_f64(count)).sum()
}

/// The shares of each class in both.
fn shares<'a, K: Ord>(
    p: &'a BTreeMap<K, u64>,
    q: &'a BTreeMap<K, u64>,
    p_total: f64,
    q_total: f64,
) -> impl Iterator<Item = (f64, f64)> {
    let share = |counts: &BTreeMap<K, u64>, total: f64, class: &K| {
        as_f64(counts.get(class).copied().unwrap_or(0)) / total
    };
    let only_q = q.keys().filter(|&class| !p.contains_key(class));
    p.keys().chain(only_q).map(move |class| (share(p, p_total, class), share(q, q_total, class)))
}

/// The largest lag of `late` behind `early`, where it is behind.
fn lag_of(early: &[u64], late: &[u64], rate: f64, window_seconds: f64) -> f64 {
    let mut worst = 0.0_f64;
    // First window in which `late` has reached what `early` had; it only moves forward.
    let mut reached = 0;
    for (window, (&ahead, &behind)) in early.iter().zip(late).enumerate() {
        if behind >= ahead {
            continue;
        }
        reached = reached.max(window);
        while late.get(reached).is_some_and(|&count| count < ahead) {
            reached += 1;
        }
        let vertical = as_f64(ahead - behind) / rate;
        let lag = if reached < late.len() {
            vertical.min(as_f64((reached - window) as u64) * window_seconds)
        } else {
            vertical
        };
        worst = worst.max(lag);
    }
    worst
}

fn cumulated(counts: &[u64], windows: usize) -> Vec<u64> {
    let mut sum = 0;
    (0..windows)
        .map(|window| {
            sum += at(counts, window);
            sum
        })
        .collect()
}

fn at(counts: &[u64], window: usize) -> u64 {
    counts.get(window).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: Option<f64>, expected: f64) {
        let value = value.unwrap();
        assert!((value - expected).abs() < 1e-9, "{value} instead of {expected}");
    }

    #[test]
    fn wape_is_the_moved_share_counted_twice() {
        near(wape(&[10, 10], &[10, 10]), 0.0);
        near(wape(&[10, 10], &[9, 11]), 0.1);
        near(wape(&[10, 10], &[10, 9, 1]), 0.1);
        near(wape(&[10, 10], &[]), 1.0);
        assert_eq!(wape(&[0, 0], &[1]), None);
        assert_eq!(wape(&[], &[]), None);
    }

    #[test]
    fn an_error_of_squares_weighs_what_is_far_off() {
        // Differences 1 and 1 of a mean of 10; then 0 and 2.
        near(normalised_rmse(&[10, 10], &[9, 11]), 0.1);
        near(normalised_rmse(&[10, 10], &[10, 12]), 2.0_f64.sqrt() / 10.0);
        near(normalised_rmse(&[10, 10], &[10, 10, 0]), 0.0);
        assert_eq!(normalised_rmse(&[], &[1]), None);
    }

    #[test]
    fn a_lag_is_the_backlog_over_the_rate() {
        // 10 a second; in second 2 only 4 go out, the rest a second later.
        near(max_cumulative_lag(&[10, 10, 10, 10], &[10, 10, 4, 16], 1.0), 0.6);
        near(max_cumulative_lag(&[10, 10, 10, 10], &[16, 4, 10, 10], 1.0), 0.6);
        near(max_cumulative_lag(&[10, 10], &[10, 10], 1.0), 0.0);
        assert_eq!(max_cumulative_lag(&[], &[1], 1.0), None);
    }

    #[test]
    fn lost_requests_lag_for_good() {
        near(max_cumulative_lag(&[10, 10, 10, 10], &[9, 9, 9, 9], 1.0), 0.4);
    }

    #[test]
    fn a_whole_burst_a_window_late_lags_by_one_window() {
        let mut planned = vec![0; 100];
        planned[50] = 20;
        let mut produced = vec![0; 100];
        produced[51] = 20;
        near(max_cumulative_lag(&planned, &produced, 0.01), 0.01);
    }

    #[test]
    fn total_variation_is_the_share_in_the_wrong_class() {
        let mix = |pairs: &[(&'static str, u64)]| pairs.iter().copied().collect::<BTreeMap<_, _>>();
        let planned = mix(&[("a", 50), ("b", 50)]);
        near(total_variation(&planned, &mix(&[("a", 5), ("b", 5)])), 0.0);
        near(total_variation(&planned, &mix(&[("a", 60), ("b", 40)])), 0.1);
        near(total_variation(&planned, &mix(&[("c", 1)])), 1.0);
        assert_eq!(total_variation(&planned, &mix(&[])), None);
        near(jensen_shannon(&planned, &mix(&[("a", 5), ("b", 5)])), 0.0);
        near(jensen_shannon(&planned, &mix(&[("c", 1)])), 1.0);
        // By hand: 0.5 of a against all of a: ½·(½·log2(⅔) + ½·log2(2)) + ½·log2(4/3).
        let expected = 0.5 * (0.5 * (2.0_f64 / 3.0).log2() + 0.5) + 0.5 * (4.0_f64 / 3.0).log2();
        near(jensen_shannon(&planned, &mix(&[("a", 9)])), expected);
        assert_eq!(jensen_shannon(&mix(&[]), &planned), None);
        near(cramers_v(&planned, &mix(&[("a", 5), ("b", 5)])), 0.0);
        near(cramers_v(&planned, &mix(&[("c", 1)])), 1.0);
        // By hand: ½·(0.1²/1.1 + 0.1²/0.9) of shares 0.6 and 0.4.
        let expected = (0.5_f64 * (0.01 / 1.1 + 0.01 / 0.9)).sqrt();
        near(cramers_v(&planned, &mix(&[("a", 60), ("b", 40)])), expected);
        assert_eq!(cramers_v(&mix(&[]), &planned), None);
    }
}
