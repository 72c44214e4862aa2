"""Messages of Protobuf as protoc would generate them, and the descriptors that it would write."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message_factory import GetMessageClass

_TEXT, _LONG, _MESSAGE, _DOUBLE = 9, 3, 11, 1
_ONE, _MUST, _MANY = 1, 2, 3


def descriptors(*, needs_id: bool = False) -> descriptor_pb2.FileDescriptorSet:
    """Return two files: an order with lines from the other one, and with a moment from Google's."""
    lines = descriptor_pb2.FileDescriptorProto(name="line.proto", package="shop", syntax="proto3")
    line = lines.message_type.add(name="Line")
    line.field.add(name="item", number=1, type=_TEXT, label=_ONE)
    line.field.add(name="price", number=2, type=_DOUBLE, label=_ONE)
    syntax = "proto2" if needs_id else "proto3"
    file = descriptor_pb2.FileDescriptorProto(name="order.proto", package="shop", syntax=syntax)
    file.dependency.extend(["line.proto", "google/protobuf/timestamp.proto"])
    order = file.message_type.add(name="OrderPlaced")
    order.field.add(name="id", number=1, type=_TEXT, label=_MUST if needs_id else _ONE)
    order.field.add(name="country", number=2, type=_TEXT, label=_ONE)
    order.field.add(name="total", number=3, type=_LONG, label=_ONE)
    order.field.add(name="lines", number=4, type=_MESSAGE, label=_MANY, type_name=".shop.Line")
    moment = ".google.protobuf.Timestamp"
    order.field.add(name="at", number=5, type=_MESSAGE, label=_ONE, type_name=moment)
    return descriptor_pb2.FileDescriptorSet(file=[file, lines])


def message_class(*, needs_id: bool = False) -> Any:
    """Return the class of orders."""
    from google.protobuf import timestamp_pb2

    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    for file in reversed(descriptors(needs_id=needs_id).file):
        pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("shop.OrderPlaced"))
