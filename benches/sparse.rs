//! Sparse loads by laws that are known: how often two draws of one law are called different, and
//! how often what a bad generator makes of a draw is found. Nothing is asserted.
//!
//! usage: cargo bench --bench sparse -- [DRAWS]

#![expect(clippy::print_stdout, reason = "a measurement")]

#[path = "../src/shape/likeness/tests/laws.rs"]
mod laws;

use std::collections::BTreeMap;
use std::time::Duration;

use peakhour::bytes::spread;
use peakhour::recording::file::sights::Sight;
use peakhour::recording::file::sights::names::Names;
use peakhour::shape::MetricOutcome;
use peakhour::shape::likeness::{Likeness, Pairs, Side, Verdict, judge};
use peakhour::shape::profile::Profile;
use peakhour::shape::profile::fold::Profiler;
use peakhour::shape::tolerance::{CI, STANDARD, Tolerances};

use crate::laws::{LAWS, Law, Request, kept};

/// Draws of each law where no number is given.
const DRAWS: u64 = 200;

/// Faults are tried on one draw of so many.
const FAULTY: u64 = 10;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse().ok());
    let draws = numbers.next().unwrap_or(DRAWS);
    let chosen = std::env::args().skip(1).find(|text| LAWS.iter().any(|law| law.name == text));
    for law in LAWS.iter().filter(|law| chosen.as_ref().is_none_or(|name| law.name == name)) {
        measure(law, draws);
    }
}

/// Draws of a law beside each other, by the tightest tier that is not for bare metal; and with each
/// fault, by the loosest one.
fn measure(law: &Law, draws: u64) {
    let mut scales = BTreeMap::new();
    let mut found: BTreeMap<&str, u64> = BTreeMap::new();
    let mut worst: BTreeMap<String, f64> = BTreeMap::new();
    let mut mistaken = 0;
    for number in 0..draws {
        let [first, other] = [2 * number, 2 * number + 1].map(|seed| law.draw(seed));
        let reference = profile(&first);
        let judged = |requests: &[Request], tier: &Tolerances| {
            judge(side(&reference), side(&profile(requests)), tier, Pairs::Never)
        };
        let sound = judged(&other, &STANDARD);
        *scales.entry(sound.verdict.word()).or_insert(0_u64) += 1;
        if !is_sound(&sound.verdict) {
            mistaken += 1;
            println!("    {number}: {} {}", sound.verdict.word(), failed(&sound).join(", "));
        }
        for metric in &sound.metrics {
            if let Some(ratio) = metric.ratio {
                let most = worst.entry(metric.name.clone()).or_insert(0.0_f64);
                *most = most.max(ratio);
            }
        }
        if number % FAULTY > 0 {
            continue;
        }
        let mut faults = law.faults(&other);
        // What chance hides of most of them.
        faults.push(("a tenth of the sessions lost", kept(&other, |_, session| session % 10 > 0)));
        for (name, fault) in faults {
            *found.entry(name).or_default() += u64::from(is_found(&judged(&fault, &CI)));
        }
    }
    println!("{}: {mistaken} of {draws} healthy ones mistaken", law.name);
    println!("    verdicts {scales:?}");
    let worst: Vec<String> = worst.iter().map(|(name, most)| format!("{name} {most:.2}")).collect();
    println!("    most of a limit: {}", worst.join(", "));
    for (name, times) in found {
        println!("    found {times} of {}: {name}", draws.div_ceil(FAULTY));
    }
}

fn is_sound(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Faithful | Verdict::FaithfulWhereTold { .. })
}

fn is_found(likeness: &Likeness) -> bool {
    matches!(likeness.verdict, Verdict::Degraded | Verdict::FaithfulFrom { .. })
}

/// What failed, and how many times its limit it is.
fn failed(likeness: &Likeness) -> Vec<String> {
    let failed = likeness.metrics.iter().filter(|each| each.outcome == MetricOutcome::Fail);
    failed.map(|each| format!("{} {:.2}", each.name, each.ratio.unwrap_or(0.0))).collect()
}

fn profile(requests: &[Request]) -> Profile {
    let (mut profiler, mut names) = (Profiler::default(), Names::default());
    for &(at, session, key) in requests {
        let class = names.class("GET", &format!("/page-{}", key % 20));
        profiler.add(&Sight {
            at_ns: u64::try_from(Duration::from_secs_f64(at.max(0.0)).as_nanos()).unwrap_or(0),
            connection: session,
            session,
            class,
            key: spread(key + 1),
            is_read: true,
            request_bytes: 9,
            response_bytes: Some(1_000),
            took_ns: Some(2_000_000),
        });
    }
    profiler.finish(&names)
}

fn side(profile: &Profile) -> Side<'_> {
    Side { profile, clock_step_ns: 1_000, lost: 0.0, knows_connections: true, handshakes: [0; 2] }
}
