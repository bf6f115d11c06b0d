//! Inputs that end too early: cut files of every format, and files that unpack to more than is
//! sensible. What was read is a recording, and says that it is a part.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Ran, peakhour, root};
use crate::talk::{GET, OK, Talk, bytes_of, packet_of};
use crate::wire::{Order, block, interface, packet, section};

const COMPRESSED: &str = "compressed input is cut or damaged";
const CEILING: &str = "compressed input unpacks to more than was read";
const CAPTURE: &str = "capture file is cut";
const LINE: &str = "last line is cut";

/// What `inspect --json` says of a file: the exchanges, and why they are not all.
fn inspected(folder: &Path, file: &str) -> (u64, Vec<String>) {
    let ran = peakhour(folder, &["inspect", "--json", file]);
    assert_eq!(ran.code, 0, "{file}: {}", ran.stderr);
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    let partial = json["partial"].as_array().unwrap().iter();
    let partial = partial.map(|cut| cut.as_str().unwrap().to_owned()).collect();
    (json["exchanges"].as_u64().unwrap(), partial)
}

fn import(folder: &Path, file: &str, content: &[u8], more: &[&str]) -> Ran {
    fs::write(folder.join(file), content).unwrap();
    peakhour(folder, &[&["import", file, "-o", "out.parquet"], more].concat())
}

/// A file, whole and cut: of both there is a recording, and only one is marked as partial.
fn check(file: &str, whole: &[u8], cut: usize, note: &str, more: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let found = |content: &[u8]| {
        let ran = import(folder, file, content, more);
        assert_eq!(ran.code, 0, "{file}: {}", ran.stderr);
        let (exchanges, partial) = inspected(folder, "out.parquet");
        let text = peakhour(folder, &["inspect", "out.parquet"]).stdout;
        assert_eq!(text.contains("\npartial "), !partial.is_empty(), "{file}: {text}");
        assert_eq!(ran.stderr.contains("partial: "), !partial.is_empty(), "{file}: {}", ran.stderr);
        (exchanges, partial, ran.stderr)
    };
    let (all, partial, said) = found(whole);
    assert!(partial.is_empty(), "{file}, whole: {partial:?}\n{said}");
    let (some, partial, said) = found(&whole[..cut]);
    assert_eq!(partial, [note], "{file}: {said}");
    assert!(some > 0 && some < all, "{file}: {some} of {all}");
    assert!(said.contains(file) || said.contains("warning: "), "{file}: {said}");
}

