//! A JSON object a line: nginx and Apache with keys of anybody's choice, Caddy, Traefik, Envoy.
//! Fields are told by the names that are in use for them.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::capture::access_log::common::status_of;
use crate::capture::access_log::entry::{Entry, Miss, Moment, Read};
use crate::capture::access_log::stamp::{self, MILLISECOND, SECOND, Stamp};
use crate::capture::access_log::text::{Text, is_absent, number};

/// Reads a line.
pub fn read(line: &[u8]) -> Read<'static> {
    let object = parse(line).ok_or(Miss::NotUnderstood("it is no JSON object"))?;
    let mut found = Found::default();
    found.object(&object, 0);
    found.entry()
}

/// A format made by hand without `escape=json` has nginx' own escapes in it, which are none of
/// JSON's.
fn parse(line: &[u8]) -> Option<Map<String, Value>> {
    if let Ok(object) = serde_json::from_slice(line) {
        return Some(object);
    }
    let text = String::from_utf8_lossy(line);
    serde_json::from_str(&text.replace("\\x", "\\u00")).ok()
}

/// Values by what they are; of several names for the same thing the more exact one counts.
#[expect(clippy::struct_excessive_bools, reason = "each stands for a key that was seen")]
#[derive(Debug, Default)]
struct Found {
    entry: Entry<'static>,
    time: Option<(u8, Stamp, Moment)>,
    request: Text<'static>,
    target_rank: u8,
    host_rank: u8,
    sent_rank: u8,
    query: Text<'static>,
    duration: Option<String>,
    unit: Option<u64>,
    /// The key of a field that only Traefik, or only Envoy, has.
    is_traefik: bool,
    is_envoy: bool,
    /// nginx' own name of the duration: its lines are written at the end.
    is_nginx: bool,
    bad_status: bool,
}

impl Found {
    fn object(&mut self, object: &Map<String, Value>, depth: u8) {
        for (key, value) in object {
            let key = key.to_ascii_lowercase().replace('-', "_");
            match value {
                Value::Object(inner) if depth < 2 && matches!(&key[..], "request" | "headers") => {
                    self.object(inner, depth + 1);
                }
                Value::Object(_) if key == "tls" => self.entry.scheme = Cow::Borrowed(b"https"),
                // Caddy's headers have lists of values.
                Value::Array(values) if depth == 2 => {
                    if let Some(value) = values.first().and_then(plain) {
                        self.field(&key, value);
                    }
                }
                _ => {
                    if let Some(value) = plain(value) {
                        self.field(&key, value);
                    }
                }
            }
        }
    }

    fn field(&mut self, key: &str, value: String) {
        if is_absent(value.as_bytes()) {
            return;
        }
        match key {
            "startutc" => self.moment(9, &value, Moment::Start),
            "start_time" | "starttime" | "startlocal" => self.moment(8, &value, Moment::Start),
            "msec" | "ts" => self.moment(7, &value, Moment::End),
            "time_iso8601" | "time_local" => self.moment(6, &value, Moment::End),
            "time" | "@timestamp" | "timestamp" | "date" | "datetime" => {
                self.moment(5, &value, Moment::Unknown);
            }
            "request_time" => {
                self.is_nginx = true;
                self.duration = Some(value);
            }
            "duration" => self.duration = Some(value),
            "duration_ms" | "response_time_ms" | "request_time_ms" => {
                (self.duration, self.unit) = (Some(value), Some(MILLISECOND));
            }
            "status" | "downstreamstatus" | "response_code" | "status_code" => {
                self.is_traefik |= key == "downstreamstatus";
                match status_of(value.as_bytes()) {
                    Ok(status) => self.entry.status = status,
                    Err(_) => self.bad_status = true,
                }
            }
            "response_flags" | "bytes_received" => {
                self.is_envoy = true;
                self.entry.received = number(value.as_bytes()).or(self.entry.received);
            }
            "bytes_read" | "requestcontentsize" => self.entry.received = number(value.as_bytes()),
            "body_bytes_sent" | "downstreamcontentsize" => self.sent(3, &value),
            "size" | "length" | "bytes" | "response_size" => self.sent(2, &value),
            "bytes_sent" => self.sent(1, &value),
            _ => self.text(key, Cow::Owned(value.into_bytes())),
        }
    }

