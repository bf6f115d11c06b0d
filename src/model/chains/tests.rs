use super::*;

fn event(session: u32, route: u16, gap: f32) -> Event {
    Event { session, route, gap }
}

const LIMITS: Limits = Limits { embedded_below: 0.1, ended_before: 500.0 };

/// The chain of the sessions of some clients, all of which were over in time.
fn fitted(events: &mut [Event], owners: &[u32], routes: usize) -> Group {
    let ranges = by_session(events);
    let sessions: Vec<&[Event]> = ranges.iter().map(|range| &events[range.clone()]).collect();
    let lasts = vec![10.0; owners.len()];
    fit(&seen(&sessions, Visits { lasts: &lasts, owners }, LIMITS), routes, 1.0, None)
}

fn clients(count: u32) -> Vec<u32> {
    (0..count).collect()
}

#[test]
fn steps_have_their_shares_and_gaps() {
    let mut events: Vec<Event> = Vec::new();
    for session in 0..100 {
        events.push(event(session, 0, f32::NAN));
        events.push(event(session, 1, 0.004));
        if session % 2 == 0 {
            events.push(event(session, 0, 5.0));
        }
    }
    let group = fitted(&mut events, &clients(100), 3);
    assert_eq!(group.begins, [(0, 1.0)]);
    let [home, item] = group.states.as_slice() else { panic!("{group:?}") };
    let [step] = home.next.as_slice() else { panic!("{home:?}") };
    assert_eq!((step.to, step.embedded, home.ends), (Some(1), true, 0.3333));
    let [step] = item.next.as_slice() else { panic!("{item:?}") };
    assert_eq!((step.to, step.embedded, step.share, item.ends), (Some(0), false, 0.5, 0.5));
}

/// A hundred sessions that go from route 0 to another one.
fn going_to(of: &dyn Fn(u32) -> u16) -> Vec<Event> {
    let steps = |session| [event(session, 0, f32::NAN), event(session, of(session), 5.0)];
    (0..100).flat_map(steps).collect()
}

#[test]
fn a_step_of_few_clients_is_told_with_others_or_not_at_all() {
    let few = fitted(&mut going_to(&|session| if session < 19 { 1 } else { 2 }), &clients(100), 4);
    let [step] = few.states[0].next.as_slice() else { panic!("{few:?}") };
    assert_eq!((step.to, step.share, few.states[0].ends), (Some(2), 1.0, 0.0));
    assert!(few.elsewhere.is_empty() && few.states.iter().all(|state| state.from != 1), "{few:?}");
    // Fifteen each are thirty together, who went elsewhere; where is not told of either.
    let of = |session| if session < 15 { 1 } else { 2 + u16::from(session >= 30) };
    let some = fitted(&mut going_to(&of), &clients(100), 5);
    let told: Vec<Option<usize>> = some.states[0].next.iter().map(|step| step.to).collect();
    assert_eq!((told, some.elsewhere.as_slice()), (vec![Some(3), None], &[(4, 1.0)][..]));
}

/// The broken twin of a step that enough clients took: as many visits, of fewer clients.
#[test]
fn many_visits_of_few_clients_tell_no_step() {
    let of = |session| if session < 40 { 1 } else { 2 };
    let many = fitted(&mut going_to(&of), &clients(100), 4);
    assert_eq!(many.states[0].next.len(), 2);
    let owners: Vec<u32> =
        (0..100).map(|visit| if visit < 40 { visit % 10 } else { visit }).collect();
    let few = fitted(&mut going_to(&of), &owners, 4);
    let told: Vec<Option<usize>> = few.states[0].next.iter().map(|step| step.to).collect();
    assert_eq!(told, [Some(2)]);
}

#[test]
fn a_gap_that_is_mostly_one_clients_is_not_its_law() {
    let mut events = going_to(&|_| 1);
    // One visit of a program that goes round and round.
    events.extend((0..300).map(|n| event(100, 0, if n == 0 { f32::NAN } else { 0.2 })));
    events.extend((101..140).flat_map(|visit| [event(visit, 0, f32::NAN), event(visit, 0, 9.0)]));
    let group = fitted(&mut events, &clients(140), 3);
    let next = &group.states[0].next;
    assert!(next.iter().all(|step| step.to != Some(0)), "{next:?}");
    let law = |step: &Step| step.to.is_none() && step.gap == usual(false);
    assert!(next.iter().any(law), "{next:?}");
}

#[test]
fn where_few_end_sessions_end_as_where_it_is_most_like_it() {
    // All end at route 1 or 2: of a hundred that come to route 2, a tenth ends.
    let mut events = Vec::new();
    for visit in 0..100 {
        events.push(event(visit, 2, f32::NAN));
        if visit % 10 > 0 {
            events.push(event(visit, 1, 5.0));
        }
    }
    let group = fitted(&mut events, &clients(100), 4);
    let ends: Vec<f64> = group.states.iter().map(|state| state.ends).collect();
    // Ninety of route 1 and ten of route 2 are told as a hundred of both.
    assert_eq!(ends, [1.0, 0.5263]);
}

