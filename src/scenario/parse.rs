//! A scenario file becomes a [`Scenario`], or an error that says where and what to write instead.

mod network;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_yaml::Spanned;

use crate::scenario::abort::{AbortRule, MAX_RULES};
use crate::scenario::acts;
use crate::scenario::clones;
use crate::scenario::expectation::{Expectation, ExpectationError};
use crate::scenario::fields;
use crate::scenario::keys::{Keys, LimitKeys, OneOrMany, StageFileKeys, Text};
use crate::scenario::knobs::{
    BeyondLimit, ConnectionLimit, OtherAnswers, RetryStorm, StageKnobs, Stall,
};
use crate::scenario::mapped;
use crate::scenario::nodes;
use crate::scenario::place::{Environment, Place};
use crate::scenario::problem::{Mistake, ScenarioError, Source, crop};
use crate::scenario::ramp::Ramp;
use crate::scenario::redis;
use crate::scenario::rewriting;
use crate::scenario::tls;
use crate::scenario::watch::{self, Watch};
use crate::scenario::{Limits, MethodPolicy, Pace, Scenario, TargetSpec, Tier, Window};

/// Reads a scenario file.
pub fn load(path: &Path) -> Result<Scenario, ScenarioError> {
    let read_error = |source| ScenarioError::Read { path: path.to_owned(), source };
    let mut text = Vec::new();
    // One byte more than accepted tells a larger file from one that fits.
    File::open(path)
        .and_then(|file| file.take(MAX_FILE as u64 + 1).read_to_end(&mut text))
        .map_err(read_error)?;
    let file_name = path.display().to_string();
    if text.len() > MAX_FILE {
        return Err(too_large(&file_name));
    }
    match String::from_utf8(text) {
        Ok(text) => from_text(&text, &file_name),
        Err(error) => {
            let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or(&[]);
            let line = valid.split(|byte| *byte == b'\n').count();
            let source = Source { file: &file_name, text: "" };
            Err(source.problem(
                line,
                1,
                Mistake::new("this line is not UTF-8 text", "save the file as UTF-8"),
            ))
        }
    }
}

/// Largest accepted scenario, in bytes: a hundred times the largest that a person would write.
pub const MAX_FILE: usize = 1 << 20;

/// Reads the text of a scenario; `file_name` is for messages, and names the scenario when it has
/// no `name`. `${NAME}` is looked up in the environment.
pub fn from_text(text: &str, file_name: &str) -> Result<Scenario, ScenarioError> {
    read(text, file_name, &|name| std::env::var(name).ok())
}

fn read(text: &str, file: &str, environment: Environment<'_>) -> Result<Scenario, ScenarioError> {
    let source = Source { file, text };
    if text.len() > MAX_FILE {
        return Err(too_large(file));
    }
    let mut keys: Keys = serde_yaml::from_str_with_options(text, yaml_options())
        .map_err(|error| source.yaml_problem(&error))?;
    let place = Place { source, environment, nodes: &[] };
    let nodes = nodes::read(place, keys.nodes)?;
    let place = Place { nodes: &nodes, ..place };
    let target = place.read(&keys.target.url, |url| redis::target(url, environment))?;
    let hosts = mapped::read(place, keys.target.hosts.take(), &target)?;
    let (target, hosts) = tls::read(place, (target, hosts), keys.target.tls.take())?;
    let lines = keys.expect.take().unwrap_or_default();
    let expect = place.each(&lines, expectation)?;
    let expects = expect.iter().any(Expectation::is_of_trials);
    let acts = acts::read(place, keys.acts, &target, expects)?;
    place.read(&keys.target.url, |_| redis::refuse_acts(&target, &acts))?;
    let network = network::read(place, &keys.target, &target, &acts)?;
    let watches = watch::read(place, keys.watch)?;
    for (line, each) in lines.iter().zip(&expect) {
        each.check(&acts, &watches).map_err(|mistake| place.mistake(line, mistake))?;
    }
    let allow = keys.target.allow.unwrap_or_default();
    let (headers, rewriting) = rewriting::read(place, keys.rewrite, &target)?;
    Ok(Scenario {
        name: match &keys.name {
            Some(name) => place.read(name, scenario_name)?,
            None => default_name(file),
        },
        recording: place.read(&keys.recording, recording)?,
        window: place.or(keys.window.as_ref(), Window::All, fields::window)?,
        scale: place.or(keys.scale.as_ref(), 1.0, scale)?,
        clones: clones::read(place, &keys.clones.unwrap_or_default())?,
        ramp: place.or(keys.ramp.as_ref(), None, |text| Ramp::read(text).map(Some))?,
        speed: place.or(keys.speed.as_ref(), 1.0, speed)?,
        pace: place.or(keys.pace.as_ref(), Pace::Recorded, pace)?,
        seed: place.or(keys.seed.as_ref(), 1, seed)?,
        methods: methods(place, keys.methods.as_ref(), &target)?,
        allow: place.each(&allow, fields::allowed)?,
        headers,
        rewriting,
        tolerance: place.or(keys.tolerance.as_ref(), Tier::Standard, |text| {
            fields::word(text, &fields::TIERS)
        })?,
        expect,
        baseline: place.or(keys.baseline.as_ref(), None, |text| recording(text).map(Some))?,
        limits: limits(place, &keys.limits.unwrap_or_default())?,
        stage: stage(place, keys.stage.unwrap_or_default())?,
        acts,
        network,
        abort: abort(place, &keys.abort.unwrap_or_default(), &watches)?,
        watch: watches,
        nodes: nodes.clone(),
        target,
        hosts,
    })
}

