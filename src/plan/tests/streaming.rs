//! What a plan reads, and when.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::plan::arrivals::Plan;
use crate::plan::choice::Choice;
use crate::plan::scale::{Scale, Speed};
use crate::plan::tests::exchange;
use crate::plan::{PlanError, Totals};
use crate::scenario::clones::Clones;
use crate::scenario::rewriting::Rewriting;
use crate::scenario::{MethodPolicy, Pace};

#[test]
fn no_more_is_read_than_the_next_arrival_needs() {
    static READ: AtomicUsize = AtomicUsize::new(0);
    let endless = (0_u64..).map(|index| {
        READ.fetch_add(1, Ordering::Relaxed);
        Ok(exchange(index * 100, index, index))
    });
    let choice = Choice {
        methods: MethodPolicy::All,
        headers: BTreeMap::new(),
        authorities: vec!["staging".to_owned()],
        hosts: Vec::new(),
        rewriting: Rewriting::default(),
        learned: None,
        start: Duration::ZERO,
        scale: Scale::new(2.0, 1).unwrap(),
        seed: 1,
        clones: Clones::default(),
        speed: Speed::new(1.0).unwrap(),
        ramp: None,
        pace: Pace::Recorded,
        groups: (0..100_000).map(|connection| (connection, connection)).collect(),
        closings: Arc::default(),
        handshakes: Arc::default(),
        stride: 100_000,
        redis: None,
    };
    let mut plan = Plan::new(Box::new(endless), Arc::new(choice), Totals::default());
    let last = plan.by_ref().take(1000).last().unwrap().unwrap();
    let read = READ.load(Ordering::Relaxed);
    let due = usize::try_from(last.due.as_millis()).unwrap() / 100;
    assert!(read <= due + 2, "{read} rows read for arrivals until {:?}", last.due);
}

#[test]
fn a_damaged_recording_ends_the_plan_with_an_error() {
    let rows = [Ok(exchange(10, 0, 0)), Ok(exchange(5, 0, 0)), Ok(exchange(20, 0, 0))];
    let choice = Choice {
        methods: MethodPolicy::All,
        headers: BTreeMap::new(),
        authorities: vec!["staging".to_owned()],
        hosts: Vec::new(),
        rewriting: Rewriting::default(),
        learned: None,
        start: Duration::ZERO,
        scale: Scale::new(2.0, 1).unwrap(),
        seed: 1,
        clones: Clones::default(),
        speed: Speed::new(1.0).unwrap(),
        ramp: None,
        pace: Pace::Recorded,
        // A clone is waiting when the error comes.
        groups: [(0, 0)].into(),
        closings: Arc::default(),
        handshakes: Arc::default(),
        stride: 1,
        redis: None,
    };
    let mut plan = Plan::new(Box::new(rows.into_iter()), Arc::new(choice), Totals::default());
    assert!(plan.next().unwrap().is_ok());
    assert!(matches!(plan.next(), Some(Err(PlanError::Unordered { .. }))));
    assert!(plan.next().is_none());
}

#[test]
fn a_plan_can_be_driven_on_another_thread() {
    fn check<T: Send + 'static>() {}
    check::<Plan>();
}
