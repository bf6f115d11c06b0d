//! From recordings to real servers: what arrives is what was recorded, in memory that does not
//! depend on it.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tempfile::tempdir;

use peakhour::drive::drive;
use peakhour::drive::gauges::Gauges;
use peakhour::drive::stop::Stop;
use peakhour::plan::outline;
use peakhour::recording::Exchange;
use peakhour::recording::file::reader::RecordingReader;
use peakhour::recording::stored::spool::Spool;

use super::{
    MIB, in_http2, log, noise, put, put_repeated, replayed, scenario, scenario_with, storage,
    taken, write,
};
use crate::record_tls::authority;
use crate::servers::pause;
use crate::support::{peakhour, program};

/// The most memory that a run of the program had resident, in bytes.
fn run_measured(folder: &Path) -> usize {
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("peakhour"))
        .current_dir(folder)
        .args(["run", "s.yaml", "-q"])
        .stdout(Stdio::null())
        .stderr(File::create(folder.join("said")).unwrap())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let code = loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<usize>().ok());
        most = most.max(kilobytes.unwrap_or(0) * 1024);
        if let Some(code) = child.try_wait().unwrap() {
            break code;
        }
        pause();
    };
    assert!(
        [Some(0), Some(98)].contains(&code.code()),
        "{}",
        fs::read_to_string(folder.join("said")).unwrap()
    );
    most
}

/// By its length, in the chunks and with the trailer that were recorded, in chunks that nobody
/// knows, and after leave was given.
#[test]
fn what_was_put_arrives_as_it_was_recorded() {
    let Some(server) = storage("") else { return };
    let folder = tempdir().unwrap();
    let body = noise(5, 20 * MIB + 3);
    let chunked = "Transfer-Encoding: chunked\r\n";
    let around = format!("5;a=b\r\n\r\n{:X}\r\n\r\n0\r\nX-End: 1\r\n\r\n", body.len() - 5);
    let known = Exchange {
        request_chunks: Some(around.clone().into()),
        ..put("known", &body, &format!("{chunked}Trailer: X-End\r\n"))
    };
    let all = [
        put("length", &body, ""),
        put("leave", &body, "Expect: 100-continue\r\n"),
        put("unknown", &body, chunked),
        known.clone(),
    ];
    let head = known.request_head.len();
    write(&folder.path().join("peak.parquet"), all);
    scenario(folder.path(), &server);
    replayed(folder.path());
    for name in ["length", "leave", "unknown", "known"] {
        assert!(taken(&server, name) == body, "{name}");
    }
    // The name of the host is the only thing that changes.
    let host = format!("127.0.0.1:{}", server.port).len() - "a.example".len();
    let expected = format!("PUT /known 201 {}", head + host + around.len() + body.len());
    assert!(log(&server).contains(&expected), "{expected}: {:?}", log(&server));
}

#[test]
fn streams_of_http2_carry_them_as_the_target_takes_them() {
    let Some(server) = storage("http2") else { return };
    let folder = tempdir().unwrap();
    let bodies: Vec<Vec<u8>> = (0..4).map(|seed| noise(seed, 6 * MIB + 1)).collect();
    let rows = (0..4).zip(&bodies).map(|(number, body)| Exchange {
        seq: number,
        stream: Some(number * 2 + 1),
        ..in_http2(put(&format!("file-{number}"), body, ""))
    });
    let path = folder.path().join("peak.parquet");
    // All of them on one connection, at once.
    let mut writer = peakhour::recording::file::writer::RecordingWriter::create(&path).unwrap();
    rows.for_each(|row| writer.push(row).unwrap());
    writer.finish(crate::exchanges::header()).unwrap();
    scenario(folder.path(), &server);
    replayed(folder.path());
    for (number, body) in bodies.iter().enumerate() {
        assert!(taken(&server, &format!("file-{number}")) == *body, "{number}");
    }
}

