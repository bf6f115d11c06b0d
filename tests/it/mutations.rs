//! Damage of all kinds, the same for the same number on every machine.

/// A generator of numbers that are the same on every machine.
pub(crate) struct Random(u64);

impl Random {
    /// A generator of its own for each seed.
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap()
    }
}

/// Damages the packets, where the file's records can be told apart, and sometimes the file.
pub(crate) fn damage(bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let little = bytes.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]);
    let mut damaged = if little && random.below(8) > 0 {
        let (head, records) = bytes.split_at(24.min(bytes.len()));
        let mut records = split(records);
        for _ in 0..=random.below(12) {
            damage_records(&mut records, random);
        }
        [head, &records.concat()].concat()
    } else {
        bytes
    };
    if !little || random.below(8) == 0 {
        for _ in 0..=random.below(20) {
            damage_bytes(&mut damaged, 24, random);
        }
    }
    damaged
}

/// The records of a little-endian file, each with its head of 16 bytes.
fn split(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while let Some(length) = bytes.get(8..12) {
        let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
        let end = length.saturating_add(16).min(bytes.len());
        let (record, rest) = bytes.split_at(end);
        records.push(record.to_vec());
        bytes = rest;
    }
    records
}

fn damage_records(records: &mut Vec<Vec<u8>>, random: &mut Random) {
    let (at, other) = (random.below(records.len()), random.below(records.len()));
    if records.is_empty() {
        return;
    }
    match random.below(9) {
        0 => drop(records.remove(at)),
        1 => records.insert(other, records[at].clone()),
        2 => records.swap(at, other),
        3 => {
            // Neighbours change places: what several queues of a network card do.
            let next = (at + 1 + random.below(3)).min(records.len() - 1);
            records.swap(at, next);
        }
        4 => drop(records.drain(at.min(other)..at.max(other).min(at.min(other) + 20))),
        5 => {
            // A smaller snap length: the record says what the packet's length was.
            let kept = random.below(records[at].len());
            if kept > 16 {
                records[at].truncate(kept);
                let length = u32::try_from(kept - 16).unwrap().to_le_bytes();
                records[at][8..12].copy_from_slice(&length);
            }
        }
        6 => {
            let step = u8::try_from(random.below(256)).unwrap();
            let place = random.below(8);
            if let Some(byte) = records[at].get_mut(place) {
                *byte = byte.wrapping_add(step);
            }
        }
        _ => damage_bytes(&mut records[at], 16, random),
    }
}

/// Damages bytes of whatever kind: runs of them are lost, come twice, or change.
pub(crate) fn mutate(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    for _ in 0..=random.below(6) {
        let (at, length) = (random.below(bytes.len()), 1 + random.below(24));
        let end = (at + length).min(bytes.len());
        match random.below(6) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let run = bytes[at..end].to_vec();
                let place = random.below(bytes.len() + 1);
                bytes.splice(place..place, run);
            }
            2 if random.below(4) == 0 => bytes.truncate(at),
            3 => {
                // A digit more or less: lengths and counts.
                let is_digit = |byte: &u8| byte.is_ascii_digit();
                if let Some(digit) = bytes[at..].iter().position(is_digit) {
                    bytes[at + digit] = b"0123456789a-"[random.below(12)];
                }
            }
            _ => damage_bytes(&mut bytes, 0, random),
        }
    }
    bytes
}

/// Changes bytes behind `from`: bits, runs, numbers and words that mean something.
fn damage_bytes(bytes: &mut [u8], from: usize, random: &mut Random) {
    const WORDS: [&[u8]; 10] = [
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 99999999999999\r\n",
        b"ffffffffffffffff\r\n",
        b"\x16\x03\x01\x00\x05",
        b"*2\r\n$3\r\n",
        b"HTTP/1.1 101 \r\n\r\n",
    ];
    if bytes.len() <= from {
        return;
    }
    let at = from + random.below(bytes.len() - from);
    match random.below(5) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
        2 => {
            let end = (at + random.below(8)).min(bytes.len());
            bytes[at..end].fill(if random.below(2) == 0 { 0 } else { 0xff });
        }
        3 => {
            // Only TCP flags and numbers: the packet stays one of its connection.
            let place = from + 34 + random.below(20);
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1 << random.below(8);
            }
        }
        _ => {
            let word = WORDS[random.below(WORDS.len())];
            let end = (at + word.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&word[..end - at]);
        }
    }
}
