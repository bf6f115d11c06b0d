//! Puts values into a request, where it has a place for them. A request that has none is left
//! alone.

use std::borrow::Cow;
use std::ops::Range;

use ::bytes::Bytes;

use crate::plan::edit::{fields, spliced, target};
use crate::plan::retarget::{escaped, parameter_name, same_place};
use crate::plan::token::occurrences;
use crate::protocol::Protocol;
use crate::protocol::http1::body::{BodyDecoder, Framing};
use crate::protocol::http1::chunks::{one_chunk, trailers};

/// A request that is being changed.
pub(crate) struct Changes<'a> {
    head: Cow<'a, [u8]>,
    body: &'a Bytes,
    /// The body without chunks, and its trailers where it had some, once it was looked at.
    plain: Option<(Vec<u8>, Option<Vec<u8>>)>,
    is_body_changed: bool,
    protocol: Protocol,
}

type Edits = Vec<(Range<usize>, Vec<u8>)>;

impl<'a> Changes<'a> {
    pub(crate) fn new(head: &'a Bytes, body: &'a Bytes, protocol: Protocol) -> Self {
        let head = Cow::Borrowed(&head[..]);
        Self { head, body, plain: None, is_body_changed: false, protocol }
    }

    /// Head and body, if anything changed. The length that is announced is that of the body.
    pub(crate) fn made(mut self) -> Option<(Bytes, Bytes)> {
        let body = match self.plain.take().filter(|_| self.is_body_changed) {
            None => self.body.clone(),
            Some((body, Some(trailers))) => Bytes::from(one_chunk(&body, &trailers)),
            Some((body, None)) => {
                let length = body.len().to_string();
                self.set_headers("Content-Length", |_| Some(length.clone().into_bytes()));
                Bytes::from(body)
            }
        };
        match self.head {
            Cow::Borrowed(_) if !self.is_body_changed => None,
            head => Some((Bytes::from(head.into_owned()), body)),
        }
    }

    /// Replaces a recorded value in path and query. What would lead to another host is not put in.
    pub(crate) fn in_target(&mut self, recorded: &[u8], value: &[u8], is_escaped: bool) -> bool {
        let Some(place) = target(&self.head) else { return false };
        let text = self.head.get(place.clone()).unwrap_or_default();
        let query = text.iter().position(|byte| *byte == b'?').unwrap_or(text.len());
        // Whether production's value needed it says nothing of this one.
        let in_path = |byte: &u8| byte.is_ascii_graphic() && !b"?#%".contains(byte);
        let in_query = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        let edits: Edits = occurrences(text, recorded)
            .map(|at| {
                let is_plain = if at < query {
                    !is_escaped && value.iter().all(in_path)
                } else {
                    value.iter().all(in_query)
                };
                (at..at + recorded.len(), as_it_stands(value, is_plain))
            })
            .collect();
        if !same_place(text, &spliced(text, &edits)) {
            return false;
        }
        self.edit(&moved(edits, place.start))
    }

    /// Replaces a recorded value in headers of a name.
    pub(crate) fn in_header(&mut self, name: &str, recorded: &[u8], value: &[u8]) -> bool {
        let head = &self.head;
        let mut edits = Edits::new();
        for field in fields(head).filter(|field| field.is_named(head, name)) {
            let text = head.get(field.value.clone()).unwrap_or_default();
            edits.extend(replacing(text, recorded, value, field.value.start));
        }
        self.edit(&edits)
    }

    /// Replaces a recorded value in the body.
    pub(crate) fn in_body(&mut self, recorded: &[u8], value: &[u8], is_escaped: bool) -> bool {
        let is_form = self.says("Content-Type", "application/x-www-form-urlencoded");
        let Some(body) = self.plain_body() else { return false };
        let value = match body.trim_ascii_start().first() {
            _ if is_escaped || is_form => escaped(&String::from_utf8_lossy(value)).into_bytes(),
            Some(b'{' | b'[') => json_escaped(value),
            _ => value.to_vec(),
        };
        let edits = replacing(body, recorded, &value, 0);
        self.edit_body(&edits)
    }

    /// Sets a header that is there; says whether it is.
    pub(crate) fn header(&mut self, name: &str, value: Option<&Bytes>) -> bool {
        self.set_headers(name, |_| value.map(|value| value.to_vec()))
    }

