//! What the heartbeat of the act `canary` means: logs that fell silent under load.

use std::time::Duration;

use crate::act::canary::heartbeat::{Beats, StreamBeats};
use crate::units::format_duration;
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "canary-heartbeat";

/// Judges the evidence.
pub fn judge(beats: &Beats) -> Finding {
    let (mut failed, mut unknown, mut told) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(problem) = &beats.problem {
        unknown.push(format!("no marked request was sent: {problem}"));
    } else if beats.as_expected == 0 {
        let sent = beats.sent;
        unknown.push(format!("none of {sent} marked requests was answered as it had to be"));
    } else {
        for stream in &beats.streams {
            let (outcome, text) = judge_stream(stream, beats);
            match outcome {
                Outcome::Fail => failed.push(text),
                Outcome::Unknown => unknown.push(text),
                Outcome::Pass => told.push(text),
            }
        }
        if beats.as_expected < beats.sent {
            let (good, all) = (beats.as_expected, beats.sent);
            told.push(format!("{good} of {all} marked requests were answered as they had to be"));
        }
    }
    let (outcome, title, advice) = match (failed.first(), unknown.first()) {
        (Some(first), _) => (
            Outcome::Fail,
            first.clone(),
            "See what stands between the application and this stream when there is load: buffers \
             that overflow, rate limits, rotation, a full disk, a shipper that has died.",
        ),
        (None, Some(first)) => (
            Outcome::Unknown,
            first.clone(),
            "See what `log-canary` says of the streams, and whether the target answered.",
        ),
        (None, None) if beats.streams.is_empty() => {
            (Outcome::Unknown, "no stream was watched".to_owned(), "")
        }
        (None, None) => {
            let streams = beats.streams.len();
            (Outcome::Pass, format!("all {streams} streams went on through the rehearsal"), "")
        }
    };
    let mut found = finding(CHECK, outcome, title);
    let all = [failed, unknown, told].concat();
    found.evidence = all.into_iter().filter(|text| *text != found.title).collect();
    found.advice = advice.into();
    found
}

fn judge_stream(stream: &StreamBeats, beats: &Beats) -> (Outcome, String) {
    let StreamBeats { name, seen, lost, .. } = stream;
    let is_alive = *seen > 0 || stream.was_alive;
    let judged = seen + lost;
    if let (Some([first, last]), true) = (stream.lost_ns, is_alive && *lost > 0) {
        let [within, first, last] = [beats.within_ns, first, last].map(shown);
        let when = if *lost == 1 {
            format!("it was sent {first} after the start")
        } else {
            format!("they were sent {first} to {last} after the start")
        };
        let text = format!(
            "{name}: {lost} of {judged} marked requests of the rehearsal did not show up within \
             {within}; {when}"
        );
        return (Outcome::Fail, text);
    }
    if let Some(problem) = &stream.problem {
        return (Outcome::Unknown, format!("{name} could not be read all the time: {problem}"));
    }
    if *seen == 0 {
        let text = format!("{name}: no marked request of the rehearsal was there to be judged");
        return (Outcome::Unknown, text);
    }
    (Outcome::Pass, format!("{name}: {seen} marked requests of the rehearsal showed up"))
}

fn shown(ns: u64) -> String {
    // Parts of a second mean nothing here, but for the first.
    let rounded = if ns < 1_000_000_000 {
        ns / 1_000_000 * 1_000_000
    } else {
        ns / 100_000_000 * 100_000_000
    };
    format_duration(Duration::from_nanos(rounded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(stream: StreamBeats) -> Finding {
        let streams = vec![StreamBeats { name: "app".to_owned(), ..stream }];
        let within_ns = 30_000_000_000;
        judge(&Beats { sent: 60, as_expected: 60, streams, within_ns, ..Beats::default() })
    }

    #[test]
    fn a_stream_that_falls_silent_fails_and_its_twin_passes() {
        let good = StreamBeats { was_alive: true, seen: 60, ..StreamBeats::default() };
        assert_eq!(judged(good.clone()).outcome, Outcome::Pass);
        let lost_ns = Some([120_000_000_000, 180_000_000_000]);
        let broken = StreamBeats { seen: 57, lost: 3, lost_ns, ..good.clone() };
        let found = judged(broken.clone());
        assert_eq!(found.outcome, Outcome::Fail);
        assert_eq!(
            found.title,
            "app: 3 of 60 marked requests of the rehearsal did not show up within 30 s; they were \
             sent 2 min to 3 min after the start"
        );
        // It was alive before, and is silent from the first.
        let silent = StreamBeats { seen: 0, lost: 60, ..broken.clone() };
        assert_eq!(judged(silent.clone()).outcome, Outcome::Fail);
        // It never was: the act itself has told so.
        let never = StreamBeats { was_alive: false, ..silent };
        assert_eq!(judged(never).outcome, Outcome::Unknown);
    }

    #[test]
    fn what_cannot_be_judged_is_unknown() {
        assert_eq!(judge(&Beats::default()).outcome, Outcome::Unknown);
        let none = StreamBeats { was_alive: true, unjudged: 60, ..StreamBeats::default() };
        assert_eq!(judged(none).outcome, Outcome::Unknown);
        let problem = Some("its command ended with exit code 255".to_owned());
        let broken = StreamBeats { seen: 5, unjudged: 2, problem, ..StreamBeats::default() };
        assert_eq!(judged(broken).outcome, Outcome::Unknown);
        let unanswered =
            Beats { sent: 9, streams: vec![StreamBeats::default()], ..Beats::default() };
        assert_eq!(judge(&unanswered).outcome, Outcome::Unknown);
    }
}
