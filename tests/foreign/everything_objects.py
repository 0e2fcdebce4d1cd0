"""The objects that everything makes, served by Python."""

import asyncio

import capnp

from everything import everything, objects


def on_caller(context):
    """The Context of a call back, which runs on the thread that called."""
    return {"thread": context.callbackThread}


def total(tree):
    """The sum of a tree's values."""
    sides = [getattr(tree, side) for side in ("left", "right") if tree._has(side)]
    return tree.value + sum(total(child) for child in [*sides, *tree.children])


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

    async def color(self, **_):
        return "green"

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
    """A text as an AnyPointer."""

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

    async def visit(self, name, _context, **_):
        if name == "nowhere":
            _context.results.notFound = {"name": name, "tried": list(self.names)}
        else:
            _context.results.result = Folder((*self.names, name))

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


class Upload(objects.Upload.Server):
    def __init__(self):
        self.written = []

    async def write(self, bytes, **_):
        # Later calls of the stream wait for this one.
        await asyncio.sleep(0)
        if not bytes:
            raise Exception("there is nothing to write")
        self.written.append(bytes)

    async def done(self, _context, **_):
        _context.results.bytes = b"".join(self.written)
        _context.results.count = len(self.written)
