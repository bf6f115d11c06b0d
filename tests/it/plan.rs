//! Plans made from a recording's file and a scenario's text.

use std::path::Path;
use std::time::Duration;

use ::bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::tempdir;

use peakhour::plan::arrivals::Plan;
use peakhour::plan::facts::Facts;
use peakhour::plan::{Arrival, PlanError, outline};
use peakhour::recording::file::reader::RecordingReader;
use peakhour::recording::file::writer::RecordingWriter;
use peakhour::recording::{Exchange, Flags, Header};
use peakhour::scenario::Scenario;
use peakhour::scenario::parse::from_text;

use crate::exchanges::{exchange, header, plain};

fn write(path: &Path, exchanges: &[Exchange]) {
    let mut writer = RecordingWriter::create(path).unwrap();
    for exchange in exchanges {
        writer.push(exchange.clone()).unwrap();
    }
    let last = exchanges.iter().map(|exchange| exchange.at).max().unwrap_or_default();
    let duration_ns = u64::try_from(last.as_nanos()).unwrap();
    writer.finish(Header { duration_ns, ..header() }).unwrap();
}

fn scenario(lines: &str) -> Scenario {
    let text = format!("recording: peak.parquet\ntarget: {{ url: stage }}\n{lines}");
    from_text(&text, "scenario.yaml").unwrap_or_else(|error| panic!("{error}"))
}

fn planned(exchanges: &[Exchange], lines: &str) -> Result<(Facts, Plan), PlanError> {
    let directory = tempdir().unwrap();
    let path = directory.path().join("peak.parquet");
    write(&path, exchanges);
    let scenario = scenario(lines);
    outline(&RecordingReader::open(&path).unwrap(), &scenario, &scenario.target.authority())
}

#[test]
fn a_window_of_a_file_is_replayed_with_its_own_start() {
    let exchanges: Vec<Exchange> = (0..100)
        .map(|index| plain(index * 100, index % 5, u32::try_from(index / 5).unwrap()))
        .collect();
    let (facts, plan) = planned(&exchanges, "window: +5s..+6s\nspeed: 2\n").unwrap();
    let arrivals: Vec<Arrival> = plan.collect::<Result<_, _>>().unwrap();
    let due: Vec<u128> = arrivals.iter().map(|arrival| arrival.due.as_millis()).collect();
    assert_eq!(due, [0, 50, 100, 150, 200, 250, 300, 350, 400, 450]);
    assert_eq!((facts.exchanges, facts.arrivals, facts.connections), (10, 10, 5));
    assert_eq!(facts.window_ns, [5_000_000_000, 6_000_000_000]);
    assert_eq!(&arrivals[0].head[..], b"GET /item/10 HTTP/1.1\r\nHost: stage\r\n\r\n");
    let last: Vec<bool> = arrivals.iter().map(|arrival| arrival.last_on_connection).collect();
    assert_eq!(last, [false, false, false, false, false, true, true, true, true, true]);
}

#[test]
fn the_busiest_part_of_a_file_is_found() {
    let mut exchanges: Vec<Exchange> = (0..60).map(|second| plain(second * 1000, 0, 0)).collect();
    exchanges.extend((0..20).map(|index| plain(30_000 + index * 10, 1, 0)));
    exchanges.sort_by_key(|exchange| exchange.at);
    let (facts, plan) = planned(&exchanges, "window: busiest 5s\n").unwrap();
    assert_eq!(facts.exchanges, 25);
    assert_eq!(facts.peak_rate, 21);
    let arrivals: Vec<Arrival> = plan.collect::<Result<_, _>>().unwrap();
    assert!(arrivals.iter().all(|arrival| arrival.due < Duration::from_secs(5)));
}

