"""An agent of the SPIFFE Workload API, of other people's gRPC and protobuf: it sends what is in a directory, whenever that changes.

  agent.py SOCKET DIRECTORY     SVID.pem, SVID.key and ca.pem, of the identity in `id`
"""

import base64
import os
import re
import sys
import time
from concurrent import futures

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELD = descriptor_pb2.FieldDescriptorProto


def messages():
    """The messages, as the specification's .proto has them."""
    file = descriptor_pb2.FileDescriptorProto(name="workloadapi.proto", syntax="proto3")

    def message(name, fields, within=None):
        made = (within.nested_type if within else file.message_type).add(name=name)
        for number, (field, label, kind, of) in enumerate(fields, 1):
            made.field.add(name=field, number=number, label=label, type=kind, type_name=of)
        return made

    one, many = FIELD.LABEL_OPTIONAL, FIELD.LABEL_REPEATED
    text, data, nested = FIELD.TYPE_STRING, FIELD.TYPE_BYTES, FIELD.TYPE_MESSAGE
    message("X509SVIDRequest", [])
    message(
        "X509SVID",
        [("spiffe_id", one, text, None)]
        + [(name, one, data, None) for name in ("x509_svid", "x509_svid_key", "bundle")]
        + [("hint", one, text, None)],
    )
    response = message(
        "X509SVIDResponse",
        [
            ("svids", many, nested, ".X509SVID"),
            ("crl", many, data, None),
            ("federated_bundles", many, nested, ".X509SVIDResponse.FederatedBundlesEntry"),
        ],
    )
    entry = message("FederatedBundlesEntry", [("key", one, text, None), ("value", one, data, None)], response)
    entry.options.map_entry = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return [message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in ("X509SVIDRequest", "X509SVIDResponse")]


def der(path):
    with open(path) as file:
        blocks = re.findall(r"-----BEGIN [^-]+-----(.*?)-----END", file.read(), re.S)
    return b"".join(base64.b64decode(block) for block in blocks)


def main(socket, directory):
    request, response = messages()
    path = lambda name: os.path.join(directory, name)

    def fetch(asked, context):
        if ("workload.spiffe.io", "true") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the security header is missing")
        seen = None
        while context.is_active():
            now = os.stat(path("svid.pem")).st_mtime_ns
            if now != seen:
                seen = now
                with open(path("id")) as file:
                    own = file.read().strip()
                svid = {"spiffe_id": own, "x509_svid": der(path("svid.pem")), "x509_svid_key": der(path("svid.key")), "bundle": der(path("ca.pem")), "hint": "internal"}
                print("sent", flush=True)
                yield response(svids=[svid])
            time.sleep(0.05)

    handler = grpc.unary_stream_rpc_method_handler(
        fetch, request_deserializer=request.FromString, response_serializer=response.SerializeToString
    )
    server = grpc.server(futures.ThreadPoolExecutor())
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("SpiffeWorkloadAPI", {"FetchX509SVID": handler})])
    server.add_insecure_port(f"unix://{socket}")
    server.start()
    print("listening", flush=True)
    server.wait_for_termination()


main(*sys.argv[1:])
