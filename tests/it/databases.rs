//! Real clients talk to a real Redis, MariaDB and PostgreSQL through `peakhour record`: what was
//! asked is what was recorded, and no secret is.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use peakhour::protocol::Protocol;
use peakhour::protocol::resp::command;
use peakhour::recording::{Exchange, Flags};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::record::{Proxy, end, recorded, start};
use crate::servers;
use crate::support::program;

/// A recording proxy in front of a server, while `talk` talks to it; what was recorded.
fn through_proxy(upstream: u16, secrets: &[&str], talk: impl FnOnce(u16)) -> Vec<Exchange> {
    let folder = tempfile::tempdir().unwrap();
    let (child, port): (Proxy, u16) = start(folder.path(), upstream, &["--grace", "1s"]);
    talk(port);
    let (code, said) = end(child);
    assert_eq!(code, Some(0), "{said}");
    let file = folder.path().join("live.parquet");
    let (reader, found) = recorded(&file);
    assert!(reader.header().ledger.reconciles());
    no_secret(&file, &found, secrets);
    found
}

/// Nowhere in the file, and nowhere in what it holds once it is unpacked.
fn no_secret(file: &Path, found: &[Exchange], secrets: &[&str]) {
    let mut all = std::fs::read(file).unwrap();
    for exchange in found {
        let Exchange { method, target, route, request_head, request_body, .. } = exchange;
        let texts: [&[u8]; 3] = [method.as_bytes(), target.as_bytes(), route.as_bytes()];
        let head = exchange.response.as_ref().map(|it| it.head.clone()).unwrap_or_default();
        for bytes in texts.into_iter().chain([&request_head[..], request_body, &head]) {
            all.extend_from_slice(bytes);
            all.push(b'\n');
        }
    }
    for secret in secrets {
        let is_there = all.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!is_there, "{secret} is in the recording");
    }
}

/// `METHOD target > head`, of the commands that are no business of the client's own.
fn shown(found: &[Exchange], skipped: &[&str]) -> Vec<String> {
    let is_ours = |it: &&Exchange| !skipped.iter().any(|word| it.target.contains(word));
    let line = |it: &Exchange| {
        let head = it.response.as_ref().map(|answer| {
            assert!(answer.body_bytes.is_some(), "{it:?}");
            String::from_utf8_lossy(&answer.head).into_owned()
        });
        format!("{} {} > {}", it.method, it.target, head.as_deref().unwrap_or("-"))
    };
    found.iter().filter(is_ours).map(line).collect()
}

#[test]
fn redis_through_the_proxy() {
    let (Some(server), Some(cli)) = (servers::redis(&[]), program("redis-cli")) else { return };
    let mut direct = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    direct.write_all(b"CONFIG SET requirepass s3cret-pass\r\n").unwrap();
    direct.read_exact(&mut [0; 5]).unwrap();
    let found = through_proxy(server.port, &["s3cret-pass", "n3w-pass"], |port| {
        speak_redis(&cli, port);
    });
    assert!(found.iter().all(|it| it.protocol == Protocol::Redis));
    let (many, others): (Vec<Exchange>, Vec<Exchange>) =
        found.into_iter().partition(|it| it.target.starts_with("many:"));
    let all: Vec<String> = many.iter().map(|it| it.target.clone()).collect();
    let wanted: Vec<String> = (0..3_000).map(|number| format!("many:{number}")).collect();
    assert_eq!(all, wanted);
    let is_answered = |it: &Exchange| it.response.as_ref().is_some_and(|it| &it.head[..] == b"+OK");
    assert!(many.iter().all(is_answered));
    assert!(many.iter().all(|it| it.route == "many:*"));

    let others: Vec<String> = shown(&others, &[]);
    let others: Vec<&str> = others
        .iter()
        .map(String::as_str)
        .filter(|line| !line.starts_with("COMMAND") && !line.starts_with("CLIENT"))
        .collect();
    let auth = "AUTH xxxxxxxxxxx > +OK";
    let echo = others.iter().find(|line| line.starts_with("ECHO")).copied().unwrap();
    assert!(echo.ends_with("> $20"), "{echo}");
    let hello = others.iter().find(|line| line.starts_with("HELLO")).copied().unwrap();
    assert!(hello.starts_with("HELLO 3 > %"), "{hello}");
    assert_eq!(
        others,
        [
            auth,
            hello,
            "SET user:17 > +OK",
            "HSET h > :1",
            "HGETALL h > %1",
            "LPUSH user:17 > -WRONGTYPE Operation against a key holding the wrong kind of value",
            "MULTI  > +OK",
            "INCR n > +QUEUED",
            "EXEC  > *1",
            "CONFIG SET > +OK",
            "GET none > _",
            auth,
            echo,
            "AUTH xxxxxxx > +OK",
            "SUBSCRIBE news > *3",
            auth,
            "PUBLISH news > :1",
            "PING  > *2",
        ]
    );
}

