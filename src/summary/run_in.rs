//! Runs of which only the later part counts.

use std::time::Duration;

use crate::plan::Arrival;
use crate::sample::Sample;
use crate::summary::Summary;

impl Summary {
    /// Folds an arrival that is due behind the run-in, with its moments since the end of that; one
    /// that is due in it is counted, and nothing else.
    pub fn add_after(&mut self, run_in: Duration, arrival: &Arrival, sample: &Sample) {
        if run_in.is_zero() {
            self.add(arrival, sample);
        } else if arrival.due < run_in {
            self.run_in += 1;
        } else {
            let since = |moment: Duration| moment.saturating_sub(run_in);
            let sample = Sample {
                due: since(sample.due),
                dispatched: sample.dispatched.map(since),
                established: sample.established.map(since),
                secured: sample.secured.map(since),
                connected: sample.connected.map(since),
                sent: sample.sent.map(since),
                sent_last: sample.sent_last.map(since),
                first_byte: sample.first_byte.map(since),
                done: sample.done.map(since),
                ..sample.clone()
            };
            self.add(&Arrival { due: since(arrival.due), ..arrival.clone() }, &sample);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::examples::{answered, arrival};

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_due_in_the_run_in_is_counted_and_in_nothing_else() {
        let mut summary = Summary::new();
        for index in 0..10 {
            let arrival = arrival(index, S * u32::try_from(index).unwrap());
            // Answers of the run-in that come later belong to it.
            let took = if index < 4 { 9 * S } else { S / 10 };
            summary.add_after(4 * S, &arrival, &answered(&arrival, took));
        }
        assert_eq!((summary.run_in, summary.arrivals), (4, 6));
        assert_eq!((summary.planned.total, summary.latency.len()), (6, 6));
        assert!(summary.latency.max() < 200_000_000);
        assert_eq!(summary.seconds.len(), 6, "moments are since its end");
        assert_eq!(summary.seconds[0].due, 1);
        assert_eq!(summary.seconds.iter().map(|second| second.answered).sum::<u32>(), 6);
        let mut plain = Summary::new();
        let only = arrival(0, S);
        plain.add_after(Duration::ZERO, &only, &answered(&only, S));
        assert_eq!((plain.run_in, plain.arrivals, plain.seconds.len()), (0, 1, 3));
    }
}
