"""Everything, served by Python, for our `everything-client` to call."""

import asyncio

from everything import EMPTY, FOO, SAMPLES, UNIONS, everything, plain, point
from everything_objects import Counter, Folder, Store, Upload, Whole, on_caller, total
from peer import ThreadMap

METHODS = set(everything.Everything.schema.method_names_inherited)


class Everything(everything.Everything.Server):
    """Serves all of it. Notes the methods that were called, and wrong arguments."""

    def __init__(self):
        self.threads = ThreadMap()
        self.called, self.wrong = set(), []
        self.saved = None
        self.noted, self.sizes = [], []
        self.alive = 0
        self.now_waiting, self.met = 0, 0
        self.released, self.changed, self.all_met = set(), asyncio.Event(), asyncio.Event()
        self.interrupts = 0

    def __getattribute__(self, name):
        # pycapnp looks for this one first.
        if name.endswith("_context") and name.removesuffix("_context") in METHODS:
            self.called.add(name.removesuffix("_context"))
        return super().__getattribute__(name)

    def compare(self, method, params):
        """Checks that an argument is what the Rust side has to send."""
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

    async def borrowed_context(self, context):
        params = context.params
        parts = [params.number, params.text, params.color.raw]
        parts += [f"{point.x},{point.y}" for point in [params.point, *params.points]]
        parts += [*params.texts, *(number for row in params.numbers for number in row), total(params.tree)]
        parts += [params.absent if params._has("absent") else "-"]
        parts += [params.maybe if params.hasMaybe else "-"]
        context.results.result = " ".join(str(part) for part in parts)
        context.results.bytes = sum(params.data)

    async def borrowedInline(self, texts, **_):
        return len(texts)

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

    async def makeUpload(self, **_):
        return Upload()

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
                # A null pointer is set by disowning its target.
                context.results.init(to)
                context.results.disown(to)

    return returns


RETURN = """
    pass passCustom passEmpty passData passEnum passDouble passDataPointers scalars defaults lists
    nullables optionals collections coded codedWithDefault partial secret keywords results tags open
    shape event account chosen grouped tree expr ping link eithers wraps direct withDefaults sets nullable
    age any generic point eventFields shapeFields passCallback passShared notNull passHolder
""".split()
for _method in RETURN:
    setattr(Everything, f"{_method}_context", _returns(_method))
