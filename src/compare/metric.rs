//! What is compared of runs: one number a run and metric.

use std::time::Duration;

use crate::stats::counts::as_index;
use crate::units::{format_duration, format_share};

/// A metric of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Median latency (due to done).
    LatencyP50,
    /// Its 95th percentile.
    LatencyP95,
    /// Its 99th percentile.
    LatencyP99,
    /// Its 99.9th percentile.
    LatencyP999,
    /// Share of the requests that were errors.
    Errors,
    /// Answers a second over the whole run.
    Throughput,
    /// The multiple of the load that the target bears, by the act `capacity`.
    Capacity,
    /// Connections that were opened.
    Connections,
    /// Time from a cold start to the steady state.
    WarmUp,
    /// Reads of the origin a request, with cold caches.
    ColdReads,
    /// The same with warm ones.
    WarmReads,
    /// Most connections that a Redis had.
    RedisClients,
    /// Commands that it carried out, a request.
    RedisCommands,
    /// Most connections that a MySQL had.
    MysqlThreads,
    /// Statements that it carried out, a request.
    MysqlQuestions,
    /// Most connections that a PostgreSQL had.
    PostgresConnections,
    /// Transactions that it committed, a request.
    PostgresCommits,
}

/// What a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Nanoseconds.
    Time,
    /// A part of a whole, from 0 to 1.
    Share,
    /// Something a second.
    Rate,
    /// A number of things.
    Count,
    /// Something a request.
    PerRequest,
    /// So many times something.
    Multiple,
}

impl Metric {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 17] = [
        Self::LatencyP50,
        Self::LatencyP95,
        Self::LatencyP99,
        Self::LatencyP999,
        Self::Errors,
        Self::Throughput,
        Self::Capacity,
        Self::Connections,
        Self::WarmUp,
        Self::ColdReads,
        Self::WarmReads,
        Self::RedisClients,
        Self::RedisCommands,
        Self::MysqlThreads,
        Self::MysqlQuestions,
        Self::PostgresConnections,
        Self::PostgresCommits,
    ];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::LatencyP50 => "latency p50",
            Self::LatencyP95 => "latency p95",
            Self::LatencyP99 => "latency p99",
            Self::LatencyP999 => "latency p99.9",
            Self::Errors => "errors",
            Self::Throughput => "throughput",
            Self::Capacity => "capacity",
            Self::Connections => "connections opened",
            Self::WarmUp => "warm-up",
            Self::ColdReads => "origin reads cold",
            Self::WarmReads => "origin reads warm",
            Self::RedisClients => "redis connections",
            Self::RedisCommands => "redis commands",
            Self::MysqlThreads => "mysql connections",
            Self::MysqlQuestions => "mysql statements",
            Self::PostgresConnections => "postgres connections",
            Self::PostgresCommits => "postgres commits",
        }
    }

    /// The quantile of latency that it is.
    pub fn quantile(self) -> Option<f64> {
        match self {
            Self::LatencyP50 => Some(0.5),
            Self::LatencyP95 => Some(0.95),
            Self::LatencyP99 => Some(0.99),
            Self::LatencyP999 => Some(0.999),
            _ => None,
        }
    }

    /// What it counts.
    pub fn quantity(self) -> Quantity {
        match self {
            Self::LatencyP50
            | Self::LatencyP95
            | Self::LatencyP99
            | Self::LatencyP999
            | Self::WarmUp => Quantity::Time,
            Self::Errors => Quantity::Share,
            Self::Throughput => Quantity::Rate,
            Self::Capacity => Quantity::Multiple,
            Self::Connections
            | Self::RedisClients
            | Self::MysqlThreads
            | Self::PostgresConnections => Quantity::Count,
            Self::ColdReads
            | Self::WarmReads
            | Self::RedisCommands
            | Self::MysqlQuestions
            | Self::PostgresCommits => Quantity::PerRequest,
        }
    }

    /// 1 where more is worse, −1 where less is.
    pub fn worse(self) -> f64 {
        if matches!(self, Self::Throughput | Self::Capacity) { -1.0 } else { 1.0 }
    }

    /// The least value that is told apart from none; smaller ones count as that, since changes are
    /// relative and nothing can be a multiple of nothing.
    pub fn resolution(self) -> f64 {
        match self {
            // The bins in which a cold run is set beside a warm one are seconds.
            Self::WarmUp => 1e9,
            _ => match self.quantity() {
                Quantity::Time => 1e3,
                Quantity::Share => 1e-6,
                Quantity::Rate | Quantity::PerRequest | Quantity::Multiple => 1e-3,
                Quantity::Count => 1.0,
            },
        }
    }

    /// A value for people.
    pub fn value(self, value: f64) -> String {
        let digits = |unit: &str| {
            let decimals = match value.abs() {
                size if size >= 100.0 => 0,
                size if size >= 1.0 => 2,
                _ => 4,
            };
            format!("{value:.decimals$}{unit}")
        };
        match self.quantity() {
            Quantity::Time => format_duration(Duration::from_nanos(as_index(value) as u64)),
            Quantity::Share => format_share(value),
            Quantity::Rate => digits("/s"),
            Quantity::Count => format!("{value:.0}"),
            Quantity::PerRequest => digits("/request"),
            Quantity::Multiple => format!("{value:.2} ×"),
        }
    }

    /// A change for people: of shares in percent points.
    pub fn change(self, change: f64) -> String {
        if self.quantity() != Quantity::Share {
            return super::told(change);
        }
        let sign = if change < 0.0 { "−" } else { "+" };
        format!("{sign}{} points", format_share(change.abs()).replace(" %", ""))
    }
}

impl serde::Serialize for Metric {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_changes_have_their_units() {
        assert_eq!(Metric::LatencyP99.value(41_300_000.0), "41.3 ms");
        assert_eq!(Metric::Errors.value(0.0012), "0.12 %");
        assert_eq!(Metric::Throughput.value(998.6), "999/s");
        assert_eq!(Metric::WarmReads.value(0.25), "0.2500/request");
        assert_eq!(Metric::Capacity.value(2.4), "2.40 ×");
        assert_eq!(Metric::Connections.value(640.0), "640");
        assert_eq!(Metric::LatencyP99.change(0.21), "+21 %");
        assert_eq!(Metric::Errors.change(-0.0012), "−0.12 points");
    }
}
