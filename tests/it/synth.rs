//! Aim: a model has the load of its recording and nothing of anybody, and what is drawn of it is
//! an ordinary recording with that load.

mod again;
mod hostile;
mod law;
mod logs;
mod program;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::time::Duration;

use peakhour::model::Model;
use peakhour::model::check::{Check, check};
use peakhour::model::draw::exchange::Writer;
use peakhour::model::draw::{Draw, Options};
use peakhour::model::edit::NewRoute;
use peakhour::model::file::read::from_text;
use peakhour::model::file::write;
use peakhour::model::fit::{About, Fit, FitError, Options as FitOptions, fit};
use peakhour::model::rounded;
use peakhour::model::routes::Table;
use peakhour::model::statistics::names::Statistic;
use peakhour::model::statistics::{Point, Tally};
use peakhour::recording::closings::Closings;
use peakhour::recording::file::reader::RecordingReader;
use peakhour::recording::file::writer::RecordingWriter;
use peakhour::recording::{Exchange, Header};
use peakhour::stats::counts::as_f64;
use serde_json::Value;

use crate::exchanges::header;
use crate::support::peakhour;
use law::{Law, recorded};

fn fitted(exchanges: &[Exchange], length: f64, resolution: f64) -> Result<Fit, String> {
    let closings = Closings::default();
    let about = About { length, resolution, closings: &closings };
    let mut open = || exchanges.iter().cloned().map(Ok::<_, Infallible>);
    let fit: Result<Fit, FitError<Infallible>> = fit(&mut open, about, FitOptions::default());
    fit.map_err(|error| error.to_string())
}

fn drawn(model: &Model, seed: u64, length: Option<u64>) -> Vec<Exchange> {
    let length = length.map(Duration::from_secs);
    let mut draw = Draw::new(model, Options { seed, length, scale: 1.0 });
    let writer = Writer::new(draw.model());
    draw.by_ref().map(|one| writer.exchange(&one)).collect()
}

/// Writes a recording as an import does.
fn written(path: &Path, exchanges: &[Exchange], length: f64) {
    let mut writer = RecordingWriter::create(path).unwrap();
    for exchange in exchanges {
        writer.push(exchange.clone()).unwrap();
    }
    let connections = exchanges.iter().map(|exchange| exchange.connection).max().unwrap() + 1;
    let header = Header {
        duration_ns: u64::try_from(Duration::from_secs_f64(length).as_nanos()).unwrap(),
        clock_resolution_ns: 1_000,
        exchanges: exchanges.len() as u64,
        connections,
        ..header()
    };
    writer.finish(header).unwrap();
}

/// The recording among so many that are drawn of its model.
fn checked(fit: &Fit, exchanges: &[Exchange], draws: u64) -> Check {
    let mut tally = Tally::default();
    for one in exchanges {
        tally.add(&Point::recorded(one, &fit.observation.table));
    }
    check(&fit.model, &tally, 1e-6, draws)
}

