use super::*;

fn per_second(things: u64) -> PerSecond {
    PerSecond { things, seconds: 1 }
}

#[test]
fn a_url_is_a_target_and_a_path() {
    for (text, host, port, path) in [
        ("http://127.0.0.1:8080/a?b=C#d", "127.0.0.1", 8080, "/a?b=C"),
        ("HTTP://LocalHost", "localhost", 80, "/"),
        ("http://[::1]:81?x", "::1", 81, "/?x"),
        ("http://h/p%20q://", "h", 80, "/p%20q://"),
    ] {
        let (target, found) = url(text).unwrap();
        assert_eq!(target, TargetSpec::Http { host: host.to_owned(), port, tls: None }, "{text}");
        assert_eq!(found, path, "{text}");
    }
    let (sealed, path) = url("https://h/a").unwrap();
    assert_eq!((sealed.tls().is_some(), sealed.authority().as_str(), &*path), (true, "h", "/a"));
    for (text, told) in [
        ("stage", "peakhour stage"),
        ("127.0.0.1:8080/", "is not a target"),
        ("http://u:p@h/", "no user name"),
        ("http://h/ä", "%-form"),
        ("http://h/a b", "blank"),
        ("http://h/\r\nX: y", "blank"),
        ("", "is not a target"),
    ] {
        let said = url(text).unwrap_err().to_string();
        assert!(said.contains(told), "{text}: {said}");
    }
}

#[test]
fn stages_lead_from_rate_to_rate() {
    let typed = ["30s:2x", "0s:5x", "10s:5x", "1m:0"].map(|text| stage(text).unwrap());
    let stages = stages(per_second(100), &typed).unwrap();
    let of = |seconds, from, to| Stage {
        length: Duration::from_secs(seconds),
        from: per_second(from),
        to: per_second(to),
    };
    assert_eq!(stages, [of(30, 100, 200), of(10, 500, 500), of(60, 500, 0)]);
    for text in ["30s", "30:2x", "2x:30s", "30s:x", "30s:-1", "25h:1x", "30s:fast"] {
        assert!(stage(text).is_err(), "{text}");
    }
    let step = [stage("0s:2x").unwrap()];
    assert!(super::stages(per_second(1), &step).is_err(), "a step alone takes no time");
}

#[test]
fn this_machine_is_permitted_by_its_url_and_every_other_host_by_name() {
    let target = |text: &str| url(text).unwrap().0;
    let named = |host: &str| vec![host.to_owned()];
    for text in ["http://127.0.0.1:1", "http://127.9.9.9", "http://localhost", "http://[::1]:8"] {
        assert!(permitted(&target(text), &Network::default(), &[]).is_ok(), "{text}");
    }
    for text in ["http://10.0.0.1", "http://192.168.1.1:80", "http://staging.example:8080"] {
        let said = permitted(&target(text), &Network::default(), &named("10.0.0.2"))
            .unwrap_err()
            .to_string();
        assert!(said.contains("--allow"), "{text}: {said}");
    }
    let staging = target("http://Staging.Example:8080/x");
    assert!(permitted(&staging, &Network::default(), &named("staging.example")).is_ok());
    assert!(permitted(&staging, &Network::default(), &named("staging.example:8080")).is_ok());
    assert!(permitted(&staging, &Network::default(), &named("staging.example:81")).is_err());
}

#[test]
fn a_load_is_told_in_a_line() {
    let typed = ["30s:2x", "10s:2x"].map(|text| stage(text).unwrap());
    let mut load = Load {
        network: Network::default(),
        target: TargetSpec::Stage,
        allow: Vec::new(),
        request: Request {
            method: "GET".into(),
            path: "/".into(),
            headers: BTreeMap::new(),
            body: Vec::new(),
            http2: false,
        },
        connections: 50,
        pace: LoadPace::Open {
            stages: stages(per_second(100), &typed).unwrap(),
            spacing: Spacing::Poisson,
        },
        seed: 1,
        limits: Limits::default(),
        tolerance: Tier::Standard,
        expect: Vec::new(),
    };
    let told = "100/s to 200/s in 30 s, 200/s for 10 s at random (Poisson), 50 connections";
    assert_eq!(load.description(), told);
    load.pace = LoadPace::Closed { length: Duration::from_secs(10) };
    assert_eq!(load.description(), "closed, 50 connections, 10 s");
    assert!(header("X-Token: ${PEAKHOUR_NO_SUCH_VARIABLE}").is_err());
    assert!(header("Host: other").is_err() && header("Accept").is_err());
    assert_eq!(header("Accept: a:b ").unwrap(), ("Accept".into(), "a:b".into()));
}
