use super::*;

fn scaling(scale: f64, speed: f64, before: [f64; 4], after: [f64; 4]) -> Scaling {
    let [idc_unscaled, idc_scaled] = [before, after].map(|values| values.map(Some));
    Scaling { scale, speed, idc_unscaled, idc_scaled, ..Scaling::default() }
}

fn told(scaling: &Scaling) -> String {
    scaling.told().join("\n")
}

const RECORDED: [f64; 4] = [2.14, 3.81, 4.43, 6.19];

#[test]
fn damage_is_told_in_words() {
    let text = told(&scaling(1.0, 0.5, RECORDED, [2.1, 3.8, 2.9, 6.0]));
    for words in [
        "a speed of 0.5 is 2 times as slow: bursts of 100 ms became bursts of 200 ms",
        "users do not think slower",
        "IDC at 1 s 4.43 → 2.90 (-35 %): a calmer load",
        "compares the run with this plan",
    ] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    assert!(!text.contains("IDC at 10 ms"), "what is noise is not told: {text}");
    assert!(!text.contains("clones"), "there are none: {text}");
    let text = told(&scaling(1.0, 2.0, RECORDED, [2.79, 4.24, 7.57, 30.7]));
    assert!(text.contains("became bursts of 50 ms") && text.contains("a burstier load"), "{text}");
    assert!(text.contains("IDC at 10 s 6.19 → 30.70 (+396 %)"), "{text}");
    let text = told(&scaling(0.25, 1.0, RECORDED, [2.14, 3.0, 4.43, 8.0]));
    assert!(text.contains("calmer at some scales and harder at others"), "{text}");
    let text = told(&scaling(0.25, 1.0, RECORDED, RECORDED));
    assert!(text.contains("bursts are as recorded") && text.contains("25 %"), "{text}");
}

#[test]
fn what_is_too_short_is_not_told_to_be_as_recorded() {
    let mut short = scaling(0.5, 1.0, RECORDED, RECORDED);
    short.idc_scaled = [None; 4];
    assert!(told(&short).contains("too short to tell"), "{}", told(&short));
    short.idc_scaled[0] = Some(1.07);
    let ratios = short.ratios();
    assert_eq!(ratios.map(|ratio| ratio.is_some()), [true, false, false, false]);
}

#[test]
fn what_clones_share_is_told() {
    let with = |change: &dyn Fn(&mut Scaling)| {
        let mut scaling = scaling(2.0, 1.0, RECORDED, RECORDED);
        scaling.clones = 100;
        change(&mut scaling);
        told(&scaling)
    };
    let shared = with(&|scaling| scaling.shared_identities = 60);
    assert!(shared.contains("of 100 requests of clones 0 have an identity of their own"));
    assert!(shared.contains("60 requests of clones carry the cookies"), "{shared}");
    assert!(shared.contains("caches look warmer"), "{shared}");
    let own = with(&|scaling| (scaling.own_identities, scaling.own_keys) = (100, 90));
    assert!(own.contains("100 have an identity") && own.contains("90 requests have keys"), "{own}");
    assert!(!own.contains("warmer") && !own.contains("carry"), "{own}");
    // What is set already is no advice.
    let none = with(&|scaling| scaling.asks_own_keys = true);
    assert!(none.contains("no request of clones is one") && !none.contains("keys: own"), "{none}");
    let followed = with(&|scaling| {
        (scaling.shared_identities, scaling.follows_cookies) = (60, true);
    });
    assert!(followed.contains("those that the target sets"), "{followed}");
}