/// Requests and answers, one after the other.
fn talk() -> Talk {
    let mut talk = Talk::new();
    for _ in 0..400 {
        talk.client(GET).server(OK);
    }
    talk
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

#[test]
fn captures_of_packets() {
    let talk = talk();
    let pcap = bytes_of(&talk.pieces);
    check("a.pcap", &pcap, pcap.len() - 1_007, CAPTURE, &[]);
    let mut pcapng = [section(Order::Little), interface(Order::Little, 101, 0, &[])].concat();
    for piece in &talk.pieces {
        let micros = u64::try_from(piece.at_ns / 1_000).unwrap();
        pcapng.extend(packet(Order::Little, 0, micros, &packet_of(piece)));
    }
    let unknown = block(Order::Little, 0x0bee, &[7; 200]);
    check("a.pcapng", &pcapng, pcapng.len() - 1_007, CAPTURE, &[]);
    // A block of another kind is cut.
    let exchanges = pcapng.len();
    pcapng.extend(unknown);
    let folder = tempfile::tempdir().unwrap();
    let ran = import(folder.path(), "b.pcapng", &pcapng[..exchanges + 100], &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(inspected(folder.path(), "out.parquet"), (400, vec![CAPTURE.to_owned()]));
}

/// A rehearsal with a part of the peak says so in its report; its twin with all of it does not.
#[test]
fn a_plan_of_a_partial_recording_says_that_it_is_partial() {
    let folder = tempfile::tempdir().unwrap();
    let pcap = bytes_of(&talk().pieces);
    let scenario = "recording: out.parquet\ntarget: { url: stage }\n";
    fs::write(folder.path().join("s.yaml"), scenario).unwrap();
    for (cut, is_partial) in [(1_007, true), (0, false)] {
        let ran = import(folder.path(), "a.pcap", &pcap[..pcap.len() - cut], &[]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let ran = peakhour(folder.path(), &["plan", "s.yaml", "--json"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let told = "the recording is partial (capture file is cut)";
        assert_eq!(ran.stdout.contains(told), is_partial, "{}", ran.stdout);
    }
}

#[test]
fn compressed_files_of_every_kind() {
    let log = |line: u64| {
        let second = line % 60;
        format!(
            "192.0.2.1 - - [17/May/2015:10:05:{second:02} +0000] \"GET /{} HTTP/1.1\" 200 1\n",
            noise(line)
        )
    };
    let lines = |line: u64| {
        format!(
            "{{\"at_ns\":{line},\"method\":\"GET\",\"target\":\"/{}\",\"authority\":\"a\"}}\n",
            noise(line)
        )
    };
    let command = |line: u64| format!("{line}.000001 [0 10.0.0.1:5] \"GET\" \"{}\"\n", noise(line));
    let target = |line: u64| format!("GET http://shop.example/{}\n\n", noise(line));
    let record = |line: u64| {
        format!(
            "1 {line:024x} 1700000000{line:09} 5\nGET /{} HTTP/1.1\r\nHost: a\r\n\r\n\n🐵🙈🙉\n",
            noise(line)
        )
    };
    let many = |one: &dyn Fn(u64) -> String| (0..2_000).map(one).collect::<String>().into_bytes();
    let mut talk = Talk::new();
    for line in 0..1_000 {
        let target = noise(line);
        talk.client(&format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n")).server(OK);
    }
    for (name, content, more) in [
        ("a.log", many(&log), &["--format", "nginx"][..]),
        ("a.jsonl", many(&lines), &[]),
        ("a.monitor", many(&command), &[]),
        ("a.targets", many(&target), &["--rate", "9000"]),
        ("a.gor", many(&record), &[]),
        ("a.har", har(&many(&entry)), &[]),
        ("a.json", sessions(&many(&transaction)), &[]),
        ("a.pcap", bytes_of(&talk.pieces), &[]),
    ] {
        for packed in [gzip(&content), zstd(&content)] {
            let folder = tempfile::tempdir().unwrap();
            let ran = import(folder.path(), name, &packed[..packed.len() * 2 / 3], more);
            assert_eq!(ran.code, 0, "{name}: {}", ran.stderr);
            assert!(ran.stderr.contains("data that is cut or damaged"), "{name}: {}", ran.stderr);
            let (some, partial) = inspected(folder.path(), "out.parquet");
            assert!(partial.contains(&COMPRESSED.to_owned()), "{name}: {partial:?}");
            assert!(some > 100 && some < 2_000, "{name}: {some}");
        }
    }
}

/// A path that hardly packs: it takes some blocks of packed bytes to cut between them.
fn noise(line: u64) -> String {
    let number = |part: u64| (line * 16 + part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..12)
        .map(|part| format!("{:016x}", number(part) ^ number(part) >> 29))
        .collect::<Vec<_>>()
        .concat()
}

fn entry(line: u64) -> String {
    format!(
        "{{\"startedDateTime\": \"2024-05-01T12:00:{:02}.250Z\", \"request\": {{\"httpVersion\": \
         \"HTTP/1.1\", \"method\": \"GET\", \"url\": \"http://a/{}\", \"headers\": []}}, \
         \"response\": {{\"status\": 200, \"httpVersion\": \"HTTP/1.1\", \"headers\": [], \
         \"content\": {{\"size\": 1}}}}}},\n",
        line % 60,
        noise(line)
    )
}

fn har(entries: &[u8]) -> Vec<u8> {
    let entries = entries.strip_suffix(b",\n").unwrap();
    [b"{\"log\": {\"version\": \"1.2\", \"entries\": [\n", entries, b"\n]}}\n"].concat()
}

fn transaction(line: u64) -> String {
    format!(
        "{{\"client-request\": {{\"method\": \"GET\", \"url\": \"http://a/{}\"}}, \
         \"start-time\": {line}, \"server-response\": {{\"status\": 200}}}},\n",
        noise(line)
    )
}

fn sessions(transactions: &[u8]) -> Vec<u8> {
    let transactions = transactions.strip_suffix(b",\n").unwrap();
    [b"{\"sessions\": [{\"transactions\": [\n", transactions, b"\n]}]}\n"].concat()
}

#[test]
fn documents_of_json() {
    let entries: String = (0..9).map(entry).collect();
    let whole = har(entries.as_bytes());
    check("a.har", &whole, whole.len() - 70, "the file is cut off", &[]);
    let damaged = [&whole[..whole.len() - 5], b"\n} ]}\n"].concat();
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(import(folder.path(), "b.har", &damaged, &[]).code, 0);
    let (_, partial) = inspected(folder.path(), "out.parquet");
    assert_eq!(partial, ["the JSON is damaged"]);
    let transactions: String = (0..9).map(transaction).collect();
    let whole = sessions(transactions.as_bytes());
    check("a.json", &whole, whole.len() - 40, "the file is cut off", &[]);
}

#[test]
fn lines_and_records() {
    let line = |second: u64| {
        format!("{{\"at_ns\":{second},\"method\":\"GET\",\"target\":\"/\",\"authority\":\"a\"}}\n")
    };
    let whole: String = (0..9).map(line).collect();
    check("a.jsonl", whole.as_bytes(), whole.len() - 9, LINE, &[]);
    let line = |second: u64| format!("17{second:08}.000001 [0 10.0.0.1:5] \"GET\" \"key\"\n");
    let whole: String = (0..9).map(line).collect();
    check("a.monitor", whole.as_bytes(), whole.len() - 9, LINE, &[]);
    let target = "{\"method\": \"GET\", \"url\": \"http://a/b\"}\n".repeat(9);
    check("a.targets", target.as_bytes(), target.len() - 9, LINE, &["--rate", "10"]);
    let record = |second: u64| {
        format!(
            "1 {second:024x} 170000000{second}000000000 5\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\
             \n🐵🙈🙉\n"
        )
    };
    let whole: String = (0..9).map(record).collect();
    let cut = whole.len() - 30;
    check("a.gor", whole.as_bytes(), cut, "last record without separator", &[]);
}

#[test]
fn access_logs_of_every_format() {
    let formats = fs::read_to_string(root().join("tests/it/access_logs/formats.txt")).unwrap();
    let (mut log, mut count) = (String::new(), 0);
    for line in formats.lines() {
        if line.starts_with("=>") {
            let (front, last) = log.trim_end().rsplit_once('\n').unwrap_or(("", log.trim_end()));
            let front = if front.is_empty() { String::new() } else { format!("{front}\n") };
            let whole = format!("{front}{last}\n{last}\n{last}\n");
            check("a.log", whole.as_bytes(), whole.len() - last.len() * 2 / 3, LINE, &[]);
            (log, count) = (String::new(), count + 1);
        } else if !line.is_empty() {
            log += line;
            log.push('\n');
        }
    }
    assert!(count > 12, "{count}");
}

/// The columns of a recording end with its footer: without it there is nothing to tell.
#[test]
fn a_recording_that_is_cut_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let ran = import(folder.path(), "a.pcap", &bytes_of(&talk().pieces), &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let whole = fs::read(folder.path().join("out.parquet")).unwrap();
    for cut in [whole.len() / 2, whole.len() - 1] {
        fs::write(folder.path().join("cut.parquet"), &whole[..cut]).unwrap();
        let ran = peakhour(folder.path(), &["inspect", "cut.parquet"]);
        assert_eq!(ran.code, 104, "{}", ran.stdout);
        assert!(ran.stderr.contains("cut.parquet"), "{}", ran.stderr);
    }
}

type Pack = fn(&[u8]) -> Vec<u8>;

/// Bytes in a few of which gibibytes of `byte` are packed.
fn bomb(byte: u8, pack: Pack) -> Vec<u8> {
    // Members of a file follow each other without anything between them.
    pack(&vec![byte; 32 << 20]).repeat(256)
}

/// Files of 8 GiB when unpacked, of a megabyte or so: they are read up to the ceiling, in flat
/// memory, and what was before the bomb is kept.
#[test]
fn a_file_that_unpacks_to_gibibytes_is_read_up_to_the_ceiling() {
    let line = "{\"at_ns\":1,\"method\":\"GET\",\"target\":\"/\",\"authority\":\"a\"}\n";
    let log = "192.0.2.1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1\n";
    let record = "1 a 1700000000000000000 5\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\n🐵🙈🙉\n";
    let har = har(entry(1).as_bytes());
    for pack in [gzip as Pack, zstd] {
        let (zeros, blanks) = (bomb(0, pack), bomb(b' ', pack));
        for (file, front, bomb, more) in [
            ("a.pcap", &bytes_of(&talk().pieces)[..], &zeros, &[][..]),
            ("a.har", &har[..har.len() - 5], &blanks, &[]),
            ("a.jsonl", line.as_bytes(), &zeros, &[]),
            ("a.log", log.as_bytes(), &zeros, &["--format", "nginx"]),
            ("a.gor", record.as_bytes(), &zeros, &[]),
            ("a.monitor", b"1.000001 [0 1.1.1.1:1] \"GET\" \"a\"\n", &zeros, &[]),
            ("a.targets", b"GET http://a/b\n\n", &zeros, &["--rate", "1"]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(file), [&pack(front)[..], bomb].concat()).unwrap();
            let arguments = ["import", file, "-o", "out.parquet", "--max-unpacked", "24MiB"];
            let output = limited(folder.path(), &[&arguments, more].concat());
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{file}: {said}");
            let ceiling = "unpacks to more than 24 MiB (allow more with `peakhour import \
                           --max-unpacked SIZE`): what comes before it was used";
            assert!(said.contains(ceiling), "{file}: {said}");
            let (exchanges, partial) = inspected(folder.path(), "out.parquet");
            assert!(exchanges > 0, "{file}");
            assert!(partial.contains(&CEILING.to_owned()), "{file}: {partial:?}");
        }
        // More than there is memory for.
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.log"), [&pack(log.as_bytes())[..], &zeros].concat())
            .unwrap();
        let arguments = ["import", "a.log", "-o", "out.parquet", "--max-unpacked", "320MiB"];
        let output = limited(folder.path(), &[&arguments[..], &["--format", "nginx"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Nothing but the bomb: what it was taken for has no exchange.
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.gz"), &zeros).unwrap();
        let output = limited(folder.path(), &["import", "a.gz", "-o", "out.parquet"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(104), "{said}");
        assert!(said.contains("not a capture"), "{said}");
    }
}

/// Runs the program in as much memory as a peak hour needs, and far less than the bomb unpacks to.
fn limited(folder: &Path, arguments: &[&str]) -> std::process::Output {
    let command = "ulimit -v 250000; exec \"$0\" \"$@\"";
    let mut shell = Command::new("sh");
    shell.current_dir(folder).args(["-c", command, env!("CARGO_BIN_EXE_peakhour")]);
    // An arena of each thread takes addresses that it does not use.
    shell.env("MALLOC_ARENA_MAX", "1").env("NO_COLOR", "1").args(arguments).output().unwrap()
}
