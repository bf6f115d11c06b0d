//! Which format a log has: told by its first lines, never by its name.

use crate::capture::access_log::entry::{Entry, Miss, Moment, Read};
use crate::capture::access_log::template::Template;
use crate::capture::access_log::w3c::W3c;
use crate::capture::access_log::{common, elb, envoy, haproxy, json};

/// How lines of a log are read.
#[derive(Clone, Debug)]
pub enum Format {
    /// The common log format and its descendants. The moment is what the user says that it is.
    Common(Moment),
    /// JSON objects.
    Json(Moment),
    /// W3C: IIS, `CloudFront` and others.
    W3c(W3c),
    /// AWS' application load balancer.
    Alb,
    /// AWS' classic load balancer.
    Elb,
    /// Envoy's default.
    Envoy,
    /// `HAProxy`'s `httplog`.
    Haproxy,
    /// A format string.
    Custom(Template),
}

/// Names of formats.
pub const NAMES: [&str; 15] = [
    "common",
    "combined",
    "nginx",
    "apache",
    "json",
    "nginx-json",
    "caddy",
    "traefik",
    "envoy",
    "haproxy",
    "alb",
    "elb",
    "cloudfront",
    "iis",
    "w3c",
];

impl Format {
    /// The format of a name of [`NAMES`].
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "common" | "combined" => Self::Common(Moment::Unknown),
            "nginx" => Self::Common(Moment::End),
            "apache" | "traefik" => Self::Common(Moment::Start),
            "json" | "caddy" => Self::Json(Moment::Unknown),
            "nginx-json" => Self::Json(Moment::End),
            "envoy" => Self::Envoy,
            "haproxy" => Self::Haproxy,
            "alb" => Self::Alb,
            "elb" => Self::Elb,
            "cloudfront" | "iis" | "w3c" => Self::W3c(W3c::default()),
            _ => return None,
        })
    }

    /// The format in which most of these lines are requests; the first of equals, so that the
    /// stricter ones come first.
    pub fn detect(lines: &[&[u8]]) -> Option<Self> {
        // Exchanges of recordings are JSON Lines, too.
        if lines.iter().any(|line| line.windows(7).any(|part| part == b"\"at_ns\"")) {
            return None;
        }
        let candidates = [
            Self::W3c(W3c::default()),
            Self::Alb,
            Self::Elb,
            Self::Envoy,
            Self::Haproxy,
            Self::Common(Moment::Unknown),
            Self::Json(Moment::Unknown),
        ];
        let mut best: Option<(usize, Self)> = None;
        for candidate in candidates {
            let mut format = candidate.clone();
            let fits = |line: &&&[u8]| matches!(format.read(line), Ok(_) | Err(Miss::NoRequest));
            let count = lines.iter().filter(fits).count();
            if count > best.as_ref().map_or(0, |(count, _)| *count) {
                best = Some((count, candidate));
            }
        }
        best.map(|(_, format)| format)
    }

    /// Reads a line without its end.
    pub fn read<'a>(&mut self, line: &'a [u8]) -> Read<'a> {
        match self {
            Self::Common(moment) => common::read(line).map(|entry| meaning(entry, *moment)),
            Self::Json(moment) => json::read(line).map(|entry| meaning(entry, *moment)),
            Self::W3c(w3c) => w3c.read(line),
            Self::Alb => elb::read_alb(line),
            Self::Elb => elb::read_elb(line),
            Self::Envoy => envoy::read(line),
            Self::Haproxy => haproxy::read(line),
            Self::Custom(template) => template.read(line),
        }
    }

    /// What it is called, for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Common(_) => "common log format",
            Self::Json(_) => "JSON log",
            Self::W3c(_) => "W3C extended log",
            Self::Alb => "ALB log",
            Self::Elb => "ELB log",
            Self::Envoy => "Envoy log",
            Self::Haproxy => "HAProxy log",
            Self::Custom(_) => "log of the given format",
        }
    }
}

/// Where the line does not tell which moment its time is, the user may.
fn meaning(mut entry: Entry<'_>, moment: Moment) -> Entry<'_> {
    if entry.moment == Moment::Unknown {
        entry.moment = moment;
    }
    entry
}
