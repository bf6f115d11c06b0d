//! Laws of sparse loads, draws of them, and what a bad generator makes of a draw. The bench
//! `sparse` has them from here, so that nothing of the crate is used.

use std::f64::consts::TAU;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// A request: its moment in seconds, its session, what it asks for.
pub(crate) type Request = (f64, u64, u64);

const HOUR: f64 = 3_600.0;

/// A law of which as many draws can be had as there are seeds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Law {
    /// What it is, in a few words.
    pub(crate) name: &'static str,
    /// Its length in seconds.
    pub(crate) seconds: f64,
    /// Its rate changes over time, so that a shifted schedule is another law.
    pub(crate) has_curve: bool,
    /// Requests come in bunches, so that those that come at random are another law.
    pub(crate) has_bursts: bool,
    /// One gap depends on those before it, so that another order of them is another law.
    pub(crate) has_order: bool,
    draw: fn(&mut Draw),
}

/// Every law, the plainest first.
pub(crate) const LAWS: [Law; 6] = [
    Law::of("thin", 24.0, [false, false, false], thin),
    Law::of("thinking", 96.0, [true, true, true], thinking),
    Law::of("pages", 12.0, [false, true, true], pages),
    // Each gap is drawn on its own: long ones are as likely after any other.
    Law::of("on and off", 48.0, [false, true, false], on_off),
    Law::of("night", 10.0, [true, true, true], night),
    Law::of("crawled", 96.0, [true, true, true], crawled),
];

impl Law {
    const fn of(
        name: &'static str,
        hours: f64,
        [has_curve, has_bursts, has_order]: [bool; 3],
        draw: fn(&mut Draw),
    ) -> Self {
        Self { name, seconds: hours * HOUR, has_curve, has_bursts, has_order, draw }
    }

    /// A draw, in the order of time.
    pub(crate) fn draw(&self, seed: u64) -> Vec<Request> {
        let random = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = Draw { random, seconds: self.seconds, session: 0, requests: Vec::new() };
        (self.draw)(&mut draw);
        sorted(draw.requests)
    }

    /// What a bad generator makes of a draw, by its name; only what makes another law of it.
    pub(crate) fn faults(&self, draw: &[Request]) -> Vec<(&'static str, Vec<Request>)> {
        let mut faults = vec![
            ("a fifth of the requests lost", kept(draw, |number, _| number % 5 > 0)),
            ("a fifth of the sessions lost", kept(draw, |_, session| session % 5 > 0)),
            ("evenly spaced", even(draw, self.seconds)),
            ("every ten minutes in their first ten seconds", coalesced(draw, 600.0, 60.0)),
            ("all of a minute at once", coalesced(draw, 60.0, 1e4)),
        ];
        if self.has_curve {
            faults.push(("begun a sixth later", turned(draw, self.seconds, 1.0 / 6.0)));
        }
        if self.has_bursts {
            faults.push(("at random within ten minutes", at_random(draw)));
        }
        if self.has_order {
            faults.push(("gaps in another order", shuffled(draw)));
        }
        faults
    }
}

/// A draw under construction.
struct Draw {
    random: ChaCha8Rng,
    seconds: f64,
    session: u64,
    requests: Vec<Request>,
}

impl Draw {
    fn uniform(&mut self) -> f64 {
        1.0 - self.random.random::<f64>()
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -self.uniform().ln() * mean
    }

    /// Asks for one of 300 resources, a few of them far more often than others.
    fn ask(&mut self, at: f64) {
        if (0.0..self.seconds).contains(&at) {
            let drawn = [0; 4].map(|_| self.random.random_range(0..300_u64));
            let key = drawn.into_iter().min().unwrap_or(0);
            self.requests.push((at, self.session, key));
        }
    }

    /// Sessions that begin by chance, `rate` of which is at most `most` a second; those of an hour
    /// before are there when it begins.
    fn sessions(&mut self, most: f64, rate: impl Fn(f64) -> f64, visit: impl Fn(&mut Self, f64)) {
        let mut now = -HOUR;
        loop {
            now += self.exponential(1.0 / most);
            if now >= self.seconds {
                return;
            }
            if self.uniform() * most <= rate(now.max(0.0)) {
                self.session += 1;
                visit(self, now);
            }
        }
    }

    /// Pages until one of `pages` is the last, so many seconds apart on average.
    fn visit(&mut self, begin: f64, pages: f64, think: f64) {
        let mut at = begin;
        loop {
            self.ask(at);
            at += self.exponential(think);
            if self.uniform() * pages < 1.0 {
                return;
            }
        }
    }
}

/// Single requests by chance, one in twenty seconds.
fn thin(draw: &mut Draw) {
    draw.sessions(0.05, |_| 0.05, Draw::ask);
}

