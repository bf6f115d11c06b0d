//! Bytes become records; behind a gap the next one is looked for by its header.

use crate::capture::streams::Turn;
use crate::capture::streams::tls::{BAD_RECORD, BEHIND_A_GAP};
use crate::capture::tcp::{Data, Mark};
use crate::capture::tls::record::{HEADER, Header};

/// Most segments of a record whose moments are kept; 16 KiB come in a dozen. Beyond it the last
/// moment counts for the rest of the record.
const MAX_RUNS: usize = 64;

/// A whole record.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) header: Header,
    pub(super) payload: Vec<u8>,
    /// From which byte of the record on bytes were sent at which moment; begins with byte 0.
    pub(super) runs: Vec<(usize, Mark)>,
}

impl Record {
    /// Bytes on the wire.
    pub(super) fn length(&self) -> u64 {
        (HEADER + self.payload.len()) as u64
    }

    /// Bytes held.
    pub(super) fn kept(&self) -> usize {
        self.payload.len() + self.runs.len() * size_of::<(usize, Mark)>()
    }

    /// Where it begins in its stream.
    pub(super) fn start(&self) -> u64 {
        self.runs.first().map_or(0, |(_, mark)| mark.offset)
    }

    /// Where it ends in its stream.
    pub(super) fn end(&self) -> u64 {
        self.start() + self.length()
    }
}

/// One side's bytes on their way to records.
#[derive(Debug, Default)]
pub(super) struct Framing {
    /// The front of a record.
    buffer: Vec<u8>,
    runs: Vec<(usize, Mark)>,
    /// Bytes left of a record that is lost.
    skip: usize,
    /// A record is looked for; what comes before it ends in the bucket.
    seeking: Option<&'static str>,
    /// Bytes are missing since the last record.
    is_lossy: bool,
    /// Where the stream goes on, as far as it was seen.
    until: u64,
}

impl Framing {
    /// Bytes held.
    pub(super) fn kept(&self) -> usize {
        self.buffer.len() + self.runs.len() * size_of::<(usize, Mark)>()
    }

    /// Bytes of a record, or whole ones, are missing here.
    pub(super) fn is_cut(&self) -> bool {
        self.is_lossy || !self.buffer.is_empty()
    }

    /// Where the stream goes on, as far as it was seen.
    pub(super) fn until(&self) -> u64 {
        self.until
    }

    /// What was collected of a record is of no use, and where the next one begins is not known.
    pub(super) fn lose(&mut self, bucket: &'static str, turn: &mut Turn<'_>) {
        turn.ledger.stream_bytes.end(bucket, self.buffer.len() as u64);
        let until = self.until;
        *self = Self { seeking: Some(BEHIND_A_GAP), is_lossy: true, until, ..Self::default() };
    }

    /// Bytes are missing. Inside of a record whose header was seen they cost only this record.
    pub(super) fn gap(&mut self, bytes: u64, turn: &mut Turn<'_>) {
        let left = match Header::read(&self.buffer) {
            Some(header) => (HEADER + header.length()).saturating_sub(self.buffer.len()),
            None => self.skip,
        };
        self.until = self.until.saturating_add(bytes);
        let is_inside = left > 0 && bytes <= left as u64 && self.seeking.is_none();
        self.lose(BEHIND_A_GAP, turn);
        if is_inside {
            self.seeking = None;
            self.skip = left.saturating_sub(usize::try_from(bytes).unwrap_or(left));
        }
    }

    /// The records that are whole with the next bytes.
    pub(super) fn data(&mut self, data: &Data<'_>, turn: &mut Turn<'_>) -> Vec<Record> {
        let mut records = Vec::new();
        let mut left = *data;
        self.until = data.mark.offset + data.bytes.len() as u64;
        while !left.bytes.is_empty() {
            let useless = match self.seeking {
                Some(_) => front_of_a_record(left.bytes).unwrap_or(left.bytes.len()),
                None => self.skip.min(left.bytes.len()),
            };
            let bucket = self.seeking.unwrap_or(BEHIND_A_GAP);
            turn.ledger.stream_bytes.end(bucket, useless as u64);
            let used = if useless > 0 {
                self.skip = self.skip.saturating_sub(useless);
                useless
            } else {
                self.seeking = None;
                self.collect(&left)
            };
            left.advance(used);
            if self.buffer.len() < HEADER {
                continue;
            }
            match Header::read(&self.buffer) {
                Some(header) if self.buffer.len() == HEADER + header.length() => {
                    let payload = self.buffer.split_off(HEADER);
                    self.buffer.clear();
                    let runs = std::mem::take(&mut self.runs);
                    self.is_lossy = false;
                    records.push(Record { header, payload, runs });
                }
                Some(_) => {}
                None => {
                    turn.ledger.note("tls streams that go on without a record", 1);
                    self.lose(BAD_RECORD, turn);
                    self.seeking = Some(BAD_RECORD);
                }
            }
        }
        if turn.pressed && !self.buffer.is_empty() {
            self.lose("dropped by a limit", turn);
        }
        records
    }

