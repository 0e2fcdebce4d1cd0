"""Everything that a schema can say, between Rust and Python, in both directions."""

import math
import subprocess

import capnp

import everything
import everything_server
from everything import ACCOUNTS, EVENTS, FOO, SAMPLES, SHAPES, plain, point
from peer import Case, ThreadMap, wait_until

Everything = everything.everything.Everything
SCHEMA = Everything.schema.methods_inherited


class Callback(everything.foo.ExtendedCallback.Server):
    """Adds a number; notes the arguments, and whether it was destroyed."""

    def __init__(self, number):
        self.number, self.args, self.destroyed = number, [], False

    async def call(self, arg, **_):
        self.args.append(arg)
        return arg + self.number

    async def callExtended(self, arg, **_):
        return arg * self.number

    async def destroy(self, **_):
        self.destroyed = True


class Fn(everything.foo.FooFn.Server):
    async def call(self, **_):
        return 10


class FnNone(everything.objects.FnNone.Server):
    called = 0

    async def call(self, **_):
        self.called += 1


class FnTwo(everything.objects.FnTwo.Server):
    async def call(self, a, b, **_):
        return f"{a} at {b.x}, {b.y}"


class FnThree(everything.objects.FnThree.Server):
    async def call(self, a, b, c, _context, **_):
        _context.results.sum, _context.results.count = a + b + sum(c), len(c)


def fill(message, fields):
    """Sets fields by name where pycapnp's own ways do not: a field called `which`, structs and
    groups in a union."""
    for field, value in fields.items():
        if isinstance(value, dict):
            fill(message.init(field), value)
        else:
            message._set(field, value)
    return message


class ServedByRust(Case):
    """The program `everything`, and Python's connection to it."""

    panics = False

    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.node = self.spawn("everything")
        self.stream = await capnp.AsyncIoStream.create_unix_connection(sock=self.node.socket)
        self.rpc = capnp.TwoPartyClient(self.stream)
        self.object = self.rpc.bootstrap().cast_as(Everything)
        self.own = ThreadMap()
        self.threads = (await self.object.construct(threadMap=self.own)).threadMap
        self.thread = (await self.threads.makeThread("python")).result
        self.callback_thread = await self.own.makeThread("callback")

    async def asyncTearDown(self):
        self.rpc.close()
        self.stream.close()
        if self.panics:
            await wait_until(self.node.ended, "the program ends")
            self.assertEqual(self.node.process.returncode, 0)
        else:
            await self.node.check_ended()
        await super().asyncTearDown()

    def context(self, thread=None):
        return {"thread": thread or self.thread, "callbackThread": self.callback_thread}

    def call(self, method, *args, on=None):
        """The promise of a call, with a Context where the method has one."""
        target = self.object if on is None else on
        schema = target.schema.methods_inherited[method]
        context = [self.context()] if "context" in schema.param_type.fieldnames else []
        return getattr(target, method)(*context, *args)

    async def result(self, method, *args, on=None):
        return (await self.call(method, *args, on=on)).result


class TestFoo(ServedByRust):
    async def test_plain_values(self):
        self.assertEqual(await self.result("add", 40, 2), 42)
        self.assertEqual((await self.call("addOut", 40, 2)).ret, 42)
        self.assertEqual((await self.call("addInOut", 40, 2)).sum, 42)
        pairs = [{"first": "a", "second": "b"}, {"first": "c", "second": "d"}]
        self.assertEqual(await self.result("mapSize", pairs), 2)
        self.assertEqual(plain(await self.result("pass", FOO)), plain(FOO))
        self.assertEqual(plain(await self.result("passCustom", {"v1": "x", "v2": 5})), {"v1": "x", "v2": 5})
        self.assertEqual(plain(await self.result("passEmpty", {})), {})
        self.assertEqual(await self.result("passData", b"\x00\xff"), b"\x00\xff")
        self.assertEqual((await self.result("passMessage", {"message": "m"})).message, "m call")
        self.assertEqual((await self.call("passMutable", {"message": "m"})).arg.message, "m call")
        self.assertEqual(await self.result("passEnum", 2), 2)
        self.assertTrue(math.isnan(await self.result("passDouble", math.nan)))
        self.assertEqual(list(await self.result("passDataPointers", [b"a", b""])), [b"a", b""])
        await self.fails(self.call("passEnum", 3), "3 is no FooEnum")
        await self.fails(self.call("callFn"), "no function was set")
        await self.fails(self.call("callFnAsync"), "no function was set")
        await self.fails(self.call("callIntFnAsync", 1), "no function was set")

    async def test_raise_and_thread_maps(self):
        answer = await self.call("raise", FOO)
        self.assertEqual(plain(answer.error), plain(FOO))
        threads = (await self.object.initThreadMap(threadMap=self.own)).threadMap
        thread = (await threads.makeThread("further")).result
        answer = await self.object.threadName(context=self.context(thread))
        self.assertEqual(answer.result, (await thread.getName()).result)

    async def test_callbacks(self):
        callback = Callback(1)
        self.assertEqual(await self.result("callback", callback, 5), 6)
        self.assertEqual(await self.result("callbackUnique", callback, 6), 7)
        self.assertTrue(callback.destroyed)
        self.assertEqual(await self.result("callbackShared", callback, 7), 8)
        self.assertEqual(callback.args, [5, 6, 7])
        self.assertEqual(await self.result("callbackExtended", Callback(3), 5), 15)
        await self.call("saveCallback", Callback(10))
        self.assertEqual(await self.result("callbackSaved", 1), 11)
        await self.object.saveCallback(context=self.context())
        await self.fails(self.call("callbackSaved", 1), "no callback is kept")
        await self.fails(self.object.callback(context=self.context(), arg=1), "null")
        self.assertEqual(await self.result("passFn", Fn()), 10)


