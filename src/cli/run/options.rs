//! The options of a load without a recording.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use clap::builder::FalseyValueParser as Flag;

use crate::cli::checked;
use crate::cli::run::load::DEFAULT_LENGTH;
use crate::cli::run::tls::TlsOptions;
use crate::scenario::expectation::Expectation;
use crate::scenario::load::wave::wave;
use crate::scenario::load::{self, Level, Load, LoadPace, Request, Spacing, Stage};
use crate::scenario::network::Network;
use crate::scenario::{Limits, Tier};
use crate::units::rate::PerSecond;

/// Connections where nobody said.
const DEFAULT_CONNECTIONS: u32 = 50;

/// What `run --help` ends with.
pub(super) const EXAMPLES: &str = "\
Examples:
  peakhour run checkout.yaml
  peakhour run --url http://127.0.0.1:8080/path --rate 1000 -d 10s -c 50
  peakhour run --url http://127.0.0.1:8080/ --rate 100 --stage 30s:5x --stage 1m:5x --stage 0s:1x \
--stage 30s:1x
  peakhour run --url http://127.0.0.1:8080/ --rate 1000 --arrivals poisson --seed 7
  peakhour run --url http://127.0.0.1:8080/ --pace closed -c 64 -d 10s
  peakhour run --url https://127.0.0.1:8443/ --cacert ca.pem --rate 1000
  peakhour run --url http://staging.internal/ --allow staging.internal --rate 50 \
-H 'Authorization: Bearer ${TOKEN}' --expect 'latency p99 < 250ms'";

/// Load without a recording and without a scenario.
#[derive(Clone, Debug, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "Load without a recording")]
pub(super) struct LoadOptions {
    /// Send requests to this address, without a scenario. Loopback is allowed by naming it here;
    /// any other host must be allowed with --allow, too.
    #[arg(long, value_name = "URL", env = "PEAKHOUR_URL", conflicts_with_all = FOR_SCENARIOS)]
    #[arg(hide_env_values = true)]
    pub(super) url: Option<String>,
    /// Requests a second, such as 1000, 0.5 or 100/1m, whatever the target does.
    #[arg(long, alias = "rps", value_name = "RATE", env = "PEAKHOUR_RATE", requires = "url")]
    #[arg(allow_negative_numbers = true, value_parser = checked(load::rate, "PEAKHOUR_RATE"))]
    rate: Option<PerSecond>,
    /// How long, such as 30s or 5m; 10s where nothing is said.
    #[arg(short, long, value_name = "TIME", env = "PEAKHOUR_DURATION", requires = "url")]
    #[arg(value_parser = checked(load::length, "PEAKHOUR_DURATION"), conflicts_with = "stage")]
    duration: Option<Duration>,
    /// Over how many connections, in turn; 50 where nothing is said.
    #[arg(short, long, value_name = "NUMBER", env = "PEAKHOUR_CONNECTIONS", requires = "url")]
    #[arg(value_parser = checked(load::connections, "PEAKHOUR_CONNECTIONS"))]
    connections: Option<u32>,
    /// Go evenly from the rate there is to another in this time: to a rate (1m:500) or to so many
    /// times --rate (30s:2x). A time of 0s steps there at once. May be repeated.
    #[arg(long, value_name = "TIME:RATE", env = "PEAKHOUR_STAGE", requires = "rate")]
    #[arg(value_delimiter = ',', value_parser = checked(load::stage, "PEAKHOUR_STAGE"))]
    stage: Vec<(Duration, Level)>,
    /// Let the rate swing from --rate to another and back in this time, as a sine does, again and
    /// again until -d is over: to a rate (1m:500) or to so many times --rate (10m:3x).
    #[arg(long, value_name = "TIME:RATE", env = "PEAKHOUR_WAVE", requires = "rate")]
    #[arg(value_parser = checked(load::stage, "PEAKHOUR_WAVE"), conflicts_with = "stage")]
    wave: Option<(Duration, Level)>,
    /// How requests lie within the rate: constant (evenly, the default) or poisson (at random, by
    /// --seed).
    #[arg(long, value_name = "KIND", env = "PEAKHOUR_ARRIVALS", requires = "rate")]
    #[arg(value_enum)]
    arrivals: Option<Arrivals>,
    /// Who sets the pace; open where nothing is said. Of a closed load, each connection asks again
    /// when it has its answer, and no load shape is claimed.
    #[arg(long, value_name = "PACE", env = "PEAKHOUR_PACE", requires = "url", value_enum)]
    pace: Option<PaceWord>,
    /// The method of the request; GET where nothing is said.
    #[arg(short = 'X', long, value_name = "METHOD", env = "PEAKHOUR_METHOD", requires = "url")]
    #[arg(value_parser = checked(load::method, "PEAKHOUR_METHOD"))]
    method: Option<String>,
    /// A header, such as 'Authorization: Bearer ${TOKEN}', with variables of the environment. May
    /// be repeated.
    #[arg(short = 'H', long, value_name = "HEADER", env = "PEAKHOUR_HEADER", requires = "url")]
    #[arg(hide_env_values = true)]
    #[arg(value_parser = checked(load::header, "PEAKHOUR_HEADER"))]
    header: Vec<(String, String)>,
    /// The body of the request.
    #[arg(long, value_name = "TEXT", env = "PEAKHOUR_BODY", requires = "method")]
    #[arg(hide_env_values = true)]
    body: Option<String>,
    /// Speak HTTP/2: agreed on inside of TLS (ALPN), without TLS by prior knowledge.
    #[arg(long, alias = "http2-prior-knowledge", env = "PEAKHOUR_HTTP2", requires = "url")]
    #[arg(value_parser = Flag::new())]
    http2: bool,
    /// A host that may be contacted besides this machine. May be repeated.
    #[arg(long, value_name = "HOST", env = "PEAKHOUR_ALLOW", requires = "url")]
    #[arg(value_delimiter = ',', value_parser = checked(load::allowed, "PEAKHOUR_ALLOW"))]
    allow: Vec<String>,
    /// What must hold, such as 'latency p99 < 250ms'. May be repeated.
    #[arg(long, value_name = "EXPECTATION", env = "PEAKHOUR_EXPECT", requires = "url")]
    #[arg(value_parser = checked(load::expectation, "PEAKHOUR_EXPECT"))]
    expect: Vec<Expectation>,
    /// Tier of load-shape tolerances: strict, standard (where nothing is said), or ci for shared
    /// machines.
    #[arg(long, value_name = "TIER", env = "PEAKHOUR_TOLERANCE", requires = "url")]
    #[arg(value_parser = checked(load::tolerance, "PEAKHOUR_TOLERANCE"))]
    tolerance: Option<Tier>,
    /// TLS.
    #[command(flatten)]
    tls: TlsOptions,
}