#[test]
fn the_load_of_a_recording_is_in_its_model_and_in_what_is_drawn_of_it() {
    let law = Law::default();
    let exchanges = recorded(&law, 1);
    let fit = fitted(&exchanges, law.seconds, 1e-6).unwrap();
    let model = &fit.model;
    let count = as_f64(exchanges.len() as u64);
    assert!((as_f64(model.fitted.requests) - rounded(count)).abs() < 1e-9);
    assert!(model.bursts.is_none(), "{:?}", fit.arrivals);
    assert!(fit.arrivals.tests.unwrap().pass(), "{:?}", fit.arrivals);

    // The crowd is found where it was.
    let crowd = model.rate.iter().max_by(|a, b| a.sessions.total_cmp(&b.sessions)).unwrap();
    assert!((crowd.from - law.crowd.0).abs() <= 4.0, "{:?}", model.rate);

    // Popularity and sizes have the numbers that they were made with.
    let item = model.routes.iter().find(|route| route.name == "GET /items/*").unwrap();
    let keys = item.keys.as_ref().unwrap();
    assert!((keys.exponent - 0.9).abs() < 0.06, "{keys:?}");
    let tail = item.answer.tail.unwrap();
    assert!((tail.index - 1.3).abs() < 0.2, "{tail:?}");

    // As many requests, as bursty, as often of each route, on as many connections.
    let told = checked(&fit, &exchanges, 20);
    let rows = &told.statistics;
    let far: Vec<_> = rows.iter().filter(|row| !row.fits).collect();
    // A sum of heavy tails is mostly its largest, and steps of a rate are no sine; what is beyond
    // three deviations of 0.002 from the misses of a cache is no more than 0.01 away.
    let may_be_far = [
        "response bytes",
        "response p99.9",
        "rate curve (WAPE)",
        "misses, cache of 25% of keys",
        "misses, cache of 50% of keys",
    ];
    let misses = rows.iter().filter(|row| row.name.starts_with("misses"));
    assert!(misses.clone().count() == 5 && misses.clone().all(|row| row.error < 0.02), "{rows:#?}");
    assert!(rows.len() > 25, "{rows:#?}");
    assert!(far.iter().all(|row| may_be_far.contains(&row.name)), "{far:#?}");
    let again = drawn(model, 3, None);
    assert!((as_f64(again.len() as u64) / count - 1.0).abs() < 0.08, "{} {count}", again.len());
    assert!(again.windows(2).all(|pair| pair[0].at <= pair[1].at));
}

#[test]
fn a_model_of_what_was_drawn_is_near_the_model_that_it_was_drawn_from() {
    let law = Law::default();
    let first = fitted(&recorded(&law, 2), law.seconds, 1e-6).unwrap().model;
    let second = fitted(&drawn(&first, 5, None), law.seconds, 1e-9).unwrap().model;
    let names = |model: &Model| -> Vec<String> {
        let mut names: Vec<String> = model.routes.iter().map(|route| route.name.clone()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&first), names(&second));
    let ratio = as_f64(second.fitted.sessions) / as_f64(first.fitted.sessions);
    assert!((ratio - 1.0).abs() < 0.05, "{ratio}");
    let find = |model: &Model| {
        model.routes.iter().find(|route| route.name == "GET /items/*").unwrap().clone()
    };
    let (one, other) = (find(&first), find(&second));
    let near = |a: f64, b: f64, most: f64| assert!((a - b).abs() <= most, "{a} {b}");
    near(one.keys.unwrap().exponent, other.keys.unwrap().exponent, 0.08);
    // Whether a tail passes its test is chance one time in ten, with whatever is drawn.
    let again = [4, 6].map(|seed| fitted(&drawn(&first, seed, None), law.seconds, 1e-9).unwrap());
    let tails: Vec<f64> = again
        .iter()
        .map(|fitted| find(&fitted.model))
        .chain([find(&second)])
        .filter_map(|route| Some(route.answer.tail?.index))
        .collect();
    assert!(tails.len() >= 2, "{tails:?}");
    for index in tails {
        near(one.answer.tail.unwrap().index, index, 0.25);
    }
    near(one.head.at(0.5) / other.head.at(0.5), 1.0, 0.02);
    let steps = |model: &Model| -> BTreeMap<(usize, Option<usize>, bool), f64> {
        let states = &model.groups[0].states;
        // A pause that happens to be as short as within a page is rare.
        let all = states.iter().flat_map(|state| state.next.iter().map(move |step| (state, step)));
        let all = all.filter(|(_, step)| step.share > 0.01);
        all.map(|(state, step)| ((state.from, step.to, step.embedded), step.share)).collect()
    };
    let (one, other) = (steps(&first), steps(&second));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (step, share) in &one {
        assert!((share - other[step]).abs() < 0.05, "{step:?}: {share} {}", other[step]);
    }
}

