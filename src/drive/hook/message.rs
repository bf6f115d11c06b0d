//! A request as a line of JSON, and the line that comes back.
//!
//! What comes back unchanged keeps its bytes: order, case and blanks of lines, and bytes that are
//! no text. What frames the request stays, and its length follows its body.

use std::sync::Arc;

use ::bytes::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::drive::follow::put::Changes;
use crate::plan::Arrival;
use crate::plan::edit::{fields, spliced, target};
use crate::plan::retarget::same_place;

#[derive(Serialize)]
struct Question {
    /// Position in the plan.
    index: u64,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body_base64: String,
    /// Length of a body that is sent from the disk, of which `body_base64` has nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_bytes: Option<u64>,
    /// Since the start of the run.
    due_ns: u64,
}

/// What is absent stays.
#[derive(Deserialize)]
struct Reply {
    index: Option<u64>,
    method: Option<String>,
    target: Option<String>,
    headers: Option<Vec<(String, String)>>,
    body_base64: Option<String>,
    skip: Option<String>,
}

/// What a hook makes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// It is sent like this.
    Request,
    /// It is not to be sent.
    Skipped,
    /// It is the answer about another one.
    OutOfStep,
    /// The line is none, or nothing that can be sent.
    Nothing,
}

/// What frames a request or rules its connection, which a hook cannot change.
const FRAMING: [&str; 8] = [
    "Content-Length",
    "Transfer-Encoding",
    "Host",
    "Expect",
    "Connection",
    "Upgrade",
    "TE",
    "Trailer",
];

/// The line about a request, with its end; `None` where the request cannot be told.
pub(super) fn line(arrival: &Arrival) -> Option<Vec<u8>> {
    let question = Question {
        index: arrival.index,
        method: arrival.method.to_string(),
        target: text(&arrival.head, target(&arrival.head)?),
        headers: headers(&arrival.head),
        body_base64: STANDARD.encode(body_of(arrival)?),
        body_bytes: arrival.streamed.as_ref().map(|streamed| streamed.body.length()),
        due_ns: u64::try_from(arrival.due.as_nanos()).unwrap_or(u64::MAX),
    };
    let mut line = serde_json::to_vec(&question).ok()?;
    line.push(b'\n');
    Some(line)
}

/// Makes of a request what a hook answered.
pub(super) fn apply(arrival: &mut Arrival, answer: &[u8]) -> Made {
    let Ok(reply) = serde_json::from_slice::<Reply>(answer) else { return Made::Nothing };
    if reply.index.is_some_and(|index| index != arrival.index) {
        return Made::OutOfStep;
    }
    if reply.skip.is_some() {
        return Made::Skipped;
    }
    match changed(arrival, reply) {
        Some((method, head, body)) => {
            (arrival.head, arrival.body) = (head, body);
            if *method != *arrival.method {
                arrival.method = Arc::from(method);
            }
            Made::Request
        }
        None => Made::Nothing,
    }
}

fn changed(arrival: &Arrival, reply: Reply) -> Option<(String, Bytes, Bytes)> {
    let head = &arrival.head;
    let mut edits = Vec::new();
    let place = target(head)?;
    let method = reply.method.unwrap_or_else(|| arrival.method.to_string());
    let is_tunnel = method == "CONNECT" && *arrival.method != *"CONNECT";
    if is_tunnel || !is_token(&method) {
        return None;
    }
    let start = memchr::memmem::find(head.get(..place.start)?, arrival.method.as_bytes())?;
    if method != *arrival.method {
        edits.push((start..start + arrival.method.len(), method.clone().into_bytes()));
    }
    if let Some(new) = reply.target.filter(|new| *new != text(head, place.clone())) {
        let old = head.get(place.clone()).unwrap_or_default();
        let is_whole = new.bytes().all(|byte| byte > b' ' && byte != 0x7f);
        if !is_whole || !same_place(old, new.as_bytes()) {
            return None;
        }
        edits.push((place, new.into_bytes()));
    }
    if let Some(new) = reply.headers
        && new != headers(head)
    {
        edits.push(lines(head, &new)?);
    }
    let head = Bytes::from(spliced(head, &edits));
    let Some(body) = reply.body_base64 else { return Some((method, head, arrival.body.clone())) };
    let body = STANDARD.decode(body).ok()?;
    if arrival.streamed.is_some() && !body.is_empty() {
        return None;
    }
    if body == body_of(arrival)? {
        return Some((method, head, arrival.body.clone()));
    }
    let mut changes = Changes::new(&head, &arrival.body, arrival.protocol);
    if !changes.set_body(body) {
        return None;
    }
    let (head, body) = changes.made()?;
    Some((method, head, body))
}

