//! What is known of commands by their names: which there are, and which word is the first key.

/// Names of commands that people and clients send as plain lines, and that no other protocol of
/// lines begins with; upper case.
const PLAIN: &[&str] = &[
    "ACL",
    "APPEND",
    "AUTH",
    "BGSAVE",
    "BITCOUNT",
    "BLPOP",
    "BRPOP",
    "CLIENT",
    "CLUSTER",
    "COMMAND",
    "CONFIG",
    "DBSIZE",
    "DECR",
    "DECRBY",
    "DEL",
    "DISCARD",
    "ECHO",
    "EVAL",
    "EVALSHA",
    "EXEC",
    "EXISTS",
    "EXPIRE",
    "FLUSHALL",
    "FLUSHDB",
    "GET",
    "GETSET",
    "HDEL",
    "HELLO",
    "HGET",
    "HGETALL",
    "HINCRBY",
    "HLEN",
    "HMGET",
    "HMSET",
    "HSET",
    "INCR",
    "INCRBY",
    "INFO",
    "KEYS",
    "LASTSAVE",
    "LLEN",
    "LPOP",
    "LPUSH",
    "LRANGE",
    "MEMORY",
    "MGET",
    "MONITOR",
    "MSET",
    "MULTI",
    "OBJECT",
    "PERSIST",
    "PEXPIRE",
    "PING",
    "PSUBSCRIBE",
    "PSYNC",
    "PTTL",
    "PUBLISH",
    "PUBSUB",
    "RANDOMKEY",
    "RENAME",
    "REPLCONF",
    "RESET",
    "ROLE",
    "RPOP",
    "RPUSH",
    "SADD",
    "SCAN",
    "SCARD",
    "SCRIPT",
    "SELECT",
    "SET",
    "SETEX",
    "SETNX",
    "SISMEMBER",
    "SLAVEOF",
    "SLOWLOG",
    "SMEMBERS",
    "SPOP",
    "SREM",
    "STRLEN",
    "SUBSCRIBE",
    "TIME",
    "TTL",
    "TYPE",
    "UNLINK",
    "UNSUBSCRIBE",
    "WATCH",
    "XADD",
    "XLEN",
    "XRANGE",
    "XREAD",
    "ZADD",
    "ZCARD",
    "ZRANGE",
    "ZREM",
    "ZSCORE",
];

/// Further names; upper case.
const OTHERS: &str = "ASKING BGREWRITEAOF BITFIELD BITFIELD_RO BITOP BITPOS BLMOVE BLMPOP \
    BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN COPY DEBUG DUMP EVALSHA_RO EVAL_RO EXPIREAT EXPIRETIME \
    FAILOVER FCALL FCALL_RO FUNCTION GEOADD GEODIST GEOHASH GEOPOS GEORADIUS GEOSEARCH \
    GEOSEARCHSTORE GETBIT GETDEL GETEX GETRANGE HEXISTS HEXPIRE HINCRBYFLOAT HKEYS HRANDFIELD \
    HSCAN HSETNX HSTRLEN HTTL HVALS INCRBYFLOAT LCS LATENCY LINDEX LINSERT LMOVE LMPOP LOLWUT \
    LPOS LPUSHX LREM LSET LTRIM MIGRATE MODULE MOVE MSETNX PEXPIREAT PEXPIRETIME PFADD PFCOUNT \
    PFMERGE PSETEX PUNSUBSCRIBE QUIT READONLY READWRITE RENAMENX REPLICAOF RESTORE RPOPLPUSH \
    RPUSHX SAVE SDIFF SDIFFSTORE SENTINEL SETBIT SETRANGE SHUTDOWN SINTER SINTERCARD SINTERSTORE \
    SMISMEMBER SMOVE SORT SORT_RO SPUBLISH SRANDMEMBER SSCAN SSUBSCRIBE SUBSTR SUNION \
    SUNIONSTORE SUNSUBSCRIBE SWAPDB SYNC TOUCH UNWATCH WAIT WAITAOF XACK XAUTOCLAIM XCLAIM XDEL \
    XGROUP XINFO XPENDING XREADGROUP XREVRANGE XSETID XTRIM ZCOUNT ZDIFF ZDIFFSTORE ZINCRBY \
    ZINTER ZINTERCARD ZINTERSTORE ZLEXCOUNT ZMPOP ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER \
    ZRANGEBYLEX ZRANGEBYSCORE ZRANGESTORE ZRANK ZREMRANGEBYLEX ZREMRANGEBYRANK \
    ZREMRANGEBYSCORE ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZUNION \
    ZUNIONSTORE";

