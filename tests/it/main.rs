//! Tests through the public surface, in one binary.

mod stage; // The embedded stage over real sockets: each knob's broken and healthy twin.