#[test]
fn inside_of_tls_they_arrive_as_well() {
    let folder = tempdir().unwrap();
    let Some(authority) = authority(folder.path()) else { return };
    let [pem, key] = ["shop.pem", "shop-key.pem"].map(|name| authority.path(name));
    let keys = format!("ssl_certificate {pem}; ssl_certificate_key {key}");
    let body = noise(6, 9 * MIB + 7);
    for (listen, is_http2) in [("ssl", false), ("ssl http2", true)] {
        let Some(server) = storage(&format!("{listen}; {keys}")) else { return };
        let row = put("file", &body, "");
        let row = if is_http2 { in_http2(row) } else { row };
        write(&folder.path().join("peak.parquet"), [row]);
        let tls =
            format!("tls: {{ cacert: '{}', server_name: shop.example }}", authority.path("ca.pem"));
        let url = format!("url: 'https://127.0.0.1:{}', {tls}", server.port);
        scenario_with(folder.path(), &url, "");
        replayed(folder.path());
        assert!(taken(&server, "file") == body, "{listen}");
    }
}

/// A hook signs the target of a body that it is not told, and what is not replaced in it is said
/// before the run.
#[test]
fn a_hook_is_told_the_length_and_the_plan_says_what_is_not_looked_into() {
    let Some(server) = storage("") else { return };
    if program("python3").is_none() {
        return;
    }
    let folder = tempdir().unwrap();
    let hook = "#!/usr/bin/env python3\nimport json, sys\nfor line in sys.stdin:\n    \
                it = json.loads(line)\n    \
                assert it['body_base64'] == '' and it['body_bytes'] == 3145729\n    \
                it['target'] = '/signed'\n    print(json.dumps(it), flush=True)\n";
    fs::write(folder.path().join("sign.py"), hook).unwrap();
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.path().join("sign.py"), mode).unwrap();
    let body = noise(8, 3 * MIB + 1);
    write(&folder.path().join("peak.parquet"), [put("file", &body, "")]);
    let url = format!("url: 'http://127.0.0.1:{}'", server.port);
    scenario_with(
        folder.path(),
        &url,
        "rewrite: { hook: { command: [./sign.py], timeout: 5s } }\n",
    );
    let ran = replayed(folder.path());
    assert!(taken(&server, "signed") == body, "{ran:?}");
    let said = ran.words();
    assert!(said.contains("of 1 body too large for memory it was told the length"), "{said}");
    assert!(said.contains("the bodies of 1 request are over 1 MiB"), "{said}");
}

/// More than the program may have in memory: half a gibibyte in one body, and as much in many that
/// are sent at the same moment.
#[test]
fn memory_does_not_depend_on_bodies() {
    const MOST: usize = 200 * MIB;
    let Some(server) = storage("") else { return };
    let folder = tempdir().unwrap();
    let path = folder.path().join("peak.parquet");
    let spool = Arc::new(Spool::beside(&path));
    let piece = noise(1, MIB);
    scenario(folder.path(), &server);
    write(&path, [put_repeated("one", &piece, 512, &spool)]);
    let most = run_measured(folder.path());
    assert!(most < MOST, "{most} bytes for one");
    let one = taken(&server, "one");
    assert!(one.len() == 512 * MIB && one.chunks(MIB).all(|chunk| chunk == piece));
    let many = (0..64).map(|number| put_repeated(&format!("{number}"), &piece, 8, &spool));
    write(&path, many);
    let most = run_measured(folder.path());
    assert!(most < MOST, "{most} bytes for many");
    for number in 0..64 {
        let bytes = taken(&server, &number.to_string());
        assert!(bytes.len() == 8 * MIB && bytes.chunks(MIB).all(|chunk| chunk == piece));
    }
}

/// A plan is told from another by a single byte of a body, and leaves out what its head does not
/// announce.
#[test]
fn a_plan_knows_what_it_sends() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("peak.parquet");
    scenario_with(folder.path(), "url: stage", "");
    let text = fs::read_to_string(folder.path().join("s.yaml")).unwrap();
    let text = text.replace(", allow: [127.0.0.1]", "");
    let loaded = peakhour::scenario::parse::from_text(&text, "s.yaml").unwrap();
    let planned = |rows: Vec<Exchange>| {
        write(&path, rows);
        let reader = RecordingReader::open(&path).unwrap();
        outline(&reader, &loaded, "stage").unwrap().0
    };
    let body = noise(1, 2 * MIB);
    let mut other = body.clone();
    other[MIB] ^= 1;
    let plan = planned(vec![put("a", &body, "")]);
    assert_eq!(plan, planned(vec![put("a", &body, "")]));
    assert_ne!(plan.fingerprint, planned(vec![put("a", &other, "")]).fingerprint);
    let head = put("a", &body, "").request_head.len() + "stage".len() - "a.example".len();
    assert_eq!(plan.request_bytes, (head + body.len()) as u64);
    let wrong = Exchange { request_head: put("a", b"", "").request_head, ..put("a", &body, "") };
    let plan = planned(vec![put("b", &body, ""), wrong]);
    assert_eq!((plan.arrivals, plan.skipped["body does not match its head"]), (1, 1));
}