/// Commands by hand, many at once, and a subscription.
fn speak_redis(cli: &Path, port: u16) {
    let run = |arguments: &[&str], input: &[u8]| {
        let mut child = Command::new(cli)
            .args(["-p", &port.to_string(), "--no-auth-warning", "-a", "s3cret-pass"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        assert!(child.wait().unwrap().success());
    };
    run(
        &["-3"],
        b"SET user:17 v\nHSET h f 1\nHGETALL h\nLPUSH user:17 x\nMULTI\nINCR n\nEXEC\n\
          CONFIG SET masterauth n3w-pass\nGET none\n",
    );
    let many: Vec<u8> = (0..3_000)
        .flat_map(|number| command(&[b"SET", format!("many:{number}").as_bytes(), b"1"]))
        .collect();
    run(&["--pipe"], &many);
    // A subscriber, and what it hears.
    let mut listener = TcpStream::connect(("127.0.0.1", port)).unwrap();
    listener.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut say = |words: &[&[u8]], until: &[u8]| {
        listener.write_all(&command(words)).unwrap();
        let mut said = Vec::new();
        while !said.ends_with(until) {
            let mut byte = [0];
            assert_eq!(listener.read(&mut byte).unwrap(), 1);
            said.push(byte[0]);
        }
    };
    say(&[b"AUTH", b"default", b"s3cret-pass"], b"+OK\r\n");
    say(&[b"SUBSCRIBE", b"news"], b":1\r\n");
    run(&[], b"PUBLISH news hello\n");
    say(&[b"PING"], b"$4\r\npong\r\n$0\r\n\r\n");
}

#[test]
fn mariadb_through_the_proxy() {
    let Some(server) = servers::mariadb(&["--max-allowed-packet=64M"]) else { return };
    let long = format!("SELECT LENGTH('{}')", "x".repeat(17 << 20));
    let secrets = ["s3cret-pass", "n3w-pass"];
    let found = through_proxy(server.port, &secrets, |port| {
        let options = || {
            OptsBuilder::default()
                .ip_or_hostname("127.0.0.1")
                .tcp_port(port)
                .prefer_socket(false)
                .max_allowed_packet(Some(64 << 20))
                .wait_timeout(Some(28_800))
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut root = Conn::new(options().user(Some("root"))).await.unwrap();
            root.query_drop("CREATE DATABASE shop").await.unwrap();
            root.query_drop("CREATE USER app@'%' IDENTIFIED BY 's3cret-pass'").await.unwrap();
            root.query_drop("GRANT ALL ON shop.* TO app@'%'").await.unwrap();
            root.disconnect().await.unwrap();
            let app = options().user(Some("app")).pass(Some("s3cret-pass")).db_name(Some("shop"));
            let mut app = Conn::new(app).await.unwrap();
            app.query_drop("CREATE TABLE t (id INT, name TEXT)").await.unwrap();
            for id in 0..3 {
                let row = (id, format!("name {id}"));
                app.exec_drop("INSERT INTO t VALUES (?, ?)", row).await.unwrap();
            }
            let rows: Vec<(i32, String)> = app.query("SELECT * FROM t").await.unwrap();
            assert_eq!(rows.len(), 3);
            let two: Vec<i32> = app.query("SELECT 1; SELECT 2").await.unwrap();
            assert_eq!(two, [1]);
            app.query_drop("SELECT * FROM nowhere").await.unwrap_err();
            app.query_drop("SET PASSWORD = PASSWORD('n3w-pass')").await.unwrap();
            let length: Option<usize> = app.query_first(&long).await.unwrap();
            assert_eq!(length, Some(17 << 20));
            app.ping().await.unwrap();
            app.disconnect().await.unwrap();
        });
    });
    assert!(found.iter().all(|it| it.protocol == Protocol::Mysql));
    let lines = shown(&found, &["@@", "SELECT LENGTH"]);
    let insert = "INSERT INTO t VALUES (?, ?)";
    assert_eq!(
        lines,
        [
            "QUERY CREATE DATABASE shop > ",
            "QUERY CREATE USER app@'%' IDENTIFIED BY 'xxxxxxxxxxx' > ",
            "QUERY GRANT ALL ON shop.* TO app@'%' > ",
            "QUIT  > -",
            "QUERY CREATE TABLE t (id INT, name TEXT) > ",
            &format!("STMT_PREPARE {insert} > "),
            &format!("STMT_EXECUTE {insert} > "),
            &format!("STMT_EXECUTE {insert} > "),
            &format!("STMT_EXECUTE {insert} > "),
            "QUERY SELECT * FROM t > ",
            "QUERY SELECT 1; SELECT 2 > ",
            "QUERY SELECT * FROM nowhere > #42S02Table 'shop.nowhere' doesn't exist",
            "QUERY SET PASSWORD = PASSWORD('xxxxxxxx') > ",
            "PING  > ",
            "QUIT  > -",
        ]
    );
    let asked = found.iter().find(|it| it.target.starts_with("SELECT LENGTH")).unwrap();
    assert_eq!(asked.request_body_bytes, long.len() as u64 + 1);
    assert_eq!(asked.request_body.len(), 1 << 20);
    assert!(asked.flags.contains(Flags::REQUEST_TRUNCATED));
    let failed = found.iter().find(|it| it.flags.contains(Flags::ERROR_REPLY)).unwrap();
    assert_eq!(failed.response.as_ref().unwrap().status, 1146);
    assert_eq!(found.last().unwrap().connection, 1);
}

#[test]
fn postgres_through_the_proxy() {
    let Some(server) = servers::postgres(&[]) else { return };
    let found = through_proxy(server.port, &["s3cret-pass"], |port| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let parameters = format!("host=127.0.0.1 port={port} user=postgres");
            let (client, connection) = tokio_postgres::connect(&parameters, NoTls).await.unwrap();
            let talking = tokio::spawn(connection);
            client.batch_execute("CREATE TABLE t (id INT, name TEXT)").await.unwrap();
            client.batch_execute("CREATE ROLE app PASSWORD 's3cret-pass'").await.unwrap();
            let insert = client.prepare("INSERT INTO t VALUES ($1, $2)").await.unwrap();
            // Sent at once, without waiting for each other.
            let (a, b) = tokio::join!(
                client.execute(&insert, &[&1_i32, &"one"]),
                client.execute(&insert, &[&2_i32, &"two"])
            );
            assert_eq!((a.unwrap(), b.unwrap()), (1, 1));
            let rows = client.simple_query("SELECT * FROM t; SELECT 1").await.unwrap();
            let is_row = |it: &&SimpleQueryMessage| matches!(it, SimpleQueryMessage::Row(_));
            assert_eq!(rows.iter().filter(is_row).count(), 3);
            client.simple_query("SELECT * FROM nowhere").await.unwrap_err();
            client.execute(&insert, &[&3_i32, &"three"]).await.unwrap();
            drop(insert);
            drop(client);
            talking.await.unwrap().unwrap();
        });
    });
    assert!(found.iter().all(|it| it.protocol == Protocol::Postgres));
    let lines = shown(&found, &[]);
    let lines: Vec<&str> =
        lines.iter().map(String::as_str).filter(|line| !line.starts_with("CLOSE")).collect();
    let insert = "INSERT INTO t VALUES ($1, $2)";
    assert_eq!(
        lines,
        [
            "QUERY CREATE TABLE t (id INT, name TEXT) > CREATE TABLE",
            "QUERY CREATE ROLE app PASSWORD 'xxxxxxxxxxx' > CREATE ROLE",
            &format!("PARSE {insert} > "),
            &format!("EXECUTE {insert} > INSERT 0 1"),
            &format!("EXECUTE {insert} > INSERT 0 1"),
            "QUERY SELECT * FROM t; SELECT 1 > SELECT 2",
            "QUERY SELECT * FROM nowhere > 42P01 relation \"nowhere\" does not exist",
            &format!("EXECUTE {insert} > INSERT 0 1"),
        ]
    );
    let failed = found.iter().find(|it| it.flags.contains(Flags::ERROR_REPLY)).unwrap();
    assert_eq!(failed.response.as_ref().unwrap().status, 0);
    assert_eq!(failed.route, "SELECT * FROM nowhere");
}
