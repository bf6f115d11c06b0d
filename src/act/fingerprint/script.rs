//! The one script that asks a node for all of its facts, and how its answer is read.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::act::fingerprint::Fact;
use crate::act::shell::{LINE_MAX, hide_secrets, plain, quoted};
use crate::scenario::acts::fingerprint::{FingerprintOptions, file_fact, limits_fact};

/// The questions to every node. What is the same for all nodes is asked once, here.
pub(super) struct Script {
    /// Begins every line that is not part of an answer: nobody else can know it.
    pub(super) mark: String,
    /// Name and command of each fact; the numbers in the script are positions here.
    questions: Vec<Question>,
}

struct Question {
    name: String,
    command: String,
    /// A command of the scenario's, whose output may be anything.
    is_own: bool,
}

impl Script {
    /// The questions that the options ask for.
    pub(super) fn new(options: &FingerprintOptions, mark: String) -> Self {
        let built_in = BUILT_IN_COMMANDS.iter().map(|(name, command)| Question {
            name: (*name).to_owned(),
            command: (*command).to_owned(),
            is_own: false,
        });
        let limits = options.processes.iter().map(|process| Question {
            name: limits_fact(process),
            command: LIMITS.replace("NAME", &quoted(process)),
            is_own: false,
        });
        let files = options.files.iter().map(|file| Question {
            name: file_fact(file),
            command: HASH.replace("FILE", &quoted(file)),
            is_own: false,
        });
        let own = options.facts.iter().map(|(name, command)| Question {
            name: name.clone(),
            command: command.clone(),
            is_own: true,
        });
        let questions = built_in
            .filter(|each| !options.facts.contains_key(&each.name))
            .chain(limits)
            .chain(files)
            .chain(own)
            .filter(|each| !options.ignore.contains(&each.name))
            .collect();
        Self { mark, questions }
    }

    /// The line that asks for the node's clock.
    pub(super) fn clock(&self) -> String {
        format!("printf '%s clock %s\\n' {} \"$(date +%s.%N)\"\n", self.mark)
    }

    /// The rest of the script.
    pub(super) fn text(&self) -> String {
        let mark = &self.mark;
        let mut text = String::from("LC_ALL=C; export LC_ALL\n");
        for (number, question) in self.questions.iter().enumerate() {
            // Its own shell, so that no command can end or upset the script; its own input, so
            // that none can swallow the rest of it.
            let _ = writeln!(text, "printf '\\n{mark} fact {number}\\n'");
            let _ = writeln!(text, "sh -c {} </dev/null 2>&1", quoted(&question.command));
            let _ = writeln!(text, "printf '\\n{mark} status %s\\n' $?");
        }
        text + &format!("printf '\\n{mark} end\\n'\n")
    }

    /// The facts in an answer; `None` where the answer was cut off.
    pub(super) fn read(&self, answer: &str) -> Option<BTreeMap<String, Fact>> {
        let mut facts = BTreeMap::new();
        let mut lines: Vec<String> = Vec::new();
        let mut asked: Option<&Question> = None;
        for line in answer.lines() {
            let Some(told) = line.strip_prefix(&self.mark) else {
                Self::keep(&mut lines, line, asked);
                continue;
            };
            match told.trim().split_once(' ') {
                Some(("fact", number)) => {
                    lines.clear();
                    asked = number.parse::<usize>().ok().and_then(|at| self.questions.get(at));
                }
                Some(("status", status)) => {
                    if let Some(question) = asked.take() {
                        let fact = fact(std::mem::take(&mut lines), status);
                        facts.insert(question.name.clone(), fact);
                    }
                }
                None if told.trim() == "end" => return Some(facts),
                _ => {}
            }
        }
        None
    }

    fn keep(lines: &mut Vec<String>, line: &str, asked: Option<&Question>) {
        let Some(question) = asked.filter(|_| lines.len() < LINES_MAX) else { return };
        let visible = line.chars().filter(|c| !c.is_control());
        let line: String = visible.take(LINE_MAX).collect();
        let line = line.trim_end();
        if !line.trim().is_empty() {
            lines.push(if question.is_own { hide_secrets(line) } else { line.to_owned() });
        }
    }
}

/// Most lines of a fact: five times the packages of a large installation.
const LINES_MAX: usize = 20_000;

/// The shell's status where a command does not exist.
const NOT_FOUND: &str = "127";