    /// Sets a parameter of the query that is there; says whether it is.
    pub(crate) fn query(&mut self, name: &str, value: Option<&Bytes>) -> bool {
        let Some(place) = target(&self.head) else { return false };
        let text = self.head.get(place.clone()).unwrap_or_default();
        let Some(query) = text.iter().position(|byte| *byte == b'?') else { return false };
        let end = text.iter().position(|byte| *byte == b'#').unwrap_or(text.len());
        let (found, edits) = parameter(text.get(query + 1..end), name, value);
        let edits = moved(edits, place.start + query + 1);
        self.edit(&edits);
        found
    }

    /// Sets a field of a form in the body that is there; says whether it is.
    pub(crate) fn form(&mut self, name: &str, value: Option<&Bytes>) -> bool {
        if !self.says("Content-Type", "application/x-www-form-urlencoded") {
            return false;
        }
        let Some(body) = self.plain_body() else { return false };
        let (found, edits) = parameter(Some(body), name, value);
        self.edit_body(&edits);
        found
    }

    /// Sets texts of a name in a body of JSON that are there; says whether any is.
    pub(crate) fn json(&mut self, name: &str, value: Option<&Bytes>) -> bool {
        if !self.says("Content-Type", "json") {
            return false;
        }
        let Some(body) = self.plain_body() else { return false };
        let key = [b"\"", &json_escaped(name.as_bytes())[..], b"\""].concat();
        let places: Vec<Range<usize>> = memchr::memmem::find_iter(body, &key)
            .filter_map(|at| text_behind(body, at + key.len()))
            .collect();
        let found = !places.is_empty();
        let value = value.map(|value| json_escaped(value));
        let edits: Edits =
            places.into_iter().filter_map(|place| Some((place, value.clone()?))).collect();
        self.edit_body(&edits);
        found
    }

    /// The body without chunks; `None` where its chunks cannot be read.
    pub(crate) fn body(&mut self) -> Option<&[u8]> {
        self.plain_body()
    }

    /// Sets the body, where the head announces one.
    pub(crate) fn set_body(&mut self, body: Vec<u8>) -> bool {
        let is_framed = fields(&self.head).any(|field| {
            field.is_named(&self.head, "Content-Length")
                || field.is_named(&self.head, "Transfer-Encoding")
        });
        let is_framed = is_framed || self.protocol == Protocol::Http2;
        if !is_framed || self.plain_body().is_none() {
            return false;
        }
        if let Some((plain, _)) = &mut self.plain {
            *plain = body;
            self.is_body_changed = true;
        }
        true
    }

    /// Gives the recorded cookies of a request that has some, and puts others in their place.
    pub(crate) fn cookies(&mut self, change: impl FnOnce(&str) -> Option<String>) {
        let head = &self.head;
        let lines: Vec<_> = fields(head).filter(|field| field.is_named(head, "Cookie")).collect();
        let Some(first) = lines.first() else { return };
        let text = |field: &crate::plan::edit::Field| {
            String::from_utf8_lossy(head.get(field.value.clone()).unwrap_or_default()).into_owned()
        };
        let recorded = lines.iter().map(text).collect::<Vec<_>>().join("; ");
        let mut edits = Edits::new();
        match change(&recorded) {
            Some(cookies) if cookies == recorded => return,
            Some(cookies) => edits.push((first.value.clone(), cookies.into_bytes())),
            None => edits.push((first.line.clone(), Vec::new())),
        }
        edits.extend(lines.iter().skip(1).map(|field| (field.line.clone(), Vec::new())));
        self.edit(&edits);
    }

    fn set_headers(&mut self, name: &str, value: impl Fn(&[u8]) -> Option<Vec<u8>>) -> bool {
        let head = &self.head;
        let (mut found, mut edits) = (false, Edits::new());
        for field in fields(head).filter(|field| field.is_named(head, name)) {
            found = true;
            if let Some(value) = value(head.get(field.value.clone()).unwrap_or_default()) {
                edits.push((field.value, value));
            }
        }
        self.edit(&edits);
        found
    }

    fn says(&self, name: &str, word: &str) -> bool {
        fields(&self.head).filter(|field| field.is_named(&self.head, name)).any(|field| {
            let value = self.head.get(field.value).unwrap_or_default().to_ascii_lowercase();
            memchr::memmem::find(&value, word.as_bytes()).is_some()
        })
    }

