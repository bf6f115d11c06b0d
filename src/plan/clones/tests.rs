use super::*;
use crate::plan::bond::Bond;
use crate::plan::facts::Facts;
use crate::plan::tests::{exchange, planned, scenario};
use crate::plan::{Arrival, Recorded, Touch};
use crate::scenario::Scenario;

/// Two requests of one session, which says who it is by a pseudonym.
fn rows(flags: Flags) -> Vec<Exchange> {
    let mut rows: Vec<Exchange> = (0..2).map(|at| exchange(at * 10, 1, 1)).collect();
    for row in &mut rows {
        row.request_head = "GET /cart/7?token=q7w8e9r0t1 HTTP/1.1\r\nHost: a\r\n\
                            Cookie: sid=a1b2c3d4e5f6\r\nX-Plain: 1\r\n\r\n"
            .into();
        row.target = "/cart/7?token=q7w8e9r0t1".to_owned();
        row.flags.insert(flags);
    }
    rows
}

fn sent(rows: &[Exchange], clones: Clones) -> (Vec<String>, Facts) {
    let twice = Scenario { scale: 2.0, clones, ..scenario() };
    let (facts, arrivals) = planned(rows, &twice).unwrap();
    let head = |arrival: &Arrival| String::from_utf8(arrival.head.to_vec()).unwrap();
    (arrivals.iter().map(head).collect(), facts)
}

#[test]
fn clones_of_pseudonyms_are_other_people() {
    let (heads, facts) = sent(&rows(Flags::REDACTED), Clones::default());
    assert_eq!(heads.len(), 4);
    assert_eq!(heads[0], heads[1], "the original comes first, as it was recorded");
    assert_eq!(heads[2], heads[3], "a clone is the same person in all of its requests");
    assert!(heads[0].contains("sid=a1b2c3d4e5f6") && heads[0].contains("token=q7w8e9r0t1"));
    assert!(heads[2].contains("sid=") && !heads[2].contains("a1b2c3d4e5f6"), "{}", heads[2]);
    assert!(!heads[2].contains("q7w8e9r0t1") && heads[2].contains("/cart/7?token="));
    assert!(heads[2].contains("X-Plain: 1\r\n") && heads[2].len() == heads[0].len());
    let scaling = facts.scaling.unwrap();
    let counted = (scaling.clones, scaling.own_identities, scaling.shared_identities);
    assert_eq!(counted, (2, 2, 0));
    let (again, _) = sent(&rows(Flags::REDACTED), Clones::default());
    assert_eq!(again, heads, "the same seed draws the same people");
}

/// What a target may know is not replaced unless that is asked for.
#[test]
fn real_credentials_stay_and_are_told() {
    let shared = |clones| {
        let (heads, facts) = sent(&rows(Flags::default()), clones);
        let scaling = facts.scaling.unwrap();
        (heads[2] == heads[0], scaling.own_identities, scaling.shared_identities)
    };
    assert_eq!(shared(Clones::default()), (true, 0, 2));
    let own = Clones { identities: Identities::Own, ..Clones::default() };
    assert_eq!(shared(own), (false, 2, 0));
    let none = Clones { identities: Identities::Shared, ..Clones::default() };
    let (heads, _) = sent(&rows(Flags::REDACTED), none);
    assert_eq!(heads[2], heads[0]);
}

#[test]
fn keys_of_clones_are_their_own_where_that_is_asked_for() {
    let own = Clones { keys: CloneKeys::Own, ..Clones::default() };
    let (heads, facts) = sent(&rows(Flags::default()), own);
    let line = |at: usize| heads[at].lines().next().unwrap();
    assert_eq!(line(0), "GET /cart/7?token=q7w8e9r0t1 HTTP/1.1");
    assert_eq!(line(2), "GET /cart/7?token=q7w8e9r0t1&peakhour-clone=1 HTTP/1.1");
    assert_eq!(facts.scaling.unwrap().own_keys, 2);
    let twice = Scenario { scale: 2.0, clones: own, ..scenario() };
    let (_, arrivals) = planned(&rows(Flags::default()), &twice).unwrap();
    let first = |arrival: &&Arrival| arrival.touch == Touch::First;
    assert_eq!(arrivals.iter().filter(first).count(), 2, "a cache must miss each once");
    // What changes something is not asked for at another place.
    let mut posted = rows(Flags::default());
    for row in &mut posted {
        row.method = "POST".to_owned();
        row.request_head = "POST /cart/7 HTTP/1.1\r\nHost: a\r\n\r\n".into();
    }
    let (heads, _) = sent(&posted, own);
    assert_eq!(heads[2], heads[0]);
}

#[test]
fn keys_of_commands_have_the_copy_at_their_end() {
    let own = |line: &str| {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let own = own_command(&command(&words), 3)?;
        let words = exact(&own)?;
        Some(words.iter().map(|it| String::from_utf8_lossy(it)).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(own("GET {u}:1").as_deref(), Some("GET {u}:1:clone-3"));
    assert_eq!(own("MSET a 1 b 2").as_deref(), Some("MSET a:clone-3 1 b:clone-3 2"));
    assert_eq!(own("PING"), None);
    assert_eq!(own_command(b"*broken", 1), None);
}

#[test]
fn who_somebody_is_stands_in_cookies_and_credentials() {
    let (_, arrivals) = planned(&rows(Flags::default()), &scenario()).unwrap();
    assert!(arrivals[0].head.windows(7).any(|part| part == b"Cookie:"));
    let request = |head: &'static str| Request {
        connection: 0,
        protocol: Protocol::Http1,
        session: 0,
        method: "GET".into(),
        route: "GET /".into(),
        target: 0,
        head: head.into(),
        body: Bytes::new(),
        streamed: None,
        recorded: Recorded::default(),
        answer: None,
        bond: Bond::default(),
    };
    assert!(says_who(&request("GET / HTTP/1.1\r\ncookie: a=b\r\n\r\n")));
    assert!(says_who(&request("GET / HTTP/1.1\r\nAuthorization: x\r\n\r\n")));
    assert!(!says_who(&request("GET /Cookie: HTTP/1.1\r\nHost: a\r\n\r\n")));
}