fn too_large(file: &str) -> ScenarioError {
    let mistake = Mistake::new(
        "the file is larger than 1 MiB",
        "this is no scenario: name a YAML file, not a recording",
    );
    Source { file, text: "" }.problem(0, 0, mistake)
}

pub(crate) fn yaml_options() -> serde_yaml::Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_nodes: 50_000,
            max_depth: 16,
            flow_nesting_limit: 16,
            max_documents: 2, // The second one is refused with a better message.
            max_aliases: 1_000,
            max_anchors: 1_000,
        },
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: 50_000 },
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

fn scenario_name(text: &str) -> Result<String, Mistake> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(Mistake::new(
            "this is not a name",
            "write one line of at most 100 characters, such as `checkout peak`",
        ));
    }
    Ok(name.to_owned())
}

fn default_name(file: &str) -> String {
    let stem = Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    stem.unwrap_or_else(|| "scenario".to_owned())
}

fn recording(text: &str) -> Result<PathBuf, Mistake> {
    if text.trim().is_empty() || text.contains('\0') {
        return Err(Mistake::new(
            "there is no file name",
            "name a recording or a capture, such as `captures/checkout/peak.parquet`",
        ));
    }
    Ok(PathBuf::from(text))
}

/// The share of sessions kept, or the copies made of them. Below a millionth, nothing of any
/// recording would be left.
pub(crate) fn scale(text: &str) -> Result<f64, Mistake> {
    fields::factor(text, 1e-6..=100.0)
}

/// The speed of time.
pub(crate) fn speed(text: &str) -> Result<f64, Mistake> {
    fields::factor(text, 0.01..=100.0)
}

/// The seed of every random choice.
pub(crate) fn seed(text: &str) -> Result<u64, Mistake> {
    fields::whole(text, 0..=u64::MAX)
}

/// A ceiling of requests or connections.
pub(crate) fn ceiling(text: &str) -> Result<u32, Mistake> {
    fields::whole32(text, 1..=1_000_000)
}

fn pace(text: &str) -> Result<Pace, Mistake> {
    if text == "closed" {
        return Err(Mistake::new(
            "a recording is not replayed at the pace `closed`, which has no moments",
            "write `pace: recorded` or `pace: session`; for a closed load use `peakhour run --url \
             URL --pace closed`",
        ));
    }
    fields::word(text, &[("recorded", Pace::Recorded), ("session", Pace::Session)])
}

fn expectation(text: &str) -> Result<Expectation, Mistake> {
    Expectation::parse(text).map_err(placed)
}

fn placed(error: ExpectationError) -> Mistake {
    let ExpectationError { column, message, hint } = error;
    Mistake { offset: column.saturating_sub(1), message, hint }
}

/// The rules that end a run, and the probes they look at.
fn abort(
    place: Place<'_>,
    texts: &[Text],
    watches: &[Watch],
) -> Result<Vec<AbortRule>, ScenarioError> {
    if let Some(beyond) = texts.get(MAX_RULES) {
        let mistake = Mistake::new(format!("more than {MAX_RULES} rules"), "keep those that count");
        return Err(place.mistake(beyond, mistake));
    }
    place.each(texts, |text| {
        let rule = AbortRule::parse(text).map_err(placed)?;
        rule.check(watches).map(|()| rule)
    })
}

