//! What the drills saw, as pictures: cold beside warm, and what large requests did to small ones.

use plotly::common::Mode;
use plotly::{Scatter, Trace};

use crate::act::cold::compare::{Bin, Comparison, Side};
use crate::act::payloads::{Bystanders, Payloads, Sweep};
use crate::act::{Evidence, Performed};
use crate::report::charts::{
    Chart, axis, base_layout, line, log_axis, millis, optional_millis, plain, plot_json,
};
use crate::report::text::{clean, nanos};
use crate::units::format_size;

/// Most sweeps that are drawn, and the colours of their lines.
const COLOURS: [&str; 6] = ["--tail", "--sent", "--typical", "--residual", "--doubt", "--bad"];

/// Longest name of a sweep.
const MAX_NAME: usize = 60;

/// The charts of what was performed.
pub(super) fn charts(acts: &[Performed]) -> Vec<Chart> {
    let of = acts.iter().filter_map(|performed| match &performed.evidence {
        Evidence::Cold(cold) => cold.comparison.as_ref().and_then(cold_and_warm),
        Evidence::Payloads(payloads) => victims(payloads),
        _ => None,
    });
    of.collect()
}

/// A figure of one of the two replays.
type Pick = fn(&Bin) -> (&Side, u64);

/// Latencies of the cold replay and of the warm one, from the start of each.
fn cold_and_warm(comparison: &Comparison) -> Option<Chart> {
    let bins = &comparison.bins;
    if bins.is_empty() {
        return None;
    }
    let second = |index: usize| millis(comparison.bin_ns.saturating_mul(index as u64)) / 1e3;
    let x: Vec<f64> = (0..bins.len()).map(second).collect();
    let of = |side: &Side, ns: u64| (side.answers > 0).then_some(ns);
    let lines: [(&'static str, &'static str, f64, Pick); 4] = [
        ("p50 cold", "--sent", 2.5, |bin| (&bin.cold, bin.cold.p50_ns)),
        ("p50 warm", "--typical", 2.5, |bin| (&bin.warm, bin.warm.p50_ns)),
        ("p95 cold", "--residual", 1.2, |bin| (&bin.cold, bin.cold.p95_ns)),
        ("p95 warm", "--tail", 1.2, |bin| (&bin.warm, bin.warm.p95_ns)),
    ];
    let values = |pick: Pick| -> Vec<Option<u64>> {
        let told = bins.iter().map(pick);
        told.map(|(side, ns)| of(side, ns)).collect()
    };
    let traces = lines.iter().map(|(name, colour, width, pick)| {
        let y: Vec<Option<f64>> = values(*pick).into_iter().map(|ns| ns.map(millis)).collect();
        Scatter::new(x.clone(), y).name(*name).line(line(colour).width(*width)) as Box<dyn Trace>
    });
    let slowest = |pick: Pick| {
        let most = values(pick).into_iter().flatten().max();
        most.map_or_else(|| "nothing answered".to_owned(), nanos)
    };
    let layout =
        base_layout().y_axis(log_axis("ms")).x_axis(axis("seconds since the start of each replay"));
    Some(Chart {
        id: "chart-cold",
        title: "Cold beside warm",
        summary: format!(
            "The same requests with cold caches and with warm ones. Highest median: {} cold, {} \
             warm. Highest p95: {} cold, {} warm.",
            slowest(lines[0].3),
            slowest(lines[1].3),
            slowest(lines[2].3),
            slowest(lines[3].3)
        ),
        plot: plot_json(traces.collect(), layout),
        columns: vec!["second", "p50 cold ms", "p50 warm ms", "p95 cold ms", "p95 warm ms"],
        rows: bins
            .iter()
            .zip(&x)
            .map(|(bin, at)| {
                let figures = lines.iter().map(|(.., pick)| {
                    let (side, ns) = pick(bin);
                    optional_millis(of(side, ns))
                });
                std::iter::once(at.to_string()).chain(figures).collect()
            })
            .collect(),
    })
}

