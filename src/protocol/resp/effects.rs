//! What a command does to the server that gets it, as far as its words tell. What is not known
//! here counts as writing: a module's command may do anything.

use std::collections::HashMap;
use std::sync::LazyLock;

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changes nothing but the connection that it came on.
    Reads,
    /// It changes keys, scripts, or what other clients hear.
    Writes,
    /// It empties, stops, reconfigures or saves the whole server, or harms its other clients.
    Harms,
    /// It waits for other clients, perhaps for ever.
    Blocks,
    /// `AUTH`, and `RESET`, which logs out: each server has its own users.
    LogsIn,
    /// `HELLO`: the version of the protocol, perhaps with a login.
    Greets,
    /// `SELECT`: which database is meant from now on.
    Selects,
    /// `MULTI`: what follows is queued.
    Begins,
    /// `EXEC` or `DISCARD`: the end of what was queued.
    Ends,
    /// From now on the server sends what nobody asked for: channels, `MONITOR`, replication,
    /// tracking.
    Listens,
    /// `CLIENT REPLY`: from now on there are no replies.
    Silences,
}

/// Commands that only read, or that set up their own connection. They are in this table and
/// nothing else is taken for reading: a command that is forgotten here is merely not replayed.
const READS: &str = "ASKING BITCOUNT BITFIELD_RO BITPOS COMMAND DBSIZE DUMP ECHO EVALSHA_RO \
    EVAL_RO EXISTS EXPIRETIME FCALL_RO GEODIST GEOHASH GEOPOS GEORADIUSBYMEMBER_RO GEORADIUS_RO \
    GEOSEARCH GET GETBIT GETRANGE HEXISTS HEXPIRETIME HGET HGETALL HKEYS HLEN HMGET HPEXPIRETIME \
    HPTTL HRANDFIELD HSCAN HSTRLEN HTTL HVALS INFO KEYS LASTSAVE LCS LINDEX LLEN LOLWUT LPOS \
    LRANGE MGET OBJECT PEXPIRETIME PFCOUNT PING PTTL PUBSUB QUIT RANDOMKEY READONLY READWRITE ROLE \
    SCAN SCARD SDIFF SINTER SINTERCARD SISMEMBER SMEMBERS SMISMEMBER SORT_RO SRANDMEMBER SSCAN \
    STRLEN SUBSTR SUNION TIME TOUCH TTL TYPE UNWATCH WATCH XINFO XLEN XPENDING XRANGE XREAD \
    XREVRANGE ZCARD ZCOUNT ZDIFF ZINTER ZINTERCARD ZLEXCOUNT ZMSCORE ZRANDMEMBER ZRANGE \
    ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN \
    ZSCORE ZUNION";

/// Commands of which no rehearsal needs one, and of which one too many costs a server: they empty
/// it, stop it, fork it, change its settings, its users or its place in a cluster.
const HARMS: &str = "ACL BGREWRITEAOF BGSAVE CLUSTER CONFIG DEBUG FAILOVER FLUSHALL FLUSHDB \
    FUNCTION LATENCY MEMORY MIGRATE MODULE PFDEBUG PFSELFTEST REPLICAOF RESTORE-ASKING SAVE SCRIPT \
    SENTINEL SHUTDOWN SLAVEOF SLOWLOG SWAPDB";

