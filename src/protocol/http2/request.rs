//! A request of HTTP/2, made of the text that recordings hold.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

/// Headers that speak of a connection of HTTP/1, and are nothing that HTTP/2 may say.
const OF_CONNECTIONS: [&str; 6] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// Reads a head in the form of HTTP/1: its start line and `Host` become pseudo headers, its headers
/// keep their order, in lower case. `None` where there is no such request in HTTP/2.
///
/// What speaks of a connection is left out. So is the length of a body of gRPC, which no client of
/// it says: in a recording it stands for the frames that delimited it.
pub fn request_of(head: &[u8], scheme: &str) -> Option<Request<()>> {
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let mut words = lines.next()?.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let (method, target) = (words.next()?, words.next()?);
    let method = Method::from_bytes(method).ok().filter(|method| *method != Method::CONNECT)?;
    let mut authority = None;
    let mut headers = HeaderMap::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (line.get(..colon)?.trim_ascii(), line.get(colon + 1..)?.trim_ascii());
        let name = HeaderName::from_bytes(name).ok()?;
        if name == "host" {
            authority = authority.or(Some(value));
        } else if !is_of_connection(&name, value) {
            headers.append(name, HeaderValue::from_bytes(value).ok()?);
        }
    }
    if headers.get(CONTENT_TYPE).is_some_and(is_grpc) {
        headers.remove(CONTENT_LENGTH);
    }
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = uri(scheme, authority?, target)?;
    *request.headers_mut() = headers;
    Some(request)
}

fn uri(scheme: &str, authority: &[u8], target: &[u8]) -> Option<Uri> {
    // An absolute target says its authority itself.
    let path = match target.windows(3).position(|part| part == b"://") {
        Some(at) if !target.starts_with(b"/") => {
            let rest = target.get(at + 3..)?;
            rest.iter().position(|byte| *byte == b'/').map_or(&b"/"[..], |slash| &rest[slash..])
        }
        _ => target,
    };
    Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build().ok()
}

fn is_of_connection(name: &HeaderName, value: &[u8]) -> bool {
    OF_CONNECTIONS.contains(&name.as_str()) || *name == "te" && value != b"trailers"
}

fn is_grpc(kind: &HeaderValue) -> bool {
    kind.as_bytes().starts_with(b"application/grpc")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Option<(String, Vec<String>)> {
        let request = request_of(head.as_bytes(), "https")?;
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap())
        };
        let start = format!("{} {}", request.method(), request.uri());
        Some((start, request.headers().iter().map(line).collect()))
    }

    #[test]
    fn a_head_becomes_pseudo_headers_and_headers_in_their_order() {
        let (start, headers) = read(
            "POST /buy?a=b HTTP/1.1\r\nHost: stage:8443\r\nzeta: 1\r\nCookie: a=1; b=2\r\n\
             alpha: 2\r\nConnection: keep-alive\r\nTE: trailers\r\nKeep-Alive: 5\r\nalpha: 3\r\n\
             Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        )
        .unwrap();
        assert_eq!(start, "POST https://stage:8443/buy?a=b");
        let expected = ["zeta: 1", "cookie: a=1; b=2", "alpha: 2", "alpha: 3", "te: trailers"]
            .map(str::to_owned);
        assert_eq!(headers[..5], expected);
        assert_eq!(headers[5..], ["content-length: 3"]);
    }

    #[test]
    fn calls_of_grpc_have_no_length_and_absolute_targets_a_path() {
        let (start, headers) = read(
            "POST http://old/shop.Cart/Add HTTP/1.1\nHost: stage\nContent-Type: \
             application/grpc+proto\nContent-Length: 9\nTE: gzip\n\n",
        )
        .unwrap();
        assert_eq!(start, "POST https://stage/shop.Cart/Add");
        assert_eq!(headers, ["content-type: application/grpc+proto"]);
        assert_eq!(read("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").unwrap().0, "OPTIONS https://a*");
    }

    #[test]
    fn what_is_no_request_of_http2_is_none() {
        for head in [
            "",
            "GET",
            "GET /\r\n\r\n",
            "CONNECT db:1 HTTP/1.1\r\nHost: db:1\r\n\r\n",
            "GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nb: \x01\r\n\r\n",
        ] {
            assert_eq!(read(head), None, "{head:?}");
        }
    }
}