    /// Takes bytes up to the end of the header, or of the record. Returns how many.
    fn collect(&mut self, data: &Data<'_>) -> usize {
        let wanted = match Header::read(&self.buffer) {
            Some(header) => HEADER + header.length(),
            None => HEADER,
        };
        let missing = wanted.saturating_sub(self.buffer.len());
        let used = missing.min(data.bytes.len());
        let begins_a_run = self.runs.last().is_none_or(|(_, mark)| mark.tick != data.mark.tick);
        if self.runs.len() < MAX_RUNS && begins_a_run {
            self.runs.push((self.buffer.len(), data.mark));
        } else if let Some((_, last)) = self.runs.last_mut().filter(|_| begins_a_run) {
            *last = data.mark;
        }
        self.buffer.extend_from_slice(&data.bytes[..used]);
        used
    }
}

/// Where a record may begin. Sealed bytes look like a header once in ten million; such a record
/// does not open, and costs what follows it up to the next one.
fn front_of_a_record(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).find(|at| bytes.get(*at..).and_then(Header::read).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::tls::keylog::Secrets;
    use crate::recording::ledger::Ledger;

    /// A record of this many bytes of payload.
    fn record(length: u16) -> Vec<u8> {
        let mut record = vec![23, 3, 3];
        record.extend(length.to_be_bytes());
        record.resize(5 + usize::from(length), 0xaa);
        record
    }

    /// The starts of the records in segments at offsets, and where other bytes end.
    fn records(segments: &[(u64, &[u8])]) -> (Vec<u64>, Vec<(String, u64)>, bool) {
        let (mut ledger, mut framing) = (Ledger::default(), Framing::default());
        let (mut starts, mut next) = (Vec::new(), None);
        let secrets = Secrets::default();
        let mut turn = Turn {
            ledger: &mut ledger,
            sink: &mut |_, _| {},
            numbered: &mut 0,
            spool: None,
            contents: false,
            pressed: false,
            secrets: &secrets,
            may_wait: false,
            is_inside: false,
        };
        for (tick, (offset, bytes)) in (0..).zip(segments.iter().copied()) {
            match next.map_or(0, |next| offset - next) {
                0 => {}
                gap => framing.gap(gap, &mut turn),
            }
            let mark = Mark { at_ns: 0, tick, offset, ack: None };
            let found = framing.data(&Data { mark, bytes, fresh: true }, &mut turn);
            starts.extend(found.iter().map(Record::start));
            next = Some(offset + bytes.len() as u64);
        }
        let is_cut = framing.is_cut();
        (starts, ledger.stream_bytes.buckets.into_iter().collect(), is_cut)
    }

    #[test]
    fn records_are_cut_from_segments_anywhere() {
        let bytes = [record(10), record(0), record(100)].concat();
        for cut in 1..bytes.len() {
            let (front, back) = bytes.split_at(cut);
            let found = records(&[(7, front), (7 + cut as u64, back)]);
            assert_eq!(found, (vec![7, 22, 27], Vec::new(), false), "cut at {cut}");
        }
    }

    #[test]
    fn a_gap_inside_a_record_costs_that_record() {
        let bytes = [record(100), record(50)].concat();
        // 30 bytes are missing, then the rest of the record comes.
        let found = records(&[(0, &bytes[..40]), (70, &bytes[70..])]);
        let lost = vec![(BEHIND_A_GAP.to_owned(), 75)];
        assert_eq!(found, (vec![105], lost.clone(), false));
        // The same, and nothing more comes.
        let found = records(&[(0, &bytes[..40]), (70, &bytes[70..105])]);
        assert_eq!(found, (vec![], lost, true));
    }

    #[test]
    fn behind_a_longer_gap_the_next_header_counts() {
        let bytes = [record(100), record(50), record(20)].concat();
        // Missing is what lies around the front of the second record.
        let found = records(&[(0, &bytes[..90]), (120, &bytes[120..])]);
        assert_eq!(found, (vec![160], vec![(BEHIND_A_GAP.to_owned(), 130)], false));
    }

    #[test]
    fn what_is_no_record_is_passed_over() {
        let bytes = [record(10), b"HTTP/1.1 200 OK".to_vec(), record(20)].concat();
        let (starts, buckets, _) = records(&[(0, &bytes)]);
        assert_eq!((starts, buckets), (vec![0, 30], vec![(BAD_RECORD.to_owned(), 15)]));
    }
}