/// The word names a command: one that is known, or one of a module, such as `JSON.GET`.
pub fn is_name(word: &[u8]) -> bool {
    let name = word.to_ascii_uppercase();
    let is_known = |known: &str| known.as_bytes() == name;
    let mut parts = word.splitn(2, |byte| *byte == b'.');
    let (module, own) = (parts.next().unwrap_or_default(), parts.next());
    let is_word = |part: &[u8]| part.len() > 1 && part.iter().all(u8::is_ascii_alphabetic);
    PLAIN.iter().any(|known| is_known(known))
        || OTHERS.split_ascii_whitespace().any(is_known)
        || is_word(module) && own.is_some_and(is_word)
}

/// The line may be a command: its first word names one. Other protocols know some of these words
/// too, so that only the reply makes it certain.
pub fn is_plain_command(line: &[u8]) -> bool {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let name = words.next().unwrap_or_default().to_ascii_uppercase();
    // A request line of HTTP, of any version.
    let is_http = words.any(|word| word.starts_with(b"/") || word.starts_with(b"HTTP/"));
    PLAIN.iter().any(|known| known.as_bytes() == name) && !is_http
}

/// The bytes may be the front of such a line.
pub fn may_become_plain_command(bytes: &[u8]) -> bool {
    const LENGTH: usize = 1_024;
    let Some(end) = bytes.iter().position(u8::is_ascii_whitespace) else {
        let front = bytes.to_ascii_uppercase();
        return !front.is_empty() && PLAIN.iter().any(|known| known.as_bytes().starts_with(&front));
    };
    let is_open = !bytes.contains(&b'\n') && bytes.len() <= LENGTH;
    end > 0 && is_open && is_plain_command(bytes)
}

/// Which word of a command is its first key, or what comes nearest to one: its first argument.
/// The first of `words` is the name.
pub fn first_key(words: &[&[u8]]) -> Option<usize> {
    let name = words.first()?.to_ascii_uppercase();
    let word = |at: usize| words.get(at).copied().unwrap_or_default();
    let at = match name.as_slice() {
        b"EVAL" | b"EVALSHA" | b"EVAL_RO" | b"EVALSHA_RO" | b"FCALL" | b"FCALL_RO"
            if word(2) != b"0" =>
        {
            3
        }
        b"BITOP" | b"LMPOP" | b"ZMPOP" | b"ZUNION" | b"ZINTER" | b"ZDIFF" | b"SINTERCARD"
        | b"ZINTERCARD" | b"XGROUP" | b"OBJECT" | b"XINFO" => 2,
        b"MEMORY" if word(1).eq_ignore_ascii_case(b"USAGE") => 2,
        b"BLMPOP" | b"BZMPOP" => 3,
        b"MIGRATE" if !word(3).is_empty() => 3,
        b"XREAD" | b"XREADGROUP" => {
            let streams = words.iter().position(|it| it.eq_ignore_ascii_case(b"STREAMS"));
            streams.map_or(1, |at| at + 1)
        }
        _ => 1,
    };
    (at < words.len()).then_some(at).or((words.len() > 1).then_some(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_commands() {
        assert!(["get", "XREADGROUP", "json.get"].iter().all(|it| is_name(it.as_bytes())));
        assert!(!["message", "a", "", "10.5", "1.a"].iter().any(|it| is_name(it.as_bytes())));
    }

    #[test]
    fn lines_that_may_be_commands() {
        for line in ["PING\r\n", "set k v\r\n", "GET HI\r\n", "AUTH noone password\r\n", "EXEC\r\n"]
        {
            assert!(is_plain_command(line.as_bytes()), "{line}");
        }
        for line in ["GET / HTTP/1.1\r\n", "GET /\r\n", "HELO me\r\n", "GET x HTTP/1.0", "", "\r\n"]
        {
            assert!(!is_plain_command(line.as_bytes()), "{line}");
        }
        assert!(may_become_plain_command(b"PI"));
        assert!(may_become_plain_command(b"set k v\r"));
        assert!(!may_become_plain_command(b"set k v\n"));
        assert!(!may_become_plain_command(b"POST"));
        assert!(!may_become_plain_command(b""));
    }

    #[test]
    fn the_first_key_is_where_the_command_has_it() {
        for (line, key) in [
            ("GET k", Some("k")),
            ("PING", None),
            ("EVAL script 1 k a", Some("k")),
            ("EVALSHA sha 0 a", Some("sha")),
            ("XREAD COUNT 2 STREAMS s 0", Some("s")),
            ("BLMPOP 0 2 k l LEFT", Some("k")),
            ("OBJECT ENCODING k", Some("k")),
            ("BITOP AND d k", Some("d")),
            ("MIGRATE h 1 k 0 9", Some("k")),
            ("OBJECT HELP", Some("HELP")),
        ] {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let found = first_key(&words).map(|at| str::from_utf8(words[at]).unwrap());
            assert_eq!(found, key, "{line}");
        }
    }
}
