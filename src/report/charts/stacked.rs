//! What became of the requests over time, and which part of an exchange took it.

use plotly::common::{Mode, Orientation};
use plotly::layout::{AxisType, BarMode, HoverMode};
use plotly::{Bar, Scatter, Trace};

use crate::report::charts::points::{MAX_POINTS, seconds_per};
use crate::report::charts::{
    Chart, axis, base_layout, cleaned, line, linear_axis, log_axis, millis, plain, plot_json,
};
use crate::report::figures::{Dispersion, Group, Part};
use crate::report::text::{nanos, number};
use crate::stats::counts::as_f64;
use crate::units::{format_count, format_share};

/// Colours of the groups, by name; those of other versions are grey.
fn colour(name: &str) -> &'static str {
    match name {
        "2xx" | "replies" => "--typical",
        "3xx" => "--sent",
        "4xx" => "--doubt",
        "5xx" | "error replies" => "--bad",
        "other answers" => "--warm",
        "declined" => "--tail",
        "not connected" => "--residual",
        "broken off" => "--hot",
        "timed out" => "--ink",
        _ => "--planned",
    }
}

/// Fewer points than this are marked each.
const FEW: usize = 20;

/// Requests by what became of them; none where that is not known.
pub(super) fn outcomes(groups: &[Group]) -> Option<Chart> {
    let seconds = groups.iter().map(|group| group.by_second.len()).max()?;
    // Half the points of other charts: each of them is drawn for each of the groups.
    let width = seconds_per(seconds, MAX_POINTS / 2);
    let x: Vec<usize> = (0..seconds).step_by(width).collect();
    let means = |group: &Group| -> Vec<f64> {
        let chunks = group.by_second.chunks(width);
        chunks
            .map(|chunk| {
                let sum: u64 = chunk.iter().copied().map(u64::from).sum();
                (as_f64(sum) / as_f64(chunk.len() as u64) * 100.0).round() / 100.0
            })
            .collect()
    };
    let drawn: Vec<Vec<f64>> = groups.iter().map(means).collect();
    // A line through one point is not seen.
    let lines = || if x.len() < FEW { Mode::LinesMarkers } else { Mode::Lines };
    let traces = groups.iter().zip(&drawn).map(|(group, y)| {
        let colour = colour(&group.name);
        Scatter::new(x.clone(), y.clone())
            .name(plain(&group.name))
            .mode(lines())
            .stack_group("all")
            .line(line(colour).width(0.5))
            .fill_color(colour) as Box<dyn Trace>
    });
    let total = |group: &Group| group.by_second.iter().copied().map(u64::from).sum::<u64>();
    let all: u64 = groups.iter().map(total).sum();
    let told: Vec<String> = groups
        .iter()
        .map(|group| {
            let share = format_share(as_f64(total(group)) / as_f64(all.max(1)));
            format!("{}: {} ({share})", cleaned(&group.name), format_count(total(group)))
        })
        .collect();
    let layout = base_layout()
        .y_axis(linear_axis("requests/s"))
        .x_axis(axis("seconds since the start of the replay"));
    Some(Chart {
        id: "chart-outcomes",
        title: "Statuses and fates over time",
        summary: format!(
            "Stacked, by the second in which a request was due{}. {}.",
            if width > 1 {
                format!("; each point is the mean of {width} seconds")
            } else {
                String::new()
            },
            told.join(", ")
        ),
        plot: plot_json(traces.collect(), layout),
        // Titles of columns are fixed text; the groups are named in the rows.
        columns: vec!["what became of them", "requests", "most in a second"],
        rows: groups
            .iter()
            .map(|group| {
                let most = group.by_second.iter().max().copied().unwrap_or(0);
                vec![cleaned(&group.name), total(group).to_string(), most.to_string()]
            })
            .collect(),
    })
}

/// Connect, shake hands, send, wait, receive.
pub(super) fn parts(parts: &[Part]) -> Option<Chart> {
    let slowest = parts.iter().max_by_key(|part| part.times.p99_ns)?;
    let names: Vec<String> = parts.iter().rev().map(|part| plain(&part.name)).collect();
    let bars = [
        ("p50", "--typical", (|part: &Part| part.times.p50_ns) as fn(&Part) -> u64),
        ("mean", "--planned", |part| part.times.mean_ns),
        ("p99", "--tail", |part| part.times.p99_ns),
    ];
    let traces = bars.into_iter().map(|(name, colour, pick)| {
        let values = parts.iter().rev().map(|part| millis(pick(part))).collect::<Vec<f64>>();
        Bar::new(values, names.clone())
            .name(name)
            .orientation(Orientation::Horizontal)
            .marker(plotly::common::Marker::new().color(colour)) as Box<dyn Trace>
    });
    let layout = base_layout()
        .bar_mode(BarMode::Group)
        .bar_gap(0.3)
        .hover_mode(HoverMode::YUnified)
        .x_axis(log_axis("ms"))
        .y_axis(axis("").type_(AxisType::Category));
    Some(Chart {
        id: "chart-parts",
        title: "Where the time goes: connect, TLS, send, wait, receive",
        summary: format!(
            "Parts of answered exchanges; to connect and to shake hands is of new connections \
             only. The longest p99 is that of {}: {}.",
            cleaned(&slowest.name),
            nanos(slowest.times.p99_ns)
        ),
        plot: plot_json(traces.collect(), layout),
        columns: vec!["part", "p50", "p90", "p99", "max", "mean", "count"],
        rows: parts
            .iter()
            .map(|part| {
                let times = &part.times;
                let all = [times.p50_ns, times.p90_ns, times.p99_ns, times.max_ns, times.mean_ns];
                let mut row = vec![cleaned(&part.name)];
                row.extend(all.map(nanos));
                row.push(format_count(times.count));
                row
            })
            .collect(),
    })
}