class TestValues(ServedByRust):
    async def test_every_struct(self):
        for method, sample in SAMPLES.items():
            with self.subTest(method):
                if method == "lists":
                    # pycapnp takes no numbers for enums in a list, but an enum with a number.
                    number = everything.types.Scalars.new_message(color=99).as_reader().color
                    sample = everything.types.Lists.new_message(**{**sample, "colors": []})
                    sample.init("colors", 2)[0], sample.colors[1] = "green", number
                if method == "collections":
                    sample = {**sample, "colors": ["red", "blue"]}
                back = plain(await self.result(method, sample))
                self.assertEqual(back, plain(sample))

    async def test_every_member_of_every_union(self):
        for shape in SHAPES:
            self.assertEqual(plain(await self.result("shape", shape)), plain(shape))
            request = fill(self.object.shapeFields_request(), shape)
            self.assertEqual(plain(await request.send()), plain(shape))
        for event in EVENTS:
            message = fill(everything.unions.Event.new_message(), event)
            self.assertEqual(plain(await self.result("event", message)), plain(event))
            request = fill(self.object.eventFields_request(), event)
            self.assertEqual(plain(await request.send()), plain(event))
        for account in ACCOUNTS:
            self.assertEqual(plain(await self.result("account", account)), plain(account))

    async def test_defaults(self):
        empty = everything.types.Defaults.new_message()
        back = await self.result("defaults", empty)
        for field in everything.types.Defaults.schema.fieldnames:
            self.assertEqual(plain(getattr(back, field)), plain(getattr(empty, field)), field)
        self.assertEqual((back.int8, back.text), (-128, 'a "quoted"\n{text}'))
        self.assertEqual(list(back.texts), ["one", "two"])
        back = await self.call("withDefaults")
        self.assertEqual((back.number, back.text, back.point.x, back.color), (7, "seven", 7, "blue"))
        self.assertEqual(list(back.numbers), [7, 7])
        back = await self.result("chosen", {})
        self.assertEqual((back.shape.label, back.event.id, back.event.moved.y), ("chosen", 7, 2))

    async def test_numbers_that_the_schema_does_not_name(self):
        back = await self.result("scalars", {"color": 99, "weather": 65535})
        self.assertEqual((back.color.raw, back.weather.raw), (99, 65535))

    async def test_what_the_marks_do_not_allow(self):
        refused = [
            ("collections", {"hashSet": [1, 2, 1]}, "hashSet[2]", "twice"),
            ("collections", {"btreeMap": [{"name": "a"}, {"name": "a"}]}, "btreeMap[1]", "twice"),
            ("coded", {**SAMPLES["coded"], "age": -1}, "age", "-1 is no age"),
            ("coded", {**SAMPLES["coded"], "id": b"12345"}, "id", "4 bytes, not 5"),
        ]
        for method, arg, place, why in refused:
            text = await self.fails(self.call(method, arg), why)
            self.assertIn(place, text)
        await self.fails(self.call("age", -1), "-1 is no age")
        answer = await self.call("age", 120)
        self.assertEqual(answer.age, 120)

    async def test_what_does_not_show(self):
        back = await self.result("partial", {"kept": "k", "skipped": "s", "hidden": {"value": 1}})
        self.assertEqual(plain(back), {"kept": "k", "nothing": None})
        null = await self.call("nullable")
        self.assertFalse(null._has("text") or null._has("point"))
        some = await self.call("nullable", "", point(0, 0))
        self.assertTrue(some._has("text") and some._has("point"))

    async def test_arguments_without_a_struct(self):
        args = [True, -8, -64, 16, 0.5, -0.25, "text", b"\x01\x02", "green", [point(1, 2)]]
        back = await self.call("direct", *args)
        names = [name for name in SCHEMA["direct"].result_type.fieldnames]
        self.assertEqual([plain(getattr(back, name)) for name in names], args)
        back = await self.call("sets", ["b", "a"], [{"name": "x", "value": 1}])
        self.assertEqual((list(back.words), plain(back.amounts)), (["a", "b"], [{"name": "x", "value": 1}]))
        back = await self.object.point(x=3, y=-4)
        self.assertEqual((back.x, back.y), (3, -4))
        self.assertEqual(await self.result("sum", [[1, 2], [], [-10]]), -7)

    async def test_methods_that_look_at_the_message(self):
        answer = await self.call(
            "borrowed", -1, "text", b"\x01\xff", "blue", point(1, 2), [point(3, 4)], ["x"], [[7], [8]],
            SAMPLES["tree"], "there", "here", True,
        )
        self.assertEqual((answer.result, answer.bytes), ("-1 text 2 1,2 3,4 x 7 8 15 there here", 256))
        answer = await self.object.borrowed(context=self.context())
        self.assertEqual((answer.result, answer.bytes), ("0  0 0,0 0 - -", 0))
        self.assertEqual(await self.result("borrowedInline", ["a", "b"]), 2)

    async def test_what_the_schema_leaves_open(self):
        request = self.object.any_request()
        request.any.set_as_text("any")
        self.assertEqual((await request.send()).any.as_text(), "any")
        request = self.object.generic_request()
        request.value.set_as_text("generic")
        self.assertEqual((await request.send()).value.as_text(), "generic")
        pair = {"first": "p", "second": point(1, 2)}
        tag = {"tag": "t", "value": point(3, 4), "twice": {"first": point(5, 6)}, "pairs": [pair]}
        back = (await self.result("tags", {"point": tag})).point
        self.assertEqual((back.value.x, back.twice.first.y, back.pairs[0].second.y), (3, 6, 2))