/// One client of a thousand goes on from where all others end.
#[test]
fn that_few_went_on_is_not_told_and_that_many_did_is() {
    let fitted = |going: u32, rounds: u32| {
        let mut events: Vec<Event> = (0..1_000).map(|visit| event(visit, 0, f32::NAN)).collect();
        for visit in 0..going {
            events.extend((0..rounds).map(|_| event(visit, 1, 5.0)));
            events.push(event(visit, 0, 5.0));
        }
        fitted(&mut events, &clients(1_000), 3)
    };
    let of = |group: &Group| group.states.iter().find(|state| state.from == 0).cloned().unwrap();
    for (going, rounds) in [(1, 1), (19, 1), (1, 5_000)] {
        let group = fitted(going, rounds);
        let state = of(&group);
        assert!(state.ends >= 1.0 && state.next.is_empty(), "{going}: {state:?}");
    }
    let state = of(&fitted(40, 1));
    assert!(state.ends < 0.97 && !state.next.is_empty(), "{state:?}");
}

#[test]
fn what_few_did_in_a_group_is_as_all_sessions_did_it() {
    let parent = fitted(&mut going_to(&|_| 1), &clients(100), 3);
    let mut events = going_to(&|session| if session < 5 { 1 } else { 2 });
    events.extend((0..5).map(|session| event(session, 0, 5.0)));
    let ranges = by_session(&mut events);
    let sessions: Vec<&[Event]> = ranges.iter().map(|range| &events[range.clone()]).collect();
    let visits = Visits { lasts: &[10.0; 100], owners: &clients(100) };
    let group = fit(&seen(&sessions, visits, LIMITS), 3, 0.5, Some(&parent));
    let of = |group: &Group| group.states.iter().find(|state| state.from == 1).cloned();
    assert!(of(&group).is_some() && of(&group) == of(&parent), "{group:?}");
}

#[test]
fn who_may_go_on_has_not_ended() {
    let mut events: Vec<Event> = (0..60)
        .flat_map(|visit| {
            let again = (visit >= 30).then(|| event(visit, 0, 1.0));
            [Some(event(visit, 0, f32::NAN)), again].into_iter().flatten()
        })
        .collect();
    let ranges = by_session(&mut events);
    let sessions: Vec<&[Event]> = ranges.iter().map(|range| &events[range.clone()]).collect();
    let owners = clients(60);
    let ends = |last: f64| {
        let lasts: Vec<f64> = (0..60).map(|visit| if visit < 30 { 10.0 } else { last }).collect();
        let visits = Visits { lasts: &lasts, owners: &owners };
        fit(&seen(&sessions, visits, LIMITS), 1, 1.0, None).states[0].ends
    };
    assert!((ends(20.0) - 0.6667).abs() < 1e-9);
    // The second thirty went on at 500 s, and may go on behind 501 s.
    assert!((ends(501.0) - 0.5).abs() < 1e-9);
}

#[test]
fn gaps_are_those_of_all_times_and_not_of_the_first_ones() {
    // The pauses of the second half of all sessions are ten times as long.
    let mut events = Vec::new();
    for visit in 0..30_000_u32 {
        let pause = if visit < 15_000 { 1.0 } else { 10.0 };
        events.extend([event(visit, 0, f32::NAN), event(visit, 0, pause)]);
    }
    let group = fitted(&mut events, &clients(30_000), 2);
    let Law::Points(points) = &group.states[0].next[0].gap else { panic!("{group:?}") };
    assert!(points.at(0.45) < 2.0 && points.at(0.55) > 9.0, "{points:?}");
}

#[test]
fn pages_end_where_the_fewest_gaps_are() {
    let machine = (0..500_u16).map(|n| event(0, 0, 0.001 + 0.00004 * f32::from(n)));
    let people = (0..500_u16).map(|n| event(0, 0, 0.7 + 0.01 * f32::from(n)));
    let gaps: Vec<Event> = machine.chain(people).collect();
    let below = embedded_below(&gaps, 1e-6);
    assert!((0.03..0.6).contains(&below), "{below}");
    assert!(embedded_below(&gaps, 1.0) <= 0.0);
    assert!(ended_after(&gaps, below, 600.0) > 5.0);
    assert!((ended_after(&gaps, below, 8.0) - 2.0).abs() < 1e-9);
}

/// Nobody's session ends because too few clients left the place where it is.
#[test]
fn what_is_not_told_of_a_route_does_not_end_sessions() {
    // Each of a hundred goes to one of ten routes, ten clients each, and on from there ten times.
    let visit = |session: u32| {
        let routes = std::iter::once(0).chain((0..10).map(move |_| 1 + (session % 10) as u16));
        routes
            .enumerate()
            .map(move |(at, route)| event(session, route, if at == 0 { f32::NAN } else { 2.0 }))
    };
    let mut events: Vec<Event> = (0..100).flat_map(visit).collect();
    let group = fitted(&mut events, &clients(100), 12);
    assert!(group.states.iter().all(|state| !(1..=10).contains(&state.from)), "{group:?}");
    let [home, other] = group.states.as_slice() else { panic!("{group:?}") };
    assert_eq!(
        (home.next[0].to, home.ends, group.elsewhere.as_slice()),
        (None, 0.0, &[(11, 1.0)][..])
    );
    // One of ten requests there was the last one, as it was.
    assert_eq!((other.from, other.next[0].to), (11, None));
    assert!((other.ends - 0.1).abs() < 1e-9, "{other:?}");
}
