//! What this machine has for a run, and what a plan needs beyond it.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, getrlimit};

use crate::drive::ports;
use crate::plan::needs::Needs;
use crate::units::{format_count, format_size};

/// The limits of this machine. A limit that the system does not tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Files that this process may open; a run raises its soft limit to this.
    pub open_files: Option<u64>,
    /// Ports that connections come from (`net.ipv4.ip_local_port_range`, without those of
    /// `net.ipv4.ip_local_reserved_ports`).
    pub local_ports: Option<u64>,
    /// Which ports of closed connections are used again at once (`net.ipv4.tcp_tw_reuse`).
    pub reuse: Reuse,
    /// Bytes of memory that can be had, within the limit of this process' control group.
    pub memory: Option<u64>,
}

/// Whose ports are used again although a closed connection still holds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reuse {
    /// Nobody's.
    #[default]
    Never,
    /// Those of connections within this machine.
    Loopback,
    /// All.
    Always,
}

/// Whom the plan is for.
#[derive(Clone, Copy, Debug)]
pub struct Towards {
    /// The target is on this machine.
    pub loopback: bool,
    /// The target is this process, which holds the other end of each connection, too.
    pub within: bool,
    /// Addresses that connections come from: each has ports of its own.
    pub sources: u64,
    /// Connections need no ports: the target is a Unix socket.
    pub portless: bool,
}

/// Descriptors that this process needs besides its connections: files, timers, its own sockets.
const OWN_FILES: u64 = 64;

impl Machine {
    /// Asks the system.
    pub fn look() -> Self {
        let read = |file: &str| fs::read_to_string(Path::new("/proc/sys/net/ipv4").join(file));
        Self {
            open_files: Some(getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)),
            local_ports: Some(ports::of_kernel().len() as u64).filter(|count| *count > 0),
            reuse: parse_reuse(&read("tcp_tw_reuse").unwrap_or_default()),
            memory: memory(),
        }
    }

    /// What the plan needs beyond what there is, each with what to do about it.
    pub fn shortages(&self, needs: &Needs, towards: Towards) -> Vec<String> {
        let ends = if towards.within { 2 } else { 1 };
        let needed = needs.connections.saturating_mul(ends).saturating_add(OWN_FILES);
        let files = self.open_files.filter(|files| needed > *files).map(|files| {
            format!(
                "the plan holds {} connections open at once, and this process may open {} files: \
                 raise the hard limit, such as with `ulimit -Hn {}` as root, or LimitNOFILE of \
                 its service",
                format_count(needs.connections),
                format_count(files),
                needed
            )
        });
        let memory = self.memory.filter(|memory| needs.memory > *memory).map(|memory| {
            format!(
                "the plan needs about {} of memory at its busiest, and {} can be had: use a \
                 larger machine, or a smaller scale",
                format_size(needs.memory),
                format_size(memory)
            )
        });
        [files, self.port_shortage(needs, towards), memory].into_iter().flatten().collect()
    }

    fn port_shortage(&self, needs: &Needs, towards: Towards) -> Option<String> {
        if towards.portless {
            return None;
        }
        let ports = self.local_ports?.saturating_mul(towards.sources.max(1));
        let reused = match self.reuse {
            Reuse::Never => false,
            Reuse::Loopback => towards.loopback,
            Reuse::Always => true,
        };
        let needed = if reused { needs.connections } else { needs.ports };
        let advice = if reused { "" } else { ", `sysctl net.ipv4.tcp_tw_reuse=1`" };
        (needed > ports).then(|| {
            format!(
                "the plan needs {} local ports at once (one stays taken for a minute after its \
                 connection), and there are {}: widen them with `sysctl \
                 net.ipv4.ip_local_port_range=\"1024 65535\"`{advice}, or connect from several \
                 addresses with --source-ip",
                format_count(needed),
                format_count(ports)
            )
        })
    }
}

fn parse_reuse(text: &str) -> Reuse {
    match text.trim() {
        "1" => Reuse::Always,
        "2" => Reuse::Loopback,
        _ => Reuse::Never,
    }
}

/// What the system would give to a program, or what its control group leaves of it.
fn memory() -> Option<u64> {
    let all = available(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let of_group = fs::read_to_string("/proc/self/cgroup").ok().and_then(|text| {
        let folder = text.lines().find_map(|line| line.strip_prefix("0::/"))?.to_owned();
        let folder = Path::new("/sys/fs/cgroup").join(folder);
        let number = |file: &str| -> Option<u64> {
            fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
        };
        Some(number("memory.max")?.saturating_sub(number("memory.current")?))
    });
    Some(of_group.map_or(all, |group| group.min(all)))
}

/// `MemAvailable:   1234 kB`.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Towards = Towards { loopback: true, within: false, sources: 0, portless: false };

    fn machine() -> Machine {
        Machine {
            open_files: Some(1_024),
            local_ports: Some(28_232),
            reuse: Reuse::Loopback,
            memory: Some(1 << 30),
        }
    }

    #[test]
    fn what_suffices_is_not_worth_a_word() {
        let needs = Needs { connections: 960, ports: 90_000, memory: 1 << 30, ..Needs::default() };
        assert_eq!(machine().shortages(&needs, HERE), [""; 0]);
        assert_eq!(Machine::default().shortages(&Needs { memory: 1, ..needs }, HERE), [""; 0]);
    }

    #[test]
    fn each_shortage_is_told_with_its_remedy() {
        let needs =
            Needs { connections: 961, ports: 28_233, memory: (1 << 30) + 1, ..Needs::default() };
        let elsewhere = Towards { loopback: false, ..HERE };
        let told = machine().shortages(&needs, elsewhere);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].contains("ulimit -Hn 1025"), "{told:?}");
        assert!(
            told[1].contains("tcp_tw_reuse") && told[1].contains(&format_count(28_233)),
            "{told:?}"
        );
        assert!(told[2].contains("memory"), "{told:?}");
    }

    #[test]
    fn ports_come_back_at_once_where_the_kernel_lets_them() {
        let needs = Needs { connections: 10, ports: 28_233, ..Needs::default() };
        let told = |reuse, towards| Machine { reuse, ..machine() }.shortages(&needs, towards).len();
        let elsewhere = Towards { loopback: false, ..HERE };
        assert_eq!([told(Reuse::Never, HERE), told(Reuse::Loopback, elsewhere)], [1, 1]);
        assert_eq!([told(Reuse::Always, elsewhere), told(Reuse::Loopback, HERE)], [0, 0]);
        let two = Towards { sources: 2, ..elsewhere };
        let unix = Towards { portless: true, ..elsewhere };
        assert_eq!([told(Reuse::Never, two), told(Reuse::Never, unix)], [0, 0]);
    }

    #[test]
    fn the_system_is_read() {
        let kinds = ["0\n", "1\n", "2\n", ""].map(parse_reuse);
        assert_eq!(kinds, [Reuse::Never, Reuse::Always, Reuse::Loopback, Reuse::Never]);
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:     2 kB\n"), Some(2_048));
        assert_eq!([available(""), available("MemAvailable: x kB\n")], [None; 2]);
        assert!(Machine::look().memory.is_some_and(|memory| memory > 0));
    }
}