fn fact(mut lines: Vec<String>, status: &str) -> Fact {
    match status {
        "0" => {
            // Neither the order of packages nor that of processes means anything.
            lines.sort_unstable();
            lines.dedup();
            Fact::Lines(lines)
        }
        NOT_FOUND => Fact::Absent,
        _ => {
            let last = lines.last().map(|line| plain(line)).unwrap_or_default();
            let status = plain(status);
            let told = if last.is_empty() { String::new() } else { format!(": {last}") };
            Fact::Failed(format!("its command ended with status {status}{told}"))
        }
    }
}

/// A command for each name of [`crate::scenario::acts::fingerprint::BUILT_IN`].
const BUILT_IN_COMMANDS: [(&str, &str); 14] = [
    ("kernel", "uname -r"),
    ("distro", ". /etc/os-release && printf '%s\\n' \"$PRETTY_NAME\""),
    ("arch", "uname -m"),
    ("ruby", "ruby -v"),
    ("python", "python3 -V"),
    ("node", "node -v"),
    ("java", "java -version"),
    ("php", "command -v php >/dev/null || exit 127; php -v | head -n 1"),
    ("packages", PACKAGES),
    ("somaxconn", "cat /proc/sys/net/core/somaxconn"),
    ("tcp_max_syn_backlog", "cat /proc/sys/net/ipv4/tcp_max_syn_backlog"),
    ("file-max", "cat /proc/sys/fs/file-max"),
    ("ip_local_port_range", "cat /proc/sys/net/ipv4/ip_local_port_range"),
    ("environment", ENVIRONMENT),
];

const PACKAGES: &str = "if command -v dpkg-query >/dev/null; then \
     dpkg-query -W -f='${binary:Package} ${Version} ${Status}\\n' | \
     awk '$NF == \"installed\" { print $1, $2 }'; \
     elif command -v rpm >/dev/null; then rpm -qa --qf '%{NAME} %{VERSION}-%{RELEASE}\\n'; \
     elif command -v apk >/dev/null; then apk info -v; \
     else exit 127; fi";

/// Names only, and exactly: a value of several lines would look like further variables to anyone
/// who reads `env`. What differs from login to login is left out.
const ENVIRONMENT: &str = "awk 'BEGIN { for (name in ENVIRON) \
     if (name !~ /^(SSH_.*|XDG_.*|DBUS_.*|AWK.*|PWD|OLDPWD|SHLVL|TERM|LC_ALL|_)$/) print name }'";

const LIMITS: &str = "command -v pgrep >/dev/null || { echo 'there is no pgrep'; exit 1; }; \
     found=$(pgrep -x NAME | head -n 64); \
     [ -n \"$found\" ] || { echo 'not running'; exit 0; }; \
     for id in $found; do [ -d /proc/$id ] || continue; \
     set -- $(grep '^Max open files' /proc/$id/limits) || exit 1; \
     echo \"open files $4 of $5\"; done";

const HASH: &str = "[ -e FILE ] || { echo 'no such file'; exit 0; }; \
     [ -r FILE ] || { echo 'permission denied'; exit 1; }; \
     sha256sum < FILE | cut -c 1-16";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::acts::fingerprint::BUILT_IN;

    #[test]
    fn every_built_in_fact_has_a_command() {
        assert_eq!(BUILT_IN_COMMANDS.map(|(name, _)| name), BUILT_IN);
    }

    #[test]
    fn an_answer_is_read_and_one_that_was_cut_off_is_none() {
        let mut options = FingerprintOptions::default();
        options.facts.insert("app".to_owned(), "it's".to_owned());
        options.ignore = BUILT_IN[2..].iter().map(|name| (*name).to_owned()).collect();
        let script = Script::new(&options, "m4rk".to_owned());
        assert!(script.text().contains(r"sh -c 'it'\''s' </dev/null"), "{}", script.text());
        let answer = "welcome\n\nm4rk fact 0\n6.1\n\nm4rk status 0\n\nm4rk fact 1\nsh: nope\n\n\
                      m4rk status 127\n\nm4rk fact 2\nb\na\npassword=x\n\nm4rk status 0\n";
        assert_eq!(script.read(answer), None);
        let facts = script.read(&format!("{answer}\nm4rk end\n")).unwrap();
        assert_eq!(facts["kernel"], Fact::Lines(vec!["6.1".to_owned()]));
        assert_eq!(facts["distro"], Fact::Absent);
        let Fact::Lines(lines) = &facts["app"] else { panic!("{facts:?}") };
        assert!(lines[0].starts_with("(hidden"), "{lines:?}");
        assert_eq!(lines[1..], ["a".to_owned(), "b".to_owned()]);
    }
}
