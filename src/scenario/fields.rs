//! The single values of a scenario file: a text in, a valid value or a mistake out.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::scenario::hosts::split_host_port;
use crate::scenario::problem::{Mistake, crop, did_you_mean};
use crate::scenario::{TargetSpec, Tier, Window};
use crate::units::{UnitError, format_duration, parse_duration, parse_size};

/// The tiers of tolerances, by name.
pub(crate) const TIERS: [(&str, Tier); 3] =
    [("strict", Tier::Strict), ("standard", Tier::Standard), ("ci", Tier::Ci)];

/// One of a few words.
pub(crate) fn word<T: Copy>(text: &str, known: &[(&str, T)]) -> Result<T, Mistake> {
    if let Some((_, value)) = known.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    Err(Mistake::new(
        format!("unknown value `{}`", crop(text)),
        did_you_mean(text, &names, "the values here are"),
    ))
}

/// A number in a range that is part of the message.
pub(crate) fn factor(text: &str, range: RangeInclusive<f64>) -> Result<f64, Mistake> {
    let hint =
        format!("write a number from {} to {}, such as 1 or 0.5", range.start(), range.end());
    let digits = text.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-' || c == '+');
    let number = text.parse::<f64>().ok().filter(|number| digits && number.is_finite());
    let Some(number) = number else {
        return Err(Mistake::new(format!("`{}` is not a plain number", crop(text)), hint));
    };
    if !range.contains(&number) {
        return Err(Mistake::new(format!("{} is out of range", crop(text)), hint));
    }
    Ok(number)
}

/// A whole number in a range.
pub(crate) fn whole(text: &str, range: RangeInclusive<u64>) -> Result<u64, Mistake> {
    let hint = format!("write a whole number from {} to {}", range.start(), range.end());
    let plain = text.replace('_', "");
    if plain.is_empty() || !plain.chars().all(|c| c.is_ascii_digit()) {
        return Err(Mistake::new(format!("`{}` is not a whole number", crop(text)), hint));
    }
    plain
        .parse::<u64>()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| Mistake::new(format!("{} is out of range", crop(text)), hint))
}

/// A whole number in a range whose end fits 32 bits.
pub(crate) fn whole32(text: &str, range: RangeInclusive<u32>) -> Result<u32, Mistake> {
    let wide = u64::from(*range.start())..=u64::from(*range.end());
    let number = whole(text, wide)?;
    u32::try_from(number).map_err(|_| Mistake::new("the number is out of range", "write less"))
}

/// A duration in a range.
pub(crate) fn duration(text: &str, range: RangeInclusive<Duration>) -> Result<Duration, Mistake> {
    let duration = parse_duration(text)?;
    if range.contains(&duration) {
        return Ok(duration);
    }
    Err(Mistake::new(
        format!("{} is out of range", crop(text)),
        format!(
            "write a duration from {} to {}",
            format_duration(*range.start()),
            format_duration(*range.end())
        ),
    ))
}

/// A number of bytes.
pub(crate) fn size(text: &str) -> Result<u64, Mistake> {
    Ok(parse_size(text)?)
}

impl From<UnitError> for Mistake {
    fn from(error: UnitError) -> Self {
        Self::new(error.problem, error.hint)
    }
}

/// A part of a recording.
pub(crate) fn window(text: &str) -> Result<Window, Mistake> {
    const HINT: &str = "write `all`, `busiest 5m`, `+30s..+90s` (since the recording's start) or \
                        `09:00..09:10` (time of day, UTC)";
    let refused = |offset: usize, message: String| Mistake { offset, message, hint: HINT.into() };
    if text == "all" {
        return Ok(Window::All);
    }
    if let Some(length) = text.strip_prefix("busiest") {
        let at = text.chars().count() - length.trim_start().chars().count();
        let length = parse_duration(length).map_err(|error| refused(at, error.problem))?;
        if length.is_zero() {
            return Err(refused(at, "the window has no length".to_owned()));
        }
        return Ok(Window::Busiest(length));
    }
    let Some((from, to)) = text.split_once("..") else {
        return Err(refused(0, format!("`{}` is not a window", crop(text))));
    };
    let to_at = text.chars().count() - to.trim_start().chars().count();
    let (from, to) = (from.trim(), to.trim());
    let empty = || refused(to_at, "the window ends before it begins".to_owned());
    if let (Some(from), Some(to)) = (from.strip_prefix('+'), to.strip_prefix('+')) {
        let from = parse_duration(from).map_err(|error| refused(1, error.problem))?;
        let to = parse_duration(to).map_err(|error| refused(to_at + 1, error.problem))?;
        return if from < to { Ok(Window::Offset(from, to)) } else { Err(empty()) };
    }
    let clock = |text: &str, at: usize| {
        time_of_day(text).ok_or_else(|| {
            refused(at, format!("`{}` is neither `+30s` nor a time such as 09:00", crop(text)))
        })
    };
    let (from, to) = (clock(from, 0)?, clock(to, to_at)?);
    match from.cmp(&to) {
        std::cmp::Ordering::Less => Ok(Window::Clock(from, to)),
        std::cmp::Ordering::Equal => Err(empty()),
        std::cmp::Ordering::Greater => Ok(Window::Clock(from, to + SECONDS_A_DAY)),
    }
}