/// What only a scenario has.
const FOR_SCENARIOS: [&str; 8] =
    ["scenario", "speed", "scale", "recording", "stage_fault", "only", "yes", "save_snapshot"];

/// How requests lie within a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Arrivals {
    /// As evenly as can be.
    Constant,
    /// At random.
    Poisson,
}

/// Whether the target sets the pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum PaceWord {
    /// At --rate, whatever the target does.
    Open,
    /// As fast as the target answers.
    Closed,
}

impl LoadOptions {
    /// Options of a load were given.
    pub(super) fn are_given(&self) -> bool {
        *self != Self::default()
    }

    /// The load that is asked for.
    pub(super) fn load(&self, seed: u64) -> anyhow::Result<Load> {
        let Some(url) = &self.url else { bail!("no --url says where to send") };
        let (target, path) = load::url(url)
            .map_err(|mistake| anyhow::Error::from(mistake).context("--url (or PEAKHOUR_URL)"))?;
        let target = self.tls.of(target)?;
        let mut headers = BTreeMap::new();
        for (name, value) in &self.header {
            if headers.keys().any(|other: &String| other.eq_ignore_ascii_case(name)) {
                bail!("-H: `{name}` is named twice; which one counts would be a guess");
            }
            headers.insert(name.clone(), value.clone());
        }
        let connections = self.connections.unwrap_or(DEFAULT_CONNECTIONS);
        let default = Limits::default();
        Ok(Load {
            target,
            allow: self.allow.clone(),
            network: Network::default(),
            request: Request {
                method: self.method.clone().unwrap_or_else(|| "GET".to_owned()),
                path,
                headers,
                body: self.body.clone().unwrap_or_default().into_bytes(),
                http2: self.http2,
            },
            connections,
            pace: self.pace()?,
            seed,
            limits: Limits { max_in_flight: default.max_in_flight.max(connections), ..default },
            tolerance: self.tolerance.unwrap_or(Tier::Standard),
            expect: self.expect.clone(),
        })
    }

    fn pace(&self) -> anyhow::Result<LoadPace> {
        let length = self.duration.unwrap_or(DEFAULT_LENGTH);
        if self.pace == Some(PaceWord::Closed) {
            if self.rate.is_some() {
                bail!(
                    "--pace closed sends as fast as the target lets it: leave --rate out, or \
                     leave out --pace"
                );
            }
            return Ok(LoadPace::Closed { length });
        }
        let Some(rate) = self.rate else {
            bail!(
                "--url needs to know how fast: add --rate 1000 (requests a second), or --pace \
                 closed (as fast as the target answers)"
            );
        };
        let stages = if let Some(swing) = &self.wave {
            wave(rate, swing, length)?
        } else if self.stage.is_empty() {
            vec![Stage { length, from: rate, to: rate }]
        } else {
            load::stages(rate, &self.stage)?
        };
        let spacing = match self.arrivals {
            Some(Arrivals::Poisson) => Spacing::Poisson,
            Some(Arrivals::Constant) | None => Spacing::Even,
        };
        Ok(LoadPace::Open { stages, spacing })
    }
}
