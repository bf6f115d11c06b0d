use std::time::Duration;

use super::*;
use crate::stats::histograms::times;
use crate::summary::examples::{answered, arrival};

const MS: Duration = Duration::from_millis(1);

/// So many seconds of ten requests each; in every second one of them takes 300 ms.
fn steady(seconds: u32) -> Summary {
    let mut summary = Summary::new();
    for index in 0..seconds * 10 {
        let arrival = arrival(u64::from(index), MS * 100 * index);
        let service = if index % 10 == 9 { MS * 300 } else { MS * 2 };
        summary.add(&arrival, &answered(&arrival, service));
    }
    summary
}

#[test]
fn a_heatmap_has_every_answer_and_no_more_columns_than_a_screen_shows() {
    for (seconds, width) in [(30, 1), (241, 2), (1_000, 5)] {
        let heat = heat(&steady(seconds)).unwrap();
        assert_eq!(heat.seconds, width);
        assert!(heat.columns.len() <= MAX_COLUMNS);
        let answers: u64 = heat.columns.iter().flatten().sum();
        assert_eq!(answers, u64::from(seconds) * 10);
        // 2 ms and 50 µs of lateness begin the lowest row, 300 ms are in the highest.
        let lowest = row_begins(heat.first_row);
        assert!((1.5e6..2.06e6).contains(&lowest), "{lowest}");
        let rows = heat.columns.iter().map(Vec::len).max().unwrap() as u64;
        let highest = row_begins(heat.first_row + rows - 1);
        assert!((2.2e8..3.01e8).contains(&highest), "{highest}");
        assert_eq!(heat.columns[0][0], 9 * width, "nine of ten are fast");
    }
    assert_eq!(heat(&Summary::new()), None);
}

#[test]
fn a_curve_goes_as_far_as_there_are_values() {
    let mut histogram = times();
    for ms in 1..=1_000_u64 {
        histogram.record(ms * 1_000_000).unwrap();
    }
    let Curve { points, .. } = curve("latency", &histogram);
    let at = |nines: f64| points.iter().find(|(at, _)| (at - nines).abs() < 1e-9).unwrap().1;
    assert!(at(0.0) < 1_100_000 && at(1.0).abs_diff(900_000_000) < 1_000_000);
    assert!(at(2.0).abs_diff(990_000_000) < 1_000_000);
    // One of the thousand is beyond p99.9, and the largest stands beyond that.
    assert_eq!(histogram.value_at_quantile(0.999), at(3.0));
    assert!(at(3.0).abs_diff(999_000_000) < 1_000_000, "{}", at(3.0));
    assert!(at(MEDIAN).abs_diff(500_000_000) < 1_000_000, "{}", at(MEDIAN));
    let last = points.last().unwrap();
    assert!(last.0 > 3.2 && last.1.abs_diff(1_000_000_000) < 1_000_000);
    assert!(points.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{points:?}");
    let mut one = times();
    one.record(5).unwrap();
    assert_eq!(curve("one", &one).points, [(0.0, 5), (MEDIAN, 5)]);
    one.record(9).unwrap();
    let points = curve("two", &one).points;
    assert_eq!(points.iter().find(|(at, _)| (at - MEDIAN).abs() < NEAR), Some(&(MEDIAN, 5)));
}

#[test]
fn connections_are_the_most_of_each_second() {
    let row = |held| Tenth { held, ..Tenth::default() };
    let mut tenths = vec![row(0); 25];
    (tenths[2], tenths[3], tenths[12]) = (row(5), row(-2), row(-3));
    assert_eq!(connections(&tenths), [5, 3, 0]);
    assert_eq!(connections(&[row(0); 30]), [0; 0]);
}

#[test]
fn groups_are_those_that_were_met_and_burstiness_is_of_what_was_sent() {
    let summary = steady(60);
    let figures = gather(&summary, &Facts::default(), &[], |_| None);
    let [group] = &figures.outcomes[..] else { panic!("{:?}", figures.outcomes) };
    assert_eq!(group.name, "2xx");
    assert_eq!(group.by_second[..60], [10; 60]);
    assert_eq!(group.by_second.iter().sum::<u32>(), 600, "the last answer comes in second 60");
    let scales: Vec<u64> = figures.dispersion.iter().map(|one| one.scale_ms).collect();
    assert_eq!(scales, [10, 100, 1_000], "6 windows of 10 s are too few");
    assert!(figures.dispersion[2].sent.unwrap() < 1e-6, "an even stream");
    assert_eq!(figures.sizes.len(), 3);
}
