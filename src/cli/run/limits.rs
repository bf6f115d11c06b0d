//! The options that bound a run.

use crate::cli::checked;
use crate::scenario::{Limits, parse};

/// Ceilings. What is given replaces what a scenario says under `limits`.
#[derive(Clone, Copy, Debug, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "Ceilings")]
#[expect(clippy::struct_field_names, reason = "they are the names of the options")]
pub(super) struct LimitOptions {
    /// Refuse a load that is to send more requests than this in any second, before anything is
    /// sent; 50000 where nothing is said.
    #[arg(long, value_name = "NUMBER", env = "PEAKHOUR_MAX_RATE")]
    #[arg(value_parser = checked(parse::ceiling, "PEAKHOUR_MAX_RATE"))]
    max_rate: Option<u32>,
    /// Refuse a load that is to hold more connections open at once than this. Where a slow target
    /// keeps more of them open than planned, requests that would need another are not sent, and
    /// counted; 20000 where nothing is said.
    #[arg(long, value_name = "NUMBER", env = "PEAKHOUR_MAX_CONNECTIONS")]
    #[arg(value_parser = checked(parse::ceiling, "PEAKHOUR_MAX_CONNECTIONS"))]
    max_connections: Option<u32>,
    /// Hold at most so many requests in flight; further ones are not sent, and counted; 10000 where
    /// nothing is said.
    #[arg(long, value_name = "NUMBER", env = "PEAKHOUR_MAX_IN_FLIGHT")]
    #[arg(value_parser = checked(parse::ceiling, "PEAKHOUR_MAX_IN_FLIGHT"))]
    max_in_flight: Option<u32>,
}

impl LimitOptions {
    /// Changes what a scenario says.
    pub(super) fn apply(self, limits: &mut Limits) {
        limits.max_rate = self.max_rate.unwrap_or(limits.max_rate);
        limits.max_connections = self.max_connections.unwrap_or(limits.max_connections);
        limits.max_in_flight = self.max_in_flight.unwrap_or(limits.max_in_flight);
    }
}
