//! Access logs of every format, line by line: what is understood, when it arrived, and that every
//! line is accounted for.

use std::collections::HashMap;
use std::io::Cursor;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use peakhour::capture::access_log::connections::Connections;
use peakhour::capture::access_log::format::{Format, NAMES};
use peakhour::capture::access_log::sample::{LINE_BYTES_MAX, Log};
use peakhour::capture::access_log::template::Template;
use peakhour::capture::access_log::{Imported, LogError, read_logs};
use peakhour::capture::source::Source;
use peakhour::recording::{Exchange, Flags};

/// 17 May 2015, 10:05:03 UTC, in seconds since the epoch.
const MOMENT: u64 = 1_431_857_103;

fn open(text: &[u8], format: Option<&Format>) -> Option<Log> {
    let source = Source::from_reader("test", Box::new(Cursor::new(text.to_vec()))).unwrap();
    Log::open(source, format).unwrap().ok()
}

/// Reads a log; exchanges are in the order of lines, their moments since the epoch.
fn read_as(text: &[u8], format: Option<&Format>) -> Result<(Imported, Vec<Exchange>), LogError> {
    let log = open(text, format).expect("no format fits");
    let mut exchanges = Vec::new();
    let imported = read_logs(vec![log], &mut |exchange| {
        exchanges.push(exchange);
        Ok(())
    })?;
    assert!(imported.ledger.reconciles(), "{:?}", imported.ledger);
    assert_eq!(imported.ledger.messages.total, exchanges.len() as u64);
    Ok((imported, exchanges))
}

/// One line as `METHOD target authority status sent @second+fraction/resolution`.
fn told(line: &str, format: Option<&Format>) -> String {
    let (imported, exchanges) = read_as(line.as_bytes(), format).unwrap();
    let [exchange] = &exchanges[..] else { panic!("{} exchanges", exchanges.len()) };
    assert!(exchange.flags.contains(Flags::SYNTHESISED));
    let step = imported.clock_resolution_ns;
    let at = u64::try_from(exchange.at.as_nanos()).unwrap() / step * step;
    let (status, sent) = match &exchange.response {
        Some(response) => (response.status.to_string(), response.body_bytes),
        None => ("none".to_owned(), None),
    };
    let sent = sent.map_or("?".to_owned(), |sent| sent.to_string());
    let (method, target, authority) = (&exchange.method, &exchange.target, &exchange.authority);
    let offset = i128::from(at) - i128::from(MOMENT) * 1_000_000_000;
    format!("{method} {target} {authority} {status} {sent} {offset}/{step}")
}

/// Lines of every format, and after `=>` what they say: method, target, host, status, size, and
/// the arrival in nanoseconds after [`MOMENT`] with the step of its clock.
const FORMATS: &str = include_str!("access_logs/formats.txt");

#[test]
fn each_format_is_told_by_its_lines_and_says_what_it_says() {
    let cases: Vec<&str> = FORMATS.split("\n\n").collect();
    assert_eq!(cases.len(), 14);
    for case in cases {
        let (line, expected) = case.split_once("\n=> ").unwrap();
        assert_eq!(told(line, None), expected.trim_end(), "{line}");
    }
}

/// Which arrivals a log with the end of each request has, for one second of duration.
#[test]
fn the_end_of_a_request_leads_back_to_its_arrival() {
    let format =
        r#"$remote_addr [$time_local] $msec $request_time "$request" $status $scheme://$host"#;
    let format = Format::Custom(Template::parse(format).unwrap());
    let line = |ms: u64, taken: &str, path: &str| {
        let (seconds, ms) = (MOMENT + ms / 1000, ms % 1000);
        format!(
            "192.0.2.1 [17/May/2015:10:05:03 +0000] {seconds}.{ms:03} {taken} \
             \"GET {path} HTTP/1.1\" 200 https://shop.example\n"
        )
    };
    // The slow request arrived first and was logged last.
    let text = [line(100, "0.050", "/fast"), line(3_000, "3.000", "/slow")].concat();
    let (imported, exchanges) = read_as(text.as_bytes(), Some(&format)).unwrap();
    assert_eq!(imported.clock_resolution_ns, 1_000_000);
    let ms = |exchange: &Exchange| exchange.at.as_millis() - u128::from(MOMENT) * 1_000;
    let arrivals: Vec<_> =
        exchanges.iter().map(|each| (ms(each), each.target.as_str(), &each.scheme[..])).collect();
    assert_eq!(arrivals, [(50, "/fast", "https"), (0, "/slow", "https")]);
    let response = exchanges[1].response.as_ref().unwrap();
    assert_eq!(response.last_byte, Some(Duration::from_secs(3)));
}