    fn text(&mut self, key: &str, value: Text<'static>) {
        let entry = &mut self.entry;
        match key {
            "request" | "request_line" => self.request = value,
            "method" | "request_method" | "requestmethod" | "verb" | "http_method" => {
                entry.method = value;
            }
            "request_uri" | "requestpath" | "x_envoy_original_path" => self.target(3, value),
            "uri" | "path" | "url" | "request_path" => self.target(2, value),
            "args" | "query_string" | "query" => self.query = value,
            "proto" | "protocol" | "server_protocol" | "requestprotocol" | "http_version" => {
                entry.version = value;
            }
            "http_host" | "requesthost" | "authority" => self.host(3, value),
            "host" | "vhost" => self.host(2, value),
            "server_name" => self.host(1, value),
            "scheme" | "requestscheme" => entry.scheme = value,
            "client_ip"
            | "remote_addr"
            | "clienthost"
            | "ip"
            | "remote_ip"
            | "client"
            | "downstream_remote_address"
            | "remotehost" => entry.client = value,
            "remote_port" | "clientport" | "connection" => entry.connection = value,
            "user_agent" | "http_user_agent" | "request_user_agent" | "agent" | "useragent" => {
                entry.agent = value;
            }
            "referer" | "referrer" | "http_referer" | "http_referrer" | "request_referer" => {
                entry.referer = value;
            }
            _ => {}
        }
    }

    fn moment(&mut self, rank: u8, value: &str, moment: Moment) {
        if let Some(stamp) = stamp::any(value.as_bytes())
            && self.time.is_none_or(|(before, ..)| before < rank)
        {
            self.time = Some((rank, stamp, moment));
        }
    }

    fn target(&mut self, rank: u8, value: Text<'static>) {
        if rank > self.target_rank {
            (self.entry.target, self.target_rank) = (value, rank);
        }
    }

    fn host(&mut self, rank: u8, value: Text<'static>) {
        if rank > self.host_rank {
            (self.entry.authority, self.host_rank) = (value, rank);
        }
    }

    fn sent(&mut self, rank: u8, value: &str) {
        if rank > self.sent_rank {
            (self.entry.sent, self.sent_rank) = (number(value.as_bytes()), rank);
        }
    }

    fn entry(self) -> Read<'static> {
        let Self { mut entry, .. } = self;
        if self.request.is_empty() && entry.target.is_empty() {
            // Servers log other messages in the same file.
            return Err(Miss::OtherMessage);
        }
        let (_, time, moment) = self.time.ok_or(Miss::NotUnderstood("no key has a time"))?;
        if self.bad_status {
            return Err(Miss::NotUnderstood("the status is none"));
        }
        let is_end = moment == Moment::Unknown && self.is_nginx;
        (entry.time, entry.moment) = (time, if is_end { Moment::End } else { moment });
        let unit = self.unit.unwrap_or(match (self.is_traefik, self.is_envoy) {
            (true, _) => 1,
            (_, true) => MILLISECOND,
            _ => SECOND,
        });
        let duration = self.duration.as_ref();
        entry.duration = duration.and_then(|text| stamp::decimal(text.as_bytes(), unit));
        if !self.request.is_empty() && entry.target.is_empty() {
            entry.request_line(self.request)?;
        }
        entry.split_absolute();
        if !self.query.is_empty() && !entry.target.contains(&b'?') {
            entry.target = Cow::Owned([&entry.target[..], b"?", &self.query[..]].concat());
        }
        Ok(entry)
    }
}

/// A string, or a number by its digits.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(unscientific(&number.to_string())),
        _ => None,
    }
}

/// Small durations are printed as `8.5e-5`.
fn unscientific(text: &str) -> String {
    let Some((digits, exponent)) = text.split_once("e-") else {
        return text.to_owned();
    };
    match exponent.parse::<usize>() {
        Ok(exponent @ 1..=20) => {
            let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
            format!("0.{}{whole}{fraction}", "0".repeat(exponent - 1))
        }
        _ => "0".to_owned(),
    }
}
