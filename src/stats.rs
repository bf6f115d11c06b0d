//! Numbers in, numbers out: quantiles, dispersion and distances, after the field's definitions.

pub mod counts;
pub mod dispersion;
pub mod distances;
pub mod histograms;
pub mod gaps;
pub mod memory;
pub mod slopes;
pub mod effects;
pub mod batches;
pub mod ranks;
pub mod lru;
pub mod shards;
pub mod popularity;
pub mod steady;
pub mod changes;
pub mod zipf;
pub mod tails;
pub mod shares;
pub mod bootstrap;
pub mod divisive;
pub mod poisson;
pub mod rates;
pub mod mmpp;
pub mod usl;
pub mod kneedle;
