//! A real client and a real nginx speak HTTP/2 through the recording proxy: rows are compared with
//! nginx' access log.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use peakhour::protocol::Protocol;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::record::{end, recorded, start};
use crate::servers;

/// Requests of each connection, all sent before the first answer is read.
const REQUESTS: usize = 60;

#[test]
fn rows_of_a_recorded_nginx_are_the_lines_of_its_log() {
    let server = servers::nginx("", "", |port, folder| {
        fs::write(folder.join("large"), vec![b'x'; 300_000]).unwrap();
        format!(
            "log_format seen '$connection $request_method $request_uri $status $body_bytes_sent';\n\
             server {{ listen 127.0.0.1:{port} http2; access_log {at}/seen.log seen;\n\
             location /items/ {{ return 200 'an item'; }}\n\
             location /large/ {{ rewrite .* /large break; root {at}; }}\n\
             location /orders/ {{ proxy_pass http://unix:{at}/orders; }} }}\n\
             server {{ listen unix:{at}/orders; location / {{ return 201 'noted'; }} }}",
            at = folder.display()
        )
    });
    let Some(server) = server else { return };
    let folder = tempfile::tempdir().unwrap();
    let (proxy, port) = start(folder.path(), server.port, &["--grace", "1s"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut clients = JoinSet::new();
        for client in 0..4 {
            clients.spawn(talk(port, client));
        }
        clients.join_all().await;
    });
    drop(runtime);
    let (code, said) = end(proxy);
    assert_eq!(code, Some(0), "{said}");

    let (reader, exchanges) = recorded(&folder.path().join("live.parquet"));
    assert!(reader.header().ledger.reconciles());
    let mut rows: Vec<String> = exchanges
        .iter()
        .map(|it| {
            assert_eq!((it.protocol, &*it.scheme), (Protocol::Http2, "http"));
            assert_eq!(it.request_body_bytes, sent(&it.target) as u64, "{}", it.target);
            let answer = it.response.as_ref().unwrap();
            let size = answer.body_bytes.unwrap();
            format!("{} {} {} {size}", it.method, it.target, answer.status)
        })
        .collect();
    rows.sort_unstable();
    assert_eq!(rows, logged(server.folder()));
    assert_eq!((rows.len(), reader.header().connections), (4 * REQUESTS, 4));
    let first = exchanges.iter().find(|it| it.seq == 0 && it.connection == 0).unwrap();
    assert_eq!(first.stream, Some(1));
    let head = String::from_utf8(first.request_head.to_vec()).unwrap();
    assert!(head.contains("HTTP/1.1\r\nHost: shop.example\r\nx-client: "), "{head}");
}

/// The lines of the log without their connections.
fn logged(folder: &Path) -> Vec<String> {
    let log = fs::read_to_string(folder.join("seen.log")).unwrap();
    let mut lines: Vec<String> =
        log.lines().filter_map(|line| line.split_once(' ')).map(|(_, line)| line.into()).collect();
    lines.sort_unstable();
    lines
}

/// The size of the body sent to a target.
fn sent(target: &str) -> usize {
    let number: usize = target.rsplit('-').next().unwrap().parse().unwrap();
    if target.starts_with("/orders/") { number * 700 } else { 0 }
}

/// One connection with all its requests at once.
async fn talk(port: u16, client: usize) {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut calls = JoinSet::new();
    for number in 0..REQUESTS {
        let kind = ["items", "orders", "large"][number % 3];
        let target = format!("/{kind}/{client}-{number}");
        let mut sender = sender.clone();
        calls.spawn(async move {
            let request = Request::builder()
                .method(if kind == "orders" { "POST" } else { "GET" })
                .uri(format!("http://shop.example{target}"))
                .header("x-client", client.to_string())
                .header("cookie", format!("visitor=number-{client}"))
                .body(Full::new(Bytes::from(vec![b'o'; sent(&target)])))
                .unwrap();
            sender.ready().await.unwrap();
            let answer = sender.send_request(request).await.unwrap();
            answer.into_body().collect().await.unwrap();
        });
    }
    let all = tokio::time::timeout(Duration::from_mins(1), calls.join_all()).await;
    assert_eq!(all.unwrap().len(), REQUESTS);
    drop(sender);
    let _ = driver.await.unwrap();
}
