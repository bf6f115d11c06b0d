use tempfile::TempDir;

use super::*;
use crate::capture::import::Found;
use crate::capture::tcp::{Data, Event, Link, Mark, Side, What};
use crate::cli::record::part::NOT_WRITTEN;
use crate::recording::Flags;
use crate::recording::file::reader::RecordingReader;

/// A recording under way, told of a clock that begins at zero.
struct Recorded {
    folder: TempDir,
    import: Import,
    parts: Parts,
    connections: u64,
    unfinished: Arc<Mutex<Vec<PathBuf>>>,
}

const SECOND: i64 = 1_000_000_000;

impl Recorded {
    fn begin(rotation: Rotation) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let unfinished = Arc::<Mutex<Vec<PathBuf>>>::default();
        let series = Series {
            output: folder.path().join("day/peak.parquet"),
            origin: "a test".to_owned(),
            rotation,
            redactor: None,
            quiet: true,
        };
        std::fs::create_dir(folder.path().join("day")).unwrap();
        let parts = Parts::begin(series, 0, Arc::clone(&unfinished)).unwrap();
        Self { folder, import: Import::default(), parts, connections: 0, unfinished }
    }

    fn tick(&mut self, second: i64) {
        self.parts.tick(second * SECOND, &mut self.import, &Passed::default());
    }

    /// An exchange that begins and ends at a second, on a connection of its own.
    fn exchange(&mut self, second: i64) {
        let link = self.request(second);
        assert!(!self.answer(link, second), "none is late here");
    }

    /// A request on a connection of its own.
    fn request(&mut self, second: i64) -> Link {
        let address = "10.0.0.1:80".parse().unwrap();
        let ends = [address, address];
        let link =
            Link { number: self.connections, ends, client: Some(Side::First), resumed: None };
        self.connections += 1;
        assert!(!self.sent(link, Side::First, second));
        link
    }

    /// Its answer; true where the exchange went to the file before.
    fn answer(&mut self, link: Link, second: i64) -> bool {
        self.sent(link, Side::Second, second)
    }

    fn sent(&mut self, link: Link, side: Side, second: i64) -> bool {
        let origin_ns = self.import.started_unix_ns().unwrap_or(second * SECOND);
        let bytes: &[u8] = match side {
            Side::First => b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n",
            Side::Second => b"HTTP/1.1 204 No Content\r\n\r\n",
        };
        let tick = side.index() as u64;
        let mark = Mark { at_ns: second * SECOND, tick, offset: 0, ack: Some(0) };
        let what = What::Data(Data { mark, bytes, fresh: true });
        let (parts, mut is_late) = (&mut self.parts, false);
        self.import.event(0, &Event { link, side, what }, &mut |found| {
            if let Found::Exchange(exchange) = found {
                is_late |= parts.keep(exchange, origin_ns);
            }
        });
        if let Some(ledger) = self.parts.late_ledger().filter(|_| is_late) {
            self.import.hand_over("exchange", ledger);
        }
        is_late
    }

    fn end(mut self) -> (TempDir, Totals) {
        let latest_ns = self.import.latest_unix_ns();
        let imported = self.import.finish(&mut |_| {});
        self.parts.end(&imported.ledger, latest_ns, &imported.servers);
        assert!(self.unfinished.lock().unwrap().is_empty(), "all are finished or gone");
        (self.folder, self.parts.totals)
    }
}

fn hourly() -> Rotation {
    Rotation { every: Some(Duration::from_hours(1)), ..Rotation::default() }
}

#[test]
fn after_a_file_was_lost_another_is_tried_and_tells_what_was_lost() {
    let mut recorded = Recorded::begin(hourly());
    let day = recorded.folder.path().join("day");
    recorded.exchange(1);
    std::fs::remove_dir_all(&day).unwrap();
    // Neither can this one be finished, nor the next one begun.
    recorded.tick(3_600);
    recorded.exchange(3_601);
    recorded.tick(3_610);
    std::fs::create_dir(&day).unwrap();
    assert!(recorded.parts.current.is_lost());
    recorded.tick(3_629);
    assert!(recorded.parts.current.is_lost(), "it is not tried all the time");
    recorded.tick(3_630);
    assert!(!recorded.parts.current.is_lost());
    recorded.exchange(3_631);
    let (folder, totals) = recorded.end();
    assert_eq!((totals.exchanges, totals.lost_exchanges), (3, 2));
    assert_eq!((totals.files, totals.lost_files), (1, 2));
    let header = totals.last.unwrap();
    assert_eq!((header.exchanges, header.part.unwrap().number), (1, 2));
    let messages = &header.ledger.messages;
    assert_eq!((messages.count("exchange"), messages.count(NOT_WRITTEN)), (1, 2));
    assert!(header.ledger.reconciles(), "{:?}", header.ledger);
    assert_eq!(std::fs::read_dir(folder.path().join("day")).unwrap().count(), 1);
}

