"""Everything, served by Python: what our `everything-client` calls. Also the values that both
directions send, as Python has them."""

import asyncio

import capnp

import peer
from peer import ROOT, ThreadMap

SCHEMAS = ROOT / "multiprocess-everything/schema"
# The last is for /capnp/stream.capnp, where pycapnp brings it.
IMPORTS = [*peer.IMPORTS, str(SCHEMAS), str(peer._bundled.parent)]


def load(name):
    return capnp.load(str(SCHEMAS / f"{name}.capnp"), imports=IMPORTS)


types, unions, foo, values, objects, calls, everything = (
    load(name) for name in ["types", "unions", "foo", "values", "objects", "calls", "everything"]
)

# ---- what `samples` of the Rust side has, as it travels; maps and sets in an order of their own


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
# What comes beside the samples: values with nothing in them.
EMPTY = {
    "lists": {name: [] for name in SAMPLES["lists"]},
    "nullables": {},
    "optionals": {
        "hasNumber": False, "number": 0, "flag": False, "hasFlag": False, "hasText": False,
        "hasPoint": False, "color": "red", "hasColor": False, "hasList": False,
        "group": {"inner": 0, "hasInner": False}, "hasNothing": False,
    },
    "tree": {"value": 0, "children": []},
}
# The containers that have no order.
UNORDERED = {
    "unorderedSetInt", "hashSet", "texts", "points", "hashMap", "byPoint", "amounts", "pairs", "table",
}


