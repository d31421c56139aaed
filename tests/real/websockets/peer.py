"""Both ends of WebSockets, on the library `websockets`.

  peer.py serve PORT                  sends back every message as it came; prints a line when it listens
  peer.py cases ADDRESS               messages, pings, ends and breaks, each once; prints what passed and fails if one did not
  peer.py fuzzed ADDRESS              plays client to a server that fuzzes, case after case, until it has no more
"""
import asyncio
import os
import sys

import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

# As long as the largest message of all.
LARGE = 16 << 20
WAIT = 30


async def echo(socket):
    try:
        async for message in socket:
            if message == "close 4001":
                await socket.close(4001, "as asked")
            elif message == "break":
                socket.transport.abort()
            else:
                await socket.send(message)
    except ConnectionClosed:
        pass


async def serve_forever(port):
    async with serve(echo, "127.0.0.1", port, max_size=None, compression="deflate", ping_interval=None):
        print("listening", flush=True)
        await asyncio.get_running_loop().create_future()


def client(address, path="/", **options):
    return connect(f"ws://{address}{path}", max_size=None, open_timeout=WAIT, ping_interval=None, **options)


# The cases. Each is given an address.

async def texts(address):
    async with client(address) as socket:
        for text in ["", "a", "é\u4e2d\U0001f600" * 1000, "x" * 65535, "x" * 65536]:
            await socket.send(text)
            assert await socket.recv() == text


async def large_binary(address):
    message = os.urandom(LARGE)
    async with client(address, compression=None) as socket:
        await socket.send(message)
        assert await socket.recv() == message


async def large_compressed(address):
    message = os.urandom(1 << 16) * (LARGE >> 16)
    async with client(address, compression="deflate") as socket:
        assert socket.protocol.extensions, "compression is agreed on by both ends"
        await socket.send(message)
        assert await socket.recv() == message


async def fragmented(address):
    parts = [b"p%d" % number * 1000 for number in range(200)]
    async with client(address, compression=None) as socket:
        await socket.send(parts)
        assert await socket.recv() == b"".join(parts)


async def pings_among_fragments(address):
    async def parts():
        for number in range(5):
            yield f"part {number}"
            waiter = await socket.ping(f"in {number}")
            await waiter

    async with client(address, compression=None) as socket:
        await socket.send(parts())
        assert await socket.recv() == "".join(f"part {number}" for number in range(5))


async def pings(address):
    async with client(address) as socket:
        for data in [b"", b"x" * 125]:
            waiter = await socket.ping(data)
            assert await waiter < WAIT


async def pipelined(address):
    async with client(address, compression=None) as socket:
        async def send():
            for number in range(2000):
                await socket.send(f"message {number}")

        sending = asyncio.create_task(send())
        for number in range(2000):
            assert await socket.recv() == f"message {number}"
        await sending


async def closed_by_the_client(address):
    async with client(address) as socket:
        await socket.send("x")
        assert await socket.recv() == "x"
        await socket.close(3333, "bye")
        assert (socket.close_code, socket.close_reason) == (3333, "bye")


async def closed_by_the_server(address):
    async with client(address) as socket:
        await socket.send("close 4001")
        try:
            await socket.recv()
            raise AssertionError("it closes")
        except ConnectionClosed as end:
            assert (end.rcvd.code, end.rcvd.reason) == (4001, "as asked"), end


async def broken_by_the_server(address):
    async with client(address) as socket:
        await socket.send("break")
        try:
            await socket.recv()
            raise AssertionError("it breaks off")
        except ConnectionClosed as end:
            assert end.rcvd is None, "no close code that nobody sent"


async def broken_by_the_client(address):
    async with client(address) as socket:
        await socket.send("x" * 100_000)
        socket.transport.abort()
    async with client(address) as socket:
        await socket.send("still there")
        assert await socket.recv() == "still there"


async def subprotocol_is_not_invented(address):
    async with client(address, subprotocols=["chat.v2"]) as socket:
        assert socket.subprotocol is None


async def many_at_once(address):
    async def one(number):
        async with client(address) as socket:
            for turn in range(20):
                await socket.send(f"{number} {turn}")
                assert await socket.recv() == f"{number} {turn}"

    await asyncio.gather(*(one(number) for number in range(100)))


CASES = [texts, large_binary, large_compressed, fragmented, pings, pings_among_fragments, pipelined, closed_by_the_client,
         closed_by_the_server, broken_by_the_server, broken_by_the_client, subprotocol_is_not_invented, many_at_once]


async def cases(address):
    failed = []
    for case in CASES:
        try:
            await asyncio.wait_for(case(address), 2 * WAIT)
        except Exception as error:  # Whatever it is, the other cases are asked, too.
            failed.append(case.__name__)
            print(f"FAILED {case.__name__}: {error!r}")
    print(f"{len(CASES) - len(failed)} of {len(CASES)} cases passed")
    return 1 if failed else 0


async def fuzzed(address):
    """As clients of the Autobahn test suite do it: the server says how many cases it has, plays each, and writes its reports."""
    async with client(address, "/getCaseCount") as socket:
        count = int(await socket.recv())

    # Some cases wait for a second.
    at_once = asyncio.Semaphore(8)

    async def play(case):
        try:
            async with at_once, client(address, f"/runCase?case={case}&agent=peer") as socket:
                async for message in socket:
                    await socket.send(message)
        except (ConnectionClosed, OSError, websockets.exceptions.InvalidMessage):
            pass  # How it ended is for the server to judge.

    await asyncio.gather(*(play(case) for case in range(1, count + 1)))
    try:
        async with client(address, "/updateReports?agent=peer") as socket:
            async for _ in socket:
                pass
    except ConnectionClosed:
        pass  # It writes them, and ends.
    print(f"{count} cases were played")
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve_forever(int(sys.argv[2])))
    elif sys.argv[1] == "cases":
        sys.exit(asyncio.run(cases(sys.argv[2])))
    else:
        sys.exit(asyncio.run(fuzzed(sys.argv[2])))
