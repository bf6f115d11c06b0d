use super::*;

fn servers() -> Servers {
    let authorities = [
        "[2001:db8::7]:8080",
        "127.0.0.1:8080",
        "api.shop.example",
        "localhost:9000",
        "shop.example:8443",
        "old.example:",
        "user@inner.example:http",
        "www.other.example",
    ];
    let addresses = ["127.0.0.1:8080", "203.0.113.9:443", "[2001:db8::5]:80"];
    Servers {
        authorities: authorities.map(str::to_owned).to_vec(),
        addresses: addresses.map(|address| address.parse().unwrap()).to_vec(),
    }
}

fn try_target(host: &str, port: u16, allow: &[&str]) -> Result<Target, TargetError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let allow: Vec<String> = allow.iter().map(|entry| (*entry).to_owned()).collect();
    let spec = TargetSpec::Http { host: host.to_owned(), port, tls: None };
    runtime.block_on(resolve(&spec, &allow, &servers(), None))
}

#[test]
fn what_is_not_allowed_or_was_recorded_is_refused() {
    for (host, port, allow, message) in [
        ("10.1.2.3", 80, vec![], "10.1.2.3 is not allowed: add `10.1.2.3`"),
        ("10.1.2.3", 80, vec!["10.1.2.3:81"], "is not allowed"),
        ("10.1.2.3", 8080, vec!["0.1.2.3", "10.1.2.30"], "10.1.2.3:8080 is not allowed"),
        ("shop.example", 80, vec!["shop.example"], "clients asked for `shop.example:8443`"),
        ("SHOP.example.", 9, vec!["shop.EXAMPLE"], "clients asked for `shop.example:8443`"),
        ("api.shop.example", 80, vec!["api.shop.example"], "the recording was made from it"),
        ("2001:db8::7", 80, vec!["2001:db8::7"], "the recording was made from it"),
        ("203.0.113.9", 8080, vec!["203.0.113.9"], "203.0.113.9:443 answered"),
        ("::ffff:203.0.113.9", 8080, vec!["::ffff:203.0.113.9"], "203.0.113.9:443 answered"),
        ("2001:db8::5", 81, vec!["2001:db8::5"], "[2001:db8::5]:80 answered"),
        ("127.0.0.1", 8080, vec!["127.0.0.1"], "clients asked for `127.0.0.1:8080`"),
        ("localhost", 8080, vec!["localhost"], "clients asked for `127.0.0.1:8080`"),
        ("2001:db8:0::7", 80, vec!["2001:db8::7"], "the recording was made from it"),
        ("old.example", 80, vec!["old.example"], "clients asked for `old.example:`"),
        ("inner.example", 9, vec!["inner.example"], "clients asked for `user@inner.example"),
        ("127.0.0.2", 8080, vec!["127.0.0.2"], "clients asked for `127.0.0.1:8080`"),
        ("::1", 8080, vec!["::1"], "clients asked for `127.0.0.1:8080`"),
        ("127.0.0.1", 9000, vec!["127.0.0.1:9000"], "clients asked for `localhost:9000`"),
        ("0.0.0.0", 8080, vec!["0.0.0.0"], "write 127.0.0.1"),
        ("::", 8080, vec!["::"], "write 127.0.0.1"),
    ] {
        let error = try_target(host, port, &allow).unwrap_err().to_string();
        assert!(error.contains(message), "{host}:{port} {allow:?}: {error}");
    }
}

#[test]
fn what_is_allowed_and_was_not_recorded_is_pinned() {
    for (host, port, allow, authority, address) in [
        ("10.1.2.3", 80, "10.1.2.3", "10.1.2.3", "10.1.2.3:80"),
        ("10.1.2.3", 8080, "10.1.2.3:8080", "10.1.2.3:8080", "10.1.2.3:8080"),
        ("2001:db8::1", 80, "[2001:DB8::1]", "[2001:db8::1]", "[2001:db8::1]:80"),
        // Another port of loopback is another server.
        ("127.0.0.1", 8081, "127.0.0.1", "127.0.0.1:8081", "127.0.0.1:8081"),
        ("127.0.0.2", 8081, "127.0.0.2", "127.0.0.2:8081", "127.0.0.2:8081"),
    ] {
        let target = try_target(host, port, &[allow]).unwrap();
        assert_eq!(target.authority, authority);
        assert_eq!(target.address, address.parse().unwrap());
        assert!(!target.is_stage);
    }
}