#[test]
fn arrivals_are_spread_within_the_step_of_the_clock_and_always_alike() {
    let line = "192.0.2.1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1\n";
    let text = line.repeat(4_000);
    let (_, exchanges) = read_as(text.as_bytes(), None).unwrap();
    let (_, again) = read_as(text.as_bytes(), None).unwrap();
    assert_eq!(exchanges, again);
    let start = Duration::from_secs(MOMENT);
    assert!(exchanges.iter().all(|each| each.at >= start));
    let within = |exchange: &Exchange| exchange.at.saturating_sub(start);
    assert!(exchanges.iter().all(|each| within(each) < Duration::from_secs(1)));
    for tenth in 0..10 {
        let inside = |each: &&Exchange| within(each).as_millis() / 100 == tenth;
        let count = exchanges.iter().filter(inside).count();
        assert!((300..500).contains(&count), "{count} of 400 in tenth {tenth}");
    }
}

/// The night in which clocks went back has one hour twice; offsets tell them apart.
#[test]
fn an_hour_that_comes_twice_is_two_hours() {
    let line = |offset: &str| {
        format!("192.0.2.1 - - [25/Oct/2015:02:30:00 {offset}] \"GET / HTTP/1.1\" 200 1\n")
    };
    let text = [line("+0200"), line("+0100")].concat();
    let (_, exchanges) = read_as(text.as_bytes(), None).unwrap();
    let apart = exchanges[1].at.as_secs().abs_diff(exchanges[0].at.as_secs());
    assert!((3_599..=3_601).contains(&apart), "{apart}");
}

#[test]
fn every_line_ends_in_one_bucket() {
    let good = |request: &str| {
        format!("192.0.2.1 - - [17/May/2015:10:05:03 +0000] \"{request}\" 400 1 \"-\" \"A\"\n")
    };
    let text = [
        good("GET /a HTTP/1.1"),
        good("-"),
        good(""),
        good(r"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03 \x9A"),
        "\n   \r\n".to_owned(),
        "192.0.2.1 nonsense\n".to_owned(),
        format!("{}\n", "x".repeat(LINE_BYTES_MAX)),
        good("GET /old"),
        good(r#"GET /q\"uote\x22d HTTP/1.1"#),
        good("POST /form HTTP/1.1"),
        good("GET /last HTTP/1.1").trim_end().to_owned(),
    ];
    let (imported, exchanges) = read_as(text.concat().as_bytes(), None).unwrap();
    let buckets: Vec<_> = imported.ledger.frames.buckets.into_iter().collect();
    let expected = [
        ("empty line", 2),
        ("exchange line", 5),
        ("line not understood", 2),
        ("line without a request", 3),
    ];
    assert_eq!(buckets, expected.map(|(name, count)| (name.to_owned(), count)));
    let first = "first line not understood in test: line 7: there is no [date]";
    assert!(imported.ledger.notes.contains_key(first), "{:?}", imported.ledger.notes);
    let flags = |target: &str, flag: Flags| {
        let found = exchanges.iter().find(|each| each.target == target);
        found.unwrap_or_else(|| panic!("no {target}")).flags.contains(flag)
    };
    assert!(flags("/old", Flags::MALFORMED), "HTTP/0.9 is not sent again");
    assert!(flags("/form", Flags::REQUEST_TRUNCATED), "its body is not in the log");
    assert!(!flags("/a", Flags::REQUEST_TRUNCATED) && !flags("/a", Flags::MALFORMED));
    assert!(!flags("/q\"uote\"d", Flags::MALFORMED));
}

/// Format strings, each with a line that is written with it.
const STRINGS: &str = include_str!("access_logs/strings.txt");

#[test]
fn a_format_string_of_a_configuration_is_understood() {
    let cases: Vec<&str> = STRINGS.split("\n\n").collect();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let (format, rest) = case.split_once('\n').unwrap();
        let (line, expected) = rest.split_once("\n=> ").unwrap();
        let format = Format::Custom(Template::parse(format).unwrap());
        assert_eq!(told(line, Some(&format)), expected.trim_end(), "{line}");
    }
}

#[test]
fn a_format_string_that_cannot_work_is_refused() {
    for (text, problem) in [
        ("$remote_addr $request", "no time"),
        ("$time_local", "no request"),
        ("$time_local$status $request", "side by side"),
        ("%t %{Referer", "not closed"),
        ("%t %r %", "ends with"),
    ] {
        let error = Template::parse(text).unwrap_err();
        assert!(error.contains(problem), "{text}: {error}");
    }
}

/// Exchanges in the order of time, their connections told apart.
fn placed(text: &str, format: Option<&Format>) -> Vec<(String, u64, u32)> {
    let (imported, mut exchanges) = read_as(text.as_bytes(), format).unwrap();
    exchanges.sort_by_key(|exchange| exchange.at);
    let mut connections = Connections::new(imported.clock_resolution_ns);
    for exchange in &mut exchanges {
        connections.place(exchange);
    }
    exchanges.into_iter().map(|each| (each.target, each.connection, each.seq)).collect()
}

