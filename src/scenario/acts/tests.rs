use super::*;
use crate::scenario::Scenario;
use crate::scenario::parse::from_text;

fn scenario(url: &str, rest: &str) -> Result<Scenario, String> {
    let text = format!("recording: r.jsonl\ntarget: {{ url: '{url}' }}\n{rest}\n");
    from_text(&text, "s.yaml").map_err(|error| error.to_string())
}

/// The acts of a scenario whose fourth line has one.
pub(super) fn with_act(act: &str) -> Result<Acts, String> {
    scenario("stage", &format!("acts:\n  - {act}")).map(|scenario| scenario.acts)
}

#[test]
fn acts_are_read_and_without_any_the_load_is_replayed() {
    let words = "acts: [ capacity, replay, cold, payloads, connections, canary, fingerprint ]";
    let maps = "acts: [ capacity: {}, replay, cold: {}, payloads: {}, connections: {}, \
                canary: {}, fingerprint: {} ]";
    for acts in [words, maps] {
        let all = scenario("stage", &format!("{acts}\nexpect: [ errors < 1% ]")).unwrap().acts;
        for act in ActName::ALL {
            assert!(all.has(act), "{}", act.name());
            let mut one = all.clone();
            one.keep_only(act);
            let kept = ActName::ALL.into_iter().filter(|other| one.has(*other));
            assert_eq!(kept.collect::<Vec<_>>(), [act]);
        }
    }
    let nothing = scenario("stage", "").unwrap().acts;
    let kept = ActName::ALL.into_iter().filter(|act| nothing.has(*act));
    assert_eq!(kept.collect::<Vec<_>>(), [ActName::Replay]);
}

#[test]
fn mistakes_have_their_place_and_say_what_to_write() {
    for (acts, said) in [
        ("[ canry ]", "s.yaml:3:9: unknown act `canry`"),
        ("[ canry ]", "did you mean `canary`?"),
        ("[ cold, cold: {} ]", "s.yaml:3:15: the act `cold` is listed twice"),
        ("[ canary: {}, canary ]", "the act `canary` is listed twice"),
        ("\n  - canary: {}\n    cold: {}", "begin each with a dash of its own"),
        ("[ replay: {} ]", "`replay` is no act with options"),
        ("[ {} ]", "an act without a name"),
        ("[ 7 ]", "expected an act such as `replay`"),
        ("[ [cold] ]", "expected an act such as `replay`"),
        ("[ replay, capacity ]", "s.yaml:3:17: the act `capacity` looks for the highest load"),
    ] {
        let error = scenario("stage", &format!("acts: {acts}")).unwrap_err();
        assert!(error.contains(said), "{acts}: {error}");
    }
}

/// Two acts open connections of their own, which are plain.
#[test]
fn acts_that_speak_no_tls_are_refused_where_the_target_speaks_it() {
    let read = |acts: &str| scenario("https://shop.test", &format!("acts: [ {acts} ]"));
    for (acts, hint) in [
        ("payloads", "or leave the act out"),
        ("replay, connections", "or write `target: false` in its"),
    ] {
        let error = read(acts).unwrap_err();
        assert!(error.contains("does not speak TLS to the target yet"), "{acts}: {error}");
        assert!(error.contains("s.yaml:3:") && error.contains(hint), "{acts}: {error}");
    }
    let others = "connections: { target: false }, canary, fingerprint, cold, replay";
    assert!(read(others).is_ok(), "{:?}", read(others));
    assert!(scenario("http://shop.test", "acts: [ payloads, connections ]").is_ok());
}

/// What is expected of an act or of a probe needs one.
#[test]
fn an_expectation_without_its_act_or_its_probe_is_refused() {
    const COLD: &str = "acts: [ cold ]";
    const WATCH: &str = "watch: { cache: 'redis://127.0.0.1' }";
    for (beside, line, said) in [
        ("seed: 1", "errors < 1% in act cold", ":4:24: the scenario has no act `cold`"),
        ("seed: 1", "errors < 1% in act cold", "to `acts`, or leave out `in act`"),
        ("acts: [ canary ]", "errors < 1% in act replay", "the scenario has no act `replay`"),
        ("seed: 1", "warmup < 1m", "add `cold` to `acts`, or leave out this line"),
        ("seed: 1", "redis.clients < 9", ":4:11: no probe is called as in `redis.clients`"),
        ("seed: 1", "redis.clients < 9", "the scenario watches nothing"),
        (WATCH, "redis.clients < 9", "the probes under `watch` are cache"),
        (WATCH, "cache.clients < 9 in act cold", "the scenario has no act `cold`"),
    ] {
        let error = scenario("stage", &format!("{beside}\nexpect: [ '{line}' ]")).unwrap_err();
        assert!(error.contains(said), "{line}: {error}");
    }
    for (beside, line) in [
        (COLD, "errors < 1% in act cold"),
        (COLD, "warmup < 1m"),
        ("seed: 1", "errors < 1% in act replay"),
        (WATCH, "cache.clients < 9"),
    ] {
        let read = scenario("stage", &format!("{beside}\nexpect: [ '{line}' ]"));
        assert_eq!(read.map(|read| read.expect.len()), Ok(1), "{line}");
    }
}
