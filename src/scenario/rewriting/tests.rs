use super::*;
use crate::scenario::Scenario;
use crate::scenario::parse::from_text;

fn read(lines: &str) -> Result<Scenario, String> {
    let text = format!("recording: r\ntarget: {{ url: stage }}\nrewrite:\n{lines}");
    from_text(&text, "s.yaml").map_err(|error| error.to_string())
}

#[test]
fn all_of_it_is_read() {
    let scenario = read(
        "  headers: { X-Run: '1', Via: null, X-Null: 'null' }\n\
         \x20 paths: [{ from: '^/v1/', to: '/v2/' }, { from: '(\\d+)$', to: 'n$1' }]\n\
         \x20 query: { tenant: staging, debug: null, empty: '' }\n\
         \x20 cookies: follow\n\
         \x20 tokens:\n\
         \x20   - learn\n\
         \x20   - { name: csrf, from: body, pattern: 'v=\"([^\"]+)\"', path: ^/form, to: [header \
         X-CSRF, form csrf] }\n\
         \x20   - { name: next, from: header X-Next, to: query cursor }\n\
         \x20 hook: { command: [./sign.py, --fast], timeout: 50ms }\n",
    )
    .unwrap();
    assert_eq!(scenario.headers.len(), 2);
    assert_eq!(scenario.headers["X-Null"], "null");
    let rewriting = &scenario.rewriting;
    assert_eq!(rewriting.removed, ["Via"]);
    assert_eq!(rewriting.paths[1].to, "n$1");
    let rule = |name: &str, value: Option<&str>| QueryRule {
        name: name.to_owned(),
        value: value.map(str::to_owned),
    };
    let rules = [rule("debug", None), rule("empty", Some("")), rule("tenant", Some("staging"))];
    assert_eq!(rewriting.query, rules);
    assert!(rewriting.follow_cookies && rewriting.tokens.learn && rewriting.follows());
    let [csrf, next] = &rewriting.tokens.declared[..] else { panic!("{rewriting:?}") };
    assert_eq!((&csrf.from, csrf.path.is_some()), (&From::Body, true));
    assert_eq!(csrf.to, [Slot::Header("X-CSRF".into()), Slot::Form("csrf".into())]);
    assert_eq!(next.from, From::Header("X-Next".into()));
    assert_eq!(next.to, [Slot::Query("cursor".into())]);
    let command = vec!["./sign.py".to_owned(), "--fast".to_owned()];
    let timeout = Duration::from_millis(50);
    assert_eq!(rewriting.hook, Some(Hook { command, timeout }));

    let plain = read("  tokens: learn\n  cookies: recorded\n  hook: [./a]\n").unwrap().rewriting;
    assert!(plain.tokens.learn && !plain.follow_cookies);
    assert_eq!(plain.hook.unwrap().timeout, HOOK_TIMEOUT);
    assert_eq!(read("  tokens: off\n").unwrap().rewriting, Rewriting::default());
}

#[test]
fn mistakes_have_their_place_and_a_hint() {
    let mut wrong = Vec::new();
    for (lines, told) in [
        ("  headers: { Host: null }\n", "s.yaml:4:20: `Host` cannot be set"),
        ("  headers: { via: null, Via: x }\n", "are the same header"),
        ("  headers: { A: '${NOT_THERE}' }\n", ":4:17: the environment has no variable `NOT_TH"),
        ("  query: { a: '${NOT_THERE}' }\n", ":4:15: the environment has no variable `NOT_TH"),
        ("  paths: [{ from: '(', to: / }]\n", ":4:19: `(` is not a regular expression"),
        ("  paths: [{ from: a }]\n", "the key `to` is missing"),
        ("  paths: [{ from: a, two: b }]\n", "unknown key `two`"),
        ("  cookies: no\n", ":4:12: unknown value `no`"),
        ("  tokens: yes please\n", ":4:11: unknown value `yes please`"),
        ("  tokens: [learned]\n", ":4:12: unknown value `learned`"),
        ("  tokens: [{ name: a, from: cookie, to: query a }]\n", "`cookie` is no part of an"),
        ("  tokens: [{ name: a, from: body, to: path a }]\n", "`path a` is no place in a request"),
        ("  tokens: [{ name: a, from: body, to: header Host }]\n", "`Host` cannot be set"),
        ("  tokens: [{ name: a, form: body, to: query a }]\n", "unknown key `form`"),
        ("  hook: []\n", "names no program"),
        ("  hook: ['']\n", ":4:10: there is no program"),
        ("  hook: { command: [a], timeout: 2h }\n", ":4:34: 2h is out of range"),
        ("  cookie: follow\n", "did you mean `cookies`?"),
    ] {
        let error = read(lines).unwrap_err();
        if !error.contains(told) || !error.contains("hint: ") {
            wrong.push(format!("{lines}: {error}"));
        }
    }
    let redis = "recording: r\ntarget: { url: 'redis://h' }\nrewrite: { cookies: follow }\n";
    let error = from_text(redis, "s.yaml").unwrap_err().to_string();
    assert!(error.contains("s.yaml:3:10: nothing is rewritten in commands of Redis"), "{error}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
