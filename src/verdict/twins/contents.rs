//! Twins of bodies whose contents are not production's.

use std::sync::Arc;

use super::answers::answering;
use super::named;
use crate::plan::answers::Answer;
use crate::recording::contents::Contents;
use crate::verdict::{Outcome, Verdict};

fn with(shape: &str) -> Contents {
    Contents { shape: Some(shape.into()), ..Contents::default() }
}

#[test]
fn a_field_that_is_gone_is_told_by_its_name_and_one_that_comes_and_goes_is_not() {
    let gone = answering(|_, arrival, sample| {
        let answer = Answer {
            status: 200,
            contents: with("id: number\nprice: number"),
            ..Answer::default()
        };
        arrival.answers.recorded = Some(Arc::new(answer));
        sample.contents = Some(Box::new(with("id: number")));
    });
    let finding = named(&gone, "response-content");
    let title = "GET /item/*: `price: number` is in 0 of 3\u{202f}000 bodies, and was in \
                 3\u{202f}000 of those recorded";
    assert_eq!((finding.outcome, finding.title.as_str()), (Outcome::Unknown, title));
    let now_and_then = answering(|index, arrival, sample| {
        let shape = |at: u64| if at % 7 < 3 { "id: number\nnote: string" } else { "id: number" };
        let contents = with(shape(index * 5 + 1));
        let answer = Answer { status: 200, contents, ..Answer::default() };
        arrival.answers.recorded = Some(Arc::new(answer));
        sample.contents = Some(Box::new(with(shape(index * 11 + 2))));
    });
    let finding = named(&now_and_then, "response-content");
    assert_eq!(finding.outcome, Outcome::Pass, "{finding:#?}");
}

#[test]
fn bytes_that_never_differed_are_told_and_dates_in_a_page_are_not() {
    let digests = |before: u8, recorded: u8, answered: u8| {
        let with = |byte| Contents { digest: Some([byte; 16]), ..Contents::default() };
        let answer = move |byte| {
            Some(Arc::new(Answer { status: 200, contents: with(byte), ..Answer::default() }))
        };
        let verdict = answering(|index, arrival, sample| {
            arrival.answers.recorded = answer(recorded);
            arrival.answers.before = answer(before).filter(|_| index > 0);
            sample.contents = Some(Box::new(with(answered)));
        });
        named(&verdict, "response-content").clone()
    };
    let told = digests(1, 1, 2);
    assert!(
        told.title.contains("3\u{202f}000 bodies differ from those recorded, and 0 %"),
        "{told:#?}"
    );
    for (before, recorded, answered) in [(1, 2, 3), (1, 1, 1)] {
        let same = digests(before, recorded, answered);
        assert_eq!(same.outcome, Outcome::Pass, "{same:#?}");
    }
}

fn answered_with(contents: impl Fn(u64) -> [Contents; 2]) -> Verdict {
    answering(|index, arrival, sample| {
        let [recorded, answered] = contents(index);
        let answer = Answer { status: 200, contents: recorded, ..Answer::default() };
        arrival.answers.recorded = Some(Arc::new(answer));
        sample.contents = Some(Box::new(answered));
    })
}

/// A page instead of JSON is told; what could not be looked into is neither told nor a pass.
#[test]
fn no_json_where_json_was_is_told_and_what_is_not_known_is_no_pass() {
    let page = Contents { is_no_json: true, ..Contents::default() };
    let verdict = answered_with(|index| {
        let answered = if index.is_multiple_of(3) { page.clone() } else { with("id: number") };
        [with("id: number"), answered]
    });
    let finding = named(&verdict, "response-content");
    let title = "GET /item/*: 1\u{202f}000 of 3\u{202f}000 bodies are no JSON, which all of \
                 those recorded were";
    assert_eq!((finding.outcome, finding.title.as_str()), (Outcome::Unknown, title));

    let unread = answered_with(|_| [with("id: number"), Contents::default()]);
    let finding = named(&unread, "response-content");
    assert_eq!(finding.outcome, Outcome::Unknown, "{finding:#?}");
    assert!(finding.evidence[0].starts_with("3\u{202f}000 bodies where JSON was"), "{finding:#?}");
    // Where some could, they are told to be fewer.
    let some = answered_with(|index| {
        let answered = if index < 9 { Contents::default() } else { with("id: number") };
        [with("id: number"), answered]
    });
    let finding = named(&some, "response-content");
    assert_eq!(finding.outcome, Outcome::Pass, "{finding:#?}");
    assert!(finding.title.starts_with("2\u{202f}991 bodies"), "{finding:#?}");
    assert!(finding.evidence[0].starts_with("9 bodies where JSON was recorded"), "{finding:#?}");
}

/// Values of JSON are others each time, and its fields tell whether it is as it was.
#[test]
fn other_bytes_of_json_with_the_same_fields_are_not_told() {
    let verdict = answered_with(|index| {
        let digest = |byte: u64| Some([u8::try_from(byte % 251).unwrap(); 16]);
        let of = |digest| Contents { digest, ..with("id: number") };
        [of(digest(1)), of(digest(index + 2))]
    });
    let finding = named(&verdict, "response-content");
    assert_eq!(finding.outcome, Outcome::Pass, "{finding:#?}");
}

/// A new release may come when all room for sets of fields is taken.
#[test]
fn a_field_that_is_new_behind_many_sets_of_fields_is_told_and_names_that_are_values_are_not() {
    let shape = |index: u64| format!("id: number\nn{}: null", index % 40);
    let late = answered_with(|index| {
        let more = if index < 1_000 { "" } else { "\nz: number\nz.a: number" };
        [with(&shape(index)), with(&(shape(index) + more))]
    });
    let finding = named(&late, "response-content");
    let title = "GET /item/*: `z: number` is in 2\u{202f}000 of 3\u{202f}000 bodies, and was in 0 \
                 of those recorded (and 1 more difference)";
    assert_eq!((finding.outcome, finding.title.as_str()), (Outcome::Unknown, title));
    assert!(finding.evidence[0].starts_with("`z.a: number` is in"), "{finding:#?}");

    let values = answered_with(|index| {
        let name = |what: &str| format!("id: number\n{what}{index}: null");
        [with(&name("ann")), with(&name("bob"))]
    });
    let finding = named(&values, "response-content");
    assert_eq!(finding.outcome, Outcome::Unknown, "{finding:#?}");
    assert!(finding.title.contains("of none can be said"), "{finding:#?}");
    let told = finding.evidence.join(" ");
    assert!(told.contains("1 route have more names of fields than are told apart"), "{told}");
}
