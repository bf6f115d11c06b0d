//! Targets as text: a line with method and URL, lines of headers, perhaps a line `@file` with the
//! body's file, and a blank line.

use std::mem;

use crate::capture::vegeta::body::Body;
use crate::capture::vegeta::{NOT_UNDERSTOOD, Read, Target};
use crate::protocol::http1::head::MAX_HEAD;

/// The target that is being read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    state: State,
    /// Bytes of its lines so far.
    bytes: usize,
    /// Targets that began although the one before had headers and no blank line behind it, where
    /// vegeta takes their first line for one more header.
    pub(super) unparted: u64,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Between,
    Inside(Target),
    /// Behind something that was not understood, up to the next blank line.
    Lost,
}

impl Reading {
    /// Takes the next line; what it ends.
    pub(super) fn line(&mut self, line: &[u8]) -> Vec<Read> {
        let line = line.trim_ascii();
        self.bytes += line.len();
        if line.starts_with(b"#") {
            return Vec::new();
        }
        if line.is_empty() {
            return self.end().into_iter().collect();
        }
        let begins = first_line(line);
        match &mut self.state {
            State::Lost => {}
            State::Between => match begins {
                Some(target) => {
                    self.bytes = line.len();
                    self.state = State::Inside(target);
                }
                None => return self.lose(),
            },
            State::Inside(target) => {
                // Behind headers, words in capitals may be one more name of a header.
                if let Some(next) =
                    begins.filter(|next| target.lines.is_empty() || next.url.contains("://"))
                {
                    self.unparted += u64::from(!target.lines.is_empty());
                    self.bytes = line.len();
                    return vec![Ok(mem::replace(target, next))];
                }
                if self.bytes > MAX_HEAD {
                    return self.lose();
                }
                if let Some(name) = line.strip_prefix(b"@") {
                    let Ok(name) = str::from_utf8(name) else { return self.lose() };
                    target.body = Body::File(name.trim().to_owned());
                    return self.end().into_iter().collect();
                }
                match header(line) {
                    Some(header) => target.lines.push(header),
                    None => return self.lose(),
                }
            }
        }
        Vec::new()
    }

    /// There is nothing more of the target.
    pub(super) fn end(&mut self) -> Option<Read> {
        match mem::take(&mut self.state) {
            State::Inside(target) => Some(Ok(target)),
            State::Between | State::Lost => None,
        }
    }

    fn lose(&mut self) -> Vec<Read> {
        self.state = State::Lost;
        vec![Err(NOT_UNDERSTOOD)]
    }
}

/// A method in capitals, a blank, and the rest as URL.
fn first_line(line: &[u8]) -> Option<Target> {
    let (method, url) = str::from_utf8(line).ok()?.split_once(' ')?;
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
    is_method.then(|| Target {
        method: method.to_owned(),
        url: url.trim().to_owned(),
        ..Target::default()
    })
}

fn header(line: &[u8]) -> Option<(String, String)> {
    let (name, value) = str::from_utf8(line).ok()?.split_once(':')?;
    let (name, value) = (name.trim(), value.trim());
    (!name.is_empty() && !value.is_empty()).then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(text: &str) -> (Vec<String>, u64) {
        let mut reading = Reading::default();
        let mut reads: Vec<Read> =
            text.split('\n').flat_map(|line| reading.line(line.as_bytes())).collect();
        reads.extend(reading.end());
        let shown = reads.into_iter().map(|read| match read {
            Err(why) => why.to_owned(),
            Ok(Target { method, url, lines, body }) => {
                let lines: Vec<String> =
                    lines.iter().map(|(name, value)| format!("{name}={value}")).collect();
                let body = match body {
                    Body::File(name) => format!(" @{name}"),
                    _ => String::new(),
                };
                format!("{method} {url} [{}]{body}", lines.join(" "))
            }
        });
        (shown.collect(), reading.unparted)
    }

    #[test]
    fn targets_are_parted_by_blank_lines_bodies_and_first_lines() {
        let text = "# comment\n\nGET http://a/1\nGET http://a/2\r\nX-Y: a: b\r\n# c\n Host : h\n\n\
                    POST http://a/3\nContent-Type: text/plain\n@body/3.txt\nGET http://a/4 x\n";
        let expected = [
            "GET http://a/1 []",
            "GET http://a/2 [X-Y=a: b Host=h]",
            "POST http://a/3 [Content-Type=text/plain] @body/3.txt",
            "GET http://a/4 x []",
        ];
        assert_eq!(targets(text), (expected.map(str::to_owned).to_vec(), 0));
    }

    #[test]
    fn a_missing_blank_line_is_noticed() {
        let expected = ["GET http://a/1 [X=y]", "GET http://a/2 []"];
        let found = targets("GET http://a/1\nX: y\nGET http://a/2");
        assert_eq!(found, (expected.map(str::to_owned).to_vec(), 1));
    }

    #[test]
    fn what_is_none_costs_what_comes_up_to_the_blank_line() {
        let lost = NOT_UNDERSTOOD;
        let expected = [lost, "GET http://a/2 []", lost, "GET http://a/4 []"];
        let text = "get http://a/1\nX: y\n\nGET http://a/2\n\nGET http://a/3\nno header\nA: b\n\n\
                    GET http://a/4";
        assert_eq!(targets(text), (expected.map(str::to_owned).to_vec(), 0));
        let long = format!("GET http://a/1\nA: {}\nB: c\n\nGET http://a/2", "x".repeat(MAX_HEAD));
        assert_eq!(targets(&long).0, [lost, "GET http://a/2 []"]);
    }
}
