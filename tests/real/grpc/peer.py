"""The server of the interoperability tests of gRPC, and its client, on grpcio: messages are bytes with a line of JSON in front.

  peer.py serve PORT NAME            the server; it prints a line when it listens, and stops with grace on SIGTERM
  peer.py cases ADDRESS AUTHORITY    the cases, each once; prints what passed and fails if one did not
  peer.py calls ADDRESS SECONDS      unary calls, eight at a time, until then; prints how many succeeded and fails if one did not

The cases are those of https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md that need no credentials.
"""
import concurrent.futures
import json
import signal
import sys
import threading
import time

import grpc

SERVICE = "grpc.testing.TestService"
OK = grpc.StatusCode.OK


def pack(size=0, **says):
    return json.dumps(says).encode() + b"\n" + bytes(size)


def unpack(message):
    line, body = message.split(b"\n", 1)
    return json.loads(line), body


# The server.

def echo_metadata(context):
    metadata = dict(context.invocation_metadata())
    if "x-grpc-test-echo-initial" in metadata:
        context.send_initial_metadata([("x-grpc-test-echo-initial", metadata["x-grpc-test-echo-initial"])])
    if "x-grpc-test-echo-trailing-bin" in metadata:
        context.set_trailing_metadata([("x-grpc-test-echo-trailing-bin", metadata["x-grpc-test-echo-trailing-bin"])])


def end(says, context):
    if "code" in says:
        codes = {code.value[0]: code for code in grpc.StatusCode}
        context.abort(codes[says["code"]], says.get("message", ""))


class Server(grpc.GenericRpcHandler):
    def __init__(self, name):
        self.name, self.flaky, self.lock = name, 0, threading.Lock()

    def service(self, details):
        kinds = {
            "EmptyCall": grpc.unary_unary_rpc_method_handler(self.empty),
            "UnaryCall": grpc.unary_unary_rpc_method_handler(self.unary),
            "Flaky": grpc.unary_unary_rpc_method_handler(self.fail_twice),
            "StreamingInputCall": grpc.stream_unary_rpc_method_handler(self.sum),
            "StreamingOutputCall": grpc.unary_stream_rpc_method_handler(self.stream),
            "FullDuplexCall": grpc.stream_stream_rpc_method_handler(self.duplex),
        }
        if details.method == "/grpc.health.v1.Health/Check":
            return grpc.unary_unary_rpc_method_handler(lambda _, __: b"\x08\x01")
        service, _, method = details.method[1:].partition("/")
        return kinds.get(method) if service == SERVICE else None

    def empty(self, _, context):
        return b""

    def unary(self, message, context):
        says, body = unpack(message)
        echo_metadata(context)
        end(says, context)
        return pack(says.get("answer", 0), got=len(body), name=self.name)

    def fail_twice(self, _, context):
        with self.lock:
            self.flaky += 1
            fails = self.flaky % 3
        if fails:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return pack()

    def sum(self, messages, context):
        return pack(sum=sum(len(unpack(message)[1]) for message in messages))

    def stream(self, message, context):
        says, _ = unpack(message)
        for size in says["sizes"]:
            yield pack(size)
        end(says, context)

    def duplex(self, messages, context):
        echo_metadata(context)
        for message in messages:
            says, body = unpack(message)
            end(says, context)
            time.sleep(says.get("sleep", 0))
            for size in says.get("sizes", []):
                yield pack(size, got=len(body))


def serve(port, name):
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(64), handlers=[Server(name)],
                         options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)])
    assert server.add_insecure_port(f"127.0.0.1:{port}") == port
    server.start()
    print("listening", flush=True)
    ends = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ends.set())
    ends.wait()
    server.stop(10).wait()


# The client.