/// What small requests waited, by the size of the large one beside them.
fn victims(payloads: &Payloads) -> Option<Chart> {
    let swept = payloads.sweeps.iter().filter(|sweep| !sweep.rungs.is_empty());
    let mut swept: Vec<&Sweep> = swept.collect();
    let beyond = swept.split_off(swept.len().min(COLOURS.len())).len();
    let beyond =
        if beyond > 0 { format!(" {beyond} more are in the tables.") } else { String::new() };
    let worst = swept
        .iter()
        .flat_map(|sweep| sweep.rungs.iter().map(move |rung| (sweep, rung)))
        .max_by_key(|(_, rung)| rung.inside.max_ns)?;
    let traces = swept.iter().zip(COLOURS).flat_map(|(sweep, colour)| {
        let x: Vec<u64> = sweep.rungs.iter().map(|rung| rung.bytes.max(1)).collect();
        let name = plain(&clean(&sweep.name(), MAX_NAME));
        let p99 = sweep.rungs.iter().map(|rung| waited(&rung.inside)).collect();
        let usual = vec![waited(&sweep.outside); x.len()];
        let beside = Scatter::new(x.clone(), p99)
            .name(format!("p99 beside {name}"))
            .mode(Mode::LinesMarkers)
            .line(line(colour).width(2.0));
        let apart = Scatter::new(x, usual)
            .name(format!("p99 without, {name}"))
            .mode(Mode::Lines)
            .line(line(colour).dash(plotly::common::DashType::Dot));
        [beside as Box<dyn Trace>, apart as Box<dyn Trace>]
    });
    let layout = base_layout()
        .y_axis(log_axis("ms that small requests took"))
        .x_axis(log_axis("bytes of the large request"));
    let rows = swept.iter().flat_map(|sweep| {
        sweep.rungs.iter().map(|rung| {
            let inside = &rung.inside;
            let seen = |of: &Bystanders, ns| (of.count > 0).then_some(ns);
            let beside = [inside.p50_ns, inside.p99_ns, inside.max_ns].map(|ns| seen(inside, ns));
            let apart = seen(&sweep.outside, sweep.outside.p99_ns);
            let name = clean(&sweep.name(), MAX_NAME);
            [name, rung.bytes.to_string()]
                .into_iter()
                .chain(beside.into_iter().chain([apart]).map(optional_millis))
                .collect()
        })
    });
    Some(Chart {
        id: "chart-victims",
        title: "Size of a payload, and what others waited",
        summary: format!(
            "Small requests while a large one was under way, by its size. The longest wait was {}, \
             beside {} of {}.{beyond}",
            nanos(worst.1.inside.max_ns),
            format_size(worst.1.bytes),
            clean(&worst.0.name(), MAX_NAME)
        ),
        plot: plot_json(traces.collect(), layout),
        columns: vec!["large requests", "bytes", "p50 ms", "p99 ms", "max ms", "p99 without ms"],
        rows: rows.collect(),
    })
}

/// Where nobody was beside it, nobody waited for no time.
fn waited(beside: &Bystanders) -> Option<f64> {
    (beside.count > 0).then(|| millis(beside.p99_ns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::payloads::{Rung, What};

    #[test]
    fn cold_and_warm_are_lines_and_a_bin_without_answers_is_a_gap() {
        let side =
            |answers, p50_ns| Side { answers, p50_ns, p95_ns: p50_ns * 2, ..Side::default() };
        let bins = vec![
            Bin { cold: side(5, 40_000_000), warm: side(5, 1_000_000) },
            Bin { cold: side(0, 0), warm: side(5, 2_000_000) },
        ];
        let chart =
            cold_and_warm(&Comparison { bin_ns: 2_000_000_000, bins, ..Comparison::default() })
                .unwrap();
        assert!(chart.summary.contains("40 ms cold, 2 ms warm"), "{}", chart.summary);
        assert_eq!(chart.rows[1], ["2", "–", "2", "–", "4"]);
        assert!(chart.plot.contains("[40.0,null]"), "{}", chart.plot);
        assert!(cold_and_warm(&Comparison::default()).is_none());
    }

    #[test]
    fn the_wait_of_others_is_drawn_over_the_size() {
        let waited =
            |p99_ns| Bystanders { count: 9, p99_ns, max_ns: p99_ns * 2, ..Bystanders::default() };
        let rung = |bytes, p99_ns| Rung { bytes, inside: waited(p99_ns), ..Rung::default() };
        let sweep = Sweep {
            endpoint: "target".to_owned(),
            what: What::HttpRequest,
            place: "POST /<b>sync".to_owned(),
            rungs: vec![rung(4_096, 1_000_000), rung(1 << 20, 90_000_000), Rung::default()],
            outside: waited(900_000),
            connect_outside_ns: None,
            attempts: Vec::new(),
            announced: None,
            boundary: None,
            ended: None,
            unknown: None,
        };
        let payloads = Payloads { sweeps: vec![sweep], ..Payloads::default() };
        let chart = victims(&payloads).unwrap();
        assert!(chart.summary.contains("was 180 ms, beside 1 MiB"), "{}", chart.summary);
        assert!(
            chart.plot.contains("\"x\":[4096,1048576,1],\"y\":[1.0,90.0,null]"),
            "{}",
            chart.plot
        );
        assert!(!chart.plot.contains("<b>"), "{}", chart.plot);
        assert!(victims(&Payloads::default()).is_none());
    }
}
