"""The schemas of everything, and the values that Rust sends, as Python has them."""

import capnp

import peer
from peer import ROOT

SCHEMAS = ROOT / "testing/multiprocess-everything/schema"
# The last is for /capnp/stream.capnp, where pycapnp brings it.
IMPORTS = [*peer.IMPORTS, str(SCHEMAS), str(peer._bundled.parent)]


def load(name):
    return capnp.load(str(SCHEMAS / f"{name}.capnp"), imports=IMPORTS)


types, unions, foo, values, objects, calls, everything = (
    load(name) for name in ["types", "unions", "foo", "values", "objects", "calls", "everything"]
)

# ---- the values of the Rust side's `samples` as they are sent; maps and sets in any order


def point(x, y):
    return {"x": x, "y": y}


FOO = {
    "name": "name", "setInt": [1, 2], "vectorBool": [False, True, False], "optionalInt": 3,
    "hasOptionalInt": True, "unorderedSetInt": [4, 5],
    "mapStringInt": [{"first": "x", "second": 6}, {"first": "y", "second": 7}],
}
AMOUNTS = [{"name": "one", "value": 1}, {"name": "two", "value": 2}]
SAMPLES = {
    "scalars": {
        "flag": True, "int8": -(2**7), "int16": -(2**15), "int32": -(2**31), "int64": -(2**63),
        "uint8": 2**8 - 1, "uint16": 2**16 - 1, "uint32": 2**32 - 1, "uint64": 2**64 - 1,
        "nothing": None, "float32": -0.25, "float64": 2.2250738585072014e-308, "text": "é € 😀",
        "data": b"\x00\xff\n", "color": "blue", "weather": "self",
    },
    "lists": {
        "voids": [None] * 3, "flags": [True, False, True, True, False, False, True, False, True],
        "int8s": [-128, 0, 127], "int16s": [-1, 1], "int32s": [1, -2, 3],
        "int64s": [-(2**63), 2**63 - 1], "uint8s": [0, 255], "uint16s": [65535],
        "uint32s": [2**32 - 1, 1], "uint64s": [2**64 - 1], "float32s": [0.5, -0.0],
        "float64s": [1.5, float("inf")], "texts": ["a", "", "c"], "datas": [b"\x01", b""],
        "colors": ["green", 99], "points": [point(1, 2), point(-3, 4)],
        "numbers": [[1], [], [2, 3]], "rows": [[point(5, 6)], []], "words": [["x", "y"], []],
        "deep": [[[True], []], []], "palettes": [["red", "blue"]], "silences": [[None, None], []],
    },
    "nullables": {
        "point": point(0, 0), "text": "", "data": b"", "list": [1],
        "table": [{"name": "a", "value": 1}], "id": b"\x01\x02\x03\x04",
    },
    "optionals": {
        "hasNumber": True, "number": 0, "flag": False, "hasFlag": True, "text": "", "hasText": True,
        "point": point(1, 1), "hasPoint": True, "color": "red", "hasColor": True, "list": ["one"],
        "hasList": True, "group": {"inner": 12, "hasInner": True}, "hasNothing": True,
    },
    "collections": {
        "hashSet": [-1, 1], "btreeSet": [2, 3], "texts": ["", "a"], "datas": [b"", b"\x01\x02"],
        "colors": ["blue", 7], "points": [point(1, 2), point(2, 1)], "hashMap": AMOUNTS,
        "btreeMap": AMOUNTS, "byPoint": [{"at": point(0, 0), "label": "origin"}],
        "byColor": [{"color": "green", "points": [point(1, 1)]}],
        "sections": [{"name": "s", "amounts": AMOUNTS}],
        "pairs": [{"first": "p", "second": point(3, 3)}],
        "lists": [{"first": b"\x08", "second": []}, {"first": b"\x09", "second": [1, 2]}],
        "plain": [{"name": "plain", "value": 5}],
    },
    "coded": {
        "age": 42, "port": 1, "id": b"\x01\x02\x03\x04", "ids": [bytes(4), b"\xff" * 4], "maybe": 0,
        "hasMaybe": True, "place": point(7, -7), "kind": "green",
    },
    "codedWithDefault": {"age": 7},
    "partial": {"kept": "kept", "nothing": None},
    "secret": {"user": "someone", "password": "hunter2", "token": {"key": b"\xde\xad"}},
    "keywords": {
        "self": 1, "type": "two", "async": True, "crate": "four", "dyn": 5, "txIDs": ["six"],
        "old": "seven", "cplus": "eight", "both": "nine", "capnpc": "ten", "option": {"some": 11},
        "cx": 12, "from": 13, "to": 14, "value": 15,
    },
    "results": {"ok": "fine", "vec": {"x": 3}},
    "grouped": {
        "name": "grouped",
        "position": {"x": 0, "y": 2, "limits": {"low": -1.0, "high": 0.0, "names": ["low", "high"]}},
        "trailer": {"x": 6},
    },
    "tree": {
        "value": 1, "left": {"value": 2, "right": {"value": 3, "children": []}, "children": []},
        "children": [{"value": 4, "children": []}, {"value": 5, "children": []}],
    },
    "expr": {
        "sum": {
            "left": {"call": {"function": "f", "arguments": [{"number": 1}, {"name": "x"}]}},
            "right": {"negate": {"number": -2}},
        },
    },
    "wraps": {
        "text": {
            "inner": {"value": "a", "count": 3},
            "choice": {"more": [
                {"inner": {"value": "", "count": 1}, "choice": {"none": None}},
                {"inner": {"value": "b", "count": 2}, "choice": {"one": "c"}},
            ]},
        },
        "point": {"inner": {"value": point(0, 0), "count": 0}, "choice": {"one": point(5, 6)}},
    },
    "ping": {"depth": 1, "pong": {"text": "pong", "ping": {"depth": 2}}},
    "link": {
        "label": "first",
        "rest": {"count": 1, "next": {"label": "second", "rest": {"count": 0}}},
    },
}
SHAPES = [
    {"nothing": None}, {"circle": 0.0}, {"rectangle": {"width": 1.5, "height": -2.0}},
    {"label": "label"}, {"color": "green"}, {"point": point(1, 2)}, {"numbers": [1, 2, 3]},
    {"maybe": point(0, 0)}, {"flag": True}, {"pair": {"first": "p", "second": point(3, 4)}},
    {"big": 2**64 - 1}, {"set": [1, 2]}, {"id": b"\x04\x03\x02\x01"},
]
EVENTS = [
    {"id": 7, "which": "one", **member}
    for member in [{"started": None}, {"moved": point(1, 2)}, {"failed": "badly"}, {"unknown": -5}]
]
ACCOUNTS = [
    {"owner": "owner", "state": {"open": None}, "kind": {"private": 3}},
    {"owner": "owner", "state": {"frozen": "ice"}, "kind": {"company": "acme"}},
    {"owner": "owner", "state": {"closed": {"by": "me", "reason": {"asked": None}}}, "kind": {"private": 0}},
    {"owner": "owner", "state": {"closed": {"by": "me", "reason": {"code": 0}}}, "kind": {"private": -1}},
]
UNIONS = {"shape": SHAPES, "event": EVENTS, "account": ACCOUNTS}
# Values besides the samples: empty ones.
EMPTY = {
    "lists": {name: [] for name in SAMPLES["lists"]},
    "nullables": {},
    "optionals": {
        "hasNumber": False, "number": 0, "flag": False, "hasFlag": False, "hasText": False,
        "hasPoint": False, "color": "red", "hasColor": False, "hasList": False,
        "group": {"inner": 0, "hasInner": False}, "hasNothing": False,
    },
    "tree": {"value": 0, "children": []},
    "wraps": {
        "text": {"inner": {"value": "", "count": 0}, "choice": {"none": None}},
        "point": {"inner": {"value": point(0, 0), "count": 0}, "choice": {"none": None}},
    },
}
# The containers that have no order.
UNORDERED = {
    "unorderedSetInt", "hashSet", "texts", "points", "hashMap", "byPoint", "amounts", "pairs", "table",
}


def plain(value, name=""):
    """The content of a reader as plain Python to compare: a struct's set fields, an enum's
    name or number; containers without an order are sorted, where no item is there twice."""
    if hasattr(value, "schema") and hasattr(value, "_has"):
        fields = [field for field in value.schema.non_union_fields if value._has(field)]
        if value.schema.union_fields:
            fields.append(str(value.which()))
        return {field: plain(value._get(field), field) for field in fields}
    if isinstance(value, dict):
        return {field: plain(item, field) for field, item in value.items()}
    if isinstance(value, capnp.lib.capnp._DynamicEnum):
        try:
            return str(value)
        except RuntimeError:
            return value.raw
    if isinstance(value, (memoryview, bytes)):
        return bytes(value)
    if not isinstance(value, str) and hasattr(value, "__len__"):
        items = [plain(value[index]) for index in range(len(value))]
        return sorted(items, key=repr) if name in UNORDERED and _is_set(items) else items
    return value


def _is_set(items):
    return len({repr(item) for item in items}) == len(items)
