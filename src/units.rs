//! Durations, sizes and shares as people write them, with one parser and one printer each.
