//! Connects that the kernel had to repeat, told by how long they took.

use std::fs;
use std::time::Duration;

use crate::act::connections::door::Attempt;
use crate::act::connections::seen::{Late, Refusal};

/// A connect that takes this much longer than the others was repeated, hung, or slow: kernels
/// differ in when they repeat it, but none does so within a second.
const LATE: Duration = Duration::from_millis(900);

/// After a repeat it takes no longer than this until connected, and until that is noticed.
const SLACK: Duration = Duration::from_millis(250);

/// Moments at which connects are repeated, as far as anybody waits.
const MOMENTS: usize = 16;

/// Seconds after which the kernel of this machine repeats a connect. Newer ones do so once a second
/// for a while, before they double the time; older ones double it at once.
fn schedule(linear: u64) -> Vec<u64> {
    let mut moments: Vec<u64> = (1..=linear.min(MOMENTS as u64) + 1).collect();
    let mut step = 2;
    while moments.len() < MOMENTS {
        moments.push(moments.last().copied().unwrap_or(0) + step);
        step *= 2;
    }
    moments
}

/// How often the kernel of this machine repeats a connect before it doubles the time.
fn linear() -> u64 {
    let read = fs::read_to_string("/proc/sys/net/ipv4/tcp_syn_linear_timeouts");
    read.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// The connects of a burst that were late.
pub(super) fn late(attempts: &[Attempt]) -> Late {
    let hung = |attempt: &&Attempt| attempt.outcome.as_ref().err() == Some(&Refusal::Hung);
    let connected = attempts.iter().filter(|attempt| !hung(attempt));
    let mut late = among(connected.filter_map(|attempt| attempt.connect).collect(), linear());
    late.hung = attempts.iter().filter(hung).count() as u64;
    late
}

fn among(mut times: Vec<Duration>, linear: u64) -> Late {
    times.sort_unstable();
    // The quickest quarter: in a bad burst the median was repeated itself.
    let usual = times.get(times.len() / 4).copied().unwrap_or_default();
    let usual = if usual > LATE { Duration::ZERO } else { usual };
    let (schedule, mut late) = (schedule(linear), Late::default());
    for time in times.iter().map(|time| time.saturating_sub(usual)).filter(|time| *time >= LATE) {
        let is_of = |moment: &&u64| {
            let moment = Duration::from_secs(**moment);
            time + usual >= moment && time <= moment + SLACK
        };
        match schedule.iter().find(is_of) {
            Some(moment) => *late.repeated.entry(*moment).or_default() += 1,
            None => late.slow += 1,
        }
    }
    late
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_is_repeated_when_the_kernel_does_so() {
        assert_eq!(schedule(0)[..4], [1, 3, 7, 15]);
        assert_eq!(schedule(4)[..7], [1, 2, 3, 4, 5, 7, 11]);
        assert_eq!(schedule(u64::MAX).len(), MOMENTS + 1);
    }

    #[test]
    fn late_connects_are_told_apart() {
        let times = |ms: &[u64]| ms.iter().map(|ms| Duration::from_millis(*ms)).collect();
        let late = among(times(&[1, 2, 3, 4, 1_030, 1_040, 2_050, 1_600, 500]), 4);
        assert_eq!((late.repeated, late.slow), ([(1, 2), (2, 1)].into(), 1));
        // An older kernel repeats nothing after two seconds.
        let late = among(times(&[1, 2, 3, 4, 1_030, 2_050, 3_060]), 0);
        assert_eq!((late.repeated, late.slow), ([(1, 1), (3, 1)].into(), 1));
        let late = among(times(&[300, 310, 320, 400, 1_330]), 4);
        assert_eq!(late.lost(), 1, "counted from the others of its burst");
        assert_eq!(among(times(&[200, 300, 400, 850]), 4), Late::default());
        assert_eq!(among(Vec::new(), 4), Late::default());
    }
}
