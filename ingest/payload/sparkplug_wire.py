"""The protobuf messages of Sparkplug B, as far as they are read: a table of field numbers.

Sparkplug 3.0, chapter 6 (Google Protocol Buffers schema). Texts are declared as bytes, which is the
same on the wire, so that one that is no UTF-8 is a value and no error; templates, data sets and
property lists as bytes too, so that nothing nested is parsed that is refused anyway.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_KINDS = {
    "uint32": _Field.TYPE_UINT32,
    "uint64": _Field.TYPE_UINT64,
    "float": _Field.TYPE_FLOAT,
    "double": _Field.TYPE_DOUBLE,
    "bool": _Field.TYPE_BOOL,
    "bytes": _Field.TYPE_BYTES,
}

#: Message → (name, number, type) of its fields; `*` repeated, `|` one of the alternatives of value.
_SCHEMA: dict[str, list[tuple[str, int, str]]] = {
    "PropertyValue": [
        ("type", 1, "uint32"),
        ("is_null", 2, "bool"),
        ("int_value", 3, "|uint32"),
        ("long_value", 4, "|uint64"),
        ("float_value", 5, "|float"),
        ("double_value", 6, "|double"),
        ("boolean_value", 7, "|bool"),
        ("string_value", 8, "|bytes"),
        ("propertyset_value", 9, "|bytes"),
        ("propertysets_value", 10, "|bytes"),
        ("extension_value", 11, "|bytes"),
    ],
    "PropertySet": [("keys", 1, "*bytes"), ("values", 2, "*PropertyValue")],
    "Metric": [
        ("name", 1, "bytes"),
        ("alias", 2, "uint64"),
        ("timestamp", 3, "uint64"),
        ("datatype", 4, "uint32"),
        ("is_historical", 5, "bool"),
        ("is_transient", 6, "bool"),
        ("is_null", 7, "bool"),
        ("metadata", 8, "bytes"),
        ("properties", 9, "PropertySet"),
        ("int_value", 10, "|uint32"),
        ("long_value", 11, "|uint64"),
        ("float_value", 12, "|float"),
        ("double_value", 13, "|double"),
        ("boolean_value", 14, "|bool"),
        ("string_value", 15, "|bytes"),
        ("bytes_value", 16, "|bytes"),
        ("dataset_value", 17, "|bytes"),
        ("template_value", 18, "|bytes"),
        ("extension_value", 19, "|bytes"),
    ],
    "Payload": [
        ("timestamp", 1, "uint64"),
        ("metrics", 2, "*Metric"),
        ("seq", 3, "uint64"),
        ("uuid", 4, "bytes"),
        ("body", 5, "bytes"),
    ],
}


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="sparkplug_b_read.proto", package="sparkplug", syntax="proto2"
    )
    for name, fields in _SCHEMA.items():
        declared = file.message_type.add(name=name)
        for field, number, kind in fields:
            added = declared.field.add(name=field, number=number)
            added.label = _Field.LABEL_REPEATED if kind[0] == "*" else _Field.LABEL_OPTIONAL
            if kind[0] == "|":
                if not declared.oneof_decl:
                    declared.oneof_decl.add(name="value")
                added.oneof_index = 0
            plain = kind.lstrip("*|")
            added.type = _KINDS.get(plain, _Field.TYPE_MESSAGE)
            if plain not in _KINDS:
                added.type_name = f".sparkplug.{plain}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"sparkplug.{name}"))
        for name in _SCHEMA
    }


_CLASSES = _classes()
Payload = _CLASSES["Payload"]
DecodeError = message.DecodeError

INT8, INT16, INT32, INT64 = 1, 2, 3, 4
UINT8, UINT16, UINT32, UINT64 = 5, 6, 7, 8
FLOAT, DOUBLE, BOOLEAN, STRING, DATETIME, TEXT, UUID = 9, 10, 11, 12, 13, 14, 15
DATASET, BYTES, FILE, TEMPLATE = 16, 17, 18, 19

#: Types that hold a number → its bits, negative where it is signed (two's complement).
INTEGERS = {
    INT8: -8,
    INT16: -16,
    INT32: -32,
    INT64: -64,
    UINT8: 8,
    UINT16: 16,
    UINT32: 32,
    UINT64: 64,
}


def rebirth_request(now_ms: int) -> bytes:
    """The payload of an NCMD that asks an edge node for all its births; now_ms: epoch ms."""
    payload = Payload(timestamp=now_ms)
    payload.metrics.add(
        name=b"Node Control/Rebirth", timestamp=now_ms, datatype=BOOLEAN, boolean_value=True
    )
    encoded: bytes = payload.SerializeToString()
    return encoded
