//! How a plot is written down, as short as it can be: a page of an hour is mostly numbers.

use plotly::configuration::DisplayModeBar;
use plotly::{Configuration, Layout, Plot, Trace};
use serde_json::Value;

/// A plot as plotly.js takes it.
pub(super) fn plot_json(traces: Vec<Box<dyn Trace>>, layout: Layout) -> String {
    plot_value(traces, layout).to_string()
}

/// The same, to be completed by what the library has no words for.
pub(super) fn plot_value(traces: Vec<Box<dyn Trace>>, layout: Layout) -> Value {
    let mut plot = serde_json::to_value(plot_of(traces, layout)).unwrap_or_default();
    plot["data"].as_array_mut().into_iter().flatten().for_each(shorten);
    plot
}

/// A plot carries a copy of all scripts, so it lives only as long as it takes to write it down.
fn plot_of(traces: Vec<Box<dyn Trace>>, layout: Layout) -> Plot {
    let mut plot = Plot::new();
    plot.add_traces(traces);
    plot.set_layout(layout);
    plot.set_configuration(
        Configuration::new()
            .responsive(true)
            .display_logo(false)
            .typeset_math(false)
            .display_mode_bar(DisplayModeBar::Hover),
    );
    plot
}

/// Shorter axes than this are written out.
const LEAST: usize = 50;

/// Every second from the first to the last is said by where they begin and how far they are apart.
fn shorten(trace: &mut Value) {
    let Some((start, step)) = trace["x"].as_array().and_then(|x| even(x)) else { return };
    if let Some(trace) = trace.as_object_mut() {
        trace.remove("x");
        trace.insert("x0".to_owned(), start.into());
        trace.insert("dx".to_owned(), step.into());
    }
}

/// Where whole numbers begin, and their distance, if that is always the same.
fn even(x: &[Value]) -> Option<(i64, i64)> {
    let [first, second, ..] = x else { return None };
    let (start, step) = (first.as_i64()?, second.as_i64()?.checked_sub(first.as_i64()?)?);
    let is_even = x.windows(2).all(|pair| {
        let pair = pair[0].as_i64().zip(pair[1].as_i64());
        pair.and_then(|(before, after)| after.checked_sub(before)) == Some(step)
    });
    (x.len() >= LEAST && step > 0 && is_even).then_some((start, step))
}

#[cfg(test)]
mod tests {
    use plotly::Scatter;

    use super::*;

    fn written(x: Vec<i64>) -> Value {
        let y = vec![1; x.len()];
        plot_value(vec![Scatter::new(x, y)], Layout::new())["data"][0].clone()
    }

    #[test]
    fn every_second_is_said_in_two_numbers_and_a_gap_is_not() {
        let trace = written((3..903).step_by(3).collect());
        assert_eq!((&trace["x0"], &trace["dx"]), (&3.into(), &3.into()));
        assert_eq!((trace.get("x"), trace["y"].as_array().map(Vec::len)), (None, Some(300)));
        let mut gap: Vec<i64> = (0..300).collect();
        gap[200] = 199;
        for x in [gap, (0..20).collect(), vec![7; 100], vec![]] {
            let trace = written(x.clone());
            assert_eq!(trace["x"], serde_json::json!(x));
            assert_eq!(trace.get("dx"), None);
        }
    }
}
