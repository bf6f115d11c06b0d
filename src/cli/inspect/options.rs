//! What is said of the cache and of the origin behind it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use crate::cli::checked;
use crate::scenario::acts::cold;
use crate::shape::forecast::ramp::{ramp_csv, unreadable};
use crate::shape::forecast::{Assumed, Forecast};

/// The cache of the forecast. A scenario's act `cold` has the same options.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct CacheOptions {
    /// Reads per second that the origin behind the cache stands, such as 500/s: how long a cold
    /// start asks for more, and how to let users in instead.
    #[arg(long, value_name = "RATE", env = "PEAKHOUR_ORIGIN_CAPACITY")]
    #[arg(value_parser = checked(cold::rate, "PEAKHOUR_ORIGIN_CAPACITY"))]
    origin_capacity: Option<f64>,
    /// Write how to let users in to this CSV file, which a scenario's `ramp` reads.
    #[arg(long, value_name = "FILE", requires = "origin_capacity")]
    ramp: Option<PathBuf>,
    /// Keys that the cache keeps; all of them where it is not said.
    #[arg(long, value_name = "NUMBER", env = "PEAKHOUR_CACHE_KEYS")]
    #[arg(value_parser = checked(cold::cache_keys, "PEAKHOUR_CACHE_KEYS"))]
    cache_keys: Option<usize>,
    /// How long the cache keeps a key, such as 5m; for good where it is not said.
    #[arg(long, value_name = "TIME", env = "PEAKHOUR_CACHE_TTL")]
    #[arg(value_parser = checked(cold::cache_ttl, "PEAKHOUR_CACHE_TTL"))]
    cache_ttl: Option<Duration>,
    /// Reads of the origin for each miss of the cache.
    #[arg(long, value_name = "NUMBER", env = "PEAKHOUR_READS_PER_MISS")]
    #[arg(value_parser = checked(cold::reads_per_miss, "PEAKHOUR_READS_PER_MISS"))]
    reads_per_miss: Option<f64>,
    /// What a miss takes, such as 50ms; the recorded median of first reads where it is not said.
    #[arg(long, value_name = "TIME", env = "PEAKHOUR_MISS_TIME")]
    #[arg(value_parser = checked(cold::miss_time, "PEAKHOUR_MISS_TIME"))]
    miss_time: Option<Duration>,
}

impl CacheOptions {
    pub(super) fn assumed(&self) -> Assumed {
        let default = Assumed::default();
        Assumed {
            cache_keys: self.cache_keys,
            ttl: self.cache_ttl,
            reads_per_miss: self.reads_per_miss.unwrap_or(default.reads_per_miss),
            capacity: self.origin_capacity,
            miss_time: self.miss_time,
            bin: default.bin,
        }
    }

    /// Writes the ramp of a forecast where it was asked for.
    pub(super) fn write_ramp(&self, forecast: &Forecast) -> anyhow::Result<()> {
        let Some(path) = &self.ramp else { return Ok(()) };
        if forecast.reads == 0 {
            anyhow::bail!(
                "there is no ramp for {}: no request of the recording is one that a cache answers",
                path.display()
            );
        }
        if let Some(reason) = unreadable(&forecast.ramp) {
            anyhow::bail!("there is no ramp for {}: {reason}", path.display());
        }
        fs::write(path, ramp_csv(&forecast.ramp))
            .with_context(|| format!("the ramp cannot be written to {}", path.display()))
    }
}
