use super::*;

fn network(to: &[&str], pins: &[&str]) -> Network {
    Network {
        connect_to: to.iter().map(|text| connect_to(text).unwrap()).collect(),
        resolve: pins.iter().map(|text| resolve(text).unwrap()).collect(),
        ..Network::default()
    }
}

#[test]
fn the_first_entry_that_fits_leads_elsewhere() {
    let all = network(&["shop.example:80:10.1.2.3:8080", "::[fd00::1]:"], &[]);
    let to = |host: &str, port| all.destination(host, port);
    assert_eq!(to("shop.example", 80), ("10.1.2.3".to_owned(), 8080));
    assert_eq!(to("shop.example", 81), ("fd00::1".to_owned(), 81));
    let port_only = network(&["Shop.Example.:::9"], &[]);
    assert_eq!(port_only.destination("shop.example", 80), ("shop.example".to_owned(), 9));
    assert_eq!(port_only.destination("other", 80), ("other".to_owned(), 80));
}

#[test]
fn addresses_are_given_for_a_host_and_a_port() {
    let pins = network(&[], &["shop.example:80:10.1.2.3,[fd00::1]", "+*:81:127.0.0.9"]);
    let shown = |host: &str, port| {
        pins.addresses(host, port).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(shown("shop.example", 80), ["10.1.2.3", "fd00::1"]);
    assert_eq!(shown("any.example", 81), ["127.0.0.9"]);
    assert!(shown("any.example", 80).is_empty());
    let six = network(&[], &["[fd00::2]:80:fd00::1"]);
    assert_eq!(six.addresses("fd00::2", 80).len(), 1);
}

#[test]
fn what_is_not_understood_is_pointed_at() {
    for (text, offset, message) in [
        ("a:1:b", 0, "has not four parts"),
        ("a:1:b:2:c", 0, "has not four parts"),
        ("a b:1:c:2", 0, "`a b` is no host"),
        ("a:x:b:2", 2, "`x` is no host or port"),
        ("a:1:b:0", 6, "`0` is no host or port"),
        ("ä:1:b:70000", 0, "is no host"),
        ("a:1:[::1]:70000", 10, "`70000`"),
    ] {
        let mistake = connect_to(text).unwrap_err();
        assert_eq!(mistake.offset, offset, "{text}: {mistake}");
        assert!(mistake.message.contains(message), "{text}: {mistake}");
    }
    for (text, offset, message) in [
        ("a:1", 0, "has not three parts"),
        ("a", 0, "has not three parts"),
        (":1:10.0.0.1", 0, "there is no host"),
        ("a::10.0.0.1", 2, "there is no port"),
        ("a:1:", 4, "`` is not an address"),
        ("a:1:b", 4, "`b` is not an address"),
        ("+a:1:10.0.0.1,x", 14, "`x` is not an address"),
    ] {
        let mistake = resolve(text).unwrap_err();
        assert_eq!(mistake.offset, offset, "{text}: {mistake}");
        assert!(mistake.message.contains(message), "{text}: {mistake}");
    }
    assert!(unix_socket("").is_err() && unix_socket(&"x".repeat(108)).is_err());
    assert!(unix_socket("/run/app.sock").is_ok());
}

#[test]
fn what_contradicts_itself_is_refused() {
    let sources = Sources::read("127.0.0.2").unwrap();
    let mut both = Network { sources, family: Some(Family::V6), ..Network::default() };
    let mistake = both.check().unwrap_err().to_string();
    assert!(mistake.contains("from IPv4 addresses cannot go to IPv6"), "{mistake}");
    both.family = None;
    assert!(both.check().is_ok());
    assert_eq!(both.wanted_family(), Some(Family::V4));
    both.unix_socket = Some(PathBuf::from("/run/app.sock"));
    assert!(both.check().unwrap_err().to_string().contains("no addresses"));
}
