//! Probes of pages, logs, machines and commands, and of servers that mean no good.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use peakhour::drive::clock::Epoch;
use peakhour::probe::record::Record;
use peakhour::probe::start;
use peakhour::recording::Servers;
use peakhour::scenario::parse::from_text;

use crate::probe::{title, url, watched};
use crate::rehearsal::alone;
use crate::servers::{pause, redis};
use crate::support::{peakhour, root};

/// Answers every connection with bytes, for as long as the test runs; `chunks` times the same.
fn answering(answer: Vec<u8>, chunks: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), answer) = (stream, answer.clone()) else { return };
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let _ = (0..chunks).try_for_each(|_| stream.write_all(&answer));
            });
        }
    });
    port
}

/// A page of metrics.
fn page(metrics: &str) -> u16 {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", metrics.len());
    answering([head.as_bytes(), metrics.as_bytes()].concat(), 1)
}

fn page_line(port: u16, series: &str) -> String {
    format!("{{ prometheus: 'http://127.0.0.1:{port}/metrics', series: [{series}], every: 100ms }}")
}

#[test]
fn a_page_is_watched_by_its_series_and_their_limit() {
    let few = page(
        "# TYPE hits counter\nhits_total{a=\"b\"} 3\nprocess_open_fds 7\nprocess_max_fds 10\n",
    );
    let record = watched(&page_line(few, "hits_total, process_open_fds"), || ());
    assert!(title(&record).starts_with("watch Pass"), "{record:?}");
    assert!(record.metric("hits_total{a=\"b\"}").unwrap().points.len() > 1);
    let many = page("process_open_fds 9\nprocess_max_fds 10\n");
    let record = watched(&page_line(many, ""), || ());
    let told = "watch-limit Fail: probe: process_open_fds reached 9 of 10";
    assert!(title(&record).starts_with(told), "{record:?}");
}

#[test]
fn a_page_without_its_series_or_without_success_is_unknown() {
    let port = page("up 1\n");
    let record = watched(&page_line(port, "up, down"), || ());
    assert_eq!(title(&record), "watch-silent Unknown: probe: the page has no down");
    let gone = answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(), 1);
    let record = watched(&page_line(gone, "up"), || ());
    assert!(title(&record).ends_with("the page answers with status 404"), "{record:?}");
}

fn append(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn lines_that_should_not_be_in_a_log_are_found_also_after_its_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    append(&path, "ERROR of yesterday\n");
    let line = format!("{{ log: '{}', matching: ERROR, every: 100ms }}", path.display());
    let record = watched(&line, || append(&path, "fine\nfine\n"));
    assert!(title(&record).starts_with("watch Pass"), "{record:?}");
    assert_eq!(record.metric("lines").unwrap().points.last().unwrap().1.to_string(), "2");
    let record = watched(&line, || {
        append(&path, "ERROR\n");
        fs::rename(&path, folder.path().join("app.log.1")).unwrap();
        append(&path, "ERROR\nfine\n");
    });
    assert_eq!(title(&record), "watch-counter Fail: probe: matching lines grew by 2");
}

#[test]
fn a_log_that_is_not_there_is_unknown() {
    let record = watched("{ log: /nowhere/app.log, every: 100ms }", || ());
    assert_eq!(title(&record), "watch-silent Unknown: probe saw nothing: entity not found");
}

#[test]
fn lines_of_a_command_are_counted_and_its_end_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let [go, gone] = ["go", "gone"].map(|name| folder.path().join(name));
    let line =
        |command: &str| format!("{{ log_command: '{command}', matching: ERROR, every: 100ms }}");
    // It says its lines once the first look was taken, and tells when it has.
    let told = |says: &str| {
        let waits = format!("until [ -e {} ]; do sleep 0.02; done", go.display());
        let ends = format!("rm {}; touch {}; sleep 600", go.display(), gone.display());
        watched(&line(&format!("{waits}; {says}; {ends}")), || {
            fs::write(&go, "").unwrap();
            let is_told = (0..1_500).any(|_| {
                pause();
                fs::remove_file(&gone).is_ok()
            });
            assert!(is_told, "it never said its lines");
        })
    };
    let record = told("echo fine; echo an ERROR");
    assert_eq!(title(&record), "watch-counter Fail: probe: matching lines grew by 1");
    let record = told("echo fine");
    assert!(title(&record).starts_with("watch Pass"), "{record:?}");
    let record = watched(&line("exit 3"), pause);
    assert!(title(&record).contains("the command ended (exit status: 3)"), "{record:?}");
}

#[test]
fn this_machine_is_watched_and_a_counter_of_another_that_moves_is_found() {
    let record = watched("{ host: '', every: 100ms }", || ());
    assert!(record.polls > 1, "{record:?}");
    for metric in ["load", "MemAvailable", "sockets in use", "ListenDrops", "busy"] {
        assert!(record.metric(metric).is_some(), "{metric}: {record:?}");
    }
    // It answers like a machine whose queue overflows more at every look.
    let folder = tempfile::tempdir().unwrap();
    let machine = folder.path().join("machine");
    let answer = |step: u32| {
        format!(
            "n=0; while read -r line; do n=$((n + {step}))\necho '0.1 0.2 0.3 1/2 3'\n\
             echo 'MemTotal: 9 kB'; echo 'MemAvailable: 8 kB'; echo 'TCP: inuse 1 tw 2'\n\
             echo 'TcpExt: ListenOverflows ListenDrops'; echo \"TcpExt: $n 0\"\n\
             echo 'cpu 1 2 3 4'; echo '== end'; done\n"
        )
    };
    let line = format!("{{ host: 'sh {}', every: 100ms }}", machine.display());
    fs::write(&machine, answer(1)).unwrap();
    let record = watched(&line, || ());
    let told = title(&record);
    assert!(told.starts_with("watch-counter Fail: probe: ListenOverflows grew by"), "{told}");
    fs::write(&machine, answer(0)).unwrap();
    assert!(title(&watched(&line, || ())).starts_with("watch Pass"));
    let record = watched("{ host: 'false', every: 100ms }", || ());
    assert!(title(&record).contains("the command ended (exit status: 1)"), "{record:?}");
}

