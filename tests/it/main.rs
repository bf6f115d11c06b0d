//! Everything that goes through the public surface, one module a topic.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(missing_docs, reason = "the names of tests are sentences")]

mod wire; // Captures built by hand, byte by byte.

mod capture_files; // Frames of pcap and pcapng files, whole and damaged.
mod capture_packets; // TCP segments behind every link layer, tunnel and fragment.
mod capture_corpus; // Every real capture is accounted for, frame by frame.

mod talk; // A small language for conversations, segment by segment.
mod reassembly; // Segments that were lost, repeated, cut and shuffled.
mod reassembly_properties; // The same for all segments whatever.
mod conversations; // HTTP/1 as it is really spoken, and bytes that are none.
mod capture_limits; // What waits too long or is too large.
mod corpus; // Exchanges of real captures against independent readers.
mod corpus_streams; // Byte streams of real captures against hashes of other readers.
