//! Heads of requests and responses, read tolerantly: a capture holds what was sent, not what
//! should have been.
