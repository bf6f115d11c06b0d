//! A model as a YAML file that people read and edit: the same model is the same text.

mod keys;
pub mod read;

use std::fmt::Write;

use crate::model::edit::Edits;
use crate::model::sizes::Sizes;
use crate::model::sketch::{Law, Sketch};
use crate::model::{Connections, Group, Keys, Model, Route, State};

/// Version of the format: 2 has distances in the place of one share of recent keys.
pub const VERSION: u64 = 2;

/// The status of requests without a response.
const NO_RESPONSE: &str = "none";

/// Where steps lead that lead to one of the group's `elsewhere`.
const ELSEWHERE: &str = "elsewhere";

const HEAD: &str = "\
# A model of load, made by `peakhour synth`: numbers and templates of routes. Edit it as you like,
# and draw recordings of it: peakhour synth MODEL.yaml -o RECORDING.parquet
# Times are in seconds, sizes in bytes, shares from 0 to 1. A distribution is a lognormal, cut at
# the largest value, or points: [share, value] says that so large a share lies below the value.
# Words, routes, steps and bins are those of 20 clients or more; others are in OTHER and elsewhere.
model: 2
";

const RATE: &str = "
# Sessions that begin in a second, from a moment on. busiest is the largest number of requests that
# was recorded in one second of it, of the seconds in which none of its clients asked for most.
rate:
";

const BURSTS: &str = "
# The rate switches at random between two multiples of itself, each lasting so long on average.
";

const EDITS: &str = "
# What is to be changed before drawing. sessions is how many times as many; further edits:
#   tail: 1.1                                        the index of the tails of all sizes
#   crowds: [{ at: 600, lasts: 60, times: 3 }]       a flash crowd at minute 10
#   routes: [{ route: \"GET /new/*\", share: 0.05 }]   a new route with 5% of the traffic
#   outliers: [{ bytes: 40000000, every: 10 }]       a customer with 40 MB payloads
edits:
";

const CONNECTIONS: &str = "
# Share of requests that open a connection: while all that could be used are busy, and while one
# was idle for up to so many seconds. shared: sessions have their connections in common.
connections:
";

const ROUTES: &str = "
# What is asked for. Keys stand for the stars: the key of rank r is asked for in proportion to
# r^-exponent; once is the share of requests whose key never comes again. Of the others, more than
# popularity says have a key among the last so many different ones, and not among those of the pair
# before, such as recent: [[1, 0.1], [8, 0.2]]; fresh is the share of those, beyond what it says,
# that were not asked for lately. A tail of sizes is a power law: a share x^-index of it is larger
# than x times its start. Status none is no response; first_byte and rest are times of the response.
routes:
";

const GROUPS: &str = "
# Sessions of like behaviour: where they begin, and what follows each route. embedded is what a
# page loads by itself; elsewhere is where steps lead that few sessions took.
groups:
";

/// The text of a model.
pub fn write(model: &Model) -> String {
    let mut text = String::from(HEAD);
    let fitted = model.fitted;
    let _ = writeln!(
        text,
        "fitted: {{ requests: {}, sessions: {} }}\nduration: {}",
        fitted.requests, fitted.sessions, model.duration
    );
    text.push_str(RATE);
    for level in &model.rate {
        let busiest = match level.busiest {
            0 => String::new(),
            busiest => format!(", busiest: {busiest}"),
        };
        let (from, sessions) = (level.from, level.sessions);
        let _ = writeln!(text, "  - {{ from: {from}, sessions: {sessions}{busiest} }}");
    }
    if let Some(bursts) = model.bursts {
        text.push_str(BURSTS);
        let _ = writeln!(
            text,
            "bursts: {{ calm: {}, busy: {}, calm_lasts: {}, busy_lasts: {} }}",
            bursts.calm, bursts.busy, bursts.calm_lasts, bursts.busy_lasts
        );
    }
    edits(&mut text, &model.edits);
    connections(&mut text, &model.connections);
    text.push_str(ROUTES);
    for one in &model.routes {
        route(&mut text, one);
    }
    text.push_str(GROUPS);
    for one in &model.groups {
        group(&mut text, one, &model.routes);
    }
    text
}

fn edits(text: &mut String, edits: &Edits) {
    text.push_str(EDITS);
    let _ = writeln!(text, "  sessions: {}", edits.sessions);
    if let Some(tail) = edits.tail {
        let _ = writeln!(text, "  tail: {tail}");
    }
    let list = |name: &str, items: Vec<String>| {
        if items.is_empty() { String::new() } else { format!("  {name}: [{}]\n", items.join(", ")) }
    };
    let crowds = edits.crowds.iter().map(|crowd| {
        format!("{{ at: {}, lasts: {}, times: {} }}", crowd.at, crowd.lasts, crowd.times)
    });
    text.push_str(&list("crowds", crowds.collect()));
    let routes = edits
        .routes
        .iter()
        .map(|new| format!("{{ route: {}, share: {} }}", quoted(&new.route), new.share));
    text.push_str(&list("routes", routes.collect()));
    let outliers = edits
        .outliers
        .iter()
        .map(|outlier| format!("{{ bytes: {}, every: {} }}", outlier.bytes, outlier.every));
    text.push_str(&list("outliers", outliers.collect()));
}

