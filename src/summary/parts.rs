//! Which part of an exchange takes the time, and how much comes back: histograms that merge.

use hdrhistogram::Histogram;

use crate::sample::{Fate, Sample};
use crate::stats::histograms::{self, coarse_times, nanoseconds, record_time, sizes};

/// The parts of answered exchanges, in nanoseconds. Together they are what the target took, from
/// the first byte sent to the last one received; how long connections took to open is in
/// [`crate::summary::evidence::openings::Openings::connect`].
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// First byte sent to last byte sent.
    pub sending: Histogram<u64>,
    /// Last byte sent to first byte received; 0 where the answer came before.
    pub waiting: Histogram<u64>,
    /// First byte received to last byte received.
    pub receiving: Histogram<u64>,
    /// Bytes of the bodies of answers, up to 4 GiB.
    pub response_bytes: Histogram<u64>,
}

impl Parts {
    /// Takes what one sample shows. What was not answered whole has no parts.
    pub fn add(&mut self, sample: &Sample) {
        let Sample { sent, sent_last, first_byte, done, .. } = *sample;
        let (Some(sent), Some(first), Some(done)) = (sent, first_byte, done) else { return };
        if !matches!(sample.fate, Fate::Answered { .. }) {
            return;
        }
        // An answer may begin before all of the request has left; that time counts once.
        let sent_last = sent_last.unwrap_or(sent).min(first);
        for (histogram, from, to) in [
            (&mut self.sending, sent, sent_last),
            (&mut self.waiting, sent_last, first),
            (&mut self.receiving, first, done),
        ] {
            record_time(histogram, nanoseconds(to.saturating_sub(from)));
        }
        self.response_bytes.saturating_record(sample.response_bytes);
    }

    /// Adds those of another part of the same run.
    pub fn merge(&mut self, other: &Self) {
        histograms::merge(&mut self.sending, &other.sending);
        histograms::merge(&mut self.waiting, &other.waiting);
        histograms::merge(&mut self.receiving, &other.receiving);
        histograms::merge(&mut self.response_bytes, &other.response_bytes);
    }
}

impl Default for Parts {
    fn default() -> Self {
        let [sending, waiting, receiving] = [coarse_times(), coarse_times(), coarse_times()];
        Self { sending, waiting, receiving, response_bytes: sizes() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::summary::examples::{answered, arrival, failed};

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_parts_of_an_answer_are_its_service_time() {
        let arrival = arrival(0, Duration::ZERO);
        let mut sample = answered(&arrival, MS * 100);
        let sent = sample.sent.unwrap();
        (sample.sent_last, sample.first_byte) = (Some(sent + MS * 20), Some(sent + MS * 70));
        let mut parts = Parts::default();
        parts.add(&sample);
        let mut other = Parts::default();
        other.add(&failed(&arrival, Fate::Reset));
        parts.merge(&other);
        let millis = |histogram: &Histogram<u64>| (histogram.max() + 500_000) / 1_000_000;
        let all = [&parts.sending, &parts.waiting, &parts.receiving];
        assert_eq!(all.map(millis), [20, 50, 30]);
        assert_eq!(all.map(Histogram::len), [1; 3], "what failed has no parts");
        assert_eq!((parts.response_bytes.len(), parts.response_bytes.max()), (1, 1_000));
    }

    #[test]
    fn an_answer_that_comes_early_is_not_counted_twice() {
        let arrival = arrival(0, Duration::ZERO);
        let mut sample = answered(&arrival, MS * 100);
        sample.first_byte = sample.sent.map(|sent| sent + MS * 10);
        sample.sent_last = sample.done;
        let mut parts = Parts::default();
        parts.add(&sample);
        let told = [&parts.sending, &parts.waiting, &parts.receiving];
        assert!(told[0].max() < 11_000_000 && told[1].max() < 1_000, "{}", told[0].max());
        assert!(told[2].max() > 89_000_000);
    }
}
