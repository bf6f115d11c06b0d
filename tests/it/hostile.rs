//! Aim: whatever the bytes are, each reader ends, adds up, says the same twice, and yields what
//! can be redacted, recorded and exchanged. This is the short pass; `fuzz/` is the long one.
//!
//! `PEAKHOUR_MUTATIONS` sets how many mutations each reader is given, `PEAKHOUR_SEED` where to
//! begin; `PEAKHOUR_SEEDS` names a folder that the seeds are written to, for `fuzz/seeds.sh`.

mod literals;
#[expect(unreachable_pub, reason = "the targets of fuzz/ call them from another crate")]
pub(crate) mod readers;
#[expect(unreachable_pub, reason = "the targets of fuzz/ call them from another crate")]
mod runs;
mod seeds;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::mutations::{Random, mutate};
use crate::support::root;

/// Mutations a reader, where nothing else is said.
const MUTATIONS: u64 = 200;

macro_rules! each_reader {
    ($($module:ident: $($reader:ident)*;)*) => {
        $($(
            #[test]
            fn $reader() {
                withstands(stringify!($reader), $module::$reader);
            }
        )*)*

        /// By the module that has them.
        const READERS: &[(&str, &[&str])] =
            &[$((stringify!($module), &[$(stringify!($reader)),*])),*];
    };
}

each_reader! {
    readers:
        pcap packet tcp http1 http2 hpack tls resp mysql postgres
        har gor sessions targets monitor jsonl
        log_common log_json log_w3c log_alb log_elb log_envoy log_haproxy log_template log_detected
        recording redaction model;
    runs: run;
}

fn withstands(name: &str, reader: fn(&[u8])) {
    let seeds = seeds::seeds(name);
    assert!(!seeds.is_empty(), "{name} has no seeds");
    for seed in seeds {
        tried(name, reader, seed);
    }
    let number = |name: &str, usual: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    let first = number("PEAKHOUR_SEED", 1);
    for number in first..first + number("PEAKHOUR_MUTATIONS", MUTATIONS) {
        let mut random = Random::of(number);
        let seed = seeds[random.below(seeds.len())].clone();
        tried(name, reader, &mutate(seed, &mut random));
    }
}

/// What a reader does not withstand is left in a file.
fn tried(name: &str, reader: fn(&[u8]), bytes: &[u8]) {
    if std::panic::catch_unwind(|| reader(bytes)).is_err() {
        let path = std::env::temp_dir().join(format!("peakhour-hostile-{name}"));
        fs::write(&path, bytes).unwrap();
        panic!("{name}: see the panic above; the bytes are in {}", path.display());
    }
}

#[test]
fn each_reader_is_fuzzed() {
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    for (module, readers) in READERS {
        let file = format!("tests/it/hostile/{module}.rs");
        let text = fs::read_to_string(root().join(&file)).unwrap();
        let functions = text.lines().filter_map(|line| line.strip_prefix("pub fn "));
        let functions: BTreeSet<&str> =
            functions.filter_map(|function| function.split('(').next()).collect();
        assert_eq!(readers.iter().copied().collect::<BTreeSet<_>>(), functions, "{file}");
        for name in *readers {
            let target = root().join(format!("fuzz/fuzz_targets/{name}.rs"));
            let call = format!("peakhour_fuzz::{module}::{name}(bytes)");
            assert!(fs::read_to_string(target).unwrap().contains(&call), "{name} calls its reader");
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
        }
    }
    let targets = fs::read_dir(root().join("fuzz/fuzz_targets")).unwrap();
    let stem = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let targets: BTreeSet<String> = targets.map(|entry| stem(&entry.unwrap().path())).collect();
    assert_eq!(names().map(str::to_owned).collect::<BTreeSet<_>>(), targets, "fuzz/fuzz_targets");
}

fn names() -> impl Iterator<Item = &'static str> {
    READERS.iter().flat_map(|(_, readers)| readers.iter().copied())
}

#[test]
fn seeds_are_written_where_they_are_asked_for() {
    let asked = std::env::var_os("PEAKHOUR_SEEDS").map(std::path::PathBuf::from);
    let folder = tempfile::tempdir().unwrap();
    let folder = asked.as_deref().unwrap_or(folder.path());
    seeds::write(folder, names());
    for reader in names() {
        assert!(folder.join(reader).join("seed-000").is_file(), "{reader}");
    }
}