/// Of commands with subcommands that harm, and of `CLIENT`, those that read or tell of their own
/// connection.
const READING_PARTS: &str = "ACL|CAT ACL|DRYRUN ACL|HELP ACL|WHOAMI CLIENT|GETNAME CLIENT|GETREDIR \
    CLIENT|HELP CLIENT|ID CLIENT|INFO CLIENT|LIST CLIENT|NO-TOUCH CLIENT|SETINFO CLIENT|SETNAME \
    CLIENT|TRACKINGINFO CLUSTER|COUNT-FAILURE-REPORTS CLUSTER|COUNTKEYSINSLOT \
    CLUSTER|GETKEYSINSLOT CLUSTER|HELP CLUSTER|INFO CLUSTER|KEYSLOT CLUSTER|LINKS CLUSTER|MYID \
    CLUSTER|MYSHARDID CLUSTER|NODES CLUSTER|REPLICAS CLUSTER|SHARDS CLUSTER|SLAVES CLUSTER|SLOTS \
    CONFIG|GET CONFIG|HELP FUNCTION|DUMP FUNCTION|HELP FUNCTION|LIST FUNCTION|STATS LATENCY|DOCTOR \
    LATENCY|GRAPH LATENCY|HELP LATENCY|HISTOGRAM LATENCY|HISTORY LATENCY|LATEST MEMORY|DOCTOR \
    MEMORY|HELP MEMORY|MALLOC-STATS MEMORY|STATS MEMORY|USAGE MODULE|HELP MODULE|LIST \
    SCRIPT|EXISTS SCRIPT|HELP SLOWLOG|GET SLOWLOG|HELP SLOWLOG|LEN";

/// Subcommands that change what scripts there are, like any write, and no more.
const WRITING_PARTS: &str = "FUNCTION|LOAD SCRIPT|LOAD";

/// Commands that wait for somebody else.
const BLOCKS: &str = "BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN WAIT WAITAOF";

/// Commands after which a connection is no longer one of questions and answers.
const LISTENS: &str = "MONITOR PSUBSCRIBE PSYNC PUNSUBSCRIBE REPLCONF SSUBSCRIBE SUBSCRIBE \
    SUNSUBSCRIBE SYNC UNSUBSCRIBE";

/// What each name does whose words do not matter; a look at each table would cost a plan more than
/// all else.
static BY_NAME: LazyLock<HashMap<&'static str, Effect>> = LazyLock::new(|| {
    let tables = [
        (READS, Effect::Reads),
        (BLOCKS, Effect::Blocks),
        (LISTENS, Effect::Listens),
        ("AUTH RESET", Effect::LogsIn),
        ("HELLO", Effect::Greets),
        ("SELECT", Effect::Selects),
        ("MULTI", Effect::Begins),
        ("EXEC DISCARD", Effect::Ends),
        // What is none of the parts that are told apart.
        (HARMS, Effect::Harms),
        ("CLIENT", Effect::Harms),
    ];
    let names = |table: &'static str| table.split_ascii_whitespace();
    tables.iter().flat_map(|(table, effect)| names(table).map(|name| (name, *effect))).collect()
});

/// What a command of these words does; the first is its name, in any case.
pub fn effect(words: &[&[u8]]) -> Effect {
    let name = words.first().copied().unwrap_or_default();
    let mut upper = [0; MAX_NAME];
    let Some(upper) = upper.get_mut(..name.len()) else { return Effect::Writes };
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    let known = str::from_utf8(upper).ok().and_then(|name| BY_NAME.get(name));
    match (known, &*upper) {
        // The option stands before the names of streams, which may be called like it: then a
        // command that does not wait is taken for one that does, and not the other way round.
        (_, b"XREAD" | b"XREADGROUP") if has(words, b"BLOCK") => Effect::Blocks,
        (Some(Effect::Harms), _) => effect_of_part(&part(words)),
        (Some(effect), _) => *effect,
        (None, _) => Effect::Writes,
    }
}

/// Longest name that is known, and more.
const MAX_NAME: usize = 32;

fn has(words: &[&[u8]], option: &[u8]) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(option))
}

/// The same for commands whose subcommands differ.
fn effect_of_part(part: &str) -> Effect {
    let is_in = |table: &str| table.split_ascii_whitespace().any(|known| known == part);
    match part {
        "CLIENT|REPLY" => Effect::Silences,
        "CLIENT|TRACKING" | "CLIENT|CACHING" => Effect::Listens,
        _ if is_in(READING_PARTS) => Effect::Reads,
        _ if is_in(WRITING_PARTS) => Effect::Writes,
        _ => Effect::Harms,
    }
}

