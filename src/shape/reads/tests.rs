//! What is kept of reads, and in what.

use super::*;

fn filled(mut reads: Reads, count: u64, keys: u64) -> Reads {
    for number in 0..count {
        let key = number % keys;
        reads.add(&Read {
            at: Duration::from_millis(number * 10),
            key,
            route: &|| Arc::from(if key == 0 { "GET /hot" } else { "GET /item/*" }),
            took: (key == 0).then(|| Duration::from_millis(20)),
            is_write: false,
        });
    }
    reads
}

#[test]
fn what_fits_is_kept_whole() {
    let reads = filled(Reads::default(), 1_000, 40);
    assert_eq!((reads.reads, reads.beyond(), reads.log.len()), (1_000, 0, 1_000));
    assert!((reads.rate() - 1.0).abs() < 1e-12 && (reads.distinct() - 40.0).abs() < 1e-9);
    assert!(reads.shards().is_none());
    assert_eq!(reads.firsts().filter(|is_first| *is_first).count(), 40);
    assert_eq!(reads.firsts().take(41).filter(|is_first| *is_first).count(), 40);
    assert_eq!(reads.seconds(), [100; 10]);
    assert_eq!(reads.first_seconds().len(), 1);
    assert!((reads.first_seconds()[0] - 0.02).abs() < 1e-12);
    assert_eq!(reads.hot().len(), 40);
    assert_eq!(reads.route(reads.keys[0].route), "GET /hot");
    assert_eq!(reads.route(u32::MAX), OTHER);
}

#[test]
fn what_does_not_fit_becomes_a_sample_by_key() {
    let reads = filled(Reads::within(5_000, 1_000), 40_000, 2_000);
    assert!(reads.log.len() <= 5_000 && reads.keys.len() <= 1_000);
    assert_eq!(reads.reads, 40_000);
    assert_eq!(reads.beyond() + reads.log.len() as u64, 40_000);
    assert_eq!(reads.seconds().iter().sum::<u32>(), 40_000);
    assert!(reads.rate() < 0.2, "{}", reads.rate());
    assert!((reads.distinct() / 2_000.0 - 1.0).abs() < 0.2, "{}", reads.distinct());
    // All reads of a kept key are kept, and each is first once.
    assert!(reads.keys.iter().all(|key| key.count == 20));
    assert_eq!(reads.keys.len() * 20, reads.log.len());
    let firsts = reads.firsts().filter(|is_first| *is_first).count();
    assert_eq!(firsts, reads.keys.len());
    let shards = reads.shards().unwrap();
    assert!(shards.iter().all(|shards| shards.references == 40_000));
    assert!((shards[0].keys() - 2_000.0).abs() < 1e-6, "all keys fit into the samples");
    // Hot keys are counted among all, whatever was left out.
    assert_eq!(reads.hot().iter().map(|key| u64::from(key.count)).sum::<u64>(), 40_000);
}

#[test]
fn one_key_beyond_all_bounds_ends_and_stays_bounded() {
    let reads = filled(Reads::within(100, 10), 5_000, 1);
    assert!(reads.log.len() <= 100);
    assert_eq!(reads.hot()[0].count, 5_000);
    assert_eq!(reads.popularity().hit_ratio_after(1.0).to_bits(), 1.0_f64.to_bits());
}

#[test]
fn a_moment_far_away_takes_little_memory() {
    let mut reads = Reads::default();
    let route: &dyn Fn() -> Arc<str> = &|| Arc::from("GET /");
    reads.add(&Read { at: Duration::MAX, key: 1, route, took: None, is_write: false });
    assert!(reads.seconds().len() < 5_000_000);
}

/// Writes are kept in their place, count as no reads, and leave what comes after them in the cache,
/// also where keys are sampled.
#[test]
fn writes_stand_between_reads_and_are_none() {
    let load = |mut reads: Reads, fills: bool| {
        for number in 0..4_000_u64 {
            let touch = |is_write| Read {
                at: Duration::from_millis(number),
                key: number % 2_000,
                route: &|| Arc::from("GET"),
                took: Some(Duration::from_millis(5)),
                is_write,
            };
            if fills {
                reads.add(&touch(true));
            }
            reads.add(&touch(false));
        }
        reads
    };
    let (filled, alone) = (load(Reads::default(), true), load(Reads::default(), false));
    assert_eq!((filled.reads, filled.writes, filled.beyond()), (4_000, 4_000, 0));
    let firsts = |reads: &Reads| reads.firsts().filter(|is_first| *is_first).count();
    assert_eq!((firsts(&filled), firsts(&alone)), (0, 2_000));
    assert_eq!(filled.seconds(), alone.seconds());
    assert!(filled.first_seconds().is_empty(), "a write tells nothing of a miss");
    let sampled = load(Reads::within(2_000, 500), true);
    assert!(sampled.rate() < 1.0 && sampled.touches().any(|touch| touch.is_write));
    assert_eq!(firsts(&sampled), 0);
    let ratio = sampled.shards().unwrap()[0].miss_ratio(4_000.0).unwrap();
    assert!(ratio < 0.01, "what was written is there: {ratio}");
    let sampled = load(Reads::within(2_000, 500), false);
    let ratio = sampled.shards().unwrap()[0].miss_ratio(4_000.0).unwrap();
    assert!((ratio - 0.5).abs() < 0.02, "{ratio}");
}
