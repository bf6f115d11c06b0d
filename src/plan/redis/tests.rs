use super::*;
use crate::plan::redis::transactions::broken;
use crate::protocol::resp::effects::name;
use crate::recording::Response;

fn commands(methods: MethodPolicy, has_database: bool) -> Commands {
    Commands { methods, has_database }
}

fn listed(methods: &[&str]) -> MethodPolicy {
    MethodPolicy::Only(methods.iter().map(|it| (*it).to_owned()).collect())
}

/// An exchange on a connection, at its answer.
fn exchange(connection: u64, line: &str, answer: &str) -> Exchange {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let body: Bytes = command(&words).into();
    Exchange {
        at: std::time::Duration::ZERO,
        connection,
        session: connection,
        seq: 0,
        stream: None,
        protocol: Protocol::Redis,
        method: name(&words),
        scheme: "redis".to_owned(),
        authority: String::new(),
        target: String::new(),
        route: String::new(),
        request_head: Bytes::new(),
        request_body_bytes: body.len() as u64,
        request_body: body,
        request_stored: None,
        request_chunks: None,
        response: Some(Response {
            status: 0,
            head: answer.to_owned().into(),
            body_bytes: None,
            digest: None,
            shape: None,
            first_byte: None,
            last_byte: None,
        }),
        flags: Flags::default(),
    }
}

fn permitted(commands: &Commands, line: &str) -> Result<String, Skip> {
    let permitted = commands.permit(&exchange(0, line, "+OK"))?;
    let words = exact(&permitted.body).unwrap();
    Ok(words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" "))
}

#[test]
fn what_a_scenario_permits() {
    let reading = commands(MethodPolicy::Reading, false);
    let all = commands(MethodPolicy::All, true);
    let some = commands(listed(&["GET", "SET", "FLUSHALL", "CONFIG|SET", "BLPOP"]), false);
    let (kept, method, harmful) = (None, Some(Skip::Method), Some(Skip::Harmful));
    let (blocking, listening) = (Some(Skip::Blocking), Some(Skip::Listening));
    for (line, expected) in [
        ("GET k", [kept, kept, kept]),
        ("TTL k", [kept, kept, method]),
        ("SET k v", [method, kept, kept]),
        ("DEL k", [method, kept, method]),
        ("NOSUCH k", [method, kept, method]),
        ("FLUSHALL", [harmful, harmful, kept]),
        ("FLUSHDB", [harmful, harmful, harmful]),
        ("CONFIG SET a b", [harmful, harmful, kept]),
        ("CONFIG RESETSTAT", [harmful, harmful, harmful]),
        ("CONFIG GET a", [kept, kept, method]),
        ("BLPOP k 0", [blocking, blocking, kept]),
        ("SUBSCRIBE c", [listening, listening, listening]),
        ("MONITOR", [listening, listening, listening]),
        ("CLIENT REPLY OFF", [Some(Skip::Silencing); 3]),
        ("AUTH x", [Some(Skip::Login); 3]),
        ("SELECT 2", [kept, Some(Skip::Database), kept]),
        ("MULTI", [kept, kept, kept]),
    ] {
        let found = [&reading, &all, &some].map(|it| permitted(it, line).err());
        assert_eq!(found, expected, "{line}");
    }
}

#[test]
fn a_greeting_keeps_its_version_and_loses_its_login() {
    let reading = commands(MethodPolicy::Reading, false);
    for (line, sent) in [
        ("HELLO 3 AUTH me s3cret SETNAME app", "HELLO 3 SETNAME app"),
        ("hello 3 setname auth auth me s3cret", "hello 3 setname auth"),
        ("HELLO", "HELLO"),
        ("HELLO 2", "HELLO 2"),
        ("HELLO 3 AUTH", "HELLO 3"),
    ] {
        assert_eq!(permitted(&reading, line).as_deref(), Ok(sent), "{line}");
    }
}

#[test]
fn what_the_recording_says_must_be_what_its_bytes_say() {
    let reading = commands(MethodPolicy::Reading, false);
    let mut lying = exchange(0, "FLUSHALL", "+OK");
    lying.method = "GET".to_owned();
    assert_eq!(reading.permit(&lying).unwrap_err(), Skip::OtherMethod);
    let mut two = exchange(0, "GET k", "$-1");
    two.request_body = [&two.request_body[..], b"*1\r\n$8\r\nFLUSHALL\r\n"].concat().into();
    assert_eq!(reading.permit(&two).unwrap_err(), Skip::CommandForm);
    let mut cut = exchange(0, "GET k", "$-1");
    cut.flags.insert(Flags::REQUEST_TRUNCATED);
    assert_eq!(reading.permit(&cut).unwrap_err(), Skip::BodyNotWhole);
    let mut other = exchange(0, "GET k", "$-1");
    other.protocol = Protocol::Http1;
    assert_eq!(reading.permit(&other).unwrap_err(), Skip::NotRedis);
}

/// The fates of lines `connection command > answer`.
fn walk(commands: &Commands, lines: &[&str]) -> Vec<Option<Skip>> {
    let read = |line: &&str| {
        let (left, answer) = line.split_once(" > ").unwrap_or((line, "+OK"));
        let (connection, command) = left.split_once(' ').unwrap();
        exchange(connection.parse().unwrap(), command, answer)
    };
    let exchanges: Vec<Exchange> = lines.iter().map(read).collect();
    let mut rows: crate::plan::source::Rows<Exchange> =
        Box::new(exchanges.clone().into_iter().map(Ok));
    let mut transactions = Transactions::new(broken(&mut rows, commands).unwrap().into());
    exchanges.iter().map(|it| commands.rewritten(it, &mut transactions).err()).collect()
}

#[test]
fn a_transaction_is_replayed_whole_or_not_at_all() {
    let reading = commands(MethodPolicy::Reading, false);
    let part = Some(Skip::Transaction);
    let lines = [
        ("1 MULTI", None),
        ("2 MULTI", part),
        ("2 GET k > +QUEUED", part),
        ("1 GET k > +QUEUED", None),
        ("2 SET k v > +QUEUED", Some(Skip::Method)),
        ("1 EXEC > *1", None),
        ("2 EXEC > *2", part),
        ("2 GET k > $1", None),
        // It began before the window.
        ("3 GET k > +QUEUED", part),
        ("3 EXEC > *1", part),
        ("3 MULTI", None),
        ("3 DISCARD", None),
        // It ends behind the window.
        ("4 MULTI", part),
        ("4 GET k > +QUEUED", part),
    ];
    let found = walk(&reading, &lines.map(|(line, _)| line));
    assert_eq!(found, lines.map(|(_, skip)| skip));
    let all = walk(&commands(MethodPolicy::All, false), &lines.map(|(line, _)| line));
    assert!(all[..8].iter().all(Option::is_none), "{all:?}");
}
