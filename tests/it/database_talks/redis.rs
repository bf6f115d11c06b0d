//! Redis: commands, lines, what is not answered, what answers nothing.

use peakhour::capture::FIN;

use crate::database_talks::{array, check, check_in_pieces, notes};
use crate::talk::Talk;

#[test]
fn commands_of_redis_and_their_replies() {
    let mut talk = Talk::new();
    talk.client(&array("HELLO 3 AUTH me hunter2")).server("%1\r\n+server\r\n+redis\r\n");
    talk.client(&array("SET user:1 v")).server("+OK\r\n");
    talk.client(&[array("GET user:1"), array("hget h f"), array("PING")].concat());
    talk.server("$1\r\nv\r\n-WRONGTYPE no\r\n+PO").server("NG\r\n");
    talk.client(&array("AUTH hunter2")).server("+OK\r\n");
    let imported = check_in_pieces(
        &talk,
        &[
            "HELLO 3 > %1 21 redacted",
            "SET user:1 > +OK 5",
            "GET user:1 > $1 7",
            "HGET h > -WRONGTYPE no 15 pipelined error",
            "PING  > +PONG 7 pipelined",
            "AUTH xxxxxxx > +OK 5 redacted",
        ],
    );
    notes(&imported, &[("connections with redis", 1)]);
    let all = format!("{:?}", talk.import().0);
    assert!(!all.contains("hunter2") && all.contains("*5\\r\\n$5\\r\\nHELLO"));
}

#[test]
fn lines_are_commands_once_a_reply_says_so() {
    let mut talk = Talk::new();
    talk.client("SET k \"a b\"\r\nGET k\r\n").server("+OK\r\n$3\r\na b\r\n");
    check_in_pieces(&talk, &["SET k > +OK 5", "GET k > $3 9 pipelined"]);
    // Another protocol of lines, which knows the words as well.
    let mut talk = Talk::new();
    talk.client("get k\r\n").server("VALUE k 0 1\r\nv\r\nEND\r\n").client("get l\r\n");
    let imported = check_in_pieces(&talk, &[]);
    notes(&imported, &[]);
    assert_eq!(imported.ledger.stream_bytes.count("not http"), 35);
    // Nobody answered, so nobody knows.
    let mut talk = Talk::new();
    talk.client("PING\r\n");
    check_in_pieces(&talk, &[]);
    // A request of HTTP/0.9 stays one.
    let mut talk = Talk::new();
    talk.client("GET /k\r\n").server("hello").close(false, FIN);
    check_in_pieces(&talk, &["GET /k >  5"]);
}

#[test]
fn some_commands_have_no_reply_and_some_messages_no_command() {
    let mut talk = Talk::new();
    talk.client(&[array("CLIENT REPLY SKIP"), array("SET a 1"), array("GET a")].concat());
    talk.server("$1\r\n1\r\n");
    talk.client(&[array("CLIENT REPLY OFF"), array("SET a 2")].concat());
    talk.client(&array("CLIENT REPLY ON")).server("+OK\r\n");
    check_in_pieces(
        &talk,
        &[
            "CLIENT REPLY > -",
            "SET a > -",
            "GET a > $1 7",
            "CLIENT REPLY > -",
            "SET a > -",
            "CLIENT REPLY > +OK 5",
        ],
    );

    let three =
        |word: &str, end: &str| format!("*3\r\n${}\r\n{word}\r\n$1\r\na\r\n{end}", word.len());
    let mut talk = Talk::new();
    talk.client(&array("SUBSCRIBE a b"));
    talk.server(&[three("subscribe", ":1\r\n"), three("subscribe", ":2\r\n")].concat());
    talk.server(&three("message", "$1\r\nm\r\n"));
    talk.client(&array("UNSUBSCRIBE"));
    talk.server(&three("message", "$1\r\nm\r\n"));
    talk.server(&[three("unsubscribe", ":1\r\n"), three("unsubscribe", ":0\r\n")].concat());
    talk.client(&array("PING")).server(">2\r\n+invalidate\r\n_\r\n+PONG\r\n");
    talk.client(&array("MONITOR")).server("+OK\r\n+1.000001 [0 1.1.1.1:1] \"GET\" \"k\"\r\n");
    let imported = check_in_pieces(
        &talk,
        &["SUBSCRIBE a > *3 60", "UNSUBSCRIBE  > *3 66", "PING  > +PONG 7", "MONITOR  > +OK 5"],
    );
    notes(
        &imported,
        &[
            ("connections with redis", 1),
            ("redis messages that answer nothing", 3),
            ("redis monitor lines", 1),
        ],
    );
}

#[test]
fn redis_from_the_middle_and_with_gaps() {
    let mut talk = Talk::under_way();
    talk.server(":7\r\n").client(&array("GET a")).server("$1\r\n1\r\n");
    check(&talk, &["GET a > $1 7 mid-stream"]);
    // The first array that was captured is a reply.
    let mut talk = Talk::under_way();
    talk.server("*1\r\n$1\r\nx\r\n").client(&array("LLEN l")).server(":1\r\n");
    check(&talk, &["- > Some(11)", "LLEN l > :1 4 mid-stream"]);
    // Inside of a string a gap is only bytes; elsewhere a reply is lost.
    let mut talk = Talk::new();
    talk.client(&array("GET a")).server("$9\r\nab").lose(false, "cdefg").server("hi\r\n");
    talk.client(&array("GET b")).lose(false, "$1\r\n1\r\n");
    talk.client(&array("GET c")).server("+third\r\n").acks(40);
    check(&talk, &["GET a > $9 15 gap", "GET b > -", "GET c > +third 8"]);
    // A command that was not captured: its reply is nobody's.
    let mut talk = Talk::new();
    talk.client(&array("GET a")).server("+first\r\n").lose(true, &array("GET b"));
    talk.server("+second\r\n").client(&array("GET c")).server("+third\r\n").acks(40);
    check(&talk, &["GET a > +first 8", "- > Some(9)", "GET c > +third 8"]);
}
