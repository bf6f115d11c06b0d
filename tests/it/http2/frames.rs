//! Frames and header blocks by hand.

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RESET: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END: u8 = 1;
pub(crate) const WHOLE: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const PRIORITY: u8 = 0x20;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A whole header block in one frame.
pub(crate) fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, flags | WHOLE, stream, block)
}

/// A field written out, which nobody is to keep.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    [b"\0", &string(name)[..], &string(value)].concat()
}

/// A field written out, which both sides keep as the newest.
pub(crate) fn kept(name: &str, value: &str) -> Vec<u8> {
    [b"\x40", &string(name)[..], &string(value)].concat()
}

fn string(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

pub(crate) fn get(path: &str) -> Vec<u8> {
    [b"\x82\x86\x04", &string(path)[..], b"\x01\x04shop"].concat()
}

pub(crate) fn post(path: &str) -> Vec<u8> {
    [b"\x83\x86\x04", &string(path)[..], b"\x01\x04shop"].concat()
}