/// Burstiness by time-scale, recorded beside planned beside sent.
pub(super) fn dispersion(scales: &[Dispersion]) -> Option<Chart> {
    if scales.len() < 2 {
        return None;
    }
    let x: Vec<u64> = scales.iter().map(|one| one.scale_ms).collect();
    let lines = [
        ("recorded", "--planned", (|one: &Dispersion| one.recorded) as fn(&Dispersion) -> _, 6.0),
        ("planned", "--typical", |one| one.planned, 3.0),
        ("sent", "--sent", |one| one.sent, 1.5),
    ];
    // What never was recorded has no column of it either.
    let known: Vec<_> = lines
        .into_iter()
        .filter(|(.., pick, _)| scales.iter().any(|one| pick(one).is_some()))
        .collect();
    let traces = known.iter().map(|&(name, colour, pick, width)| {
        let y: Vec<Option<f64>> =
            scales.iter().map(|one| pick(one).filter(|value| *value > 0.0)).collect();
        Scatter::new(x.clone(), y)
            .name(name)
            .mode(Mode::LinesMarkers)
            .line(line(colour).width(width)) as Box<dyn Trace>
    });
    let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| number(v, 3));
    let told = scales.iter().map(|one| {
        let sent = shown(one.sent);
        format!("{} ms: {} planned, {sent} sent", one.scale_ms, shown(one.planned))
    });
    let layout = base_layout().x_axis(log_axis("width of the window, ms")).y_axis(log_axis("IDC"));
    Some(Chart {
        id: "chart-dispersion",
        title: "Burstiness by time-scale",
        summary: format!(
            "Index of dispersion for counts: 1 is random, more is bursty. {}.",
            told.collect::<Vec<_>>().join("; ")
        ),
        plot: plot_json(traces.collect(), layout),
        columns: std::iter::once("window ms").chain(known.iter().map(|line| line.0)).collect(),
        rows: scales
            .iter()
            .map(|one| {
                let values = known.iter().map(|(.., pick, _)| shown(pick(one)));
                std::iter::once(one.scale_ms.to_string()).chain(values).collect()
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::outcomes::NAMES;

    #[test]
    fn groups_are_stacked_and_told_with_their_shares() {
        let group = |name: &str, count: u32| Group {
            name: name.to_owned(),
            by_second: (0..4_000).map(|second| if second < 2_000 { count } else { 0 }).collect(),
        };
        let chart = outcomes(&[group("2xx", 9), group("timed out", 1)]).unwrap();
        let told = format!("timed out: {} ({})", format_count(2_000), format_share(0.1));
        assert!(chart.summary.contains(&told), "{}", chart.summary);
        assert!(chart.summary.contains("the mean of 3 seconds"), "{}", chart.summary);
        assert_eq!(chart.plot.matches("\"stackgroup\":\"all\"").count(), 2);
        assert_eq!(chart.rows[0], ["2xx", "18000", "9"]);
        assert!(chart.plot.contains("\"mode\":\"lines\""), "four thousand dots are no picture");
        assert!(outcomes(&[]).is_none());
        let second = Group { name: "2xx".to_owned(), by_second: vec![7] };
        let chart = outcomes(&[second]).unwrap();
        assert!(chart.plot.contains("markers"), "one second is seen: {}", chart.plot);
    }

    #[test]
    fn groups_have_colours_of_their_own() {
        let colours: std::collections::BTreeSet<&str> =
            NAMES[..10].iter().map(|name| colour(name)).collect();
        assert_eq!(colours.len(), 10);
        assert_ne!(colour(NAMES[10]), colour(NAMES[11]));
    }

    #[test]
    fn burstiness_needs_two_scales() {
        let scale = |scale_ms| Dispersion { scale_ms, planned: Some(2.0), ..Dispersion::default() };
        let chart = dispersion(&[scale(10), scale(100)]).unwrap();
        assert!(!chart.plot.contains("recorded") && chart.plot.contains("planned"));
        assert!(dispersion(&[scale(10)]).is_none());
    }
}
