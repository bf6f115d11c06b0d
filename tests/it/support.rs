//! Where things are, and how the program is started.

use std::path::{Path, PathBuf};

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The corpus of foreign captures: `PEAKHOUR_CORPUS`, or `shared/corpus` beside the repository.
/// Where it is absent the caller's test says so and is skipped; on CI its absence is a failure.
pub(crate) fn corpus() -> Option<PathBuf> {
    let path = std::env::var_os("PEAKHOUR_CORPUS")
        .map_or_else(|| root().join("../shared/corpus"), PathBuf::from);
    if path.join("INDEX.tsv").is_file() {
        return Some(path);
    }
    absent(&format!("the corpus of captures at {}", path.display()));
    None
}

/// Finds a program of Debian's packages; its absence is treated like that of the corpus.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let found = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        absent(&format!("{name} (install it with: apt-get install {name})"));
    }
    found
}

/// The same for a program that stands elsewhere.
pub(crate) fn program_at(path: &Path) -> Option<PathBuf> {
    if !path.is_file() {
        absent(&format!("{} (./check installs it)", path.display()));
        return None;
    }
    Some(path.to_owned())
}

fn absent(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "CI=true, but this test's need is absent: {what}");
    eprintln!("SKIPPED: this test needs {what}");
}

/// What a run of the program gave back.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// What it wrote to standard output and then to standard error, without line breaks: where
    /// those are depends on the verdict and on how many digits a port has.
    pub(crate) fn words(&self) -> String {
        let words = self.stdout.split_whitespace().chain(self.stderr.split_whitespace());
        words.collect::<Vec<_>>().join(" ")
    }

    /// It says that this machine did not keep up, so that nothing else is known.
    pub(crate) fn is_spoiled(&self) -> bool {
        self.words().contains("this machine did not produce the ")
    }
}

/// A run that this machine spoiled is repeated, but not more often than this.
pub(crate) const ATTEMPTS: usize = 4;

/// Runs the program in `folder`. It is stopped after two minutes, so that nothing hangs.
pub(crate) fn peakhour(folder: &Path, arguments: &[&str]) -> Ran {
    peakhour_with(folder, arguments, &[])
}

/// The same with further variables in its environment.
pub(crate) fn peakhour_with(
    folder: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Ran {
    let output = assert_cmd::Command::cargo_bin("peakhour")
        .unwrap()
        .current_dir(folder)
        .args(arguments)
        .env("NO_COLOR", "1")
        .envs(environment.iter().copied())
        .timeout(std::time::Duration::from_mins(2))
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