/// Seconds since midnight of `09:00` or `09:00:30`; `24:00` is the end of the day.
fn time_of_day(text: &str) -> Option<u32> {
    let parts: Vec<&str> = text.split(':').collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    let mut numbers = [0; 3];
    for (number, part) in numbers.iter_mut().zip(&parts) {
        let digits = part.chars().all(|c| c.is_ascii_digit());
        *number = part.parse::<u32>().ok().filter(|_| digits && part.len() <= 2)?;
    }
    let [hours, minutes, seconds] = numbers;
    let time = hours * 3600 + minutes * 60 + seconds;
    (minutes < 60 && seconds < 60 && time <= SECONDS_A_DAY).then_some(time)
}

const SECONDS_A_DAY: u32 = 24 * 60 * 60;

/// Where to send.
pub(crate) fn url(text: &str) -> Result<TargetSpec, Mistake> {
    const HINT: &str = "write `stage` for the embedded stack, `http://HOST:PORT` or \
                        `https://HOST:PORT`";
    if text == "stage" {
        return Ok(TargetSpec::Stage);
    }
    let lower = text.to_ascii_lowercase();
    let (tls, scheme, default) = if lower.starts_with("https://") {
        (Some(Box::default()), "https://", 443)
    } else {
        (None, "http://", 80)
    };
    let Some(rest) = lower.strip_prefix(scheme) else {
        // What holds a user may hold a password.
        let shown =
            if text.contains('@') { "this".to_owned() } else { format!("`{}`", crop(text)) };
        return Err(Mistake::new(format!("{shown} is not a target"), HINT));
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(Mistake::new("a target has no user name or password", HINT));
    }
    if !matches!(path, "" | "/") {
        return Err(Mistake {
            offset: scheme.len() + authority.chars().count(),
            message: "a target has no path".to_owned(),
            hint: format!("requests keep their recorded paths; {HINT}"),
        });
    }
    let Some((host, port)) = split_host_port(authority) else {
        return Err(Mistake {
            offset: scheme.len(),
            message: format!("`{}` is not a host and a port", crop(authority)),
            hint: format!("{HINT}; names with other letters in their xn-- form"),
        });
    };
    Ok(TargetSpec::Http { host, port: port.unwrap_or(default), tls })
}

/// A host that may be contacted, lower case.
pub(crate) fn allowed(text: &str) -> Result<String, Mistake> {
    if split_host_port(text).is_none() {
        return Err(Mistake::new(
            format!("`{}` is not a host", crop(text)),
            "write a host or a host and a port, such as `staging.example` or `10.1.2.3:8080`; no \
             scheme, no path, no wildcard",
        ));
    }
    Ok(text.to_ascii_lowercase())
}

/// A method, upper case.
pub(crate) fn method(text: &str) -> Result<String, Mistake> {
    if text.is_empty() || text.len() > 32 || !text.bytes().all(is_token_byte) {
        return Err(Mistake::new(
            format!("`{}` is not a method", crop(text)),
            "write methods such as [GET, POST], or `all`, or `safe` for GET, HEAD and OPTIONS",
        ));
    }
    Ok(text.to_ascii_uppercase())
}

/// A header that may be set on every request.
pub(crate) fn header_name(name: &str) -> Result<(), Mistake> {
    if name.is_empty() || !name.bytes().all(is_token_byte) {
        return Err(Mistake::new(
            format!("`{}` is not a header name", crop(name)),
            "write a name such as `Authorization`, without a colon",
        ));
    }
    if KEPT_HEADERS.iter().any(|kept| kept.eq_ignore_ascii_case(name)) {
        return Err(Mistake::new(
            format!("`{name}` cannot be set"),
            "Host is always the target's, and what frames a message or rules a connection stays \
             as recorded",
        ));
    }
    Ok(())
}

const KEPT_HEADERS: [&str; 8] = [
    "Host",
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "Expect",
    "TE",
    "Trailer",
    "Upgrade",
];

/// A header's value with `${NAME}` replaced. Messages never repeat the environment's values.
pub(crate) fn header_value(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<String, Mistake> {
    let mut value = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let offset = text.chars().count() - rest.chars().count() + rest[..start].chars().count();
        let refused = |message: String, hint: &str| Mistake { offset, message, hint: hint.into() };
        value.push_str(&rest[..start]);
        let Some(length) = rest[start..].find('}') else {
            return Err(refused("`${` is not closed".to_owned(), "write `${NAME}`"));
        };
        let name = &rest[start + 2..start + length];
        let replaced = environment(name).filter(|_| !name.is_empty()).ok_or_else(|| {
            refused(
                format!("the environment has no variable `{}`", crop(name)),
                "set it before the run, such as with `export NAME=...`",
            )
        })?;
        if replaced.chars().any(|c| c.is_control() && c != '\t') {
            return Err(refused(
                format!("the variable `{}` holds a line end or a control character", crop(name)),
                "a header is one line: set the variable without it",
            ));
        }
        value.push_str(&replaced);
        rest = &rest[start + length + 1..];
    }
    value.push_str(rest);
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(Mistake::new("a header is one line", "remove the line end from the value"));
    }
    Ok(value.trim().to_owned())
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
