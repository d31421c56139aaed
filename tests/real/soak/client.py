"""What a soak has beside plain requests, for as long as it lasts: WebSockets, connections of bytes, requests and answers that are broken off.

  client.py mixed SECONDS WEB BYTES     ports of a gateway; prints how much there was of what, and fails where an answer was wrong
  client.py idle KIND PORT COUNT        opens so many connections, has each served once, says `open`, and waits for its input to end;
                                        KIND: http1, bytes, websocket
"""
import asyncio
import collections
import os
import sys
import time

from websockets.asyncio.client import connect

counts, wrong = collections.Counter(), []


async def opened(port):
    return await asyncio.open_connection("127.0.0.1", port)


def reset(writer):
    writer.transport.abort()


async def websocket(web):
    async with connect(f"ws://127.0.0.1:{web}/socket", max_size=None) as socket:
        for size in [1, 1000, 100_000, 1]:
            message = os.urandom(size)
            await socket.send(message)
            if await socket.recv() != message:
                wrong.append("a WebSocket's message")
            counts["WebSocket messages"] += 1
            await asyncio.sleep(0.2)


async def websocket_break(web):
    socket = await connect(f"ws://127.0.0.1:{web}/socket")
    await socket.send("x" * 50_000)
    reset(socket)
    counts["broken WebSockets"] += 1


async def connection(port):
    reader, writer = await opened(port)
    for size in [10, 50_000]:
        sent = os.urandom(size)
        writer.write(sent)
        if await reader.readexactly(size) != sent:
            wrong.append("a connection's bytes")
    writer.write_eof()
    if await reader.read() != b"":
        wrong.append("bytes behind the end")
    writer.close()
    counts["connections of bytes"] += 1


async def connection_break(port):
    _, writer = await opened(port)
    writer.write(os.urandom(100_000))
    await asyncio.sleep(0.01)
    reset(writer)
    counts["broken connections of bytes"] += 1


async def half_a_head(web):
    _, writer = await opened(web)
    writer.write(b"GET /plain HTTP/1.1\r\nhost: a.test\r\nx-long: " + b"x" * 3000)
    await asyncio.sleep(0.05)
    reset(writer)
    counts["half heads"] += 1


async def half_a_body(web):
    _, writer = await opened(web)
    writer.write(b"PUT /plain HTTP/1.1\r\nhost: a.test\r\ncontent-length: 100000\r\n\r\n" + b"x" * 40_000)
    await asyncio.sleep(0.05)
    reset(writer)
    counts["half bodies"] += 1


async def answer_unread(web):
    _, writer = await opened(web)
    writer.write(b"GET /slow HTTP/1.1\r\nhost: a.test\r\n\r\n")
    await asyncio.sleep(0.02)
    reset(writer)
    counts["answers that nobody waited for"] += 1


async def no_request(web):
    reader, writer = await opened(web)
    writer.write(b"GET /plain HTTP/1.1\r\nhost: a.test\r\nhost: b.test\r\n\r\n")
    if b" 400 " not in await reader.readline():
        wrong.append("an answer to what is no request")
    writer.close()
    counts["what is no request"] += 1


async def mixed(seconds, web, port):
    ends = time.monotonic() + seconds

    async def again(one, argument, pause):
        while time.monotonic() < ends:
            try:
                await one(argument)
            except Exception as error:  # An upstream that is killed breaks what is open.
                counts[f"ends of {one.__name__}"] += 1
                last[one.__name__] = repr(error)
            await asyncio.sleep(pause)

    last = {}
    await asyncio.gather(
        *(again(websocket, web, 0.1) for _ in range(10)), again(websocket_break, web, 0.2),
        *(again(connection, port, 0.1) for _ in range(2)), again(connection_break, port, 0.2),
        again(half_a_head, web, 0.1), again(half_a_body, web, 0.1), again(answer_unread, web, 0.1), again(no_request, web, 0.1))
    print(", ".join(f"{count} {what}" for what, count in sorted(counts.items())))
    for name, error in last.items():
        print(f"{name} ended last with {error}")
    # Of ends there are as many as upstreams were killed under something, and no more.
    ended = sum(count for what, count in counts.items() if what.startswith("ends of"))
    print("\n".join(sorted(set(wrong))))
    return 1 if wrong or ended > sum(counts.values()) / 20 else 0


async def idle(kind, port, count):
    held = []
    for _ in range(count):
        if kind == "websocket":
            socket = await connect(f"ws://127.0.0.1:{port}/socket", ping_interval=None, compression=None)
            await socket.send("x")
            await socket.recv()
            held.append(socket)
            continue
        reader, writer = await opened(port)
        if kind == "http1":
            writer.write(b"GET /plain HTTP/1.1\r\nhost: a.test\r\n\r\n")
            await reader.readuntil(b" bytes\n")
        else:
            writer.write(b"x")
            await reader.readexactly(1)
        held.append(writer)
    print("open", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    if sys.argv[1] == "mixed":
        sys.exit(asyncio.run(mixed(float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
    asyncio.run(idle(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
