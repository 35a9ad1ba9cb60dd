"""Compares proto/kurrentdb with what KurrentDB's Python client has of its protocol.

What is sent has to be the same there: names of packages, messages and services (they stand in the path of a call),
numbers, types and cardinalities of fields, numbers of enums' values. What chipq leaves out is counted and named.

    python kurrentdb_protocol.py FOLDER_OF_PROTO_FILES
"""

import importlib
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from google.protobuf import descriptor_pb2
from grpc_tools import protoc

FILES = ["shared", "streams", "gossip"]


def ours(folder):
    """What our files say, as protoc understands them."""
    with tempfile.TemporaryDirectory() as out:
        described = Path(out, "described")
        names = [f"{name}.proto" for name in FILES]
        if protoc.main(["protoc", f"-I{folder}", f"--descriptor_set_out={described}", *names]) != 0:
            sys.exit("proto/kurrentdb does not compile")
        return descriptor_pb2.FileDescriptorSet.FromString(described.read_bytes()).file


def published():
    """What the client's modules say, which protoc made of the published files."""
    files = []
    for name in FILES:
        module = importlib.import_module(f"kurrentdbclient.protos.v1.{name}_pb2")
        files.append(descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb))
    return files


def facts(files):
    """Everything that is seen on the wire, by name."""
    found = {}

    def add_enum(scope, enum):
        for value in enum.value:
            found[f"{scope}.{enum.name}.{value.name}"] = value.number

    def add_message(scope, message):
        name = f"{scope}.{message.name}"
        found[name] = "message"
        for field in message.field:
            one_of = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else None
            packed = field.options.packed if field.options.HasField("packed") else None
            found[f"{name}.{field.name}"] = (
                field.number,
                descriptor_pb2.FieldDescriptorProto.Type.Name(field.type),
                descriptor_pb2.FieldDescriptorProto.Label.Name(field.label),
                field.type_name,
                one_of,
                packed,
            )
        for enum in message.enum_type:
            add_enum(name, enum)
        for nested in message.nested_type:
            add_message(name, nested)

    for file in files:
        found[f"syntax of {file.package}"] = file.syntax
        for message in file.message_type:
            add_message(file.package, message)
        for enum in file.enum_type:
            add_enum(file.package, enum)
        for service in file.service:
            for method in service.method:
                found[f"{file.package}.{service.name}/{method.name}"] = (
                    method.input_type,
                    method.output_type,
                    method.client_streaming,
                    method.server_streaming,
                )
    return found


def differences(mine, theirs):
    return [
        f"{name}: {said} here, {theirs.get(name, 'nothing')} there"
        for name, said in mine.items()
        if theirs.get(name) != said
    ]


def main():
    mine, theirs = facts(ours(sys.argv[1])), facts(published())
    wrong = differences(mine, theirs)
    if wrong:
        sys.exit("proto/kurrentdb is not what is published:\n  " + "\n  ".join(wrong))
    # The control: another number, another type or another name of a call would have been found.
    for name, said in mine.items():
        if not differences({name: (said, "altered")}, theirs) or not differences({f"{name}x": said}, theirs):
            sys.exit(f"the comparison sees no difference in {name}")
    # Of a message that both have, what is left out is not understood when it comes.
    left_out = [
        name for name in theirs if name not in mine and name.rpartition(".")[0] in mine
    ]
    print(
        f"proto/kurrentdb: {len(mine)} names, numbers and types are those of kurrentdbclient "
        f"{version('kurrentdbclient')}; left out of messages that both have: {', '.join(left_out) or 'nothing'}"
    )


main()
