//! Everything that goes through the public surface, one module a topic, in the data's order.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(missing_docs, reason = "the names of tests are sentences")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "tests tell what they skipped")]

mod support; // Where things are, and how the program is started.

mod schema; // The schema of run.json, and a foreign reader of it.
mod servers; // Real servers, started on free ports in folders of their own.
mod wire; // Captures built by hand, byte by byte.
mod capture_files; // Frames of pcap and pcapng files, whole and damaged.
mod capture_packets; // TCP segments behind every link layer, tunnel and fragment.
mod capture_wireless; // Wireless frames, and headers that wrap any other.
mod capture_corpus; // Every real capture is accounted for, frame by frame.
mod talk; // A small language for conversations, segment by segment.
mod reassembly; // Segments that were lost, repeated, cut and shuffled.
mod reassembly_properties; // The same for all segments whatever.
mod conversations; // HTTP/1 as it is really spoken, and bytes that are none.
mod captures_merged; // Captures of one time, merged frame by frame.
mod http2; // HTTP/2 from its first byte, from the middle, by upgrade, and damaged.
mod database_talks; // Redis, MySQL and PostgreSQL as they are really spoken.
mod tls_tape; // A real TLS client and a real nginx, written down from in between.
mod tls; // What they said is found again with the key log, and nothing is made up without it.
mod tls_gaps; // Missing and damaged pieces of it cost what was in them.
mod tls_databases; // Databases whose connections turn to TLS on the way, found with the key log.
mod capture_limits; // What waits too long or is too large.
mod mutations; // Damage of all kinds, the same for the same number on every machine.
mod hostile; // Any bytes at all, for each reader: the short pass of what `fuzz/` does at length.
mod capture_mutations; // Captures damaged at random: nothing panics, everything adds up.
mod corpus_streams; // Byte streams of foreign captures, compared with hashes of other readers.
mod corpus; // Exchanges of foreign captures, compared with what other readers found in them.
mod corpus_http2; // The same for HTTP/2.
mod corpus_databases; // Commands to databases in foreign captures, compared likewise.
mod corpus_tls; // Exchanges inside of TLS in foreign captures, opened with their key logs.
mod conversations_foreign; // Conversations that another reader tests itself with.
mod har; // HAR files: what they say, what they do not, and real ones.
mod gor; // Files of GoReplay, of all versions, and sessions of Proxy Verifier.
mod monitor; // What Redis tells a client that monitors it.
mod sessions_yaml; // Sessions as people write them, in YAML.
mod targets; // Targets of vegeta: at a rate, with bodies from beside them.
mod exchanges; // What several modules build on: arbitrary exchanges.
mod recording_file; // A recording is sorted, atomic, and read back alike.
mod recording_hostile; // Recordings from elsewhere: damaged, cut, or made to deceive.
mod recording_rewritten; // Recordings that another program wrote again, in its own encodings.
mod recording_jsonl; // Recordings as JSON Lines, for other programs.
mod recording_redaction; // Secrets are replaced before anything is written.
mod redaction_trailers; // Secrets around the chunks of a body are replaced as well.
mod redaction_policy; // The same through the program: policies, keys, what is told of them.
mod record; // Live traffic through a proxy in front of a real nginx.
mod certificates; // Certificates made for a test by openssl.
mod record_tls; // The same with TLS on either side or both, between curl and nginx.
mod record_refused; // Who is refused where TLS is spoken, and by which name he is counted.
mod record_parts; // A recording in several files: cut, kept, and imported as one.
mod large_bodies; // Bodies too large for memory: recorded, kept on the disk, sent from there.
mod record_disks; // The same on a disk that is full, or stands still.
mod recordings_merged; // Recordings that were made apart become one.
mod databases; // Redis, MariaDB and PostgreSQL through the same proxy.
mod access_logs; // Access logs of every format: what a line says and when it arrived.
mod access_log_files; // The same through the program, and logs with oracles.
mod inspect; // What is told about a recording, in text and in JSON.
mod caches; // What caches would do with recorded reads, as inspect and the act cold tell it.
mod synth; // A recording becomes a model without anybody's data, and a model a recording.
mod clocks; // Zones of logs that name none, and files whose clocks did not agree.
mod captures; // The repository's captures hold what their READMEs say.
mod plan; // Recording and scenario become the same arrivals, byte for byte.
mod drive; // A plan over real sockets: connections, fates, bounds, a graceful stop.
mod stage; // The embedded stage over real sockets: each knob's broken and healthy twin.
mod report; // Golden reports: terminal, run.json, HTML.
mod machine_outputs; // Reports that programs read, and foreign text in them.
mod metrics_live; // Numbers sent to monitoring systems while a run goes on.
mod report_sample; // A report to render, with every kind of line in it.
mod browser; // The HTML report in a real Chromium: charts drawn, no network, tables sort.
mod readme; // The README's commands, options, codes, faults and example are the program's.
mod help; // Examples that work, completion, pages of the manual.
mod import_outputs; // An import harms nothing that is there, and leaves nothing behind.
mod partial; // Inputs that end too early: what was read is kept, and marked as partial.
mod bad_input; // Bad input gets a clear error and 104, and nothing is lost.
mod generated; // Load without a recording: its requests, connections and moments, counted.
mod session_pace; // Sessions that wait for their answers, by nginx' own log.
mod faithful; // Every byte of HTTP/1.1 is sent again as it was, and connections end as they did.
mod nginx; // The replay against a real nginx, judged by nginx' own access log.
mod redis_replay; // Commands of Redis replayed: real clients, real servers, and bad ones.
mod rewriting; // Requests rewritten on their way: other hosts, paths, cookies, tokens, a hook.
mod network; // Where connections go and come from: hosts, addresses, unix sockets, sources.
mod expectations; // What must hold, over real runs; the language is as documented.
mod limits; // Ceilings of a run: what lies above is refused, or not sent and counted.
mod machine; // What a plan needs of this machine, and what that could do before a run.
mod abort; // Rules that end a run early, and what does not.
mod samples; // Samples of a run as Parquet, and disks that are full or stand still.
mod hold; // A run that is held and goes on by signals, and one that is stopped long before its end.
mod run_tls; // The same inside of TLS: who is trusted, which sessions are resumed.
mod resumption; // Sessions of TLS that are resumed: seen, recorded, and resumed again as recorded.
mod run_http2; // The same in HTTP/2, on recorded connections with many streams each.
mod rehearsal; // From a capture to a verdict: healthy passes, each fault is found first.
mod responses; // Answers beside the recorded ones: what differs is named, and what varies is not.
mod payloads; // Large requests and what everybody else waits: the stage, threads, real servers.
mod connections; // Limits of connections on real servers, found to the integer.
mod stopped; // A process that stands still in a run: whose fault it is.
mod incident; // The incident on real servers: healthy passes, each cause is found by its act.
mod cold; // Cold caches beside warm ones, and what the recorded keys forecast of it.
mod capacity; // The highest multiple of the recorded load that holds what is expected.
mod scaling; // What scale and speed do to bursts, and what clones share with their originals.
mod fingerprint; // Nodes that differ from their peers and from the last good release.
mod canary; // Marked requests against a real nginx, and the logs that tell of them.
mod probe; // Probes of real servers: what they see, and what is said of it.
mod heartbeat; // A log stream that falls silent under load, against a real nginx.
mod drills_stopped; // A drill that is interrupted leaves no command behind.
mod probe_sources; // Probes of pages, logs, machines, and of servers that mean no good.
mod validate; // Two loads side by side: what is the same, what differs, what cannot be said.
mod compare; // Runs beside runs of a baseline, and a series of nights: what is worse since when.
mod tidy; // The rules of the house that no compiler holds.
