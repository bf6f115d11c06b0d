use super::*;
use crate::scenario::load::LoadPace;
use crate::scenario::network::Network;
use crate::scenario::{TargetSpec, Tier};
use crate::units::rate::PerSecond;

fn load(rate: u64, seconds: u64, spacing: Spacing, seed: u64) -> Load {
    let rate = PerSecond { things: rate, seconds: 1 };
    let stage = Stage { length: Duration::from_secs(seconds), from: rate, to: rate };
    Load {
        network: Network::default(),
        target: TargetSpec::Http { host: "127.0.0.1".into(), port: 8080, tls: None },
        allow: Vec::new(),
        request: Request {
            method: "POST".into(),
            path: "/items/4711?q=1".into(),
            headers: BTreeMap::from([("Accept".to_owned(), "*/*".to_owned())]),
            body: b"hello".to_vec(),
            http2: false,
        },
        connections: 4,
        pace: LoadPace::Open { stages: vec![stage], spacing },
        seed,
        limits: Limits::default(),
        tolerance: Tier::Standard,
        expect: Vec::new(),
    }
}

fn generated(load: &Load) -> Result<(Facts, Generated), GenerateError> {
    let LoadPace::Open { stages, spacing } = &load.pace else { panic!("the load is closed") };
    generate(load, stages, *spacing)
}

fn arrivals(load: &Load) -> (Facts, Vec<Arrival>) {
    let (facts, generated) = generated(load).unwrap();
    (facts, generated.map(|Ok(arrival)| arrival).collect())
}

#[test]
fn each_connection_has_its_turn_and_an_end() {
    let (facts, arrivals) = arrivals(&load(3, 2, Spacing::Even, 1));
    assert_eq!((facts.arrivals, facts.connections, facts.peak_rate), (6, 4, 3));
    assert_eq!(facts.duration_ns, 1_666_666_667);
    let seen: Vec<_> = arrivals
        .iter()
        .map(|each| (each.index, each.connection, each.seq, each.last_on_connection))
        .collect();
    let expected = [
        (0, 0, 0, false),
        (1, 1, 0, false),
        (2, 2, 0, true),
        (3, 3, 0, true),
        (4, 0, 1, true),
        (5, 1, 1, true),
    ];
    assert_eq!(seen, expected);
    assert_eq!(facts.request_bytes, 6 * (arrivals[0].head.len() as u64 + 5));
    let head = concat!(
        "POST /items/4711?q=1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: peakhour/",
        env!("CARGO_PKG_VERSION"),
        "\r\nAccept: */*\r\nContent-Length: 5\r\n\r\n"
    );
    assert_eq!(arrivals[0].head, head);
    assert_eq!(&*arrivals[0].route, "POST /items/*");
}

#[test]
fn equal_options_give_equal_arrivals_and_another_seed_others() {
    let of = |seed| arrivals(&load(1_000, 20, Spacing::Poisson, seed));
    let ((facts, first), again, other) = (of(7), of(7), of(8));
    assert_eq!((&facts, &first), (&again.0, &again.1));
    assert_ne!(facts.fingerprint, other.0.fingerprint);
    assert_eq!(facts.arrivals, first.len() as u64);
    assert_eq!(first.iter().filter(|arrival| arrival.last_on_connection).count(), 4);
    // 20 000 ± 4 standard deviations, dispersed like a Poisson process.
    assert!(facts.arrivals.abs_diff(20_000) < 566, "{}", facts.arrivals);
    let dispersion = facts.idc_after[0].unwrap();
    assert!((0.8..1.2).contains(&dispersion), "{dispersion}");
    let even = arrivals(&load(1_000, 20, Spacing::Even, 7)).0;
    assert!(even.idc_after[0].unwrap() < 0.01);
}

/// What other machines draw from the same seed.
#[test]
fn the_exponential_numbers_are_those_of_every_machine() {
    let mut random = Random::new(1);
    let drawn: Vec<u64> =
        (0..100_000).map(|_| u64::try_from(random.exponential() >> 44).unwrap()).collect();
    assert_eq!(drawn[..4], [1_278_554, 745_128, 1_152_866, 2_005_249]);
    let mean = drawn.iter().sum::<u64>() / 100_000;
    assert!(mean.abs_diff(1 << 20) < (1 << 20) / 100, "{mean}");
    let above = drawn.iter().filter(|each| **each > 1 << 20).count();
    assert!(above.abs_diff(36_788) < 600, "e⁻¹ of them are above the mean, not {above}");
}

#[test]
fn what_is_too_much_or_nothing_is_refused_with_a_way_out() {
    let refused = |load: &Load| generated(load).unwrap_err().to_string();
    let mut fast = load(50_001, 1, Spacing::Even, 1);
    assert!(refused(&fast).contains("--max-rate 50001"), "{}", refused(&fast));
    fast.limits.max_rate = 50_001;
    assert!(generated(&fast).is_ok());
    fast.connections = 20_001;
    assert!(refused(&fast).contains("--max-connections 20001"));
    assert!(refused(&load(0, 1, Spacing::Even, 1)).contains("sends nothing"));
}