/// Everything is replayed into the stage, which is ours; elsewhere only what changes nothing,
/// unless the scenario says otherwise.
fn methods(
    place: Place<'_>,
    keys: Option<&Spanned<OneOrMany>>,
    target: &TargetSpec,
) -> Result<MethodPolicy, ScenarioError> {
    let safe = || match target {
        TargetSpec::Redis(_) => redis::SAFE,
        _ => MethodPolicy::Only(["GET", "HEAD", "OPTIONS"].map(str::to_owned).to_vec()),
    };
    let Some(keys) = keys else {
        return Ok(match target {
            TargetSpec::Stage => MethodPolicy::All,
            TargetSpec::Http { .. } | TargetSpec::Redis(_) => safe(),
        });
    };
    let hint = "write `all`, `safe` (GET, HEAD and OPTIONS), or a list such as [GET, POST]";
    match &keys.value {
        OneOrMany::One(word) if word == "all" => Ok(MethodPolicy::All),
        OneOrMany::One(word) if word == "safe" => Ok(safe()),
        OneOrMany::One(word) => {
            let message = format!("unknown value `{}`", crop(word));
            Err(place.mistake(keys, Mistake::new(message, hint)))
        }
        OneOrMany::Many(words) if words.is_empty() => {
            Err(place.mistake(keys, Mistake::new("no method is listed", hint)))
        }
        OneOrMany::Many(words) => {
            let mut methods = place.each(words, fields::method)?;
            methods.sort_unstable();
            methods.dedup();
            Ok(MethodPolicy::Only(methods))
        }
    }
}

fn limits(place: Place<'_>, keys: &LimitKeys) -> Result<Limits, ScenarioError> {
    const MILLISECOND: Duration = Duration::from_millis(1);
    let default = Limits::default();
    let count = ceiling;
    let timeout = |text: &str| fields::duration(text, MILLISECOND..=HOUR);
    Ok(Limits {
        max_in_flight: place.or(keys.max_in_flight.as_ref(), default.max_in_flight, count)?,
        connect_timeout: place.or(
            keys.connect_timeout.as_ref(),
            default.connect_timeout,
            timeout,
        )?,
        response_timeout: place.or(
            keys.response_timeout.as_ref(),
            default.response_timeout,
            timeout,
        )?,
        grace: place.or(keys.grace.as_ref(), default.grace, up_to_an_hour)?,
        max_rate: place.or(keys.max_rate.as_ref(), default.max_rate, count)?,
        max_connections: place.or(keys.max_connections.as_ref(), default.max_connections, count)?,
    })
}

const HOUR: Duration = Duration::from_hours(1);

fn up_to_an_hour(text: &str) -> Result<Duration, Mistake> {
    fields::duration(text, Duration::ZERO..=HOUR)
}

fn stage(place: Place<'_>, keys: StageFileKeys) -> Result<StageKnobs, ScenarioError> {
    const SECOND: Duration = Duration::from_secs(1);
    let mut knobs = StageKnobs::default();
    let count = |text: &str| fields::whole32(text, 1..=1_000_000);
    knobs.service = place.or(keys.service.as_ref(), knobs.service, up_to_an_hour)?;
    if let Some(keys) = keys.cache {
        let cache = &mut knobs.cache;
        cache.warm = keys.warm.unwrap_or(cache.warm);
        cache.store_latency =
            place.or(keys.store_latency.as_ref(), cache.store_latency, up_to_an_hour)?;
        cache.store_pool = place.or(keys.store_pool.as_ref(), cache.store_pool, count)?;
        cache.warms_over = place.or(keys.warms_over.as_ref(), cache.warms_over, |text| {
            fields::duration(text, Duration::from_millis(1)..=HOUR).map(Some)
        })?;
    }
    if let Some(keys) = keys.connection_limit {
        let beyond =
            [("banner", BeyondLimit::Banner), ("stop-accepting", BeyondLimit::StopAccepting)];
        knobs.connection_limit = Some(ConnectionLimit {
            max: place.read(&keys.max, count)?,
            beyond: place.or(keys.beyond.as_ref(), BeyondLimit::Banner, |text| {
                fields::word(text, &beyond)
            })?,
        });
    }
    knobs.body_limit =
        place.or(keys.body_limit.as_ref(), None, |text| fields::size(text).map(Some))?;
    knobs.block_ns_per_byte = place.or(keys.block_per_byte.as_ref(), 0, |text| {
        let time = fields::duration(text, Duration::ZERO..=SECOND)?;
        Ok(u64::from(time.subsec_nanos()) + time.as_secs() * 1_000_000_000)
    })?;
    if let Some(keys) = keys.stall {
        knobs.stall = Some(Stall {
            at: place.read(&keys.at, |text| fields::duration(text, Duration::ZERO..=24 * HOUR))?,
            length: place.read(&keys.length, up_to_an_hour)?,
        });
    }
    knobs.capacity = place.or(keys.capacity.as_ref(), None, |text| {
        count(text.strip_suffix("/s").unwrap_or(text).trim()).map(Some)
    })?;
    let others = [("redirected", OtherAnswers::Redirected), ("halved", OtherAnswers::Halved)];
    knobs.answers =
        place.or(keys.answers.as_ref(), None, |text| fields::word(text, &others).map(Some))?;
    if let Some(keys) = keys.retry_storm {
        knobs.retry_storm = Some(RetryStorm {
            beyond: place.read(&keys.beyond, count)?,
            adds: place.read(&keys.adds, up_to_an_hour)?,
        });
    }
    Ok(knobs)
}

#[cfg(test)]
mod tests;
