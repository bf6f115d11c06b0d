use super::*;
use crate::act::connections::seen::Refusal;
use crate::scenario::endpoint::Service;

fn seen(held: u64, connections: u64) -> EndpointSeen {
    EndpointSeen {
        name: "redis".to_owned(),
        service: Service::Redis,
        address: "redis://127.0.0.1:6379".to_owned(),
        trouble: None,
        limit: Some(StaticLimit {
            held,
            others: Some(2),
            refusal: Some(Refusal::Told("-ERR max number of clients reached".to_owned())),
            confirmed: 3,
            ..StaticLimit::default()
        }),
        burst: None,
        recovery: None,
        own_count: None,
        demand: Some(DemandSum {
            connections,
            generations: 2,
            from: "shop".to_owned(),
            recorded: false,
        }),
        drills: Vec::new(),
    }
}

fn outcome(seen: EndpointSeen, check: &str) -> Outcome {
    let evidence = Connections { endpoints: vec![seen], stopped: false };
    let findings = judge(&evidence);
    findings.iter().find(|found| found.check == check).unwrap().outcome
}

#[test]
fn the_limit_must_be_the_demand_of_all_generations_and_a_reserve() {
    // 2 generations of 100 and a tenth are 220; 130 % of them are 286.
    for (limit, expected) in [
        (286, Outcome::Pass),
        (285, Outcome::Unknown),
        (220, Outcome::Unknown),
        (219, Outcome::Fail),
    ] {
        assert_eq!(outcome(seen(limit - 2, 100), DEMAND), expected, "{limit}");
    }
}

#[test]
fn a_server_that_went_away_has_no_limit_of_nothing() {
    let mut gone = seen(0, 100);
    let limit = gone.limit.as_mut().unwrap();
    (limit.refusal, limit.lost) = (Some(Refusal::NoListener), 97);
    (limit.others, limit.confirmed) = (None, 0);
    let findings = judge(&Connections { endpoints: vec![gone], stopped: false });
    assert!(findings[0].title.contains("redis went away in the search"), "{findings:#?}");
    assert!(findings.iter().all(|found| found.outcome == Outcome::Unknown), "{findings:#?}");
}

#[test]
fn a_search_that_met_no_limit_never_fails() {
    let mut open = seen(50, 100);
    let limit = open.limit.as_mut().unwrap();
    (limit.refusal, limit.ended) = (None, Some(Ended::OpenFiles));
    assert_eq!(outcome(open.clone(), DEMAND), Outcome::Unknown);
    assert_eq!(outcome(open.clone(), CHECK), Outcome::Unknown);
    open.limit.as_mut().unwrap().ended = Some(Ended::Max);
    assert_eq!(outcome(open, CHECK), Outcome::Pass);
}

#[test]
fn a_limit_that_was_not_confirmed_or_cost_others_their_connection_is_not_known() {
    // Of these, one would pass and the other one fail.
    for needed in [10, 900] {
        let mut doubtful = seen(300, needed);
        doubtful.limit.as_mut().unwrap().confirmed = 2;
        for check in [CHECK, DEMAND] {
            assert_eq!(outcome(doubtful.clone(), check), Outcome::Unknown, "{check}");
        }
        let mut lossy = seen(300, needed);
        lossy.limit.as_mut().unwrap().lost = 1;
        for check in [CHECK, DEMAND] {
            assert_eq!(outcome(lossy.clone(), check), Outcome::Unknown, "{check}");
        }
    }
    assert_eq!(outcome(seen(300, 10), CHECK), Outcome::Pass);
}

#[test]
fn what_this_machine_could_not_do_is_said_and_not_known() {
    let why = "this machine has no port left to connect from".to_owned();
    let mut troubled = seen(300, 10);
    troubled.burst = Some(Burst { clean: 64, trouble: Some(why.clone()), ..Burst::default() });
    let findings = judge(&Connections { endpoints: vec![troubled], stopped: false });
    assert_eq!(findings[0].outcome, Outcome::Unknown);
    assert!(findings[0].evidence.iter().any(|line| line.contains(&why)), "{findings:?}");
    let late = Late { hung: 3, ..Late::default() };
    let pools = LazyPools { needed: 9, asked: 9, opened: 6, late, ..LazyPools::default() };
    let with = |pools: LazyPools| EndpointSeen { drills: vec![pools], ..seen(900, 9) };
    assert_eq!(outcome(with(pools.clone()), LAZY_POOLS), Outcome::Fail);
    let ours = LazyPools { trouble: Some(why), ..pools };
    assert_eq!(outcome(with(ours), LAZY_POOLS), Outcome::Unknown);
}

#[test]
fn recovery_says_what_was_served_and_who_was_turned_away_last() {
    let recovery = Recovery {
        wanted: 99,
        served: 99,
        refused: 2,
        last_refused_ns: 30_000_000,
        took_ns: 70_000_000,
        trouble: None,
    };
    let said = recovered(&recovery);
    assert!(said.starts_with("99 of 99 were opened and served again within 70"), "{said}");
    assert!(said.contains("the last was turned away 30"), "{said}");
}

#[test]
fn what_is_kept_for_administrators_is_not_the_services() {
    let mut kept = seen(300, 100);
    let limit = kept.limit.as_mut().unwrap();
    (limit.configured, limit.reserved) = (Some(302), 100);
    assert_eq!(outcome(kept, DEMAND), Outcome::Fail);
}

#[test]
fn a_pool_that_is_turned_away_fails_and_one_that_is_admitted_passes() {
    let pools =
        LazyPools { generations: 1, needed: 9, asked: 9, opened: 9, ..LazyPools::default() };
    let with = |pools: LazyPools| EndpointSeen { drills: vec![pools], ..seen(900, 9) };
    assert_eq!(outcome(with(pools.clone()), LAZY_POOLS), Outcome::Pass);
    let few = LazyPools { asked: 8, opened: 8, ..pools.clone() };
    assert_eq!(outcome(with(few), LAZY_POOLS), Outcome::Unknown);
    let refused = [("told so".to_owned(), 1)].into();
    let away = LazyPools { opened: 8, refused, ..pools };
    assert_eq!(outcome(with(away), LAZY_POOLS), Outcome::Fail);
    let nothing = LazyPools::default();
    assert_eq!(outcome(with(nothing), LAZY_POOLS), Outcome::Unknown);
}

#[test]
fn without_evidence_nothing_is_known() {
    let findings = judge(&Connections::default());
    assert_eq!((findings.len(), findings[0].outcome), (1, Outcome::Unknown));
    let mut troubled = seen(9, 1);
    troubled.trouble = Some("refused".to_owned());
    assert_eq!(outcome(troubled, CHECK), Outcome::Unknown);
    let stopped = Connections { endpoints: vec![seen(900, 1)], stopped: true };
    assert!(judge(&stopped).iter().all(|found| found.outcome == Outcome::Unknown));
}