/// Sessions of four pages, forty seconds apart, on days that have their ups and downs.
fn thinking(draw: &mut Draw) {
    let day = |at: f64| 0.015 * (0.5 + 0.4 * (TAU * at / (24.0 * HOUR)).sin());
    draw.sessions(0.015, day, |draw, begin| draw.visit(begin, 4.0, 40.0));
}

/// Sessions of six pages with some requests each at once: three seconds of four hold nothing.
fn pages(draw: &mut Draw) {
    draw.sessions(
        0.05,
        |_| 0.05,
        |draw, begin| {
            let mut page = begin;
            loop {
                draw.visit(page, 2.5, 0.05);
                page += 5.0 * (draw.exponential(1.0) * 2.0).sqrt();
                if draw.uniform() * 6.0 < 1.0 {
                    return;
                }
            }
        },
    );
}

/// All clients together: half a minute of a request a second, then silence for a minute and a half.
fn on_off(draw: &mut Draw) {
    let mut at = -HOUR;
    while at < draw.seconds {
        let end = at + draw.exponential(30.0);
        loop {
            at += draw.exponential(1.0);
            if at >= end {
                break;
            }
            draw.session += 1;
            draw.ask(at);
        }
        at = end + draw.exponential(90.0);
    }
}

/// From a request a minute late in the evening to one a second in the morning.
fn night(draw: &mut Draw) {
    let most = 0.4;
    let rise = |at: f64| most * 50.0_f64.powf(at / (10.0 * HOUR) - 1.0);
    draw.sessions(most, rise, |draw, begin| draw.visit(begin, 3.0, 10.0));
}

/// Sessions of three pages, of which one in thirty is a crawler that asks for thirty.
fn crawled(draw: &mut Draw) {
    let day = |at: f64| 0.02 * (0.6 + 0.4 * (TAU * at / (24.0 * HOUR)).sin());
    draw.sessions(0.02, day, |draw, begin| {
        if draw.uniform() * 30.0 < 1.0 {
            draw.visit(begin, 30.0, 8.0);
        } else {
            draw.visit(begin, 3.0, 20.0);
        }
    });
}

pub(crate) fn sorted(mut requests: Vec<Request>) -> Vec<Request> {
    requests.sort_by(|a, b| a.0.total_cmp(&b.0));
    requests
}

pub(crate) fn kept(draw: &[Request], keep: impl Fn(u64, u64) -> bool) -> Vec<Request> {
    // Sessions are numbered by when they begin: neighbours are not alike.
    let kept = (0..).zip(draw).filter(|(number, request)| keep(*number, request.1));
    kept.map(|(_, request)| *request).collect()
}

/// At one rate, in the same order.
fn even(draw: &[Request], seconds: f64) -> Vec<Request> {
    let step = seconds / f64::from(u32::try_from(draw.len()).unwrap_or(u32::MAX));
    (0_u32..).zip(draw).map(|(place, &(_, s, key))| (f64::from(place) * step, s, key)).collect()
}

/// The requests of each window nearer to its beginning by a factor.
fn coalesced(draw: &[Request], window: f64, factor: f64) -> Vec<Request> {
    let moved = draw.iter().map(|&(at, session, key)| {
        let begin = (at / window).floor() * window;
        (begin + (at - begin) / factor, session, key)
    });
    sorted(moved.collect())
}

/// As many in ten minutes, and no bunches of them.
fn at_random(draw: &[Request]) -> Vec<Request> {
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let mut moved = |(at, session, key): Request| {
        ((at / 600.0).floor() * 600.0 + random.random_range(0.0..600.0), session, key)
    };
    sorted(draw.iter().map(|request| moved(*request)).collect())
}

/// The same schedule begun at another place of it.
pub(crate) fn turned(draw: &[Request], seconds: f64, share: f64) -> Vec<Request> {
    let moved = draw.iter().map(|&(at, s, key)| ((at + share * seconds) % seconds, s, key));
    sorted(moved.collect())
}

/// The gaps between requests in another order.
pub(crate) fn shuffled(draw: &[Request]) -> Vec<Request> {
    let mut gaps: Vec<f64> = draw.windows(2).map(|two| two[1].0 - two[0].0).collect();
    let mut random = ChaCha8Rng::seed_from_u64(9);
    for place in (1..gaps.len()).rev() {
        gaps.swap(place, random.random_range(0..=place));
    }
    let mut at = draw.first().map_or(0.0, |request| request.0);
    let moments = std::iter::once(at).chain(gaps.into_iter().map(|gap| {
        at += gap;
        at
    }));
    moments.zip(draw).map(|(at, &(_, session, key))| (at, session, key)).collect()
}