class TestObjects(ServedByRust):
    async def test_null_and_not(self):
        answer = await self.call("passCallback", Callback(1))
        self.assertEqual(await self.result("call", 1, on=answer.result), 2)
        for method in ["passCallback", "passShared"]:
            answer = await getattr(self.object, method)(context=self.context())
            self.assertFalse(answer._has("result"))
        await self.fails(self.object.notNull(context=self.context()), "null")
        holder = {"always": Callback(2), "pair": {"first": "five"}, "choice": {"one": Callback(3)}}
        back = await self.result("passHolder", holder)
        self.assertEqual(await self.result("call", 1, on=back.always), 3)
        self.assertEqual(await self.result("call", 1, on=back.choice.one), 4)
        self.assertFalse(back._has("callback"))
        await self.fails(self.call("passHolder", {"callback": Callback(1)}), "always")
        answer = await self.call("callEach", [Callback(1), Callback(2)], 10)
        self.assertEqual(list(answer.results), [11, 12])

    async def test_functions(self):
        none = FnNone()
        await self.call("callNone", none)
        self.assertEqual(none.called, 1)
        self.assertEqual(await self.result("callTwo", FnTwo(), "here", point(1, 2)), "here at 1, 2")
        answer = await self.call("callThree", FnThree(), 1, 2, [3, 4])
        self.assertEqual((answer.sum, answer.count), (10, 2))

    async def test_inheritance(self):
        whole = await self.result("makeWhole", "w")
        self.assertEqual(await self.result("name", on=whole), "w")
        self.assertEqual(await self.result("index", on=whole), 0)
        self.assertEqual(await self.result("size", on=whole), 3)
        self.assertEqual(await self.result("color", on=whole), "green")
        parts = await self.result("parts", on=whole)
        self.assertEqual([await self.result("name", on=parts[index]) for index in (0, 2)], ["w.1", "w.2"])
        self.assertEqual(await self.result("nameOf", whole), "w")
        self.assertEqual(await self.result("describe", whole), "w is number 0, has size 3 and 3 parts")
        self.assertEqual((await self.call("rename", "v", on=whole)).old, "w")
        named = whole.upcast(everything.objects.Named)
        self.assertEqual(await self.result("name", on=named), "v")
        await self.call("destroy", on=whole)

    async def test_generics(self):
        texts = await self.result("makeTexts")
        self.assertEqual((await self.call("put", "a", "short", on=texts)).count, 1)
        self.assertEqual((await self.call("put", "b", "longer", on=texts)).count, 2)
        answer = await self.call("get", "a", on=texts)
        self.assertEqual((answer.value, answer.found), ("short", True))
        await self.fails(self.call("get", "c", on=texts), "there is no c")
        self.assertEqual(await self.result("longest", texts), "longer")
        counted = await self.result("makeCounted")
        await self.call("put", "p", point(1, 2), on=counted)
        self.assertEqual(plain((await self.call("get", "p", on=counted)).value), point(1, 2))
        self.assertEqual(await self.result("puts", on=counted), 1)

    async def test_pipelining(self):
        folder = self.call("root").result
        for name in ["a", "b", "c"]:
            folder = self.call("open", name, on=folder).result
        self.assertEqual(await self.result("path", on=folder), "/a/b/c")
        await self.fails(self.call("open", "d", on=folder), "nothing is deeper than 3")
        self.assertFalse((await self.call("find", "d", on=folder))._has("result"))

    async def test_pipelining_behind_a_typed_error(self):
        visited = self.call("visit", "v", on=self.call("root").result).result
        self.assertEqual(await self.result("path", on=visited), "/v")
        answer = await self.call("visit", "nowhere", on=visited)
        self.assertEqual(plain(answer.notFound), {"name": "nowhere", "tried": ["v"]})
        self.assertFalse(answer._has("result"))

    async def test_destroy(self):
        counter = await self.result("makeCounter")
        self.assertEqual([await self.result("next", on=counter) for _ in range(3)], [0, 1, 2])
        self.assertEqual(await self.result("counters"), 1)
        await self.call("destroy", on=counter)
        self.assertEqual(await self.result("counters"), 0)