#[test]
fn hours_without_traffic_make_no_files() {
    let mut recorded = Recorded::begin(hourly());
    recorded.exchange(1);
    // The machine slept.
    recorded.tick(5 * 3_600 + 1);
    assert_eq!(recorded.parts.cut_at_ns, Some(6 * 3_600 * SECOND));
    recorded.tick(6 * 3_600);
    recorded.tick(7 * 3_600);
    recorded.exchange(7 * 3_600 + 5);
    let (folder, totals) = recorded.end();
    assert_eq!(totals.files, 2);
    let mut files: Vec<_> = std::fs::read_dir(folder.path().join("day"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let names: Vec<&str> =
        files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["peak-19700101-000000-000.parquet", "peak-19700101-070000-000.parquet"]);
    let last = RecordingReader::open(&files[1]).unwrap();
    let header = last.header();
    assert_eq!((header.started_unix_ns, header.duration_ns), (7 * 3_600 * SECOND, 5_000_000_000));
    assert_eq!(header.part.as_ref().unwrap().number, 1, "no number is left out");
}

#[test]
fn what_is_under_way_when_a_file_is_cut_stays_in_it_though_nothing_was_answered_before() {
    let every = Some(Duration::from_secs(5));
    let mut recorded = Recorded::begin(Rotation { every, ..Rotation::default() });
    // Each answer takes six seconds.
    let links = [1, 2, 3].map(|second| (second, recorded.request(second)));
    recorded.tick(5);
    for (second, link) in links {
        assert!(recorded.answer(link, second + 6), "it belongs to the file before");
    }
    let late = recorded.request(11);
    recorded.tick(10);
    recorded.tick(15);
    assert!(recorded.answer(late, 17));
    let (folder, totals) = recorded.end();
    assert_eq!((totals.exchanges, totals.lost_files), (4, 0));
    let mut files: Vec<_> = std::fs::read_dir(folder.path().join("day"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut began = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let reader = RecordingReader::open(file).unwrap();
        let header = reader.header();
        assert_eq!(header.part.as_ref().unwrap().number, number as u64);
        assert!(header.ledger.reconciles(), "{:?}", header.ledger);
        assert_eq!(header.ledger.messages.count("exchange"), header.exchanges);
        for exchange in reader.exchanges(None) {
            let exchange = exchange.unwrap();
            assert!(!exchange.flags.contains(Flags::MID_STREAM));
            began.push((number, header.started_unix_ns / SECOND, exchange.at.as_secs()));
        }
    }
    assert_eq!(began, [(0, 1, 0), (0, 1, 1), (0, 1, 2), (1, 10, 1)]);
}

#[test]
fn for_a_last_file_without_exchanges_none_with_some_is_removed() {
    let names = ["peak-19700101-000000-000.parquet", "peak-19700101-010000-000.parquet"];
    for (is_empty, removed, left) in [(true, 0, &names[..]), (false, 1, &names[1..])] {
        let mut recorded = Recorded::begin(Rotation { keep: Some(1), ..hourly() });
        recorded.exchange(1);
        recorded.tick(3_600);
        if !is_empty {
            recorded.exchange(3_601);
        }
        recorded.parts.current.ledger.note("clients without tls", 1);
        let (folder, totals) = recorded.end();
        assert_eq!((totals.files, totals.removed, totals.lost_files), (2, removed, 0));
        let mut found: Vec<_> = std::fs::read_dir(folder.path().join("day"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        assert_eq!(found, left);
    }
}

#[test]
fn a_last_file_that_could_not_be_begun_loses_nothing_where_nothing_came() {
    let mut recorded = Recorded::begin(hourly());
    recorded.exchange(1);
    recorded.tick(3_600);
    recorded.parts.current = Part::none(recorded.parts.current.path.clone());
    recorded.parts.current.ledger.note("clients without tls", 1);
    let (_, totals) = recorded.end();
    assert_eq!((totals.files, totals.lost_files, totals.lost_exchanges), (1, 0, 0));
    assert_eq!(totals.ledger.notes.get("clients without tls"), Some(&1));
}

#[test]
fn of_one_file_nothing_is_cut() {
    let mut recorded = Recorded::begin(Rotation::default());
    recorded.exchange(1);
    recorded.tick(100 * 3_600);
    recorded.exchange(100 * 3_600);
    let (folder, totals) = recorded.end();
    assert_eq!((totals.files, totals.last.unwrap().part), (1, None));
    assert!(folder.path().join("day/peak.parquet").is_file());
}
