//! Empties the caches of the stack: by a command that the user has consented to, or those of the
//! stage by its own handle.

use std::process::Stdio;
use std::time::Duration;

use crate::act::Ground;
use crate::drive::stop::Stop;
use crate::probe::group::Group;
use crate::scenario::acts::cold::ColdOptions;
use crate::units::format_duration;

/// Longest that a reset may take.
const LONGEST: Duration = Duration::from_mins(2);

/// How often a wish to stop is looked for.
const STEP: Duration = Duration::from_millis(200);

/// Whether there is something to reset and leave to do it, before anything is sent.
pub(super) fn check(ground: &Ground<'_>, options: &ColdOptions) -> Result<(), String> {
    match (&options.reset, ground.stage) {
        (Some(_), _) if !ground.consent => Err(
            "not consented: its `reset` would empty caches; give --yes, or type the word `reset` \
             where a terminal asks for it"
                .to_owned(),
        ),
        (None, None) => Err(
            "nothing empties the caches: write the command that does as `reset` of the act `cold`"
                .to_owned(),
        ),
        _ => Ok(()),
    }
}

/// Empties the caches, and says what is worth knowing about it. The command's output may hold
/// anything, and is not repeated.
pub(super) fn reset(ground: &Ground<'_>, options: &ColdOptions) -> Result<Option<String>, String> {
    if let Some(stage) = ground.stage {
        (stage.empty_cache)();
    }
    let Some(command) = &options.reset else { return Ok(None) };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the reset cannot be started: {error}"))?;
    let begun = ground.epoch.now();
    runtime.block_on(run(ground.stop, command, LONGEST))?;
    let took = ground.epoch.now().saturating_sub(begun);
    Ok(Some(format!("the reset took {}", format_duration(took))))
}

async fn run(stop: &Stop, command: &str, longest: Duration) -> Result<(), String> {
    let mut group = Group::spawn(command, [(); 3].map(|()| Stdio::null()))
        .map_err(|error| format!("the reset cannot be started: {error}"))?;
    let mut waited = Duration::ZERO;
    while waited < longest && !stop.is_requested() {
        let ended = match tokio::time::timeout(STEP, group.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => {
                let code = status.code().map_or("a signal".to_owned(), |code| code.to_string());
                Err(format!("the reset failed, ending with {code}: run it by hand"))
            }
            Ok(Err(error)) => Err(format!("the reset was lost: {error}")),
            Err(_) => {
                waited += STEP;
                continue;
            }
        };
        // A server that it has begun again is meant to stay.
        group.leave();
        return ended;
    }
    group.end();
    let _ = group.child.wait().await;
    if stop.is_requested() {
        return Err("the run was interrupted".to_owned());
    }
    Err(format!("the reset took longer than {} and was ended", format_duration(longest)))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::drive::clock::Epoch;

    fn ran(stop: &Stop, command: &str, longest: Duration) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(stop, command, longest))
    }

    /// What waits for one file and then makes another one.
    fn waiting(folder: &Path) -> (String, PathBuf, PathBuf) {
        let [go, late] = ["go", "late"].map(|name| folder.join(name));
        let wait = format!("until [ -e {} ]; do sleep 0.05; done", go.display());
        (format!("({wait}; touch {})", late.display()), go, late)
    }

    #[test]
    fn a_reset_that_hangs_is_ended_with_what_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let (command, go, late) = waiting(folder.path());
        let begun = Epoch::after(Duration::ZERO);
        let command = format!("{command} & sleep 600");
        let error = ran(&Stop::new(), &command, Duration::from_millis(400)).unwrap_err();
        assert!(error.contains("longer than 400 ms"), "{error}");
        assert!(begun.now() < Duration::from_mins(1), "nobody waits for it");
        std::fs::write(go, "").unwrap();
        ran(&Stop::new(), "sleep 1", Duration::from_mins(1)).unwrap();
        assert!(!late.exists(), "what it has started lives on");
    }

    #[test]
    fn what_a_reset_has_begun_again_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (command, go, late) = waiting(folder.path());
        ran(&Stop::new(), &format!("{command} &"), Duration::from_mins(1)).unwrap();
        assert!(!late.exists(), "nobody waits for it");
        std::fs::write(go, "").unwrap();
        let comes = format!("until [ -e {} ]; do sleep 0.05; done", late.display());
        ran(&Stop::new(), &comes, Duration::from_mins(1)).unwrap();
    }

    #[test]
    fn a_wish_to_stop_ends_a_reset() {
        let stop = Stop::new();
        stop.request();
        let error = ran(&stop, "sleep 600", Duration::from_mins(1)).unwrap_err();
        assert!(error.contains("interrupted"), "{error}");
    }
}