class TestCalls(ServedByRust):
    async def test_outputs(self):
        for value in [3, 1, 2]:
            await self.call("note", value)
        await self.object.nothing(context=self.context(), value=4)
        self.assertEqual(list(await self.result("notes")), [3, 1, 2, 4])
        several = await self.call("several")
        self.assertEqual((several.number, several.text, plain(several.point)), (1, "two", point(3, 4)))
        self.assertEqual(list(several.flags), [True, False])
        answer = await self.call("maybe", 5, True)
        self.assertEqual((answer.result, answer.hasResult), ("5", True))
        answer = await self.call("maybe", 5, False)
        self.assertFalse(answer.hasResult or answer._has("result"))
        answer = await self.call("maybeBoth", 3)
        self.assertEqual((answer.hasEven, answer.hasOdd, answer.odd.x), (False, True, 3))
        answer = await self.call("wanted", "ab cd", True, False)
        self.assertEqual((answer.length, list(answer.words)), (5, ["ab", "cd"]))
        self.assertFalse(answer._has("reversed"))
        answer = await self.call("wantedMaybe", True)
        self.assertEqual((answer.result, answer.hasResult), (7, True))
        self.assertFalse((await self.call("wantedMaybe", False)).hasResult)
        request = self.object.hidden_request(shown=3, two=point(4, 0), secret=9)
        request.context = self.context()
        self.assertEqual((await request.send()).result, 7)

    async def test_errors(self):
        await self.fails(self.call("fail", "on purpose"), "on purpose")
        await self.fails(self.call("missing"), "Calls.missing", "UNIMPLEMENTED")
        answer = await self.call("look", "nowhere")
        self.assertEqual(plain(answer.notFound), {"name": "nowhere", "tried": ["here"]})
        self.assertFalse(answer._has("denied") or answer._has("result"))
        answer = await self.call("look", "forbidden")
        self.assertEqual((answer.denied.code, answer.denied.reason.text), (13, "not for you"))
        await self.fails(self.call("look", "broken"), "it is broken")
        answer = await self.call("look", "it")
        self.assertEqual((answer.result, answer.count, answer._has("denied")), ("found it", 1, False))
        answer = await self.call("check", -5)
        self.assertEqual((answer.denied.code, str(answer.denied.reason.which())), (-5, "none"))
        self.assertFalse((await self.call("check", 5))._has("denied"))

    async def test_a_panic_is_an_error_of_its_call_only(self):
        self.panics = True
        await self.fails(self.call("panic"), "as it was asked to")
        self.assertEqual(await self.result("add", 1, 2), 3)

    async def test_stream(self):
        for size in [0, 10, 1000]:
            await self.object.chunk(bytes=bytes(size))
        answer = await self.object.chunks()
        self.assertEqual((answer.count, answer.total), (3, 1010))

    async def test_a_stream_without_waiting(self):
        upload = await self.result("makeUpload")
        writes = [self.call("write", bytes([n]) * 1000, on=upload) for n in range(200)]
        answer = await self.call("done", on=upload)
        self.assertEqual(answer.count, 200)
        self.assertEqual(answer.bytes, b"".join(bytes([n]) * 1000 for n in range(200)))
        for write in writes:
            await write

    async def test_nothing_runs_behind_what_failed_in_a_stream(self):
        upload = await self.result("makeUpload")
        writes = [self.call("write", data, on=upload) for data in (b"1", b"", b"2")]
        await self.fails(self.call("done", on=upload), "there is nothing to write")
        await self.fails(self.call("done", on=upload), "there is nothing to write")
        for write in writes:
            try:
                await write
            except capnp.KjException as error:
                self.assertIn("there is nothing to write", str(error))
        # Other objects go on.
        self.assertEqual(await self.result("counters"), 0)

    async def test_waits(self):
        async def waiting(count):
            while (await self.object.waiting()).result != count:
                pass

        threads = [(await self.threads.makeThread(f"wait {n}")).result for n in range(3)]
        request = lambda thread, name: self.object.wait_request(context=self.context(thread))
        waits = []
        for thread, name in zip(threads, ["released", "cancelled", "interrupted"]):
            call = request(thread, name)
            call._set("name", name)
            waits.append(call.send())
        await waiting(3)
        await self.object.release("released")
        self.assertTrue((await waits[0]).result)
        waits[1].cancel()
        await waiting(1)
        await self.object.interrupt()
        self.assertFalse((await waits[2]).result)

    async def test_names(self):
        answer = await self.call("move", 1, "fn", True)
        self.assertEqual((answer.match, answer.fn, answer.dyn), (1, "fn", True))
        self.assertEqual(await self.result("clone", 64, 1, 32, 2, 16, 4, 8), 113)
        self.assertEqual((await self.object.close()).self, "closed nothing")
        self.assertEqual(await self.result("oldName", 5), 5)
        self.assertEqual(await self.result("proxyName"), "proxied")
        self.assertEqual(await self.result("version"), everything.everything.schemaVersion)


