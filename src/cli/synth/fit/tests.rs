use std::fmt::Write as _;
use std::fs;

use super::*;
use crate::recording::closings::Closings;

/// A minute of forty clients, as JSON Lines.
fn minute() -> String {
    let mut text = String::new();
    for request in 0..600_u64 {
        let _ = writeln!(
            text,
            "{{\"at_ns\":{},\"connection\":{},\"method\":\"GET\",\"status\":200,\"authority\":\
             \"shop.example\",\"target\":\"/checkout\",\"first_byte_ns\":9,\"last_byte_ns\":99}}",
            request * 100_000_000,
            request % 40
        );
    }
    text
}

/// The broken twin of a fit: a model's text with something recorded in it. Nothing that is fitted
/// is known to have any, so that the text is changed here, behind the fit.
#[test]
fn a_model_with_something_recorded_in_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peak.jsonl");
    fs::write(&path, minute()).unwrap();
    let loaded = load(&path).unwrap();
    let closings = Closings::default();
    let about = About { length: 60.0, resolution: 1e-9, closings: &closings };
    let open = &mut || loaded.reader.exchanges(None);
    let mut fit = fitted(open, about, Options::default()).unwrap();
    let voice = Voice { quiet: true, colour: false };
    let text = write(&fit.model);
    private(&text, &mut fit, &loaded, voice).unwrap();
    let leaking = format!("{text}# shop.example\n");
    let told = private(&leaking, &mut fit, &loaded, voice).unwrap_err().to_string();
    assert!(told.contains("`shop.example` (recorded in a host)"), "{told}");
    assert!(told.contains("--hide-routes"), "{told}");
    // What cannot be read again is no model, either.
    let broken = text.replacen("duration: ", "duration: -", 1);
    let told = private(&broken, &mut fit, &loaded, voice).unwrap_err().to_string();
    assert!(told.contains("out of range"), "{told}");
}
