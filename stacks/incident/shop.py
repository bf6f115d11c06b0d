#!/usr/bin/python3
"""One node of the shop: an HTTP application in front of Redis and MariaDB.

Its pools are lazy, as those of most frameworks are: a connection is opened when a request finds
none idle, so that a quiet evening sees few of them and a peak all. Products are cached in Redis,
and read from MariaDB where they are not there. Every request is a line in the log.

--fault plants what a release could have brought; see where `fault` is asked for.
"""
import argparse
import hashlib
import json
import logging
import queue
import re
import socket
import threading
import time
import zlib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pymysql
import redis

POOL = 16  # Connections of a process to Redis at most.
STORE_POOL = 8  # Connections of a process to MariaDB at most.
PATIENCE = 5  # Seconds that a request waits for a connection.
LIFETIME = 600  # Seconds that anything stays in Redis.
MAX_BODY = 8 << 20

# The query of a release that lost an index: the time which a search of the whole table of a real
# shop takes, without the processor that it costs.
SLOW_READ = "SELECT name, price, description, SLEEP(0.15) FROM products WHERE id = %s"
READ = "SELECT name, price, description FROM products WHERE id = %s"

# The script of a release that looks for changed records inside Redis, byte by byte. Redis serves
# nobody else meanwhile.
SCAN_IN_REDIS = """
local body, sum = redis.call('GET', KEYS[1]), 0
for pass = 1, 5 do
  for at = 1, #body do sum = (sum * 31 + string.byte(body, at)) % 4294967296 end
end
return tostring(sum)
"""

LINE = ('{"time": "%(asctime)s", "level": "%(levelname)s", "node": "%(node)s", '
        '"request_id": "%(request_id)s", "method": "%(method)s", "path": "%(path)s", '
        '"status": %(status)d, "ms": %(ms).1f}')
# What a slip of the pen makes of it: no line can be formatted, and none is written.
BROKEN_LINE = LINE.replace("%(status)d", "%(status)y")


class Shop:
    """What the requests share."""

    def __init__(self, options):
        self.node, self.fault = options.node, options.fault
        self.cache = redis.Redis(connection_pool=redis.BlockingConnectionPool(
            host="127.0.0.1", port=options.redis, max_connections=POOL, timeout=PATIENCE))
        self.scan = self.cache.register_script(SCAN_IN_REDIS)
        self.store_port = options.mariadb
        self.store = queue.LifoQueue(STORE_POOL)
        for _ in range(STORE_POOL):
            self.store.put(None)

    @contextmanager
    def store_connection(self):
        """A connection to MariaDB, opened at its first use and again after an error."""
        connection = self.store.get(timeout=PATIENCE)
        try:
            if connection is None:
                connection = pymysql.connect(
                    host="127.0.0.1", port=self.store_port, user="shop", password="shop",
                    database="shop", autocommit=True, connect_timeout=PATIENCE)
            yield connection
        except Exception:
            connection = None
            raise
        finally:
            self.store.put(connection)

    def product(self, number):
        """A product from the cache, else from the store."""
        key = f"product:{number}"
        found = self.cache.get(key)
        if found is None:
            query = SLOW_READ if self.fault == "cold-cache" else READ
            with self.store_connection() as connection, connection.cursor() as cursor:
                cursor.execute(query, (number,))
                row = cursor.fetchone()
            if row is None:
                return None
            found = json.dumps({"id": number, "name": row[0], "price": row[1],
                                "description": row[2]}).encode()
            self.cache.set(key, found, ex=LIFETIME)
        return found

    def cart(self, session, add=None):
        """The cart of a session, after something was added to it."""
        key = f"cart:{session}"
        if add is not None:
            self.cache.pipeline().hincrby(key, add, 1).expire(key, LIFETIME).execute()
        items = {key.decode(): int(count) for key, count in self.cache.hgetall(key).items()}
        return json.dumps({"items": items, "total": sum(items.values())}).encode()

    def sync(self, customer, body):
        """Keeps what a customer's machine has sent, and says what it was."""
        key = f"sync:{customer}"
        if self.fault == "outlier-payload":
            self.cache.set(key, body, ex=LIFETIME)
            digest = self.scan(keys=[key]).decode()
        else:
            self.cache.set(key, zlib.compress(body, 1), ex=LIFETIME)
            digest = hashlib.sha256(body).hexdigest()[:16]
        return json.dumps({"bytes": len(body), "digest": digest}).encode()


class Handler(BaseHTTPRequestHandler):
    """One connection from nginx."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True
    wbufsize = -1  # An answer leaves in one piece.
    shop = None

    def do_GET(self):
        self.answer(self.get)

    def do_POST(self):
        self.answer(self.post)

    def answer(self, handle):
        """Answers a request whatever becomes of it, and logs it."""
        started = time.monotonic()
        try:
            body = self.body()
            status, answer = handle(body)
        except Exception as error:  # A request must not end the node.
            status, answer = 503, json.dumps({"error": type(error).__name__}).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()
        logging.log(logging.INFO if status < 500 else logging.ERROR, "request", extra={
            "node": self.shop.node, "method": self.command, "status": status,
            "request_id": printable(self.headers.get("X-Request-Id", "-")),
            "path": printable(self.path.split("?")[0]),
            "ms": (time.monotonic() - started) * 1000})

    def body(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY:
            self.close_connection = True
            raise ValueError("too large")
        return self.rfile.read(length)

    def get(self, _body):
        path = self.path.split("?")[0]
        product = re.fullmatch(r"/products/(\d{1,6})", path)
        if product:
            found = self.shop.product(int(product[1]))
            return (200, found) if found else (404, b'{"error": "no such product"}')
        if path == "/cart":
            return 200, self.shop.cart(self.session())
        if path == "/health":
            return 200, b'{"up": true}'
        return 404, b'{"error": "not found"}'

    def post(self, body):
        path = self.path.split("?")[0]
        if path == "/cart":
            added = re.search(rb'"add": ?(\d{1,6})', body)
            return 201, self.shop.cart(self.session(), int(added[1]) if added else 0)
        if path == "/login":
            token = hashlib.sha256(body).hexdigest()[:16]
            self.shop.cache.set(f"session:{token}", "1", ex=LIFETIME)
            return 200, b'{"welcome": true}'
        if path == "/sync":
            customer = re.search(r"customer=(\w{1,20})", self.path)
            return 201, self.shop.sync(customer[1] if customer else "unknown", body)
        return 404, b'{"error": "not found"}'

    def session(self):
        found = re.search(r"sid=(\w{1,40})", self.headers.get("Cookie", ""))
        return found[1] if found else "nobody"

    def log_message(self, *_):
        """The log has a line a request in any case."""


def printable(text):
    """A text that cannot break a line of the log."""
    return re.sub(r'[^\x20-\x7e]|["\\]', "?", text[:200])


class Server(ThreadingHTTPServer):
    """A thread a connection; nginx holds few."""

    request_queue_size = 256
    daemon_threads = True
    address_family = socket.AF_INET

    def handle_error(self, *_):
        """A client that went away is no event."""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--node", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--redis", type=int, required=True)
    parser.add_argument("--mariadb", type=int, required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--fault", default="")
    options = parser.parse_args()

    logging.raiseExceptions = False  # As in production: a log line must not end a request.
    handler = logging.FileHandler(options.log)
    line = BROKEN_LINE if options.fault == "blank-logs" else LINE
    handler.setFormatter(logging.Formatter(line, validate=False))
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)

    threading.stack_size(256 << 10)
    Handler.shop = Shop(options)
    Server(("127.0.0.1", options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