class Peer:
    def __init__(self, address, authority):
        options = [("grpc.default_authority", authority), ("grpc.max_receive_message_length", -1),
                   ("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.insecure_channel(address, options)

    def method(self, kind, name, service=SERVICE):
        return getattr(self.channel, kind)(f"/{service}/{name}")

    def unary(self, message, name="UnaryCall", **more):
        return self.method("unary_unary", name).with_call(message, timeout=more.pop("timeout", 20), **more)


def fails(code, call, message=None):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, error
        assert message is None or error.details() == message, error.details()
        return error
    raise AssertionError(f"it succeeded, and should be {code}")


def empty_unary(peer):
    assert peer.unary(b"", "EmptyCall")[0] == b""


def large_unary(peer):
    answer, _ = peer.unary(pack(271_828, answer=314_159))
    says, body = unpack(answer)
    assert (says["got"], len(body)) == (271_828, 314_159)


def client_streaming(peer):
    sizes = [27_182, 8, 1_828, 45_904]
    answer = peer.method("stream_unary", "StreamingInputCall")(iter(map(pack, sizes)), timeout=20)
    assert unpack(answer)[0]["sum"] == sum(sizes) == 74_922


def server_streaming(peer):
    sizes = [31_415, 9, 2_653, 58_979]
    answers = peer.method("unary_stream", "StreamingOutputCall")(pack(sizes=sizes), timeout=20)
    assert [len(unpack(answer)[1]) for answer in answers] == sizes


def ping_pong(peer):
    asked, answered = [27_182, 8, 1_828, 45_904], [31_415, 9, 2_653, 58_979]
    turn = threading.Semaphore(1)

    def messages():
        for size, back in zip(asked, answered):
            assert turn.acquire(timeout=10)
            yield pack(size, sizes=[back])

    for size, back, answer in zip(asked, answered, peer.method("stream_stream", "FullDuplexCall")(messages(), timeout=20)):
        says, body = unpack(answer)
        assert (says["got"], len(body)) == (size, back)
        turn.release()


def empty_stream(peer):
    assert list(peer.method("stream_stream", "FullDuplexCall")(iter([]), timeout=20)) == []


def cancel_after_begin(peer):
    forever = threading.Event()
    call = peer.method("stream_unary", "StreamingInputCall").future(iter(lambda: forever.wait(20) or pack(), None))
    call.cancel()
    assert call.code() == grpc.StatusCode.CANCELLED
    forever.set()


def cancel_after_first_response(peer):
    ends = threading.Event()

    def messages():
        yield pack(27_182, sizes=[31_415])
        ends.wait(20)

    call = peer.method("stream_stream", "FullDuplexCall")(messages(), timeout=20)
    assert len(unpack(next(call))[1]) == 31_415
    call.cancel()
    fails(grpc.StatusCode.CANCELLED, lambda: next(call))
    ends.set()


def timeout_on_sleeping_server(peer):
    call = peer.method("stream_stream", "FullDuplexCall")(iter([pack(27_182, sleep=5, sizes=[1])]), timeout=0.2)
    fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: next(call))


def custom_metadata(peer):
    metadata = (("x-grpc-test-echo-initial", "test_initial_metadata_value"), ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab"))

    def are_back(call):
        assert dict(call.initial_metadata())["x-grpc-test-echo-initial"] == "test_initial_metadata_value"
        assert dict(call.trailing_metadata())["x-grpc-test-echo-trailing-bin"] == b"\xab\xab\xab"

    are_back(peer.unary(pack(), metadata=metadata)[1])
    call = peer.method("stream_stream", "FullDuplexCall")(iter([pack(sizes=[314_159])]), metadata=metadata, timeout=20)
    assert len(list(call)) == 1
    are_back(call)


def status_code_and_message(peer):
    says = pack(code=2, message="test status message")
    fails(grpc.StatusCode.UNKNOWN, lambda: peer.unary(says), "test status message")
    call = peer.method("stream_stream", "FullDuplexCall")(iter([says]), timeout=20)
    fails(grpc.StatusCode.UNKNOWN, lambda: next(call), "test status message")


def special_status_message(peer):
    message = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"
    fails(grpc.StatusCode.UNKNOWN, lambda: peer.unary(pack(code=2, message=message)), message)


def unimplemented_method(peer):
    fails(grpc.StatusCode.UNIMPLEMENTED, lambda: peer.unary(b"", "UnimplementedCall"))


def unimplemented_service(peer):
    call = peer.method("unary_unary", "UnimplementedCall", "grpc.testing.UnimplementedService")
    fails(grpc.StatusCode.UNIMPLEMENTED, lambda: call(b"", timeout=20))


def status_after_messages(peer):
    call = peer.method("unary_stream", "StreamingOutputCall")(pack(sizes=[10, 20], code=9, message="enough"), timeout=20)
    assert [len(unpack(next(call))[1]) for _ in range(2)] == [10, 20]
    fails(grpc.StatusCode.FAILED_PRECONDITION, lambda: next(call), "enough")


def very_large_stream(peer):
    answers = peer.method("unary_stream", "StreamingOutputCall")(pack(sizes=[1 << 20] * 64), timeout=60)
    assert sum(len(unpack(answer)[1]) for answer in answers) == 64 << 20


def many_at_once(peer):
    calls = [peer.method("unary_unary", "UnaryCall").future(pack(1_000, answer=1_000), timeout=20) for _ in range(500)]
    assert all(len(unpack(call.result())[1]) == 1_000 for call in calls)


# What the mesh between them says.

def denied_by_the_mesh(peer):
    fails(grpc.StatusCode.PERMISSION_DENIED, lambda: peer.unary(pack(), "Forbidden"))


def no_route_in_the_mesh(peer):
    call = peer.method("unary_unary", "Call", "grpc.testing.Nowhere")
    fails(grpc.StatusCode.UNIMPLEMENTED, lambda: call(b"", timeout=20))


def nobody_is_there(peer):
    call = peer.method("unary_unary", "Call", "grpc.testing.Nobody")
    fails(grpc.StatusCode.UNAVAILABLE, lambda: call(b"", timeout=20))


def deadline_of_the_mesh(peer):
    call = peer.method("stream_stream", "FullDuplexCall")(iter([pack(sleep=8)]), timeout=20)
    began = time.monotonic()
    fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: next(call))
    assert 2.5 < time.monotonic() - began < 6, "the mesh allows three seconds"


def limited_by_the_mesh(peer):
    call = peer.method("unary_unary", "Limited", SERVICE)
    codes = []
    for _ in range(10):
        codes.append(fails_with(lambda: call(b"", timeout=20)))
    assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 8, codes


def fails_with(call):
    try:
        call()
        return OK
    except grpc.RpcError as error:
        return error.code()


def tried_again_by_the_mesh(peer):
    for _ in range(5):
        peer.unary(b"", "Flaky")


CASES = [empty_unary, large_unary, client_streaming, server_streaming, ping_pong, empty_stream, cancel_after_begin,
         cancel_after_first_response, timeout_on_sleeping_server, custom_metadata, status_code_and_message,
         special_status_message, unimplemented_method, unimplemented_service, status_after_messages, very_large_stream,
         many_at_once]
OF_MESH = [denied_by_the_mesh, no_route_in_the_mesh, nobody_is_there, deadline_of_the_mesh, limited_by_the_mesh,
           tried_again_by_the_mesh]


def cases(address, authority, chosen):
    peer, failed = Peer(address, authority), []
    for case in chosen:
        try:
            case(peer)
        except Exception as error:  # Whatever it is, the other cases are asked, too.
            failed.append(case.__name__)
            print(f"FAILED {case.__name__}: {error!r}")
    print(f"{len(chosen) - len(failed)} of {len(chosen)} cases passed")
    return 1 if failed else 0


def calls(address, seconds):
    ends, counts, failed = time.monotonic() + seconds, {}, []

    def one(_):
        peer = Peer(address, "shop.test")
        while time.monotonic() < ends:
            try:
                name = unpack(peer.unary(pack(100, answer=100))[0])[0]["name"]
                counts[name] = counts.get(name, 0) + 1
            except grpc.RpcError as error:
                failed.append(f"{error.code()} {error.details()}")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(8)))
    print(f"{sum(counts.values())} calls succeeded ({', '.join(f'{count} {name}' for name, count in sorted(counts.items()))}), "
          f"{len(failed)} failed {failed[:3] if failed else ''}")
    return 1 if failed or not counts else 0


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]), sys.argv[3])
    elif sys.argv[1] == "calls":
        sys.exit(calls(sys.argv[2], float(sys.argv[3])))
    else:
        sys.exit(cases(sys.argv[2], sys.argv[3], CASES if sys.argv[1] == "cases" else OF_MESH))