class TestServedByPython(Case):
    async def test_the_client_calls_every_method(self):
        client = self.spawn("everything-client", stdout=subprocess.PIPE)
        self.addCleanup(client.process.stdout.close)
        stream = await capnp.AsyncIoStream.create_unix_connection(sock=client.socket)
        server = everything_server.Everything()
        connection = capnp.TwoPartyServer(stream, bootstrap=server)
        await wait_until(client.ended, lambda: f"it ends; it said: {client.said()}")
        said = client.process.stdout.read().decode().split()
        self.assertEqual((client.process.returncode, client.said()), (0, ""))
        self.assertEqual(said, ["everything", "foo", "values", "objects", "calls"])
        self.assertEqual(server.wrong, [])
        self.assertEqual(everything_server.METHODS - server.called, set())
        self.assertEqual((server.alive, server.now_waiting), (0, 0))
        del connection
        stream.close()

    async def test_the_client_says_what_is_wrong(self):
        client = self.spawn("everything-client", stdout=subprocess.PIPE)
        self.addCleanup(client.process.stdout.close)
        stream = await capnp.AsyncIoStream.create_unix_connection(sock=client.socket)
        server = everything_server.Everything()

        async def wrong(a, b, **_):
            return a - b

        server.add = wrong
        connection = capnp.TwoPartyServer(stream, bootstrap=server)
        await wait_until(client.ended, "it ends")
        self.assertEqual(client.process.returncode, 1)
        self.assertIn("add: 38 came instead of 42", client.said())
        self.assertEqual(client.process.stdout.read(), b"everything\n")
        del connection
        stream.close()