#[test]
fn requests_of_a_client_share_connections_unless_they_overlap() {
    let format = r#"$remote_addr $msec $request_time "$request" $status "$http_user_agent""#;
    let format = Format::Custom(Template::parse(format).unwrap());
    let line = |client: &str, end: u64, taken: &str, path: &str, agent: &str| {
        let end = MOMENT + end;
        format!("{client} {end}.000 {taken} \"GET {path} HTTP/1.1\" 200 \"{agent}\"\n")
    };
    let text = [
        line("2001:db8::1", 10, "9.000", "/page", "A"),
        line("2001:db8::1", 9, "1.000", "/beside", "A"),
        line("2001:db8::1", 20, "1.000", "/next", "A"),
        line("2001:db8::1", 21, "1.500", "/other", "B"),
        line("2001:db8::1", 20 + 1_805, "1.000", "/later", "A"),
    ]
    .concat();
    let expected = [("/page", 0, 0), ("/beside", 1, 0), ("/next", 0, 1), ("/other", 2, 0)];
    let placed = placed(&text, Some(&format));
    let shown: Vec<_> = placed.iter().map(|(path, conn, seq)| (&path[..], *conn, *seq)).collect();
    assert_eq!(shown[..4], expected);
    assert_eq!(shown[4], ("/later", 3, 0), "half an hour ends a session");
}

#[test]
fn a_known_connection_is_kept_and_others_are_not_mixed_in() {
    let format = r#"$remote_addr $connection $msec "$request""#;
    let format = Format::Custom(Template::parse(format).unwrap());
    let line = |connection: u64, at: u64, path: &str| {
        format!("192.0.2.1 {connection} {}.000 \"GET {path} HTTP/1.1\"\n", MOMENT + at)
    };
    let text = [line(7, 1, "/a"), line(8, 2, "/b"), line(7, 3, "/c")].concat();
    let placed = placed(&text, Some(&format));
    assert_eq!(placed, [("/a".into(), 0, 0), ("/b".into(), 1, 0), ("/c".into(), 0, 1)]);
}

fn every_format() -> Vec<Format> {
    let custom = r#"%h %t "%r" %s %{%d/%b/%Y:%T}t %{msec_frac}t %D"#;
    let custom = Format::Custom(Template::parse(custom).unwrap());
    NAMES.iter().map(|name| Format::named(name).unwrap()).chain([custom]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// For all clients, moments and durations: a request begins on a connection only when the one
    /// before it there has ended, and positions count from 0.
    #[test]
    fn requests_on_a_guessed_connection_never_overlap(
        requests in vec((0..3_u8, 0..600_u64, 0..90_u64), 1..80),
    ) {
        let format = r#"$remote_addr $msec $request_time "$request" $status"#;
        let format = Format::Custom(Template::parse(format).unwrap());
        let line = |(client, end, taken): (u8, u64, u64)| {
            let end = MOMENT + end * 9;
            format!("192.0.2.{client} {end}.000 {taken}.000 \"GET / HTTP/1.1\" 200\n")
        };
        let text: String = requests.into_iter().map(line).collect();
        let (imported, mut exchanges) = read_as(text.as_bytes(), Some(&format)).unwrap();
        exchanges.sort_by_key(|exchange| exchange.at);
        let mut connections = Connections::new(imported.clock_resolution_ns);
        let mut last: HashMap<u64, (u64, u32, Duration)> = HashMap::new();
        for exchange in &mut exchanges {
            connections.place(exchange);
            let taken = exchange.response.as_ref().and_then(|response| response.last_byte);
            let end = exchange.at + taken.unwrap_or_default();
            match last.insert(exchange.connection, (exchange.session, exchange.seq, end)) {
                None => prop_assert_eq!(exchange.seq, 0),
                Some((session, seq, free)) => {
                    prop_assert_eq!((session, seq + 1), (exchange.session, exchange.seq));
                    prop_assert!(free <= exchange.at);
                }
            }
        }
    }

    /// For all lines, damaged at will, in every format: nothing panics, every line ends in one
    /// bucket, and what becomes an exchange can be recorded.
    #[test]
    fn whatever_stands_in_a_log_is_accounted_for(
        picks in vec((0..20_usize, any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..9),
        junk in vec(any::<u8>(), 0..60),
    ) {
        let lines: Vec<&str> = FORMATS.lines().filter(|line| !line.is_empty()).collect();
        let mut text = junk;
        text.push(b'\n');
        for (line, at, byte, damage) in picks {
            let mut line = lines[line % lines.len()].as_bytes().to_vec();
            let at = at.index(line.len());
            match damage {
                0 => {}
                1 => line[at] = byte,
                2 => line.truncate(at),
                _ => line.insert(at, byte),
            }
            text.extend(line);
            text.push(b'\n');
        }
        let lines = text.split_inclusive(|byte| *byte == b'\n').count() as u64;
        // What begins as gzip or zstd begin is a damaged archive: its bytes are not its lines, and
        // all that is asked of it is that nothing panics.
        let archives: [&[u8]; 2] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd]];
        if archives.iter().any(|magic| text.starts_with(magic)) {
            if let Ok(source) = Source::from_reader("test", Box::new(Cursor::new(text))) {
                let _ = Log::open(source, None);
            }
            return Ok(());
        }
        for format in every_format() {
            match read_as(&text, Some(&format)) {
                Ok((imported, _)) => prop_assert_eq!(imported.ledger.frames.total, lines),
                Err(LogError::NothingUsable { lines: seen, .. }) => prop_assert_eq!(seen, lines),
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
        let _ = open(&text, None);
    }
}