/// Processes whose command line has this in it.
fn running(mark: &str) -> usize {
    let found = Command::new("pgrep").args(["-f", "-c", mark]).output().unwrap();
    String::from_utf8_lossy(&found.stdout).trim().parse().unwrap_or(0)
}

#[test]
fn nothing_that_a_probe_started_is_left_after_the_run() {
    // Seconds that no other process sleeps for.
    let mark = format!("600.{}", std::process::id());
    let watch = format!(
        "recording: a.parquet\ntarget: {{ url: stage }}\nwatch:\n\
         \x20 a: {{ command: 'sleep {mark}1 & echo 3', every: 100ms }}\n\
         \x20 b: {{ command: 'sleep {mark}2', every: 100ms }}\n\
         \x20 c: {{ log_command: 'sleep {mark}3 & sleep {mark}3; echo' }}\n\
         \x20 d: {{ host: 'sleep {mark}4 & exec' }}\n"
    );
    let watches = from_text(&watch, "s.yaml").unwrap().watch;
    let watching = start(&watches, &Servers::default(), Epoch::after(std::time::Duration::ZERO));
    assert!(running(&format!("sleep {mark}")) > 0);
    let records: Vec<Record> = watching.finish();
    assert!(records[0].polls > 0, "{:?}", records[0]);
    assert!(records[1].gaps[0].reason == "no answer in time", "{:?}", records[1]);
    for _ in 0..100 {
        if running(&format!("sleep {mark}")) == 0 {
            return;
        }
        pause();
    }
    panic!("{} processes are left", running(&format!("sleep {mark}")));
}

#[test]
fn servers_that_mean_no_good_are_unknown_and_bounded() {
    let garbage = b"\xff\x00HTTP/9 \r\n$99999999999\r\n*2147483647\r\n".to_vec();
    let endless_lists = b"*100000000\r\n$0\r\n\r\n".to_vec();
    let endless_page = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b'x'; 1 << 13]].concat();
    let servers = [
        answering(Vec::new(), 1),
        answering(garbage, 1),
        answering(endless_lists, 1),
        answering(vec![b'x'; 1 << 16], 1 << 14),
        answering(endless_page, 1 << 16),
        answering(b"STAT a b\r\n".repeat(1 << 12), 1 << 14),
    ];
    for port in servers {
        for scheme in ["redis", "mysql", "postgres", "memcached"] {
            let record = watched(&url(&format!("{scheme}://127.0.0.1:{port}")), || ());
            assert_eq!(record.polls, 0, "{scheme}: {record:?}");
            assert!(title(&record).starts_with("watch-silent Unknown: probe saw nothing: "));
        }
        let record = watched(&page_line(port, "x"), || ());
        assert_eq!(record.polls, 0, "{record:?}");
    }
    for command in ["yes x", "cat /dev/zero", "yes 3"] {
        let record = watched(&format!("{{ command: '{command}', every: 100ms }}"), || ());
        assert_eq!(record.polls, 0, "{command}: {record:?}");
    }
    let record = watched("{ host: 'yes #', every: 100ms }", || ());
    assert!(title(&record).ends_with("the answer is endless"), "{record:?}");
}

#[test]
fn a_rehearsal_beside_a_redis_near_its_limit_fails_and_its_twin_passes() {
    let Some(server) = redis(&["--maxclients", "20"]) else { return };
    let _alone = alone();
    let capture = root().join("captures/nginx-first/peak.pcap.gz");
    let scenario = format!(
        "name: watched\nrecording: {}\nspeed: 2\ntolerance: ci\ntarget: {{ url: stage }}\n\
         watch: {{ redis: 'redis://127.0.0.1:{}' }}\n",
        capture.display(),
        server.port
    );
    let rehearse = || {
        // A machine that others use as well may be late, which makes a run not valid.
        for _ in 0..4 {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("s.yaml"), &scenario).unwrap();
            let ran = peakhour(folder.path(), &["run", "s.yaml", "--out", "html=r.html"]);
            if ran.code != 98 {
                return (ran, fs::read_to_string(folder.path().join("r.html")).unwrap());
            }
        }
        panic!("no run was valid");
    };
    let (healthy, page) = rehearse();
    assert_eq!(healthy.code, 0, "{}{}", healthy.stdout, healthy.stderr);
    assert!(page.contains("What redis saw: connected_clients"), "no chart of the probe");
    let port = server.port;
    let _held: Vec<_> = (0..17).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    let (broken, _) = rehearse();
    assert_eq!(broken.code, 99, "{}{}", broken.stdout, broken.stderr);
    assert!(broken.words().contains("connected_clients reached 18 of 20"), "{}", broken.stdout);
}
