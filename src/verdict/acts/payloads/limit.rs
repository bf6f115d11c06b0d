//! Which sizes are refused, and whether production has them.

use crate::act::payloads::{Boundary, Fate, Payloads, Sweep, What};
use crate::units::{format_count, format_size};
use crate::verdict::acts::payloads::{LIMIT, told_recorded};
use crate::verdict::{Finding, Outcome, finding};

/// Production's next largest body may be this many times its largest so far.
const HEADROOM: u64 = 4;

/// Judges one sweep.
pub(super) fn judge(sweep: &Sweep, all: &Payloads) -> Finding {
    let name = sweep.name();
    if let Some(reason) = &sweep.unknown {
        let mut found = finding(LIMIT, Outcome::Unknown, format!("{name}: {reason}"));
        found.advice = "Make what is named above possible, then rehearse again.".into();
        return found;
    }
    let mut found = match &sweep.boundary {
        Some(boundary) => refused(sweep, boundary, all),
        None => accepted(sweep, all),
    };
    if let Some(announced) = sweep.announced {
        let bytes = format_count(announced);
        found.evidence.push(format!("the server says max_allowed_packet is {bytes} bytes"));
    }
    found.evidence.extend(sweep.ended.clone());
    if found.outcome != Outcome::Pass {
        found.evidence.extend(told_recorded(&all.recorded));
    }
    found
}

fn refused(sweep: &Sweep, boundary: &Boundary, all: &Payloads) -> Finding {
    let name = sweep.name();
    let (accepted, refused) = (boundary.accepted, boundary.refused);
    let how = boundary.fate.told();
    let title = if boundary.is_exact() {
        format!(
            "{name}: {} bytes pass, {} are {how}",
            format_count(accepted),
            format_count(refused)
        )
    } else {
        format!("{name}: {} pass, {} are {how}", format_size(accepted), format_size(refused))
    };
    let max = all.recorded.max;
    let beyond = max.saturating_mul(HEADROOM);
    // Whether a body becomes one packet or one value is not recorded.
    let is_direct = sweep.what == What::HttpRequest;
    let outcome = match max {
        0 => Outcome::Unknown,
        max if refused <= max && is_direct => Outcome::Fail,
        _ if refused <= beyond => Outcome::Unknown,
        _ => Outcome::Pass,
    };
    let mut found = finding(LIMIT, outcome, title);
    match outcome {
        Outcome::Fail => {
            found.evidence.push(format!(
                "production's largest body has {} bytes: it would be refused",
                format_count(max)
            ));
            found.advice = advice(&boundary.fate);
        }
        Outcome::Unknown => {
            found.evidence.push(match max {
                0 => "nothing is recorded to compare it with".to_owned(),
                max => format!(
                    "production's largest body has {}; a rehearsal asks for {HEADROOM} times that",
                    format_size(max)
                ),
            });
            found.advice = format!(
                "Decide whether {} is enough for the largest customer of next year; if not, raise \
                 the limit in every tier.",
                format_size(accepted)
            );
        }
        Outcome::Pass => {}
    }
    found
}

fn advice(fate: &Fate) -> String {
    match fate {
        Fate::Status(413) => {
            "Raise the body limit of every tier (such as client_max_body_size) \
                              above the largest recorded body, then rehearse again."
        }
        Fate::Status(414 | 431) => {
            "Raise the limit of request lines and headers (such as \
                                    large_client_header_buffers), then rehearse again."
        }
        Fate::Status(502..=504) => {
            "The tier behind the first one refuses or gives up: look into \
                                    its log, raise its limit or its timeout."
        }
        Fate::Reset | Fate::Closed => {
            "The connection ends without an answer, which users cannot \
                                       understand: look into the logs for a limit or a crash."
        }
        Fate::TimedOut => {
            "Nothing answers in time: look for a timeout or a body that is read too \
                           slowly."
        }
        _ => {
            "Look into the server's log for the limit that was met, and raise it above the \
              largest recorded body."
        }
    }
    .into()
}

