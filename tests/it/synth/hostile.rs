//! Whatever was recorded: what is fitted can be written and read again.

use std::time::Duration;

use peakhour::model::file::read::from_text;
use peakhour::model::file::write;
use peakhour::recording::{Exchange, Response};
use proptest::prelude::*;
use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};

use super::fitted;
use super::law::{Law, recorded};

/// A number of any magnitude.
fn any_size(random: &mut impl Rng) -> u64 {
    random.random::<u64>() >> random.random_range(0..64)
}

/// Requests of some clients over a time of any length, with sizes, times and statuses that no
/// server ever had.
fn extreme(seed: u64, longest: f64) -> (Vec<Exchange>, f64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut all = recorded(&Law { seconds: 20.0, ..Law::default() }, seed);
    let length = 20.0 + random.random::<f64>() * longest;
    let clients = random.random_range(15..400);
    let (few_sizes, few_times) = (random.random::<bool>(), random.random::<bool>());
    for one in &mut all {
        one.at = Duration::from_secs_f64(one.at.as_secs_f64() * length / 20.0);
        one.session %= clients;
        let size = any_size(&mut random);
        one.request_body_bytes = if few_sizes { size % 3 } else { size };
        let mut time = || Duration::from_nanos(any_size(&mut random));
        let (first, last) = (time(), time());
        let is_forever = random.random::<f64>() < 0.01;
        let first = if few_times { Duration::ZERO } else { first };
        let answered = random.random::<f64>() < 0.9;
        one.response = answered.then(|| Response {
            status: (random.random::<u32>() % 1_200) as u16,
            body_bytes: Some(any_size(&mut random)),
            first_byte: Some(if is_forever { Duration::MAX } else { first }),
            last_byte: random.random::<bool>().then_some(last),
            ..one.response.clone().unwrap()
        });
    }
    (all, length)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    /// For all recordings of which a model is fitted: its text is read, as the same model, and
    /// written the same again.
    #[test]
    fn a_model_is_read_as_it_was_written(seed in 0_u64..1_000_000, long in any::<bool>()) {
        let (exchanges, length) = extreme(seed, if long { 2e6 } else { 100.0 });
        if let Ok(fit) = fitted(&exchanges, length, 1e-6) {
            let text = write(&fit.model);
            let read = from_text(&text, "m.yaml");
            let read = read.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            prop_assert_eq!(&write(&read), &text);
            prop_assert_eq!(read, fit.model);
        } else {
            // Only what has few clients, most of it one's, is no model.
            let clients: std::collections::BTreeSet<u64> =
                exchanges.iter().map(|one| one.session).collect();
            prop_assert!(clients.len() < 20, "{} clients", clients.len());
        }
    }
}
