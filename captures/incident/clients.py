#!/usr/bin/python3
"""The people of the incident's peak: `clients.py PORT SECONDS`.

Twenty of them browse throughout, each on a connection of its own that stays open, and think between
two requests. In the middle third come twenty-four more who think less: the peak. Beside them,
customers' machines synchronise twice a second, on a new connection each, and one of them has much
more to say than the others. The choices come from a fixed seed; the moments are the machine's.
"""
import asyncio
import bisect
import json
import random
import sys

PRODUCTS = 600
NAMES = [f"record-{n:05}" for n in range(50_000)]


def zipf(chance, count, skew):
    """A drawer of product numbers of which few are asked for often, and most seldom."""
    numbers = list(range(1, count + 1))
    chance.shuffle(numbers)
    total, cumulated = 0.0, []
    for rank in range(1, count + 1):
        total += rank ** -skew
        cumulated.append(total)
    return lambda draw: numbers[bisect.bisect(cumulated, draw.random() * total)]


class Connection:
    """One connection that stays open."""

    def __init__(self, port):
        self.port, self.streams = port, None

    async def ask(self, method, target, headers="", body=b""):
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
        head = f"{method} {target} HTTP/1.1\r\nHost: shop.example\r\n{headers}{length}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        for line in answer.split("\r\n"):
            if line.lower().startswith("content-length:"):
                await reader.readexactly(int(line.split(":")[1]))
        return int(answer.split(" ")[1])

    def close(self):
        if self.streams:
            self.streams[1].close()


async def browse(port, chance, product, think, seconds):
    """Someone who looks at products, and sometimes buys."""
    connection = Connection(port)
    # Credentials are as empty as import would make them.
    session = f"Cookie: sid=s{chance.randrange(100, 999)}\r\n"
    ends = asyncio.get_running_loop().time() + seconds
    while True:
        await asyncio.sleep(min(chance.expovariate(1 / think), 4 * think))
        if asyncio.get_running_loop().time() >= ends:
            break
        dice = chance.random()
        if dice < 0.76:
            await connection.ask("GET", f"/products/{product(chance)}", session)
        elif dice < 0.88:
            await connection.ask("GET", "/cart", session)
        elif dice < 0.94:
            body = json.dumps({"add": product(chance)}).encode()
            await connection.ask("POST", "/cart", session, body)
        elif dice < 0.97:
            form = "Content-Type: application/x-www-form-urlencoded\r\n"
            await connection.ask("POST", "/login", form, b"user=someone&password=xxxxxxxx")
        else:
            await connection.ask("GET", f"/products/{PRODUCTS + chance.randrange(1, 99)}", session)
    connection.close()


async def synchronise(port, chance, seconds):
    """Customers' machines send what has changed: little, but for one of them."""
    for turn in range(int(seconds * 2)):
        await asyncio.sleep(0.5)
        size = int(min(max(chance.lognormvariate(9.2, 0.9), 2_000), 50_000))
        customer = chance.randrange(1, 60)
        if turn == int(seconds):
            size, customer = 200_000, 61
        records = ",".join(f'"{NAMES[n]}"' for n in range(size // 15 + 1))
        body = ("[" + records)[: size - 1].encode() + b"]"
        connection = Connection(port)
        token = "Authorization: Bearer xxxxxxxxxxxx\r\n"
        await connection.ask("POST", f"/sync?customer={customer}", token, body)
        connection.close()


async def main(port, seconds):
    product = zipf(random.Random(1), PRODUCTS, 0.9)
    # Production's cache is warm at its peak.
    warm = Connection(port)
    for number in range(1, PRODUCTS + 1):
        await warm.ask("GET", f"/products/{number}")
    warm.close()
    print("warm", flush=True)
    await asyncio.sleep(2)

    def crowd(first, people, think, length):
        return [browse(port, random.Random(first + n), product, think, length)
                for n in range(people)]

    async def peak():
        await asyncio.sleep(seconds / 3)
        await asyncio.gather(*crowd(200, 24, 0.25, seconds / 3))

    await asyncio.gather(*crowd(100, 20, 0.33, seconds), peak(),
                         synchronise(port, random.Random(7), seconds - 1))


asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
