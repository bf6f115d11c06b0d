//! Numbers in, numbers out: quantiles, dispersion and distances, after the field's definitions.

pub mod histograms;
