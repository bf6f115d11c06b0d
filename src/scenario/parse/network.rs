//! The keys of `target` that say how connections reach it.

use serde_yaml::Spanned;

use crate::scenario::acts::Acts;
use crate::scenario::fields;
use crate::scenario::keys::{OneOrMany, TargetKeys, Text};
use crate::scenario::network::{self, FAMILIES, MAX_ENTRIES, Network, Sources};
use crate::scenario::place::Place;
use crate::scenario::problem::{Mistake, ScenarioError};
use crate::scenario::{TargetSpec, target};

/// Reads them; `acts` are those of the scenario.
pub(super) fn read(
    place: Place<'_>,
    keys: &TargetKeys,
    target: &TargetSpec,
    acts: &Acts,
) -> Result<Network, ScenarioError> {
    let connect_to = bounded(place, keys.connect_to.as_deref().unwrap_or_default())?;
    let resolve = bounded(place, keys.resolve.as_deref().unwrap_or_default())?;
    let network = Network {
        connect_to: place.each(connect_to, network::connect_to)?,
        resolve: place.each(resolve, network::resolve)?,
        unix_socket: place
            .or(keys.unix_socket.as_ref(), None, |text| network::unix_socket(text).map(Some))?,
        family: place.or(keys.ip.as_ref(), None, |text| fields::word(text, &FAMILIES).map(Some))?,
        sources: keys
            .source_ip
            .as_ref()
            .map_or(Ok(Sources::default()), |keys| sources(place, keys))?,
    };
    let first = [connect_to.first(), resolve.first(), keys.unix_socket.as_ref(), keys.ip.as_ref()];
    // What contradicts something is pointed at, not what it contradicts.
    if let Some(at) = first.into_iter().flatten().next_back() {
        network.check().map_err(|mistake| place.mistake(at, mistake))?;
    }
    if let Some(at) = first.into_iter().flatten().next() {
        target::check_way(target, &network, acts).map_err(|mistake| place.mistake(at, mistake))?;
    }
    Ok(network)
}

fn bounded<'a>(place: Place<'_>, texts: &'a [Text]) -> Result<&'a [Text], ScenarioError> {
    match texts.get(MAX_ENTRIES) {
        Some(beyond) => {
            let mistake = Mistake::new(format!("more than {MAX_ENTRIES} entries"), "list fewer");
            Err(place.mistake(beyond, mistake))
        }
        None => Ok(texts),
    }
}

fn sources(place: Place<'_>, keys: &Spanned<OneOrMany>) -> Result<Sources, ScenarioError> {
    let lists = match &keys.value {
        OneOrMany::One(text) => vec![Sources::read(text)],
        OneOrMany::Many(texts) => place.each(texts, Sources::read)?.into_iter().map(Ok).collect(),
    };
    lists
        .into_iter()
        .collect::<Result<Vec<_>, Mistake>>()
        .and_then(Sources::join)
        .map_err(|mistake| place.mistake(keys, mistake))
}

#[cfg(test)]
mod tests {
    use crate::scenario::Scenario;
    use crate::scenario::network::{Family, Network};
    use crate::scenario::parse::from_text;
    use crate::scenario::problem::{Problem, ScenarioError};

    fn read(keys: &str) -> Result<Scenario, ScenarioError> {
        from_text(&format!("recording: r\ntarget:\n  url: http://h:1\n{keys}\n"), "s.yaml")
    }

    fn problem(keys: &str) -> Problem {
        match read(keys).unwrap_err() {
            ScenarioError::Invalid(problem) => *problem,
            ScenarioError::Read { .. } => panic!("the text is there"),
        }
    }

    #[test]
    fn the_way_to_a_target_is_read() {
        let network = read(
            "  connect_to: ['h:1:10.1.2.3:2', '::[fd00::1]:']\n  resolve: ['*:1:10.1.2.4']\n  \
             ip: v4\n  source_ip: [10.9.0.0/30, 10.9.1.1]",
        )
        .unwrap()
        .network;
        assert_eq!((network.connect_to.len(), network.resolve.len()), (2, 1));
        assert_eq!((network.family, network.sources.count()), (Some(Family::V4), 3));
        assert_eq!(read("  source_ip: '10.9.0.1, 10.9.0.2'").unwrap().network.sources.count(), 2);
        let socket = read("  unix_socket: /run/app.sock").unwrap().network.unix_socket;
        assert_eq!(socket, Some("/run/app.sock".into()));
        assert_eq!(read("  allow: [h]").unwrap().network, Network::default());
    }

    #[test]
    fn each_mistake_has_a_place() {
        for (keys, place, message) in [
            ("  connect_to: ['h:1:x']", (4, 16), "has not four parts"),
            ("  connect_to:\n    - h:1:a:2\n    - h:x:a:2", (6, 9), "`x` is no host or port"),
            ("  resolve: ['h:1:10.1.2.3,b']", (4, 27), "`b` is not an address"),
            ("  resolve: h:1:10.1.2.3", (4, 12), "a list is expected"),
            ("  ip: 4", (4, 7), "unknown value `4`"),
            ("  source_ip: 10.0.0.1,x", (4, 23), "`x` is no address"),
            ("  source_ip: [10.0.0.1, 10.0.0.0/8]", (4, 25), "more than 65536"),
            ("  source_ip: [10.0.0.1, '::1']", (4, 14), "of IPv4 and of IPv6"),
            ("  source_ip: 10.0.0.1\n  ip: v6", (5, 7), "cannot go to IPv6"),
            ("  unix_socket: ''", (4, 16), "not the path of a unix socket"),
            ("  ip: v6\n  unix_socket: /a", (4, 7), "a unix socket has no host"),
            ("  unix_socket: /a\nacts: [replay, connections]", (4, 16), "the act `connections`"),
            ("  sauce_ip: 10.0.0.1", (4, 3), "unknown key `sauce_ip`"),
        ] {
            let problem = problem(keys);
            assert_eq!((problem.line, problem.column), place, "{keys}: {problem}");
            assert!(problem.message.contains(message) && !problem.hint.is_empty(), "{problem}");
        }
        let stage = "recording: r\ntarget: { url: stage, ip: v4 }\n";
        let told = from_text(stage, "s.yaml").unwrap_err().to_string();
        assert!(told.contains("s.yaml:2:27: the embedded stage listens"), "{told}");
    }
}
