//! What a run follows of the target's answers, and what is told of it.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::cli::wall_clock::Moment;
use crate::drive::clock::Epoch;
use crate::drive::follow::{Follow, Followed};
use crate::drive::hold::Control;
use crate::drive::hook::{Hook, HookReport};
use crate::scenario::acts::ActName;
use crate::scenario::rewriting::{Rewriting, Tokens};
use crate::scenario::{Scenario, TargetSpec};
use crate::units::{format_count, format_counted, format_duration};

/// The control of a run that follows what its scenario asks for; `now` is now.
pub(super) fn following(
    mut control: Control,
    scenario: &Scenario,
    now: Moment,
) -> anyhow::Result<Control> {
    let rewriting = &scenario.rewriting;
    let drives = [ActName::Replay, ActName::Capacity].iter().any(|act| scenario.acts.has(*act));
    if let Some(hook) = rewriting.hook.as_ref().filter(|_| drives) {
        let program = hook.command.first().map_or("", String::as_str);
        let started = Hook::start(hook).with_context(|| {
            format!("cannot start the hook {program}: correct `rewrite.hook`; nothing was sent")
        })?;
        control.hook = Some(started);
    }
    if !rewriting.follows() || scenario.target.redis().is_some() {
        return Ok(control);
    }
    let target = std::iter::once(&scenario.target);
    let targets = target.chain(scenario.hosts.iter().map(|host| &host.to));
    let authorities: Vec<String> = targets.map(TargetSpec::authority).collect();
    let started = now.unix_ns() / 1_000_000_000;
    let follow = Follow::new(rewriting, &authorities, started, Epoch::after(Duration::ZERO));
    Ok(Control { follow: Some(Arc::new(follow)), ..control })
}

fn told_of_hook(hook: &HookReport) -> String {
    let time = |ns| format_duration(Duration::from_nanos(ns));
    let mut told = format!(
        "the hook was asked about {}: half of its answers took at most {}, 99% at most {}",
        format_counted(hook.calls, "request", "requests"),
        time(hook.p50_ns),
        time(hook.p99_ns)
    );
    if hook.skipped > 0 {
        let _ = write!(told, "; it left {} out", format_count(hook.skipped));
    }
    if hook.streamed > 0 {
        let count = format_counted(hook.streamed, "body", "bodies");
        let _ = write!(told, "; of {count} too large for memory it was told the length alone");
    }
    for (reason, count) in &hook.failed {
        let count = format_counted(*count, "request was", "requests were");
        let _ = write!(told, "; {count} not sent: {reason}");
    }
    told
}

/// What following came to; `None` where nothing was followed.
pub(super) fn followed(control: &Control) -> Option<Followed> {
    control.follow.as_ref().map(|follow| follow.counts())
}

/// What the hook did; `None` where there is none.
pub(super) fn hooked(control: &Control) -> Option<HookReport> {
    control.hook.as_ref().map(Hook::report)
}

/// What a person should know of both.
pub(super) fn told(
    rewriting: &Rewriting,
    followed: Option<Followed>,
    hooked: Option<&HookReport>,
) -> Vec<String> {
    let mut told = hooked.map(told_of_hook).into_iter().collect::<Vec<_>>();
    let Some(followed) = followed else { return told };
    if rewriting.follow_cookies {
        told.push(format!(
            "the target set {}, and got cookies of its own back {}",
            format_counted(followed.cookies_set, "cookie", "cookies"),
            format_counted(followed.cookies_sent, "time", "times"),
        ));
    }
    if rewriting.tokens != Tokens::default() {
        told.push(format!(
            "{} taken from answers of the target, and put into requests {}",
            format_counted(followed.tokens_taken, "value was", "values were"),
            format_counted(followed.tokens_put, "time", "times"),
        ));
    }
    let mut add = |count: u64, one: &str, many: &str, why: &str| {
        if count > 0 {
            told.push(format!("{} {why}", format_counted(count, one, many)));
        }
    };
    add(
        followed.tokens_missing,
        "value went",
        "values went",
        "out as recorded, since the target had not given its own yet",
    );
    add(
        followed.cookies_refused,
        "cookie",
        "cookies",
        "of the target would not be taken by a browser: for another domain than the one it is \
         asked under (see `connect_to` to ask for its name), or malformed",
    );
    add(
        followed.unreadable,
        "answer",
        "answers",
        "could not be searched for tokens: in a coding that is not read here (gzip, deflate and \
         zstd are)",
    );
    add(
        followed.too_much,
        "cookie or value",
        "cookies or values",
        "of the target had no room, or held what a header cannot",
    );
    add(
        followed.forgotten,
        "client was",
        "clients were",
        "forgotten, since there were too many: what they were given is lost to them",
    );
    told
}