#[test]
fn a_www_name_is_another_host() {
    assert_eq!(recorded_name("other.example", 80, &servers()), None);
    assert_eq!(recorded_name("www.shop.example", 80, &servers()), None);
    assert!(recorded_name("www.other.example", 80, &servers()).is_some());
}

#[test]
fn one_recorded_address_among_several_is_enough() {
    let found = ["10.0.0.1:80", "203.0.113.9:80"].map(|address| address.parse().unwrap());
    let error = check_addresses("staging.example", &found, &servers()).unwrap_err();
    assert!(matches!(error, TargetError::RecordedAddress { .. }), "{error}");
    let found = ["[::ffff:203.0.113.9]:80".parse().unwrap()];
    let error = check_addresses("staging.example", &found, &servers()).unwrap_err();
    assert!(matches!(error, TargetError::RecordedAddress { .. }), "{error}");
    let found = ["127.0.0.1:9000".parse().unwrap()];
    let error = check_addresses("staging.example", &found, &servers()).unwrap_err();
    assert!(matches!(error, TargetError::RecordedName { .. }), "{error}");
    let error = check_addresses("staging.example", &[], &servers()).unwrap_err();
    assert!(matches!(error, TargetError::NoAddress { .. }), "{error}");
}

#[test]
fn what_a_name_tells_needs_no_look_up() {
    let check = |host: &str, allow: &[String]| {
        let spec = TargetSpec::Http { host: host.to_owned(), port: 80, tls: None };
        check_name(&spec, allow, &servers())
    };
    let allowed = ["api.shop.example".to_owned(), "nowhere.invalid".to_owned()];
    assert!(matches!(check("a.example", &allowed), Err(TargetError::NotAllowed { .. })));
    assert!(matches!(check(&allowed[0], &allowed), Err(TargetError::RecordedName { .. })));
    assert!(check(&allowed[1], &allowed).is_ok());
    assert!(check_name(&TargetSpec::Stage, &[], &servers()).is_ok());
}

#[test]
fn the_first_address_that_is_there_is_used() {
    let addresses = ["[::1]:80", "127.0.0.1:80", "127.0.0.2:80"].map(|a| a.parse().unwrap());
    let at = |there: &[SocketAddr]| {
        let (authority, others) = ("localhost".to_owned(), addresses[1..].to_vec());
        let (address, sources) = (addresses[0], Sources::default());
        let (redis, tls, is_stage, unix, hosts) = (None, None, false, None, Vec::new());
        let target =
            Target { authority, address, redis, tls, is_stage, unix, sources, hosts, others };
        target.at_first(|a| there.contains(&a).then_some(()).ok_or(a)).map(|t| t.address)
    };
    assert_eq!(at(&addresses), Ok(addresses[0]));
    assert_eq!(at(&addresses[1..]), Ok(addresses[1]));
    assert_eq!(at(&addresses[2..]), Ok(addresses[2]));
    assert_eq!(at(&[]), Err(addresses[0]));
}

#[test]
fn the_stage_is_always_allowed() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let address = Some("127.0.0.1:8080".parse().unwrap());
    let target = runtime.block_on(resolve(&TargetSpec::Stage, &[], &servers(), address));
    let target = target.unwrap();
    assert_eq!((target.authority.as_str(), target.address.port()), ("stage", 8080));
    assert!(target.is_stage);
    let target = runtime.block_on(resolve(&TargetSpec::Stage, &[], &servers(), None));
    assert!(matches!(target, Err(TargetError::NoStage)));
}
