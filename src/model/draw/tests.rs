use super::*;
use crate::model::edit::{Crowd, Edits};
use crate::model::sizes::Sizes;
use crate::model::sketch::{Law, Sketch};
use crate::model::{Connections, Fitted, Level, Route, State, Step};

/// Sessions of one request each, or of endless ones a millisecond apart.
fn model(ends: f64) -> Model {
    let gap = || Law::Points(Sketch::constant(1e-3));
    Model {
        fitted: Fitted::default(),
        duration: 200.0,
        rate: vec![Level { from: 0.0, sessions: 0.05, busiest: 0 }],
        bursts: None,
        routes: vec![Route {
            name: "GET /".to_owned(),
            keys: None,
            head: Sketch::constant(100.0),
            body: Sizes::none(),
            answer: Sizes::none(),
            statuses: vec![(200, 1.0)],
            first_byte: None,
            rest: None,
        }],
        groups: vec![Group {
            share: 1.0,
            begins: vec![(0, 1.0)],
            elsewhere: Vec::new(),
            states: vec![State {
                from: 0,
                ends,
                next: vec![Step { to: Some(0), share: 1.0 - ends, embedded: false, gap: gap() }],
            }],
        }],
        connections: Connections {
            shared: false,
            when_busy: 1.0,
            when_idle: vec![(60.0, 0.0)],
            held: None,
        },
        edits: Edits::default(),
    }
}

fn drawn(model: &Model, scale: f64) -> (Vec<Drawn>, Vec<(&'static str, u64)>) {
    let mut draw = Draw::new(model, Options { seed: 1, length: None, scale });
    let all = draw.by_ref().collect();
    let notes = draw.notes().collect();
    (all, notes)
}

#[test]
fn what_is_not_drawn_as_the_model_says_is_told() {
    let (all, notes) = drawn(&model(1.0), 1.0);
    assert!(!all.is_empty() && notes.is_empty(), "{notes:?}");
    let (_, notes) = drawn(&model(0.0), 1.0);
    assert!(matches!(notes[..], [("sessions cut after 100 000 requests", _)]), "{notes:?}");
    let crowd = |at| Crowd { at, lasts: 9.0, times: 2.0 };
    let crowds = Edits { crowds: vec![crowd(199.0), crowd(200.0)], ..Edits::default() };
    let (_, notes) = drawn(&Model { edits: crowds, ..model(1.0) }, 1.0);
    assert_eq!(notes, [("crowds not drawn, since they come behind the end", 1)]);
    // More than a million a second are drawn as a million, which is told before the first one.
    let draw = Draw::new(&model(1.0), Options { seed: 1, length: None, scale: 1e9 });
    let notes: Vec<_> = draw.notes().collect();
    assert_eq!(notes, [("stretches of the rate drawn with 1 000 000 sessions a second", 1)]);
}

/// A customer of an edit sends for as long as is drawn.
#[test]
fn an_outlier_does_not_end() {
    let outlier = Outlier { bytes: 7, every: 1e-3 };
    let edits = Edits { outliers: vec![outlier], ..Edits::default() };
    let (all, notes) = drawn(&Model { edits, ..model(1.0) }, 1.0);
    assert_eq!(all.iter().filter(|one| one.body == 7).count(), 200_000);
    assert!(notes.is_empty(), "{notes:?}");
}