/// Other header lines in the place of those that are there.
fn lines(head: &[u8], new: &[(String, String)]) -> Option<(std::ops::Range<usize>, Vec<u8>)> {
    let old: Vec<_> = fields(head).collect();
    let told = headers(head);
    let framing = |list: &[(String, String)]| -> Vec<(String, String)> {
        let frames = |name: &str| FRAMING.iter().any(|own| own.eq_ignore_ascii_case(name));
        let framing = list.iter().filter(|(name, _)| frames(name));
        framing.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect()
    };
    if framing(&told) != framing(new) {
        return None;
    }
    let mut used = vec![false; old.len()];
    let mut out = Vec::new();
    for (name, value) in new {
        let is_same = |at: &usize| {
            used.get(*at) == Some(&false)
                && told.get(*at).is_some_and(|own| own.0 == *name && own.1 == *value)
        };
        if let Some(at) = (0..old.len()).find(is_same) {
            if let Some(used) = used.get_mut(at) {
                *used = true;
            }
            out.extend_from_slice(head.get(old.get(at)?.line.clone())?);
            continue;
        }
        let is_line = value.chars().all(|c| !c.is_control() || c == '\t');
        if !is_token(name) || !is_line {
            return None;
        }
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    let (first, last) = (old.first()?, old.last()?);
    Some((first.line.start..last.line.end, out))
}

/// What may be a method or the name of a header.
fn is_token(text: &str) -> bool {
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(may_stand)
}

fn headers(head: &[u8]) -> Vec<(String, String)> {
    fields(head).map(|field| (text(head, field.name), text(head, field.value))).collect()
}

fn text(bytes: &[u8], range: std::ops::Range<usize>) -> String {
    String::from_utf8_lossy(bytes.get(range).unwrap_or_default()).into_owned()
}

/// The body without chunks; nothing of one on the disk.
fn body_of(arrival: &Arrival) -> Option<Vec<u8>> {
    if arrival.streamed.is_some() {
        return Some(Vec::new());
    }
    Changes::new(&arrival.head, &arrival.body, arrival.protocol).body().map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::streamed::Streamed;
    use crate::recording::stored::Stored;
    use crate::summary::examples;

    fn arrival(head: &str, body: &str) -> Arrival {
        let mut arrival = examples::arrival(0, Duration::from_millis(7));
        arrival.method = Arc::from(head.split(' ').next().unwrap());
        arrival.head = Bytes::from(head.to_owned());
        arrival.body = Bytes::from(body.to_owned());
        arrival
    }

    const POST: &str = "POST /a?b HTTP/1.1\r\nhost:  h\r\nX-One : 1\r\nContent-Length: 2\r\n\r\n";

    fn made(head: &str, body: &str, answer: &str) -> (Made, String) {
        let mut arrival = arrival(head, body);
        let made = apply(&mut arrival, answer.as_bytes());
        (made, String::from_utf8([&arrival.head[..], &arrival.body].concat()).unwrap())
    }

    #[test]
    fn a_request_is_told_and_comes_back_as_it_was() {
        let arrival = arrival(POST, "hi");
        let line = String::from_utf8(line(&arrival).unwrap()).unwrap();
        let expected = r#"{"index":0,"method":"POST","target":"/a?b","#.to_owned()
            + r#""headers":[["host","h"],["X-One","1"],["Content-Length","2"]],"#
            + r#""body_base64":"aGk=","due_ns":7000000}"#
            + "\n";
        assert_eq!(line, expected);
        for answer in [line.as_str(), "{}", "{\"unknown\": 1}"] {
            assert_eq!(made(POST, "hi", answer), (Made::Request, format!("{POST}hi")));
        }
    }

    #[test]
    fn what_is_changed_is_changed_and_the_rest_keeps_its_bytes() {
        let answer = "{\"method\":\"PUT\",\"target\":\"/n?sig=%20\",\"headers\":[[\"X-Sig\",\"s\"],\
                      [\"host\",\"h\"],[\"X-One\",\"2\"],[\"Content-Length\",\"2\"]],\
                      \"body_base64\":\"aGVsbG8=\"}";
        let expected = "PUT /n?sig=%20 HTTP/1.1\r\nX-Sig: s\r\nhost:  h\r\nX-One: 2\r\n\
                        Content-Length: 5\r\n\r\nhello";
        assert_eq!(made(POST, "hi", answer), (Made::Request, expected.to_owned()));
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let body = "2\r\nhi\r\n0\r\n\r\n";
        assert_eq!(
            made(chunked, body, "{\"body_base64\":\"aGVsbG8=\"}").1,
            format!("{chunked}5\r\nhello\r\n0\r\n\r\n")
        );
    }

    /// It may sign a target, and cannot put a body in the place of one that it has not seen.
    #[test]
    fn of_a_body_on_the_disk_its_length_is_told() {
        let head = "PUT /a?b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let streamed = Streamed::chunked(&Stored::numbered(0, 3 << 20), None);
        let mut arrival = arrival(head, "");
        arrival.streamed = Some(Arc::new(streamed));
        let line = String::from_utf8(line(&arrival).unwrap()).unwrap();
        assert!(line.contains(r#""body_base64":"","body_bytes":3145728,"#), "{line}");
        assert_eq!(apply(&mut arrival, line.as_bytes()), Made::Request);
        assert_eq!(apply(&mut arrival, b"{\"body_base64\":\"aGk=\"}"), Made::Nothing);
        assert_eq!(apply(&mut arrival, b"{\"target\":\"/a?sig\"}"), Made::Request);
        assert!(arrival.head.starts_with(b"PUT /a?sig HTTP/1.1\r\n"));
        assert!(arrival.streamed.is_some() && arrival.body.is_empty());
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let (skipped, all) = made(POST, "hi", "{\"skip\":\"a reason\"}");
        assert_eq!((skipped, all), (Made::Skipped, format!("{POST}hi")));
        let (other, all) = made(POST, "hi", "{\"index\":1,\"method\":\"PUT\"}");
        assert_eq!((other, all), (Made::OutOfStep, format!("{POST}hi")));
        for answer in [
            "",
            "no json",
            "[]",
            "{\"method\":\"A B\"}",
            "{\"method\":\"\"}",
            "{\"target\":\"/a b\"}",
            "{\"target\":\"\"}",
            "{\"target\":\"/\\r\\nX: y\"}",
            "{\"headers\":[[\"host\",\"h\"],[\"Content-Length\",\"3\"]]}",
            "{\"headers\":[[\"host\",\"other\"],[\"Content-Length\",\"2\"]]}",
            "{\"headers\":[[\"host\",\"h\"],[\"Content-Length\",\"2\"],[\"A\",\"b\\r\\nC: d\"]]}",
            "{\"headers\":[[\"host\",\"h\"],[\"Content-Length\",\"2\"],[\"A b\",\"c\"]]}",
            "{\"body_base64\":\"?\"}",
        ] {
            let (what, all) = made(POST, "hi", answer);
            assert_eq!((what, all), (Made::Nothing, format!("{POST}hi")), "{answer}");
        }
        let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
        let (what, _) = made(get, "", "{\"body_base64\":\"aGk=\"}");
        assert_eq!(what, Made::Nothing, "a body that nothing announces");
    }
}