/// Science, section 4.4: what two draws of one model differ by, with the law of E1.
#[test]
fn two_draws_of_one_model_differ_as_two_recordings_of_one_law_do() {
    let law = Law::default();
    let model = fitted(&recorded(&law, 4), law.seconds, 1e-6).unwrap().model;
    let values = |exchanges: &[Exchange]| -> BTreeMap<Statistic, f64> {
        let mut tally = Tally::default();
        let table = Table::default();
        for one in exchanges {
            tally.add(&Point::recorded(one, &table));
        }
        tally.values(1e-6, 100).into_iter().collect()
    };
    let drawn: Vec<_> = (0..4).map(|seed| values(&drawn(&model, seed, None))).collect();
    let real: Vec<_> = (5..9).map(|seed| values(&recorded(&law, seed))).collect();
    let mean = |all: &[BTreeMap<Statistic, f64>], of: Statistic| {
        all.iter().map(|values| values[&of]).sum::<f64>() / as_f64(all.len() as u64)
    };
    let windows = [Statistic::Dispersion10Ms, Statistic::Dispersion100Ms, Statistic::Dispersion1S];
    for (of, most) in windows.into_iter().zip([0.1, 0.15, 0.3]) {
        let ratio = mean(&drawn, of) / mean(&real, of);
        assert!((ratio - 1.0).abs() < most, "{of:?}: {ratio}");
        assert!(mean(&real, of) > 1.4, "{of:?}: the law has bursts: {real:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_recording_and_another_one_is_not() {
    let law = Law { seconds: 60.0, ..Law::default() };
    let model = fitted(&recorded(&law, 1), law.seconds, 1e-6).unwrap().model;
    let one = drawn(&model, 7, None);
    assert_eq!(one, drawn(&model, 7, None));
    assert_ne!(one.len(), drawn(&model, 8, None).len());
    // Four times as long, the rate begins anew three times.
    let long = drawn(&model, 7, Some(240));
    assert!(long.last().unwrap().at > Duration::from_secs(230));
    assert!(long.len() > 3 * one.len(), "{} {}", long.len(), one.len());
}

#[test]
fn what_if_changes_what_it_says() {
    let law = Law { seconds: 60.0, ..Law::default() };
    let plain = fitted(&recorded(&law, 1), law.seconds, 1e-6).unwrap().model;
    let text = write(&plain).replace(
        "edits:\n  sessions: 1\n",
        "edits:\n  sessions: 2\n  crowds: [{ at: 20, lasts: 5, times: 4 }]\n  routes: [{ route: \
         \"GET /new/*\", share: 0.05 }]\n  outliers: [{ bytes: 40000000, every: 10 }]\n",
    );
    let model = from_text(&text, "m.yaml").unwrap();
    let after = drawn(&model, 1, None);
    // Of several recordings: in a few seconds of one there are a few hundred sessions.
    let within = |model: &Model, from: u64, to: u64| {
        let span = Duration::from_secs(from)..Duration::from_secs(to);
        let count = |seed| {
            let all = drawn(model, seed, Some(to));
            all.iter().filter(|one| span.contains(&one.at)).count() as u64
        };
        as_f64((1..=4).map(count).sum())
    };
    let twice = within(&model, 0, 20) / within(&plain, 0, 20);
    assert!((1.7..2.5).contains(&twice), "{twice}");
    let crowd = within(&model, 20, 25) / within(&plain, 20, 25);
    assert!(crowd > 2.3, "{crowd}");
    let new = as_f64(after.iter().filter(|one| one.route == "/new/*").count() as u64);
    assert!((new / as_f64(after.len() as u64) - 0.05).abs() < 0.01, "{new}");
    let large: Vec<&Exchange> =
        after.iter().filter(|one| one.request_body_bytes == 40_000_000).collect();
    assert_eq!(large.len(), 6);
    assert!(large.iter().all(|one| one.session == large[0].session));
    assert!(large.iter().all(|one| one.request_body.len() == 40_000_000));
    let length = b"Content-Length: 40000000\r\n";
    assert!(large[0].request_head.windows(length.len()).any(|window| window == length));
}

/// However large, and however many: of all requests as many are new as the edits say.
#[test]
fn new_routes_have_the_shares_that_they_were_given() {
    let law = Law { seconds: 60.0, ..Law::default() };
    let mut model = fitted(&recorded(&law, 1), law.seconds, 1e-6).unwrap().model;
    // Of one draw of a minute the number is chance by a tenth; of eight it is not.
    let number = |model: &Model| (1..9).map(|seed| drawn(model, seed, None).len()).sum::<usize>();
    let before = number(&model);
    let new = |route: &str, share| NewRoute { route: route.to_owned(), share };
    model.edits.routes = vec![new("GET /new/*", 0.6), new("GET /news", 0.2), new("PUT /x", 0.1)];
    let after = drawn(&model, 1, None);
    for (route, share) in [("/new/*", 0.6), ("/news", 0.2), ("/x", 0.1)] {
        let count = after.iter().filter(|one| one.route == route).count() as u64;
        let found = as_f64(count) / as_f64(after.len() as u64);
        assert!((found - share).abs() < 0.02, "{route}: {found}");
    }
    // What was there before is there still.
    let times = as_f64(number(&model) as u64) / as_f64(before as u64);
    assert!((times / 10.0 - 1.0).abs() < 0.06, "{times}");
}

#[test]
fn what_is_too_short_too_coarse_or_too_little_has_no_model() {
    let all = recorded(&Law { seconds: 60.0, ..Law::default() }, 1);
    let refused =
        |exchanges: &[Exchange], resolution: f64| fitted(exchanges, 60.0, resolution).unwrap_err();
    assert!(refused(&[], 1e-6).contains("no request of HTTP/1 in it"));
    assert!(refused(&all[..1], 1e-6).contains("1 requests are too few"));
    let at_once: Vec<Exchange> =
        all.iter().map(|one| Exchange { at: Duration::from_secs(1), ..one.clone() }).collect();
    assert!(refused(&at_once, 1e-6).contains("span 0.000 s"));
    assert!(refused(&all, 10.0).contains("steps of 10.000 s"));
    let one_client: Vec<Exchange> =
        all.iter().map(|one| Exchange { session: 1, ..one.clone() }).collect();
    assert!(refused(&one_client, 1e-6).contains("1 clients with 1 visits are too few"));
    let redis = peakhour::protocol::Protocol::Redis;
    let commands: Vec<Exchange> =
        all.iter().map(|one| Exchange { protocol: redis, ..one.clone() }).collect();
    let reason = refused(&commands, 1e-6);
    assert!(reason.contains("not HTTP/1") && reason.contains("not modelled yet"), "{reason}");
    // Its twin has one.
    assert!(fitted(&all, 60.0, 1e-6).is_ok());
}

/// One client that asks again and again, by requests and not by visits.
#[test]
fn a_client_with_much_of_all_requests_has_no_model() {
    let all = recorded(&Law { seconds: 60.0, ..Law::default() }, 1);
    let monitored = |requests: u64| {
        let monitor = (0..requests).map(|number| Exchange {
            at: Duration::from_mins(1) * u32::try_from(number).unwrap()
                / u32::try_from(requests).unwrap(),
            session: 7_000_000,
            connection: 7_000_000,
            ..all[0].clone()
        });
        let mut both: Vec<Exchange> = all.iter().cloned().chain(monitor).collect();
        both.sort_by_key(|one| one.at);
        fitted(&both, 60.0, 1e-6)
    };
    let count = all.len() as u64;
    let told = monitored(count / 2).unwrap_err();
    assert!(told.contains("requests are one client's"), "{told}");
    assert!(monitored(count / 5).is_ok());
}

/// Visits of a client, half an hour apart, are that client's however many they are.
#[test]
fn visits_of_a_few_clients_are_no_crowd() {
    let minute = recorded(&Law { seconds: 20.0, ..Law::default() }, 1);
    let visited = |client: &dyn Fn(u64, u64) -> u64| -> Result<Fit, String> {
        let hours = (0..20).flat_map(|hour| {
            minute.iter().map(move |one| (hour, one.at + Duration::from_secs(hour * 3_600), one))
        });
        let all: Vec<Exchange> = hours
            .map(|(hour, at, one)| Exchange {
                at,
                session: client(hour, one.session),
                connection: 100_000 * hour + one.connection,
                ..one.clone()
            })
            .collect();
        fitted(&all, 72_000.0, 1e-6)
    };
    let few = visited(&|_, session| session % 15).unwrap_err();
    assert!(few.contains("15 clients with 300 visits are too few"), "{few}");
    // One comes each hour, and forty others once each.
    let one = |hour, session| if session % 3 == 0 { 0 } else { 1 + 2 * hour + session % 2 };
    let told = visited(&one).unwrap_err();
    assert!(told.contains("20 of 60 visits are one client's"), "{told}");
    assert!(visited(&|hour, session| 1_000 * hour + session).is_ok());
}

#[test]
fn the_program_fits_draws_and_checks() {
    let folder = tempfile::tempdir().unwrap();
    let law = Law { seconds: 60.0, ..Law::default() };
    written(&folder.path().join("peak"), &recorded(&law, 1), law.seconds);
    let ran = peakhour(folder.path(), &["synth", "peak", "-o", "m.yaml", "--check", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("leak test: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("copy test: "), "{}", ran.stderr);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    let rows = told["statistics"].as_array().unwrap();
    assert!(rows.len() > 25 && rows.iter().all(|row| row["draws"] == 50), "{told}");
    assert_eq!(told["envelope"]["statistics"], rows.len(), "{told}");
    let model = fs::read_to_string(folder.path().join("m.yaml")).unwrap();
    for secret in law::SECRETS {
        assert!(!model.contains(secret), "{secret}");
    }
    let again = peakhour(folder.path(), &["synth", "peak", "-o", "again.yaml", "-q"]);
    assert_eq!((again.code, again.stderr.as_str()), (0, ""));
    assert_eq!(fs::read_to_string(folder.path().join("again.yaml")).unwrap(), model);

    let ran = peakhour(folder.path(), &["synth", "m.yaml", "-o", "drawn", "--seed", "3"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let reader = RecordingReader::open(&folder.path().join("drawn")).unwrap();
    assert!(reader.header().ledger.reconciles());
    let exchanges: Vec<Exchange> = reader.exchanges(None).map(Result::unwrap).collect();
    assert!(exchanges.len() > 1_000, "{}", exchanges.len());
    let inspected = peakhour(folder.path(), &["inspect", "drawn"]);
    assert!(inspected.stdout.contains("drawn from m.yaml, seed 3"), "{}", inspected.stdout);
    let redacted = "nothing: it was drawn from a model, and holds what nobody ever sent";
    assert!(inspected.stdout.contains(redacted), "{}", inspected.stdout);

    // A model in the place of a recording is drawn from.
    fs::write(folder.path().join("s.yaml"), "recording: m.yaml\ntarget: { url: stage }\n").unwrap();
    let planned = peakhour(folder.path(), &["plan", "s.yaml"]);
    assert_eq!(planned.code, 0, "{}", planned.stderr);

    let edits = ["--tail", "1.1", "--flash-crowd", "20s,5s,3", "--outlier", "4MB,10s"];
    let mut arguments = vec!["synth", "m.yaml", "-o", "edited", "-d", "30s"];
    arguments.extend(edits);
    let ran = peakhour(folder.path(), &arguments);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let reader = RecordingReader::open(&folder.path().join("edited")).unwrap();
    let large = reader.body_sizes().filter(|row| row.as_ref().unwrap().request_bytes == 4_000_000);
    assert_eq!(large.count(), 3);
}

#[test]
fn a_model_with_mistakes_is_told_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("m.yaml"), "model: 2\nduration: soon\n").unwrap();
    let ran = peakhour(folder.path(), &["synth", "m.yaml", "-o", "drawn"]);
    assert_eq!(ran.code, 104, "{}", ran.stderr);
    assert!(ran.stderr.contains("m.yaml:") && ran.stderr.contains("hint: "), "{}", ran.stderr);
    assert!(!folder.path().join("drawn").exists());
}