/// A byte of a body is another one: the plan finds it, and the target hears nothing.
#[test]
fn a_damaged_body_ends_the_run_before_anything_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let folder = tempdir().unwrap();
    let (path, body) = (folder.path().join("peak.parquet"), noise(2, 3 * MIB));
    write(&path, [put("a", b"small", ""), put("b", &body, "")]);
    let mut whole = fs::read(&path).unwrap();
    let at = memchr::memmem::find(&whole, &body[..64]).unwrap();
    whole[at + 2 * MIB] ^= 1;
    fs::write(&path, &whole).unwrap();
    scenario_with(folder.path(), &format!("url: 'http://{}'", listener.local_addr().unwrap()), "");
    let ran = peakhour(folder.path(), &["run", "s.yaml"]);
    assert_eq!(ran.code, 104, "{ran:?}");
    for said in ["peak.parquet: body 0", "3145728 bytes", "SHA-256 differs", "copy the file again"]
    {
        assert!(ran.stderr.contains(said), "{said}: {ran:?}");
    }
    // Whether it is there may have been tried.
    while let Ok((mut stream, _)) = listener.accept() {
        stream.set_nonblocking(false).unwrap();
        assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0, "the target was asked");
    }
    // Cut anywhere, it is no recording at all.
    fs::write(&path, &whole[..whole.len() - MIB]).unwrap();
    let ran = peakhour(folder.path(), &["run", "s.yaml"]);
    assert!(ran.code == 104 && ran.stderr.contains("is not a recording"), "{ran:?}");
}

/// The file is cut between the plan and the moment: such requests are counted as ours, in HTTP/1
/// and HTTP/2, and the others go their way.
#[test]
fn a_body_that_is_gone_at_its_moment_is_an_unsent_arrival() {
    for (listen, is_http2) in [("", false), ("http2", true)] {
        let Some(server) = storage(listen) else { return };
        let folder = tempdir().unwrap();
        let path = folder.path().join("peak.parquet");
        scenario(folder.path(), &server);
        let spoken = |row| if is_http2 { in_http2(row) } else { row };
        // The first of them is still there, of the second a part, of the third nothing.
        let bodies = [noise(1, 2 * MIB), noise(2, 2 * MIB), noise(3, 2 * MIB)];
        let rows = bodies.iter().enumerate();
        write(&path, rows.map(|(at, body)| spoken(put(&format!("file-{at}"), body, ""))));
        let whole = fs::read(&path).unwrap();
        let second = memchr::memmem::find(&whole, &bodies[1][..64]).unwrap();

        let text = fs::read_to_string(folder.path().join("s.yaml")).unwrap();
        let loaded = peakhour::scenario::parse::from_text(&text, "s.yaml").unwrap();
        let reader = RecordingReader::open(&path).unwrap();
        let (_, plan) = outline(&reader, &loaded, &loaded.target.authority()).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let plan: Vec<_> = plan.collect();
        file.set_len((second + MIB) as u64).unwrap();
        let way = std::net::SocketAddr::from(([127, 0, 0, 1], server.port));
        let gauges = Arc::new(Gauges::default());
        let driven = drive(plan.into_iter(), way, &loaded.limits, gauges, Stop::new()).unwrap();
        let fates: Vec<_> = driven.summary.fates.into_iter().collect();
        assert_eq!(fates, [("answered", 1), ("unsent: body not readable", 2)]);
        assert!(taken(&server, "file-0") == bodies[0] && taken(&server, "file-1").is_empty());
    }
}