/// What a scenario asks for and the recording has not is replayed as far as it goes, and said.
#[test]
fn what_the_recording_has_not_is_told() {
    let exchanges: Vec<Exchange> =
        (0..200).map(|index| plain(index * 50, 1, u32::try_from(index).unwrap())).collect();
    let warnings = |lines: &str| planned(&exchanges, lines).unwrap().0.warnings.join("\n");
    let length = "9.95 s";
    for (lines, said) in [
        (
            "window: busiest 12h\n",
            format!("is 12 h long, and the recording, which ends after {length}"),
        ),
        ("window: +1s..+3h\n", "the window `+1 s .. +3 h` is".to_owned()),
        ("methods: [GET, POTS]\n", "no request in the window has the method `POTS`".to_owned()),
    ] {
        let told = warnings(lines);
        assert!(told.contains(&said), "{lines}{told}");
    }
    for lines in ["", "window: busiest 1s\n", "window: +1s..+2s\n", "methods: [GET]\n"] {
        let told = warnings(lines);
        assert!(!told.contains("the window") && !told.contains("the method"), "{lines}{told}");
    }
    let error = planned(&exchanges, "window: +1h..+2h\n").unwrap_err().to_string();
    assert!(error.contains(&format!("it ends {length} after its start")), "{error}");
}

#[test]
fn the_whole_of_a_file_is_a_window_too() {
    let (facts, plan) = planned(&[plain(0, 0, 0), plain(900, 0, 1)], "").unwrap();
    assert_eq!(facts.window_ns[0], 0);
    assert!(facts.window_ns[1] >= 900_000_000 && facts.window_ns[1] < 2_000_000_000);
    assert_eq!(plan.count(), 2);
}

/// What is not remembered of answers is told before anything is sent.
#[test]
fn answers_whose_fields_are_not_compared_are_told() {
    let with_shapes = |shapes: u64| {
        let exchanges: Vec<Exchange> = (0..4_100)
            .map(|index| {
                let mut exchange = plain(index, 0, u32::try_from(index).unwrap());
                let shape = format!(".: object\nn{}: null", index % shapes);
                exchange.response.as_mut().unwrap().shape = Some(shape.into());
                exchange
            })
            .collect();
        planned(&exchanges, "").unwrap().0.warnings
    };
    let told = with_shapes(4_100).join(" ");
    assert!(
        told.contains("more than 4\u{202f}096 sets of JSON fields: those of 4 answers"),
        "{told}"
    );
    let all = with_shapes(4_096).join(" ");
    assert!(!all.contains("sets of JSON fields"), "{all}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// For all exchanges that a file can hold, scales and speeds: there is a plan whose facts
    /// reconcile, or an error that says why not.
    #[test]
    fn any_recording_ends_in_a_plan_or_a_reason(
        exchanges in vec(exchange(), 0..40),
        scale in prop_oneof![Just("1"), Just("0.5"), Just("2.5")],
        window in prop_oneof![
            Just("all"),
            Just("busiest 1s"),
            Just("+1s..+3s"),
            Just("00:00..24:00"),
        ],
    ) {
        // Most of what a file can hold is too odd to be sent; make every other one ordinary.
        let ordinary = |(index, mut exchange): (usize, Exchange)| {
            if index % 2 == 0 {
                exchange.flags = Flags::REDACTED;
                exchange.method = "GET".to_owned();
                exchange.request_head = Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n");
                exchange.request_body = Bytes::new();
                exchange.request_body_bytes = 0;
            }
            exchange
        };
        let exchanges: Vec<Exchange> = exchanges.into_iter().enumerate().map(ordinary).collect();
        let lines = format!("scale: {scale}\nwindow: {window}\nspeed: 0.7\n");
        match planned(&exchanges, &lines) {
            Ok((facts, plan)) => {
                let arrivals: Vec<Arrival> = plan.collect::<Result<_, _>>().unwrap();
                prop_assert_eq!(facts.arrivals, arrivals.len() as u64);
                let skipped: u64 = facts.skipped.values().sum();
                prop_assert_eq!(facts.arrivals - facts.clones + skipped, facts.exchanges);
                prop_assert!(arrivals.is_sorted_by_key(|arrival| arrival.due));
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
