//! The recording proxy on a disk that is full, or stands still: everybody is answered, and what is
//! missing from the recording is counted.

use std::fs;
use std::path::Path;
use std::process::Command;

use peakhour::units::format_count;

use crate::record::{end, shop, start};
use crate::record_parts::{account, files, opened, post};
use crate::support::program;

/// A disk of so many bytes, mounted on a folder of its own.
pub(crate) struct Disk(tempfile::TempDir);

impl Disk {
    /// In memory.
    pub(crate) fn small(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        mounted(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], folder)
    }

    /// With a file system that can be frozen.
    pub(crate) fn that_freezes() -> Option<Self> {
        let (mkfs, _) = (program("mkfs.ext4")?, program("fsfreeze")?);
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        fs::File::create(&image).unwrap().set_len(512 << 20).unwrap();
        let made = Command::new(mkfs).arg("-q").arg(&image).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let image = image.display().to_string();
        mounted(&["-o", "loop", &image], folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Nothing that is written there comes back before the value returned is gone.
    pub(crate) fn freeze(&self) -> Frozen<'_> {
        fsfreeze("-f", self.path());
        Frozen(self.path())
    }
}

fn mounted(arguments: &[&str], folder: tempfile::TempDir) -> Option<Disk> {
    let mounted =
        Command::new(program("mount")?).args(arguments).arg(folder.path()).output().unwrap();
    if !mounted.status.success() {
        eprintln!("SKIPPED: this test may not mount a disk of its own");
        return None;
    }
    Some(Disk(folder))
}

impl Drop for Disk {
    fn drop(&mut self) {
        // At once for everybody, and for good when the last file is closed: a process that another
        // test is just starting may have some for a moment.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

pub(crate) struct Frozen<'a>(&'a Path);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        fsfreeze("-u", self.0);
    }
}

fn fsfreeze(option: &str, folder: &Path) {
    assert!(Command::new("fsfreeze").arg(option).arg(folder).status().unwrap().success());
}

#[test]
fn where_the_disk_is_full_everybody_is_answered_and_what_is_lost_is_counted() {
    let Some(server) = shop() else { return };
    for (arguments, files_left) in [
        // Nothing can be written of the one file.
        (&[][..], Some(0)),
        (&["--rotate-size", "1MiB"], None),
        // There is always room for the next one.
        (&["--rotate-size", "1MiB", "--keep", "1"], Some(1)),
    ] {
        let Some(disk) = Disk::small("4m") else { return };
        let folder = disk.path();
        let arguments = [&["--grace", "0s"], arguments].concat();
        let (proxy, port) = start(folder, server.port, &arguments);
        post(port, 1_000);
        let (code, said) = end(proxy);
        let files = files(folder);
        let parts = opened(&files);
        let found: usize = parts.iter().map(|(_, exchanges)| exchanges.len()).sum();
        let shown = format!("{arguments:?}: {files:?} {said}");
        assert_eq!(fs::read_dir(folder).unwrap().count(), files.len(), "{shown}");
        match files_left {
            Some(1) => {
                assert_eq!((code, files.len()), (Some(0), 1), "{shown}");
                assert_eq!(parts[0].1.last().unwrap().target, "/items/999", "{shown}");
            }
            Some(_) => {
                assert_eq!((code, files.len()), (Some(104), 0), "{shown}");
                assert!(said.contains("connections are passed on"), "{shown}");
                assert!(said.contains("nothing was written to live.parquet"), "{shown}");
            }
            None => {
                assert_eq!(code, Some(104), "{shown}");
                assert!(!files.is_empty(), "{shown}");
                let [lost, all] = [1_000 - found as u64, 1_000].map(format_count);
                let lost = format!("{lost} of {all} exchanges are lost");
                assert!(said.contains(&lost), "{lost}: {shown}");
                assert!(parts.iter().all(|(reader, _)| account(reader.header()).reconciles()));
            }
        }
    }
}

/// More passes meanwhile than may wait for the recorder.
#[test]
fn a_disk_that_stands_still_delays_nobody() {
    let Some(server) = shop() else { return };
    let Some(disk) = Disk::that_freezes() else { return };
    let (proxy, port) = start(disk.path(), server.port, &["--rotate-size", "1MiB"]);
    post(port, 50);
    let frozen = disk.freeze();
    for _ in 0..3 {
        post(port, 1_000);
    }
    drop(frozen);
    let (code, said) = end(proxy);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("warning: the recorder was behind"), "{said}");
    let parts = opened(&files(disk.path()));
    let found: usize = parts.iter().map(|(_, exchanges)| exchanges.len()).sum();
    assert!(found > 2_000 && found < 3_050, "{found}");
    let dropped = "dropped: the recorder was behind";
    let counted = parts.iter().map(|(reader, _)| account(reader.header()).frames.count(dropped));
    assert!(counted.sum::<u64>() > 0);
}
