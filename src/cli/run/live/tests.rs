//! What becomes of numbers when a system takes them, takes none, or has too much to do.

use std::cell::RefCell;

use super::*;
use crate::cli::out::collector::Form;
use crate::drive::clock::Epoch;

fn export(live: &Live) -> Export {
    let place = Collector::parse(Form::Otlp, "http://h:1/?token=s3cret", None).unwrap();
    Export::new(place, live.clone(), Voice { quiet: true, colour: false })
}

/// A load that has begun.
fn load() -> (Live, Arc<Gauges>) {
    let (live, gauges) = (Live::default(), Arc::<Gauges>::default());
    gauges.start(Epoch::after(Duration::ZERO));
    live.show(&gauges);
    (live, gauges)
}

fn refusal(again: Again) -> Result<u64, Refusal> {
    Err(Refusal { reason: "no".to_owned(), again })
}

/// The values of the metrics with this in their name.
fn values(batch: &Batch, name: &str) -> Vec<Option<f64>> {
    let named = batch.points.iter().filter(|point| point.metric.name.contains(name));
    named.map(|point| point.value).collect()
}

/// Ends an export whose system answers so, one answer after the other; the last one again and
/// again. Gives what it was sent each time.
fn ended(
    export: &mut Export,
    exit_code: Option<u8>,
    answers: &[fn() -> Result<u64, Refusal>],
) -> Vec<Vec<Batch>> {
    let sent = RefCell::new(Vec::new());
    let push = |batches: &[Batch]| {
        let mut sent = sent.borrow_mut();
        sent.push(batches.to_vec());
        answers[(sent.len() - 1).min(answers.len() - 1)]()
    };
    let (end, ended) = channel();
    end.send(exit_code).unwrap();
    // Without a sender there is no rest to wait for.
    drop(end);
    export.run(&push, &ended, EVERY);
    sent.into_inner()
}

/// Each round is a reading; in a rest of two rounds nothing is sent, and then all that was read.
#[test]
fn numbers_are_sent_while_the_run_goes_on() {
    let (live, _gauges) = load();
    let mut export = export(&live);
    let (end, ended) = channel();
    let sent = RefCell::new(Vec::new());
    let push = |batches: &[Batch]| {
        sent.borrow_mut().push(batches.len());
        match sent.borrow().len() {
            2 => refusal(Again::Busy(2 * EVERY)),
            3 => {
                end.send(Some(0)).unwrap();
                Ok(0)
            }
            _ => Ok(0),
        }
    };
    export.run(&push, &ended, Duration::from_millis(1));
    assert_eq!(sent.into_inner(), [1, 1, 3, 2], "the last ones are the end, and what ends gauges");
    assert_eq!(export.tally, Tally { sent: 5, lost: 0, refused: 0 });
}

#[test]
fn the_end_is_told_and_nothing_is_drawn_beyond_it() {
    let (live, gauges) = load();
    let mut export = export(&live);
    gauges.first_byte_sent();
    gauges.first_byte_sent();
    export.read(None);
    gauges.not_sent();
    let sent = ended(&mut export, Some(99), &[|| Ok(2)]);
    let [only] = &sent[..] else { panic!("{sent:?}") };
    let [first, last, over] = &only[..] else { panic!("{only:?}") };
    assert!(first.unix_ns < last.unix_ns && last.unix_ns < over.unix_ns);
    assert_eq!(first.since_unix_ns, last.since_unix_ns);
    assert_eq!(values(last, "requests_sent_total"), [Some(2.0)], "a counter does not fall");
    let codes = [first, last, over].map(|batch| values(batch, "exit_code"));
    assert_eq!(codes, [vec![], vec![Some(99.0)], vec![]]);
    assert_eq!(values(last, "in_flight"), [Some(0.0)]);
    assert_eq!(
        (values(over, "in_flight"), values(over, "requests_sent_total")),
        (vec![None], vec![])
    );
    assert_eq!(export.tally, Tally { sent: 2, lost: 0, refused: 2 });
}

#[test]
fn a_run_without_a_load_tells_how_it_ended_and_no_run_tells_nothing() {
    let sent = ended(&mut export(&Live::default()), Some(98), &[|| Ok(0)]);
    assert_eq!((sent[0].len(), values(&sent[0][0], "exit_code")), (1, vec![Some(98.0)]));
    assert_eq!(ended(&mut export(&Live::default()), None, &[|| Ok(0)]), Vec::<Vec<Batch>>::new());
}

#[test]
fn who_has_too_much_to_do_is_tried_again_and_who_says_no_is_not() {
    let (live, _gauges) = load();
    let busy = || refusal(Again::Busy(Duration::ZERO));
    let taken = [busy, || Ok(0)];
    for (answers, tries, tally) in [
        (&taken[..], 2, Tally { sent: 1, ..Tally::default() }),
        (&[busy], LAST_TRIES, Tally { lost: 1, ..Tally::default() }),
        (&[|| refusal(Again::Never)], 1, Tally { lost: 1, ..Tally::default() }),
        (&[|| refusal(Again::Unreached)], 1, Tally { lost: 1, ..Tally::default() }),
    ] {
        let mut export = export(&live);
        let sent = ended(&mut export, Some(0), answers);
        assert_eq!((sent.len(), export.tally), (tries, tally));
    }
}

#[test]
fn what_waits_is_bounded_sent_in_order_and_counted() {
    let (live, _gauges) = load();
    let mut export = export(&live);
    for _ in 0..MAX_WAITING + 30 {
        export.read(None);
        assert!(export.waiting.len() <= MAX_WAITING);
    }
    assert_eq!(export.tally, Tally { lost: 30, ..Tally::default() });
    assert_eq!(export.send(&|_| refusal(Again::Unreached)), Some(Sent::Unreached));
    assert_eq!(export.waiting.len(), MAX_WAITING, "it is kept for the next time");
    let lengths = RefCell::new(Vec::new());
    let moments = RefCell::new(Vec::new());
    let push = |batches: &[Batch]| {
        lengths.borrow_mut().push(batches.len());
        moments.borrow_mut().extend(batches.iter().map(|batch| batch.unix_ns / 1_000_000));
        if lengths.borrow().len() == 1 { refusal(Again::Never) } else { Ok(0) }
    };
    assert_eq!(export.send(&push), None);
    assert_eq!(lengths.into_inner(), [MAX_SENT, MAX_WAITING - MAX_SENT]);
    let moments = moments.into_inner();
    assert!(moments.windows(2).all(|two| two[0] < two[1]), "each has its millisecond");
    let lost = 30 + MAX_SENT as u64;
    assert_eq!(export.tally, Tally { sent: 60, lost, refused: 0 });
}

#[test]
fn a_system_that_asks_for_a_rest_gets_it() {
    let (live, _gauges) = load();
    let mut export = export(&live);
    for (asked, rounds) in [(0, 0), (1, 1), (12, 3), (u64::MAX, MAX_RESTS)] {
        export.read(None);
        let sent = export.send(&|_| refusal(Again::Busy(Duration::from_secs(asked))));
        assert_eq!((sent, export.rests), (Some(Sent::Busy), rounds));
    }
}