    /// The body without chunks; `None` where its chunks cannot be read.
    fn plain_body(&mut self) -> Option<&[u8]> {
        if self.plain.is_none() {
            let is_chunked =
                self.protocol != Protocol::Http2 && self.says("Transfer-Encoding", "chunked");
            self.plain = Some(if is_chunked {
                let (body, trailers) = dechunked(self.body)?;
                (body, Some(trailers))
            } else {
                (self.body.to_vec(), None)
            });
        }
        self.plain.as_ref().map(|(body, _)| &body[..])
    }

    fn edit(&mut self, edits: &[(Range<usize>, Vec<u8>)]) -> bool {
        if !edits.is_empty() {
            self.head = Cow::Owned(spliced(&self.head, edits));
        }
        !edits.is_empty()
    }

    fn edit_body(&mut self, edits: &[(Range<usize>, Vec<u8>)]) -> bool {
        if let Some((body, _)) = self.plain.as_mut().filter(|_| !edits.is_empty()) {
            *body = spliced(body, edits);
            self.is_body_changed = true;
        }
        !edits.is_empty()
    }
}

fn as_it_stands(value: &[u8], is_plain: bool) -> Vec<u8> {
    if is_plain { value.to_vec() } else { escaped(&String::from_utf8_lossy(value)).into_bytes() }
}

fn replacing(text: &[u8], recorded: &[u8], value: &[u8], start: usize) -> Edits {
    occurrences(text, recorded)
        .map(|at| (start + at..start + at + recorded.len(), value.to_vec()))
        .collect()
}

fn moved(edits: Edits, by: usize) -> Edits {
    edits.into_iter().map(|(at, new)| (at.start + by..at.end + by, new)).collect()
}

/// Whether a parameter is in a query or a form, and what sets it.
fn parameter(text: Option<&[u8]>, name: &str, value: Option<&Bytes>) -> (bool, Edits) {
    let (mut at, mut found, mut edits) = (0, false, Edits::new());
    for part in text.unwrap_or_default().split(|byte| *byte == b'&') {
        if let Some(equal) = part.iter().position(|byte| *byte == b'=')
            && parameter_name(part.get(..equal).unwrap_or_default()) == name
        {
            found = true;
            let value = value.map(|value| escaped(&String::from_utf8_lossy(value)).into_bytes());
            edits.extend(value.map(|value| (at + equal + 1..at + part.len(), value)));
        }
        at += part.len() + 1;
    }
    (found, edits)
}

/// The text of JSON that is the value of a key which ends at `at`.
fn text_behind(body: &[u8], at: usize) -> Option<Range<usize>> {
    let skip = |at: usize| {
        let rest = body.get(at..).unwrap_or_default();
        at + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
    };
    let colon = skip(at);
    (body.get(colon)? == &b':').then_some(())?;
    let quote = skip(colon + 1);
    (body.get(quote)? == &b'"').then_some(())?;
    let (start, mut end) = (quote + 1, quote + 1);
    loop {
        match body.get(end)? {
            b'"' => return Some(start..end),
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
}

/// A value as it stands between the quotes of a text of JSON.
fn json_escaped(value: &[u8]) -> Vec<u8> {
    let text = serde_json::Value::from(String::from_utf8_lossy(value)).to_string();
    text.get(1..text.len().saturating_sub(1)).unwrap_or_default().as_bytes().to_vec()
}

/// A body in chunks: its bytes, and its trailers; `None` where it is cut or broken.
fn dechunked(wire: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (mut decoder, mut rest) = (BodyDecoder::new(Framing::Chunked), wire);
    let (mut body, mut framing) = (Vec::with_capacity(wire.len()), Vec::new());
    while !decoder.is_complete() {
        let step = decoder.decode(rest).ok()?;
        let (before, behind) = rest.split_at_checked(step.consumed)?;
        let data = before.get(step.data.0..step.data.1)?;
        body.extend_from_slice(data);
        framing.extend_from_slice(before.get(..step.data.0)?);
        framing.extend_from_slice(before.get(step.data.1..)?);
        if behind.is_empty() && !step.complete {
            return None;
        }
        rest = behind;
    }
    Some((body, trailers(&framing).to_vec()))
}

#[cfg(test)]
mod tests;
