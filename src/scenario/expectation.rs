//! One line of a scenario's `expect`: `METRIC [STAT] OP VALUE`.

/// A parsed expectation. `latency p99 < 250ms`, `errors < 0.1%`, `completeness >= 99.9%`.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// As written, for reports.
    pub text: String,
    /// What is measured.
    pub metric: MetricName,
    /// Which statistic of it; `None` for metrics that are a single number.
    pub stat: Option<Stat>,
    /// How it is compared.
    pub op: Comparison,
    /// With what, in the metric's own unit: nanoseconds for times, a ratio for shares.
    pub value: f64,
}

/// What an expectation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricName {
    /// Due to done; a time.
    Latency,
    /// Sent to done; a time.
    Service,
    /// Due to dispatched, our own; a time.
    Lateness,
    /// Dispatched to connected; a time.
    ConnectionWait,
    /// Share of arrivals that are errors.
    Errors,
    /// Share of arrivals that were sent.
    Completeness,
    /// Share of answers whose status differs from the recorded one.
    StatusChanges,
}

/// A statistic of a distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stat {
    /// A percentile, 0 to 100.
    Percentile(f64),
    /// The mean.
    Mean,
    /// The largest value.
    Max,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}