fn connections(text: &mut String, connections: &Connections) {
    text.push_str(CONNECTIONS);
    let idle = connections.when_idle.iter().map(|(most, share)| format!("[{most}, {share}]"));
    let _ = writeln!(
        text,
        "  shared: {}\n  when_busy: {}\n  when_idle: [{}]",
        connections.shared,
        connections.when_busy,
        idle.collect::<Vec<_>>().join(", ")
    );
    if let Some(held) = &connections.held {
        let _ = writeln!(
            text,
            "  # How long a connection stays open behind its last response.\n  held: {}",
            law(held)
        );
    }
}

fn route(text: &mut String, route: &Route) {
    let _ = writeln!(text, "  - route: {}", quoted(&route.name));
    if let Some(Keys { count, exponent, once, fresh, recent }) = &route.keys {
        let recent = recent.iter().map(|(most, share)| format!("[{most}, {share}]"));
        let recent = recent.collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            text,
            "    keys: {{ count: {count}, exponent: {exponent}, once: {once}, fresh: {fresh}, \
             recent: [{recent}] }}"
        );
    }
    let _ = writeln!(text, "    head: {}", sketch(&route.head));
    let _ = writeln!(text, "    body: {}", sizes(&route.body));
    let _ = writeln!(text, "    answer: {}", sizes(&route.answer));
    let statuses = route.statuses.iter().map(|(status, share)| {
        if *status == 0 { format!("{NO_RESPONSE}: {share}") } else { format!("{status}: {share}") }
    });
    let _ = writeln!(text, "    statuses: {{ {} }}", statuses.collect::<Vec<_>>().join(", "));
    for (name, law_of) in [("first_byte", &route.first_byte), ("rest", &route.rest)] {
        if let Some(law_of) = law_of {
            let _ = writeln!(text, "    {name}: {}", law(law_of));
        }
    }
}

fn sizes(sizes: &Sizes) -> String {
    if sizes.empty >= 1.0 {
        return "{ empty: 1 }".to_owned();
    }
    let tail = sizes.tail.map_or(String::new(), |tail| {
        let (share, start, index) = (tail.share, tail.start, tail.index);
        format!(", tail: {{ share: {share}, start: {start}, index: {index} }}")
    });
    let middle = law(&sizes.middle);
    format!("{{ empty: {}, middle: {middle}{tail}, most: {} }}", sizes.empty, sizes.most)
}

fn law(law: &Law) -> String {
    match law {
        Law::LogNormal { median, sigma, most } => {
            format!("{{ median: {median}, sigma: {sigma}, most: {most} }}")
        }
        Law::Points(points) => sketch(points),
    }
}

fn sketch(sketch: &Sketch) -> String {
    let points = sketch.points().iter().map(|[share, value]| format!("[{share}, {value}]"));
    format!("{{ points: [{}] }}", points.collect::<Vec<_>>().join(", "))
}

fn group(text: &mut String, group: &Group, routes: &[Route]) {
    let name = |index: usize| quoted(routes.get(index).map_or("", |route| &route.name));
    let shares = |shares: &[(usize, f64)]| {
        let all = shares.iter().map(|(route, share)| format!("{}: {share}", name(*route)));
        format!("{{ {} }}", all.collect::<Vec<_>>().join(", "))
    };
    let _ = writeln!(text, "  - share: {}", group.share);
    let _ = writeln!(text, "    begins: {}", shares(&group.begins));
    if !group.elsewhere.is_empty() {
        let _ = writeln!(text, "    elsewhere: {}", shares(&group.elsewhere));
    }
    text.push_str("    states:\n");
    for State { from, ends, next } in &group.states {
        let _ = writeln!(text, "      - from: {}\n        ends: {ends}", name(*from));
        if next.is_empty() {
            continue;
        }
        text.push_str("        next:\n");
        for step in next {
            let to = step.to.map_or(ELSEWHERE.to_owned(), name);
            let embedded = if step.embedded { ", embedded: true" } else { "" };
            let _ = writeln!(
                text,
                "          - {{ to: {to}, share: {}{embedded}, gap: {} }}",
                step.share,
                law(&step.gap)
            );
        }
    }
}

/// A route as a text of YAML; routes hold neither quotes nor backslashes.
fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// The version of the format that a text says it has: a model's first line that is neither empty
/// nor a comment is `model: 2`. `None` for any other text. Also the number of that line, from 1.
pub fn version_of(text: &str) -> Option<(u64, usize)> {
    let (number, line) = first_line(text)?;
    let version = line.strip_prefix("model:")?.split('#').next()?;
    let version = version.trim().trim_matches(['"', '\'']);
    Some((version.parse().ok()?, number))
}

/// The first line that is neither empty nor a comment, and its number from 1.
fn first_line(text: &str) -> Option<(usize, &str)> {
    let is_empty = |line: &str| line.is_empty() || line.starts_with('#') || line == "---";
    (1..)
        .zip(text.trim_start_matches('\u{feff}').lines().map(str::trim_end))
        .find(|(_, line)| !is_empty(line))
}
