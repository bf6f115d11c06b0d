//! Seeds of what no capture has.

/// Readers and what they read.
pub(super) const LITERALS: &[(&str, &[u8])] = &[
    (
        "gor",
        "1 8e091765ae902fef8a2b7d9dd960e9d52222bd8c 1700000000000000000 0\nPOST /a HTTP/1.1\r\n\
         Host: shop\r\nContent-Length: 2\r\n\r\nhi\n\u{1f435}\u{1f648}\u{1f649}\n\
         2 8e091765ae902fef8a2b7d9dd960e9d52222bd8c 1700000000001000000 1000000\n\
         HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n\
         \n\u{1f435}\u{1f648}\u{1f649}\n"
            .as_bytes(),
    ),
    (
        "gor",
        "1 6f2a 1700000000000000000\nGET /b HTTP/1.1\r\nHost: shop\r\n\r\n\n\
         \u{1f435}\u{1f648}\u{1f649}\n3 6f2a 1700000000000000009 5\nHTTP/1.1 302 Found\r\n\r\n\n\
         \u{1f435}\u{1f648}\u{1f649}\n"
            .as_bytes(),
    ),
    (
        "sessions",
        br#"{"meta":{"version":"1.0"},"sessions":[{"protocol":[{"name":"http","version":1},
        {"name":"tcp"}],"connection-time":1700000000000000000,"transactions":[{"uuid":"1",
        "start-time":5,"client-request":{"version":"1.1","scheme":"http","method":"POST",
        "url":"/a?b=c","headers":{"encoding":"esc_json","fields":[["Host","shop"],["X","y"]]},
        "content":{"encoding":"plain","size":3,"data":"abc"}},"server-response":{"status":200,
        "reason":"OK","headers":{"fields":[["Content-Length","9"]]},"content":{"size":9}}}]}]}"#,
    ),
    (
        "har",
        br#"{"log":{"version":"1.2","creator":{"name":"a","version":"1"},"entries":[{
        "startedDateTime":"2020-01-01T00:00:00.000Z","time":12.5,"connection":"7","request":{
        "method":"POST","url":"http://shop/a?b=c","httpVersion":"HTTP/1.1","cookies":[],
        "headers":[{"name":"Host","value":"shop"}],"queryString":[],"postData":{"mimeType":
        "text/plain","text":"abc"},"headersSize":-1,"bodySize":3},"response":{"status":200,
        "statusText":"OK","httpVersion":"HTTP/1.1","cookies":[],"headers":[],"content":{
        "size":2,"mimeType":"text/plain","text":"aGk=","encoding":"base64"},"redirectURL":"",
        "headersSize":-1,"bodySize":2},"cache":{},"timings":{"send":1,"wait":2,"receive":3}}]}}"#,
    ),
    (
        "hpack",
        b"\0\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff\xf5\
          \x7e\0\x82\x86\x84\xbe\x58\x08no-cache\xf5\x7e\0\x3f\xe1\x1f\x40\x0a\
          custom-key\x0ccustom-value",
    ),
    (
        "monitor",
        b"OK\n1700000000.000001 [0 10.0.0.1:5000] \"SET\" \"user:17\" \"a \\\"b\\\" \\x00\"\n\
          1700000000.000002 [0 10.0.0.2:5000] \"auth\" \"(redacted)\"\n\
          1700000000.000003 [0 lua] \"get\" \"k\"\n\
          1700000000.000004 [1 unix:/run/r] \"MGET\" \"a\"\n",
    ),
    (
        "targets",
        b"# comment\nGET http://shop/a?b=c\n\nPUT https://shop:8443/d\nX-Y: z\nHost: other\n@body\n\
          \nGET http://shop\n",
    ),
    (
        "targets",
        b"{\"method\":\"POST\",\"url\":\"http://shop/a\",\"body\":\"aGk=\",\
          \"header\":{\"A\":[\"b\"]}}\n",
    ),
    (
        "sessions",
        b"meta: { version: '1.0' }\nx: &ok { fields: [ [ A, b ] ] }\nsessions:\n\
          - protocol: [ { name: http, version: 1 } ]\n  start-time: 1000\n  delay: 500 ms\n  \
          transactions:\n  - client-request:\n      method: GET\n      url: /one\n      \
          headers: { fields: [ [ Host, shop ] ] }\n    \
          server-response: { status: 200, headers: *ok, content: { size: 3 } }\n  \
          - delay: 20ms\n    client-request: { method: POST, url: /b }\n",
    ),
    (
        "log_template",
        b"$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
          \"$http_referer\" \"$http_user_agent\" $request_time $host\n\
          192.0.2.1 - - [17/May/2015:10:05:03 +0000] \"GET /a?b HTTP/1.1\" 200 512 \"-\" \"A\" \
          0.250 shop.example\n",
    ),
    (
        "log_template",
        b"%h %l %u %t \"%r\" %>s %b %D %{Host}i %{%s}t %{msec_frac}t\n192.0.2.1 - - \
          [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.0\" 200 1 900 shop 1431857103 250\n",
    ),
    (
        "redaction",
        b"\0POST /login?token=abc HTTP/1.1\r\nHost: jo:pw@shop\r\nCookie: sid=1; a=b\r\n\
          Authorization: Basic am86cHc=\r\nContent-Type: application/json\r\n\r\n\xf5\x7e\0\
          {\"password\":\"x\\\"y\",\"card\":\"4111 1111 1111 1111\",\"mail\":\"jo@shop.example\"}\
          \xf5\x7e\0/login?token=abc&jo%40shop.example",
    ),
    (
        "redaction",
        b"\0POST /f HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=zz\r\n\r\n\xf5\x7e\0\
          --zz\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nsecret\r\n--zz--\r\n\
          \xf5\x7e\0/f",
    ),
    (
        "redaction",
        b"\0POST /f HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n\xf5\x7e\0\
          a=b&password=p%41q&iban=DE89370400440532013000\xf5\x7e\0http://jo:pw@shop/f?a=1.2.3.4",
    ),
    ("model", include_bytes!("model.yaml")),
];
