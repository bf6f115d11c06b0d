//! Which words of a command are keys, where that is certain from its name alone.

use crate::protocol::resp::effects::name;

/// Commands whose first argument is their only key.
const FIRST: &str = "APPEND BITCOUNT BITPOS DECR DECRBY DUMP EXPIRE EXPIREAT EXPIRETIME GEOADD \
    GEODIST GEOHASH GEOPOS GEOSEARCH GET GETBIT GETDEL GETEX GETRANGE GETSET HDEL HEXISTS HGET \
    HGETALL HINCRBY HINCRBYFLOAT HKEYS HLEN HMGET HMSET HRANDFIELD HSCAN HSET HSETNX HSTRLEN HVALS \
    INCR INCRBY INCRBYFLOAT LINDEX LINSERT LLEN LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM \
    PERSIST PEXPIRE PEXPIREAT PEXPIRETIME PFADD PSETEX PTTL RPOP RPUSH RPUSHX SADD SCARD SET \
    SETBIT SETEX SETNX SETRANGE SISMEMBER SMEMBERS SMISMEMBER SPOP SRANDMEMBER SREM SSCAN STRLEN \
    SUBSTR TTL TYPE XADD XDEL XLEN XRANGE XREVRANGE XTRIM ZADD ZCARD ZCOUNT ZINCRBY ZLEXCOUNT \
    ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREM \
    ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE \
    ZREVRANK ZSCAN ZSCORE";

/// Commands whose arguments are all keys.
const ALL: &str = "DEL EXISTS MGET PFCOUNT PFMERGE SDIFF SDIFFSTORE SINTER SINTERSTORE SUNION \
    SUNIONSTORE TOUCH UNLINK WATCH";

/// Commands of keys and values in turn.
const EVERY_OTHER: &str = "MSET MSETNX";

/// Commands whose first two arguments are keys.
const TWO: &str = "COPY LCS LMOVE RENAME RENAMENX RPOPLPUSH SMOVE";

/// Positions of the keys among the words of a command, the first of which is its name; empty where
/// it has none, or where it is not certain which they are.
pub fn keys(words: &[&[u8]]) -> Vec<usize> {
    let name = name(words);
    let is_in = |table: &str| table.split_ascii_whitespace().any(|known| known == name);
    let arguments = 1..words.len();
    if is_in(FIRST) {
        arguments.take(1).collect()
    } else if is_in(ALL) {
        arguments.collect()
    } else if is_in(EVERY_OTHER) {
        arguments.step_by(2).collect()
    } else if is_in(TWO) {
        arguments.take(2).collect()
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_where_the_command_has_them() {
        for (line, expected) in [
            ("GET k", &[1][..]),
            ("get k", &[1]),
            ("SET k v EX 9", &[1]),
            ("MGET a b c", &[1, 2, 3]),
            ("MSET a 1 b 2", &[1, 3]),
            ("RENAME a b", &[1, 2]),
            ("EVAL s 1 k", &[]),
            ("PING k", &[]),
            ("CONFIG GET k", &[]),
            ("GET", &[]),
        ] {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            assert_eq!(keys(&words), expected, "{line}");
        }
        assert!(keys(&[]).is_empty());
    }

    /// The tables contradict each other nowhere.
    #[test]
    fn no_command_is_in_two_tables() {
        let all = [FIRST, ALL, EVERY_OTHER, TWO].map(str::split_ascii_whitespace);
        let mut all: Vec<&str> = all.into_iter().flatten().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
