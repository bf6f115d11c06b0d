//! Times of a run that a chart points out: when it was held, and when a rule ended it.

use plotly::{Scatter, Trace};

use crate::report::charts::{cleaned, line, plain};
use crate::report::model::Mark;
use crate::report::text::nanos;

/// A line along the time axis for each, at the zero of an axis that has one.
pub(super) fn traces<'a>(
    marks: &'a [Mark],
    axis: &'static str,
) -> impl Iterator<Item = Box<dyn Trace>> + 'a {
    marks.iter().map(move |mark| {
        let x = vec![seconds(mark.from_ns), seconds(mark.to_ns)];
        let along = line("--bad").width(6.0);
        let trace = Scatter::new(x, vec![0.0, 0.0]).name(plain(&mark.name));
        trace.line(along).y_axis(axis) as Box<dyn Trace>
    })
}

/// The same in words.
pub(super) fn told(marks: &[Mark]) -> String {
    let told = |mark: &Mark| {
        let (name, from) = (cleaned(&mark.name), nanos(mark.from_ns));
        if mark.to_ns <= mark.from_ns {
            return format!(" {name} at {from}.");
        }
        format!(" {name} from {from} to {}.", nanos(mark.to_ns))
    };
    marks.iter().map(told).collect()
}

fn seconds(ns: u64) -> f64 {
    std::time::Duration::from_nanos(ns).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_drawn_and_told() {
        let mark =
            |name: &str, from_ns: u64, to_ns: u64| Mark { name: name.to_owned(), from_ns, to_ns };
        let marks = [
            mark("Held", 2_000_000_000, 5_500_000_000),
            mark("Aborted", 9_000_000_000, 9_000_000_000),
        ];
        assert_eq!(told(&marks), " Held from 2 s to 5.5 s. Aborted at 9 s.");
        let drawn: Vec<String> = traces(&marks, "y2").map(|trace| trace.to_json()).collect();
        assert_eq!(drawn.len(), 2);
        assert!(drawn[0].contains("\"x\":[2.0,5.5]"), "{}", drawn[0]);
    }
}