def plain(value, name=""):
    """What a reader has, as plain Python that can be compared: a struct's set fields, an enum's
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


# ---- the server


def on_caller(context):
    """The Context of a call back, which runs on the thread that called."""
    return {"thread": context.callbackThread}


class Part(objects.Part.Server):
    def __init__(self, name, index):
        self.text, self.number = name, index

    async def name(self, **_):
        return self.text

    async def index(self, **_):
        return self.number

    async def destroy(self, **_):
        pass


class Whole(objects.Whole.Server):
    def __init__(self, name):
        self.text = name

    async def name(self, **_):
        return self.text

    async def index(self, **_):
        return 0

    async def size(self, **_):
        return 3

    async def rename(self, name, **_):
        old, self.text = self.text, name
        return old

    async def parts_context(self, context):
        parts = context.results.init("result", 3)
        parts[0] = Part(f"{self.text}.1", 1)
        parts[2] = Part(f"{self.text}.2", 2)

    async def destroy(self, **_):
        pass


class Open:
    """A text where the schema says no more than AnyPointer."""

    def __init__(self, text):
        self.text = text


def keep(value):
    """A copy that outlives the message."""
    if isinstance(value, capnp.lib.capnp._DynamicObjectReader):
        return Open(value.as_text())
    if hasattr(value, "as_builder"):
        return value.as_builder()
    return list(value) if type(value).__name__ == "_DynamicListReader" else value


def put(message, value):
    if isinstance(value, Open):
        message.value.set_as_text(value.text)
    elif value is not None:
        message.value = value


class Store(objects.Store.Server):
    """Keeps values of the type that the schema of one of the methods that make stores has."""

    def __init__(self, method="makeOpen"):
        self.schema = everything.Everything.schema.methods_inherited[method].result_type.fields["result"].schema
        self.kept, self.count = {}, 0

    async def put_context(self, context):
        self.count += 1
        self.kept[context.params.name] = keep(context.params.value)
        context.results.count = len(self.kept)

    async def get_context(self, context):
        if context.params.name not in self.kept:
            raise Exception(f"there is no {context.params.name}")
        put(context.results, self.kept[context.params.name])
        context.results.found = True

    async def all_context(self, context):
        entries = context.results.init("result", len(self.kept))
        for index, (name, value) in enumerate(sorted(self.kept.items())):
            entries[index].name = name
            put(entries[index], value)

    async def each(self, context, visitor, **_):
        for name, value in sorted(self.kept.items()):
            await visitor.visit(on_caller(context), name, value)

    async def puts(self, **_):
        return self.count


class Folder(objects.Folder.Server):
    def __init__(self, names=()):
        self.names = names

    async def path(self, **_):
        return "".join(f"/{name}" for name in self.names)

    pathInline = path

    async def open(self, name, **_):
        if len(self.names) == 3:
            raise Exception("nothing is deeper than 3")
        return Folder((*self.names, name))

    openInline = open

    async def find(self, name, **_):
        return None if len(self.names) == 3 else Folder((*self.names, name))


class Counter(objects.Counter.Server):
    def __init__(self, owner):
        self.owner, self.number = owner, -1
        owner.alive += 1

    async def next(self, **_):
        self.number += 1
        return self.number

    async def destroy(self, **_):
        self.owner.alive -= 1


class Everything(everything.Everything.Server):
    """All of it. Notes the methods that were called, and what was not as it should be."""

    def __init__(self):
        self.threads = ThreadMap()
        self.called, self.wrong = [], []
        self.saved = None
        self.noted, self.sizes = [], []
        self.alive = 0
        self.now_waiting, self.met = 0, 0
        self.released, self.changed, self.all_met = set(), asyncio.Event(), asyncio.Event()
        self.interrupts = 0

    def compare(self, method, params):
        """Notes the call, and whether what came is what the Rust side has to send."""
        self.called.append(method)
        wanted = [*UNIONS.get(method, [])]
        wanted += [values[method] for values in (SAMPLES, EMPTY, {"pass": FOO}) if method in values]
        if wanted and plain(params.arg) not in [plain(value) for value in wanted]:
            self.wrong.append(f"{method}: {plain(params.arg)}")

    async def construct(self, threadMap, **_):
        self.peer_threads = threadMap
        return self.threads

    async def version(self, **_):
        return 3

    # ---- foo

    async def add(self, a, b, **_):
        return a + b

    async def addOut(self, a, b, **_):
        return a + b

    async def addInOut(self, x, sum, **_):
        return x + sum

    async def mapSize(self, map, **_):
        if plain(map, "pairs") != [{"first": "a", "second": "b"}, {"first": "c", "second": "d"}]:
            self.wrong.append(f"mapSize: {map}")
        return len(map)

    async def raise_context(self, context):
        context.results.error = context.params.arg

    async def initThreadMap(self, threadMap, **_):
        return self.threads

    async def callback(self, context, callback, arg, **_):
        return (await callback.call(context=on_caller(context), arg=arg)).result

    callbackShared = callback

    async def callbackUnique(self, context, callback, arg, **_):
        result = (await callback.call(context=on_caller(context), arg=arg)).result
        await callback.destroy(context=on_caller(context))
        return result

    async def saveCallback_context(self, context):
        self.saved = context.params.callback if context.params._has("callback") else None

    async def callbackSaved(self, context, arg, **_):
        if self.saved is None:
            raise Exception("no callback is kept")
        return (await self.saved.call(context=on_caller(context), arg=arg)).result

    async def callbackExtended(self, context, callback, arg, **_):
        return (await callback.callExtended(context=on_caller(context), arg=arg)).result

    async def passMessage(self, arg, **_):
        return {"message": arg.message + " call"}

    async def passMutable_context(self, context):
        context.results.arg = {"message": context.params.arg.message + " call"}

    async def passFn(self, context, fn, **_):
        return (await fn.call(context=on_caller(context))).result

    async def callFn(self, **_):
        pass

    async def callFnAsync(self, **_):
        pass

    async def callIntFnAsync(self, arg, **_):
        return 2 * arg

    # ---- values: those that return what they are given are made below

    async def sum(self, values, **_):
        return sum(sum(row) for row in values)

    # ---- objects

    async def callEach_context(self, context):
        params, results = context.params, context.results
        numbers = results.init("results", len(params.callbacks))
        callbacks = results.init("callbacks", len(params.callbacks))
        for index, callback in enumerate(params.callbacks):
            if index == 1:  # null, which pycapnp does not tell apart in a list
                numbers[index] = -1
                continue
            answer = await callback.call(context=on_caller(params.context), arg=params.arg)
            numbers[index] = answer.result
            callbacks[index] = callback

    async def callNone(self, context, fn, **_):
        await fn.call(context=on_caller(context))

    async def callOne(self, context, fn, a, **_):
        return (await fn.call(context=on_caller(context), a=a)).result

    async def callTwo(self, context, fn, a, b, **_):
        return (await fn.call(context=on_caller(context), a=a, b=b)).result

    async def callThree(self, context, fn, a, b, c, _context, **_):
        answer = await fn.call(context=on_caller(context), a=a, b=b, c=list(c))
        _context.results.sum, _context.results.count = answer.sum, answer.count

    async def makeWhole(self, name, **_):
        return Whole(name)

    async def nameOf(self, context, named, **_):
        return (await named.name(context={})).result

    async def describe(self, whole, **_):
        name, index = (await whole.name(context={})).result, (await whole.index(context={})).result
        size, parts = (await whole.size()).result, (await whole.parts(context={})).result
        return f"{name} is number {index}, has size {size} and {len(parts)} parts"

    async def makeTexts(self, **_):
        return Store("makeTexts")

    async def makePoints(self, **_):
        return Store("makePoints")

    async def makeLists(self, **_):
        return Store("makeLists")

    async def makeOpen(self, **_):
        return Store("makeOpen")

    async def makeCallbacks(self, **_):
        return Store("makeCallbacks")

    async def makeCounted(self, **_):
        return Store("makeCounted")

    async def longest(self, store, **_):
        entries = (await store.all(context={})).result
        return max((entry.value for entry in entries), key=len)

    async def root(self, **_):
        return Folder()

    async def makeCounter(self, **_):
        return Counter(self)

    async def counters(self, **_):
        return self.alive

    # ---- calls

    async def threadName(self, context, **_):
        return (await context.thread.getName()).result

    async def note(self, value, **_):
        self.noted.append(value)

    async def nothing(self, value, **_):
        self.noted.append(value)

    async def notes(self, **_):
        return self.noted

    async def several(self, _context, **_):
        results = _context.results
        results.number, results.text, results.point, results.flags = 1, "two", point(3, 4), [True, False]

    async def maybe(self, value, hasValue, _context, **_):
        if hasValue:
            _context.results.result, _context.results.hasResult = str(value), True

    async def maybeBoth(self, value, _context, **_):
        if value % 2 == 0:
            _context.results.even, _context.results.hasEven = value, True
        else:
            _context.results.odd, _context.results.hasOdd = point(value, 0), True

    async def wanted(self, text, wantWords, wantReversed, _context, **_):
        _context.results.length = len(text)
        if wantWords:
            _context.results.words = text.split()
        if wantReversed:
            _context.results.reversed = text[::-1]

    async def wantedOne(self, wantResult, **_):
        return point(5, 6)  # whoever asks

    async def wantedMaybe(self, wantResult, _context, **_):
        if wantResult:
            _context.results.result, _context.results.hasResult = 7, True

    async def hidden(self, shown, two, secret, _context, **_):
        if secret != 0:
            self.wrong.append(f"hidden: a secret of {secret}")
        _context.results.result = shown + two.x

    async def fail(self, message, **_):
        raise Exception(message)

    async def panic(self, **_):
        raise AssertionError("as it was asked to")

    async def look(self, name, _context, **_):
        if name == "nowhere":
            _context.results.notFound = {"name": name, "tried": ["here"]}
        elif name == "forbidden":
            _context.results.denied = {"code": 13, "reason": {"text": "not for you"}}
        elif name == "broken":
            raise Exception("it is broken")
        else:
            _context.results.result, _context.results.count = f"found {name}", 1

    async def check(self, value, _context, **_):
        if value < 0:
            _context.results.denied = {"code": value, "reason": {"none": None}}

    async def chunk(self, bytes, **_):
        self.sizes.append(len(bytes))

    async def chunks(self, _context, **_):
        _context.results.count, _context.results.total = len(self.sizes), sum(self.sizes)

    async def wait(self, name, **_):
        self.now_waiting += 1
        at = self.interrupts
        try:
            while name not in self.released and self.interrupts == at:
                self.changed.clear()
                await self.changed.wait()
            return name in self.released
        finally:
            self.now_waiting -= 1

    async def interrupt(self, **_):
        self.interrupts += 1
        self.changed.set()

    async def release(self, name, **_):
        self.released.add(name)
        self.changed.set()

    async def waiting(self, **_):
        return self.now_waiting

    async def meet(self, count, **_):
        self.met += 1
        if self.met >= count:
            self.all_met.set()
        await self.all_met.wait()
        return count

    async def move_context(self, context):
        params, results = context.params, context.results
        results.match, results.fn = getattr(params, "self"), params.type
        setattr(results, "dyn", getattr(params, "async"))

    async def clone_context(self, context):
        p = context.params
        context.results.result = (
            p.cx - p.to + getattr(p, "from") - p.value + p.object - p.results + p.call
        )

    async def close_context(self, context):
        setattr(context.results, "self", "closed nothing")

    async def oldName(self, oldParam, **_):
        return oldParam

    async def proxyName(self, **_):
        return "proxied"


def _returns(method):
    """A method whose results are its parameters: of the same names, or `arg` and `result`."""
    schema = everything.Everything.schema.methods_inherited[method]
    source, target = schema.param_type, schema.result_type

    async def returns(self, context):
        self.compare(method, context.params)
        for name in source.fieldnames:
            if name == "context" or name in source.union_fields and context.params.which() != name:
                continue
            to = name if name in target.fieldnames else "result"
            if context.params._has(name) or source.fields[name].proto.which() == "group":
                context.results._set(to, context.params._get(name))
            elif name in source.union_fields:
                # A null pointer is set by taking what it leads to away.
                context.results.init(to)
                context.results.disown(to)

    return returns


RETURN = """
    pass passCustom passEmpty passData passEnum passDouble passDataPointers scalars defaults lists
    nullables optionals collections coded codedWithDefault partial secret keywords results tags open
    shape event account chosen grouped tree expr ping link eithers direct withDefaults sets nullable
    age any generic point eventFields shapeFields passCallback passShared notNull passHolder
""".split()
for _method in RETURN:
    setattr(Everything, f"{_method}_context", _returns(_method))