fn accepted(sweep: &Sweep, all: &Payloads) -> Finding {
    let (name, largest, max) = (sweep.name(), sweep.accepted(), all.recorded.max);
    let title = format!("{name} up to {} pass", format_size(largest));
    if largest == 0 && sweep.announced.is_some_and(|announced| announced > all.max_bytes) {
        let title = format!("{name}: the limit is above all that was to be sent");
        return finding(LIMIT, Outcome::Pass, title);
    }
    if largest == 0 || largest < max.min(all.max_bytes) {
        let mut found = finding(LIMIT, Outcome::Unknown, title);
        found.advice = "Give the act more time with `budget`, then rehearse again.".into();
        return found;
    }
    let mut found = finding(LIMIT, Outcome::Pass, title);
    if max > largest {
        found.outcome = Outcome::Unknown;
        found.advice = "Raise `max` of the act above the largest recorded body.".into();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::payloads::Attempt;
    use crate::verdict::acts::payloads::examples::{Shape, payloads};

    /// Production's largest body has 51 200 bytes.
    fn judged(refused: u64, fate: Fate) -> Finding {
        let mut all = payloads(&Shape::default());
        all.sweeps[0].boundary = Some(Boundary { accepted: refused - 1, refused, fate });
        judge(&all.sweeps[0], &all)
    }

    #[test]
    fn a_limit_below_productions_largest_body_fails_with_its_byte() {
        let found = judged(51_200, Fate::Status(413));
        assert_eq!(found.outcome, Outcome::Fail, "{found:#?}");
        let title = found.title.replace('\u{202f}', " ");
        assert!(title.contains("51 199 bytes pass, 51 200 are answered 413"), "{title}");
        assert!(found.advice.contains("client_max_body_size"), "{found:#?}");
        for (fate, advice) in [
            (Fate::Status(414), "request lines"),
            (Fate::Status(431), "headers"),
            (Fate::Status(502), "behind the first one"),
            (Fate::Status(400), "the server's log"),
            (Fate::Reset, "a crash"),
            (Fate::Closed, "a crash"),
            (Fate::TimedOut, "a timeout"),
        ] {
            let found = judged(1_000, fate.clone());
            assert_eq!(found.outcome, Outcome::Fail, "{fate:?}");
            assert!(found.advice.contains(advice), "{fate:?}: {found:#?}");
        }
    }

    #[test]
    fn a_limit_above_it_is_for_people_to_judge_and_one_far_above_passes() {
        assert_eq!(judged(51_201, Fate::Status(413)).outcome, Outcome::Unknown);
        assert_eq!(judged(4 * 51_200, Fate::Status(413)).outcome, Outcome::Unknown);
        let found = judged(4 * 51_200 + 1, Fate::Status(413));
        assert_eq!((found.outcome, found.advice.as_str()), (Outcome::Pass, ""), "{found:#?}");
    }

    #[test]
    fn no_limit_up_to_four_times_the_largest_passes() {
        let all = payloads(&Shape::default());
        let found = judge(&all.sweeps[0], &all);
        assert_eq!(found.outcome, Outcome::Pass, "{found:#?}");
        assert!(found.title.contains("up to 200 KiB pass"), "{found:#?}");
        let small = Shape { sizes: vec![1_000, 4_000, 16_000], ..Shape::default() };
        let all = payloads(&small);
        assert_eq!(judge(&all.sweeps[0], &all).outcome, Outcome::Unknown);
    }

    #[test]
    fn a_packet_limit_is_told_exactly_and_is_no_failure_by_itself() {
        let mut all = payloads(&Shape::default());
        let sweep = &mut all.sweeps[0];
        (sweep.what, sweep.endpoint, sweep.place) = (What::MysqlPacket, "db".into(), String::new());
        sweep.rungs.clear();
        sweep.announced = Some(1 << 20);
        let fate = Fate::Error("error 1153".to_owned());
        sweep.attempts = vec![Attempt { bytes: 1 << 20, fate: Fate::Done }];
        sweep.boundary = Some(Boundary { accepted: 1 << 20, refused: (1 << 20) + 1, fate });
        let found = judge(&all.sweeps[0], &all);
        assert_eq!(found.outcome, Outcome::Pass, "{found:#?}");
        let title = found.title.replace('\u{202f}', " ");
        assert!(title.contains("1 048 576 bytes pass, 1 048 577 are refused with error 1153"));
        all.recorded.max = 2 << 20;
        let found = judge(&all.sweeps[0], &all);
        assert_eq!(found.outcome, Outcome::Unknown, "{found:#?}");
    }
}
