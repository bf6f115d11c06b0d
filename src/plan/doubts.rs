//! What a scenario asks for and the recording has not: it is replayed as far as it goes, and said.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::plan::PlanError;
use crate::scenario::{MethodPolicy, Scenario, Window};
use crate::units::{format_count, format_duration, format_share};

/// A window that is longer than this share of what the recording has of it is worth a word.
const NEARLY: f64 = 0.95;

/// Where the recording ends before the window does: a rehearsal of `busiest 5m` would else pass for
/// five minutes that nobody recorded. `window_ns` is from where to where it was asked for.
pub(super) fn window(asked: Window, window_ns: [u64; 2], recorded_ns: u64) -> Option<String> {
    let [from, to] = window_ns.map(Duration::from_nanos);
    let recorded = Duration::from_nanos(recorded_ns);
    let length = to.saturating_sub(from);
    let there = to.min(recorded).saturating_sub(from);
    if asked == Window::All || there >= length.mul_f64(NEARLY) {
        return None;
    }
    Some(format!(
        "the window `{asked}` is {} long, and the recording, which ends after {}, has {} of it",
        format_duration(length),
        format_duration(recorded),
        format_duration(there)
    ))
}

/// The error of a window that holds nothing, with how long the recording is.
pub(super) fn of_length(error: PlanError, recorded_ns: u64) -> PlanError {
    match error {
        PlanError::Empty { exchanges: 0, reasons } => {
            let length = format_duration(Duration::from_nanos(recorded_ns));
            let reasons = format!("{reasons}; it ends {length} after its start");
            PlanError::Empty { exchanges: 0, reasons }
        }
        error => error,
    }
}

/// Methods that the scenario lists; those of the window are taken out of them.
pub(super) fn listed(policy: &MethodPolicy) -> BTreeSet<String> {
    match policy {
        MethodPolicy::Only(methods) => methods.iter().cloned().collect(),
        MethodPolicy::All | MethodPolicy::Reading => BTreeSet::new(),
    }
}

/// Methods that are listed and that no request has: a slip of the pen leaves requests out, and the
/// load is none the wiser.
pub(super) fn methods(unseen: &BTreeSet<String>) -> Option<String> {
    let names: Vec<String> = unseen.iter().map(|name| format!("`{name}`")).collect();
    let first = names.first()?;
    let names = if names.len() == 1 { first.clone() } else { names.join(", ") };
    Some(format!(
        "no request in the window has the method {names}, which `methods` lists; upper and lower \
         case are different ones"
    ))
}

/// How much of the load a ramp lets in. Who comes before its turn stays away for good, so that a
/// recording whose sessions had begun before it did is nearly left out.
pub(super) fn ramp(scenario: &Scenario, facts: [u64; 2], largest_group: f64) -> Option<String> {
    scenario.ramp.as_ref()?;
    let [let_in, kept_out] = facts;
    let all = let_in.saturating_add(kept_out);
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    let share = let_in as f64 / all.max(1) as f64;
    Some(format!(
        "the ramp lets in {} of {} requests ({}): whoever comes before its turn stays away; whole \
         groups of connections and sessions come together, of which the largest holds {}",
        format_count(let_in),
        format_count(all),
        format_share(share),
        format_share(largest_group)
    ))
}

#[cfg(test)]
mod tests {
    use super::window as window_of;
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_window_beyond_the_recording_is_told() {
        let seconds = Duration::from_secs;
        let of = |asked: Window, window: [u64; 2]| {
            window_of(asked, window.map(|at| at * S), 100 * S).unwrap_or_default()
        };
        for (asked, window) in [
            (Window::All, [0, 1_000]),
            (Window::Busiest(seconds(60)), [40, 100]),
            (Window::Busiest(seconds(103)), [0, 103]),
            (Window::Offset(seconds(0), seconds(100)), [0, 100]),
        ] {
            assert_eq!(of(asked, window), "", "{asked}");
        }
        let said = of(Window::Busiest(seconds(300)), [0, 300]);
        assert_eq!(
            said,
            "the window `busiest 5 min` is 5 min long, and the recording, which ends after 1 min \
             40 s, has 1 min 40 s of it"
        );
        let said = of(Window::Offset(seconds(90), seconds(200)), [90, 200]);
        assert!(said.ends_with("has 10 s of it"), "{said}");
    }

    #[test]
    fn methods_that_no_request_has_are_told() {
        let unseen = listed(&MethodPolicy::Only(vec!["POTS".to_owned(), "get".to_owned()]));
        let said = methods(&unseen).unwrap();
        assert!(said.contains("the method `POTS`, `get`, which"), "{said}");
        assert_eq!(methods(&listed(&MethodPolicy::All)), None);
    }
}