/// The name of a command, upper case; bytes that are no text are replaced.
pub fn name(words: &[&[u8]]) -> String {
    let name = words.first().copied().unwrap_or_default();
    String::from_utf8_lossy(name).to_ascii_uppercase()
}

/// The name with the subcommand, such as `CONFIG|GET`, upper case.
pub fn part(words: &[&[u8]]) -> String {
    let second = words.get(1).copied().unwrap_or_default();
    // No subcommand is longer; a value may be of any length.
    let second = second.get(..MAX_PART.min(second.len())).unwrap_or_default();
    format!("{}|{}", name(words), String::from_utf8_lossy(second).to_ascii_uppercase())
}

/// Longest subcommand that is looked at, in bytes.
const MAX_PART: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn effect_of(line: &str) -> Effect {
        effect(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>())
    }

    #[test]
    fn each_command_does_what_it_does() {
        for (lines, expected) in [
            ("GET k,get k,MGET a b,HGETALL h,EXISTS k,TTL k,ZRANGE z 0 1,SCAN 0", Effect::Reads),
            (
                "CONFIG GET maxclients,CLUSTER SLOTS,CLIENT SETNAME x,XREAD STREAMS s 0",
                Effect::Reads,
            ),
            ("MEMORY USAGE k,OBJECT ENCODING k,WATCH k,PING,SCRIPT EXISTS a", Effect::Reads),
            ("SET k v,GETEX k,SORT k,EVAL s 0,PUBLISH c m,XREADGROUP GROUP g c", Effect::Writes),
            ("JSON.SET k $ 1,NOSUCH,FUNCTION LOAD x,SCRIPT LOAD x,RESTORE k 0 x", Effect::Writes),
            ("FLUSHALL,flushdb async,SHUTDOWN,CONFIG SET save x,DEBUG SLEEP 1", Effect::Harms),
            ("REPLICAOF no one,CLUSTER RESET,SCRIPT FLUSH,ACL SETUSER x,ACL LIST", Effect::Harms),
            ("MIGRATE h 1 k 0 9,FAILOVER,SAVE,BGSAVE,SWAPDB 0 1,CLIENT KILL x", Effect::Harms),
            ("CLIENT PAUSE 100,SLOWLOG RESET,MODULE LOAD x,CONFIG,MEMORY PURGE", Effect::Harms),
            ("BLPOP k 0,WAIT 1 0,XREAD BLOCK 0 STREAMS s $,xread block 1", Effect::Blocks),
            ("SUBSCRIBE c,MONITOR,PSYNC ? -1,SYNC,CLIENT TRACKING ON", Effect::Listens),
            ("AUTH x,RESET", Effect::LogsIn),
            ("HELLO 3", Effect::Greets),
            ("SELECT 1", Effect::Selects),
            ("MULTI", Effect::Begins),
            ("EXEC,DISCARD", Effect::Ends),
            ("CLIENT REPLY OFF", Effect::Silences),
        ] {
            for line in lines.split(',') {
                assert_eq!(effect_of(line), expected, "{line}");
            }
        }
    }

    /// The tables contradict each other nowhere.
    #[test]
    fn no_command_is_in_two_tables() {
        let mut all: Vec<&str> =
            [READS, HARMS, BLOCKS, LISTENS].iter().flat_map(|it| it.split_whitespace()).collect();
        all.extend("AUTH RESET HELLO SELECT MULTI EXEC DISCARD CLIENT".split(' '));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for part in READING_PARTS.split_whitespace().chain(WRITING_PARTS.split_whitespace()) {
            let name = part.split('|').next().unwrap();
            assert!(name == "CLIENT" || HARMS.split_whitespace().any(|it| it == name), "{part}");
        }
    }
}
