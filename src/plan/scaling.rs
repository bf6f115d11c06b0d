//! What scale and speed do to a load, apart from what becomes of it in a run: burstiness before and
//! after, in figures and in words, and what clones share with their originals.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::scale::CLONE_SHIFT;
use crate::units::{format_count, format_counted, format_duration, format_share};

/// How a load was scaled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scaling {
    /// Share of sessions kept, or copies made of them.
    pub scale: f64,
    /// Speed of time.
    pub speed: f64,
    /// Index of dispersion for counts at 10 ms, 100 ms, 1 s and 10 s of what can be replayed, with
    /// each session once and at the recorded speed; `None` where a scale does not fit. Where there
    /// are clones, without the first 30 s, in which their load rises.
    pub idc_unscaled: [Option<f64>; 4],
    /// The same of what is planned, without the time after the recording's end, in which the load
    /// of clones ebbs away.
    pub idc_scaled: [Option<f64>; 4],
    /// Requests of clones.
    pub clones: u64,
    /// Those of them with identities of their own, by pseudonyms that were drawn anew.
    pub own_identities: u64,
    /// Those that carry the cookies or the credentials of their originals.
    pub shared_identities: u64,
    /// Cookies are those that the target sets, for each clone its own.
    pub follows_cookies: bool,
    /// Those with keys of their own.
    pub own_keys: u64,
    /// Clones were to have keys of their own, where a request has keys that are known.
    #[serde(default)]
    pub asks_own_keys: bool,
}

/// The scales of the dispersion, in milliseconds.
pub const SCALES_MS: [u64; 4] = [10, 100, 1_000, 10_000];

/// A change of the dispersion below this is noise: two draws of one law differ by as much.
const NOISE: f64 = 0.1;

impl Scaling {
    /// Scaled over unscaled, at each scale where both are known.
    pub fn ratios(&self) -> [Option<f64>; 4] {
        let pairs = [0, 1, 2, 3].map(|at: usize| self.idc_unscaled[at].zip(self.idc_scaled[at]));
        pairs.map(|pair| pair.filter(|(before, _)| *before > 0.0).map(|(a, b)| b / a))
    }

    /// What was done, what it did to bursts, and what that means; a sentence each.
    pub fn told(&self) -> Vec<String> {
        let mut told = Vec::new();
        told.extend(self.told_scale());
        told.extend(self.told_speed());
        told.push(self.bursts());
        told.extend(self.told_clones());
        told.push(
            "the verdict on the load shape compares the run with this plan: what scaling changed \
             stands here alone"
                .to_owned(),
        );
        told
    }

    fn told_scale(&self) -> Option<String> {
        let scale = self.scale;
        if is_one(scale) {
            None
        } else if scale < 1.0 {
            Some(format!("a scale of {scale} keeps {} of the sessions, whole", format_share(scale)))
        } else {
            let shift = format_duration(CLONE_SHIFT.div_f64(self.speed));
            Some(format!(
                "a scale of {scale} plays sessions again, each clone up to {shift} later than its \
                 original; figures are without the first {shift} and the time behind the recorded \
                 end, in which this load rises and ebbs"
            ))
        }
    }

    fn told_speed(&self) -> Option<String> {
        let speed = self.speed;
        (!is_one(speed)).then(|| {
            let burst = Duration::from_millis(100);
            let factor = if speed > 1.0 { speed } else { 1.0 / speed };
            let word = if speed > 1.0 { "fast" } else { "slow" };
            format!(
                "a speed of {speed} is {} times as {word}: bursts of {} became bursts of {}, and \
                 users do not think {}",
                short(factor),
                format_duration(burst),
                format_duration(burst.div_f64(speed)),
                if speed > 1.0 { "faster" } else { "slower" }
            )
        })
    }

    /// What became of bursts.
    pub fn bursts(&self) -> String {
        let ratios = self.ratios();
        let known = ratios.iter().flatten().count();
        let moved = |at: usize| {
            let (before, after) = self.idc_unscaled[at].zip(self.idc_scaled[at])?;
            let ratio = ratios[at].filter(|ratio| (ratio - 1.0).abs() >= NOISE)?;
            let scale = format_duration(Duration::from_millis(SCALES_MS[at]));
            let change = (ratio - 1.0) * 100.0;
            Some(format!("IDC at {scale} {before:.2} → {after:.2} ({change:+.0} %)"))
        };
        let told: Vec<String> = (0..SCALES_MS.len()).filter_map(moved).collect();
        if known == 0 {
            return "the load is too short to tell what became of its bursts".to_owned();
        }
        if told.is_empty() {
            return format!(
                "bursts are as recorded: the IDC changes by less than {}",
                format_share(NOISE)
            );
        }
        let is = |what: fn(&f64) -> bool| ratios.iter().flatten().any(what);
        let means = match (is(|ratio| *ratio <= 1.0 - NOISE), is(|ratio| *ratio >= 1.0 + NOISE)) {
            (true, false) => "a calmer load than production's, which finds less",
            (false, true) => "a burstier load than production's",
            _ => "other bursts than production's, calmer at some scales and harder at others",
        };
        format!("{}: {means}", told.join(", "))
    }

    fn told_clones(&self) -> Vec<String> {
        if self.clones == 0 {
            return Vec::new();
        }
        let mut told = vec![format!(
            "of {} of clones {} have an identity of their own",
            format_counted(self.clones, "request", "requests"),
            format_count(self.own_identities)
        )];
        if self.shared_identities > 0 && self.follows_cookies {
            told.push("cookies are those that the target sets, for each clone its own".to_owned());
        } else if self.shared_identities > 0 {
            told.push(format!(
                "{} of clones carry the cookies or credentials of their originals: to the target \
                 they are the same users (`clones.identities: own`, or `rewrite.cookies: follow`)",
                format_counted(self.shared_identities, "request", "requests")
            ));
        }
        told.push(if self.own_keys > 0 {
            format!(
                "{} have keys of their own",
                format_counted(self.own_keys, "request", "requests")
            )
        } else if self.asks_own_keys {
            "clones have no keys of their own: only GET, HEAD and commands of Redis have keys that \
             are known, and no request of clones is one"
                .to_owned()
        } else {
            "clones ask for the same resources and keys as their originals: caches look warmer \
             than with as many more users (`clones.keys: own`)"
                .to_owned()
        });
        told
    }
}

fn is_one(factor: f64) -> bool {
    (factor - 1.0).abs() <= f64::EPSILON
}

/// A factor with up to two digits behind the point.
fn short(factor: f64) -> String {
    let text = format!("{factor:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
