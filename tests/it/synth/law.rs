//! Recordings drawn from a law that is known: sessions that begin at a rate that changes, pages
//! with pauses between them, requests in bursts within a page (science, section 14, E1).

use std::time::Duration;

use bytes::Bytes;
use peakhour::protocol::Protocol;
use peakhour::recording::{Exchange, Flags, Response};
use peakhour::stats::counts::as_index;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Exp1, LogNormal, Pareto, Zipf};

/// The numbers of the law.
#[derive(Clone, Copy, Debug)]
pub(super) struct Law {
    /// Length.
    pub(super) seconds: f64,
    /// Sessions a second, before the shape of the rate.
    pub(super) sessions: f64,
    /// When a crowd comes, and for how long.
    pub(super) crowd: (f64, f64),
    /// Share of pages of items that are one of the last thirty again.
    pub(super) again: f64,
}

impl Default for Law {
    fn default() -> Self {
        Self { seconds: 240.0, sessions: 16.0, crowd: (160.0, 15.0), again: 0.0 }
    }
}

/// What recorded exchanges hold that no model may have.
pub(super) const SECRETS: [&str; 6] =
    ["shop-internal", "alice@", "s3ss10n", "203.0.113", "coupon", "TopSecretBody"];

/// A recording of the law.
pub(super) fn recorded(law: &Law, seed: u64) -> Vec<Exchange> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let exponential = |random: &mut ChaCha8Rng| -> f64 { random.sample(Exp1) };
    let think = LogNormal::new(5.0_f64.ln(), 1.0).unwrap();
    let geometric = |random: &mut ChaCha8Rng, mean: f64| {
        let mut count = 1;
        while random.random::<f64>() > 1.0 / mean {
            count += 1;
        }
        count
    };
    let (mut all, mut now, mut session) = (Vec::new(), 0.0, 0);
    let most = law.sessions * 3.0;
    loop {
        now += exponential(&mut random) / most;
        if now >= law.seconds {
            break;
        }
        let share = now / law.seconds;
        let wave = (std::f64::consts::TAU * now / 120.0).sin();
        let crowd = (law.crowd.0..law.crowd.0 + law.crowd.1).contains(&now);
        let rate = (0.55 + 0.75 * share + 0.15 * wave) * if crowd { 1.8 } else { 1.0 };
        if random.random::<f64>() > rate * law.sessions / most {
            continue;
        }
        session += 1;
        let mut at = now;
        for page in 0..geometric(&mut random, 6.0) {
            if page > 0 {
                let pause: f64 = random.sample(think);
                at += pause;
            }
            for request in 0..geometric(&mut random, 2.5) {
                if request > 0 {
                    at += exponential(&mut random) * 0.004;
                }
                if at < law.seconds {
                    all.push(exchange(&mut random, at, session, request == 0));
                }
            }
        }
    }
    all.sort_by_key(|exchange: &Exchange| exchange.at);
    if law.again > 0.0 {
        ask_again(&mut all, law.again, &mut random);
    }
    let mut seqs = std::collections::HashMap::new();
    for exchange in &mut all {
        let seq = seqs.entry(exchange.connection).or_insert(0);
        exchange.seq = *seq;
        *seq += 1;
    }
    all
}

/// Lets pages be those that somebody looked at a moment ago.
fn ask_again(all: &mut [Exchange], share: f64, random: &mut ChaCha8Rng) {
    let mut last: Vec<String> = Vec::new();
    for one in all.iter_mut().filter(|one| one.route == "/items/*") {
        if last.len() >= 30 && random.random::<f64>() < share {
            let place = last.len() - 1 - random.random_range(0..30);
            one.target.clone_from(&last[place]);
        }
        last.push(one.target.clone());
    }
}

/// A page is an item or, now and then, an order; what it loads are pictures.
fn exchange(random: &mut ChaCha8Rng, at: f64, session: u64, is_page: bool) -> Exchange {
    let (method, target, route) = if !is_page {
        ("GET", "/static/pictures.css".to_owned(), "/static/pictures.css")
    } else if random.random::<f64>() < 0.1 {
        ("POST", "/orders?coupon=TopSecret".to_owned(), "/orders")
    } else {
        let rank: f64 = random.sample(Zipf::new(3_000.0, 0.9).unwrap());
        ("GET", format!("/items/{}", as_index(rank)), "/items/*")
    };
    let body = if method == "POST" { 300 + as_index(random.random::<f64>() * 200.0) } else { 0 };
    let body = Bytes::from(format!("{:x<body$}", "TopSecretBody"));
    let body = if method == "POST" { body } else { Bytes::new() };
    let tail: f64 = random.sample(Pareto::new(60_000.0, 1.3).unwrap());
    let middle: f64 = random.sample(LogNormal::new(9.0, 0.7).unwrap());
    let is_large = route == "/items/*" && random.random::<f64>() < 0.1;
    let bytes = if is_large { tail } else { middle.min(60_000.0) };
    let took: f64 = random.sample(LogNormal::new(0.004_f64.ln(), 0.6).unwrap());
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: shop-internal.example\r\nX-User: alice@example.org\r\n\
         Cookie: s={session}s3ss10n\r\nX-Forwarded-For: 203.0.113.7\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    Exchange {
        at: Duration::from_secs_f64(at),
        connection: session,
        session,
        seq: 0,
        stream: None,
        protocol: Protocol::Http1,
        method: method.to_owned(),
        scheme: "http".to_owned(),
        authority: "shop-internal.example".to_owned(),
        target,
        route: route.to_owned(),
        request_head: Bytes::from(head),
        request_body_bytes: body.len() as u64,
        request_body: body,
        request_stored: None,
        request_chunks: None,
        response: Some(Response {
            status: if random.random::<f64>() < 0.02 { 404 } else { 200 },
            head: Bytes::from_static(b"HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n"),
            body_bytes: Some(as_index(bytes) as u64),
            digest: None,
            shape: None,
            first_byte: Some(Duration::from_secs_f64(took)),
            last_byte: Some(Duration::from_secs_f64(took * 1.2)),
        }),
        flags: Flags::default(),
    }
}
