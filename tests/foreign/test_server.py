"""Python as the node of our command line, and servers that misbehave."""

import asyncio
import json
import signal
import socket
import struct
import unittest
from pathlib import Path

import capnp

import peer
from peer import BIN_DIR, Case, DEADLINE, Thread, ThreadMap, message, wait_until

GENESIS = bytes.fromhex("0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206")[::-1]
NEXT = bytes(range(32))
core30 = capnp.SchemaParser().load(str(Path(__file__).parent / "core30.capnp"), imports=peer.IMPORTS)


class Ran:
    """The result of running `bitcoin-ipc`."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out.decode(), err.decode()


class Python:
    """A node in Python. Its objects check that calls name a thread that its makeThread returned."""

    def __init__(self):
        self.threads = ThreadMap()
        self.calls = []
        self.wrong = []
        self.tip = (GENESIS, 7)
        self.tip_changed = asyncio.Event()
        self.init = Init(self)

    async def on_thread(self, method, context):
        """Every method begins with this."""
        self.calls.append(method)
        try:
            asked = sum(thread.asked for thread in self.threads.made.values())
            name = (await context.thread.getName()).result
            known = self.threads.made.get(name)
            # It is the same object, because its own count went up.
            if known is None or sum(thread.asked for thread in self.threads.made.values()) != asked + 1:
                self.wrong.append(f"{method}: a thread {name!r} that makeThread did not return")
            if not context._has("callbackThread"):
                self.wrong.append(f"{method}: no callback thread")
            elif not (await context.callbackThread.getName()).result:
                self.wrong.append(f"{method}: a callback thread without a name")
        except capnp.KjException as error:
            self.wrong.append(f"{method}: {error.description}")


class Init(peer.init.Init.Server):
    def __init__(self, node):
        self.node = node

    async def construct(self, threadMap, **_):
        self.node.calls.append("construct")
        self.node.peer_threads = threadMap
        return self.node.threads

    async def makeEcho(self, context, **_):
        await self.node.on_thread("makeEcho", context)
        return Echo(self.node)

    async def makeMining(self, context, **_):
        await self.node.on_thread("makeMining", context)
        return Mining(self.node)


class Echo(peer.echo.Echo.Server):
    def __init__(self, node):
        self.node = node

    async def destroy(self, context, **_):
        await self.node.on_thread("Echo.destroy", context)

    async def echo(self, context, echo, **_):
        await self.node.on_thread("echo", context)
        return echo


class Mining(peer.mining.Mining.Server):
    def __init__(self, node):
        self.node = node

    async def getTip(self, context, _context, **_):
        await self.node.on_thread("getTip", context)
        if self.node.tip is not None:
            hash, height = self.node.tip
            _context.results.result = {"hash": hash, "height": height}
            _context.results.hasResult = True

    async def waitTipChanged(self, context, currentTip, timeout, _context, **_):
        await self.node.on_thread("waitTipChanged", context)
        assert currentTip == GENESIS, currentTip
        try:
            await asyncio.wait_for(self.node.tip_changed.wait(), timeout / 1000 if timeout < 1e9 else None)
        except TimeoutError:
            pass
        if self.node.tip is not None:
            hash, height = self.node.tip
            _context.results.result = {"hash": hash, "height": height}

    async def createNewBlock(self, context, options, cooldown, **_):
        await self.node.on_thread("createNewBlock", context)
        if not options.useMempool or options.blockReservedWeight != 8000:
            self.node.wrong.append(f"createNewBlock: not the defaults but {options}")
        return BlockTemplate(self.node)


class BlockTemplate(peer.mining.BlockTemplate.Server):
    HEADER = struct.pack("<I32s32sIII", 0x20000000, GENESIS, bytes(32), 1_700_000_000, 0x207FFFFF, 0)
    COINBASE = (
        bytes.fromhex("0100000001") + bytes(32) + b"\xff" * 4 + b"\x02\x51\x00" + b"\xff" * 4
        + b"\x01" + struct.pack("<q", 5_000_000_000) + b"\x01\x51" + bytes(4)
    )
    OUTPUT = struct.pack("<q", 0) + b"\x04\x6a\x02\xaa\xbb"

    def __init__(self, node):
        self.node = node

    async def destroy(self, context, **_):
        await self.node.on_thread("BlockTemplate.destroy", context)

    async def getBlockHeader(self, context, **_):
        await self.node.on_thread("getBlockHeader", context)
        return self.HEADER

    async def getBlock(self, context, **_):
        await self.node.on_thread("getBlock", context)
        return self.HEADER + b"\x01" + self.COINBASE

    async def getTxFees(self, context, **_):
        await self.node.on_thread("getTxFees", context)
        return [1, 2, 3]

    async def getTxSigops(self, context, **_):
        await self.node.on_thread("getTxSigops", context)
        return [4, 5]

    async def getCoinbaseTx(self, context, _context, **_):
        await self.node.on_thread("getCoinbaseTx", context)
        _context.results.result = {
            "version": 2, "sequence": 1, "scriptSigPrefix": b"\x58", "witness": bytes(32),
            "blockRewardRemaining": 5_000_000_006, "requiredOutputs": [self.OUTPUT], "lockTime": 7,
        }

    async def getCoinbaseMerklePath(self, context, **_):
        await self.node.on_thread("getCoinbaseMerklePath", context)
        return [bytes(32)] * 2


class Serving(Case):
    """A server in Python at the place where the command line looks for a node."""

    async def asyncSetUp(self):
        await super().asyncSetUp()
        (self.dir / "regtest").mkdir()
        self.path = self.dir / "regtest" / "node.sock"
        self.connections = 0
        self.streams = []
        self.addCleanup(lambda: [stream.close() for stream in self.streams])

    async def serve_node(self, node):
        async def connected(stream):
            self.connections += 1
            self.streams.append(stream)
            await capnp.TwoPartyServer(stream, bootstrap=node.init).on_disconnect()

        server = await capnp.AsyncIoStream.create_unix_server(connected, str(self.path))
        self.addCleanup(server.close)
        return node

    async def serve_raw(self, connected):
        """Hands each connection's socket to `connected`."""
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(str(self.path))
        listener.listen()
        listener.setblocking(False)
        loop = asyncio.get_running_loop()

        async def accept():
            while True:
                stream, _ = await loop.sock_accept(listener)
                self.connections += 1
                self.streams.append(stream)
                stream.setblocking(False)
                await connected(stream)

        task = asyncio.ensure_future(accept())
        self.addCleanup(task.cancel)

    async def start(self, *args):
        program = [str(BIN_DIR / "bitcoin-ipc"), "--chain", "regtest", "--datadir", str(self.dir), *args]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*program, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe)
        self.addCleanup(_kill, process)
        return process

    async def end(self, process, deadline=DEADLINE):
        out, err = await asyncio.wait_for(process.communicate(), deadline)
        return Ran(process.returncode, out, err)

    async def run_ipc(self, *args, deadline=DEADLINE):
        return await self.end(await self.start(*args), deadline)

    def assert_done(self, ran, node=None):
        self.assertEqual(ran.status, 0, ran.err)
        self.assertNotIn("error", ran.err)
        if node is not None:
            self.assertEqual(node.wrong, [])

    def assert_failed(self, ran, *texts):
        """Exit status 1, nothing on stdout, and one line on stderr that says why (after a note
        that says which node it talks to)."""
        self.assertEqual((ran.status, ran.out), (1, ""), ran.err)
        lines = [line for line in ran.err.splitlines() if not line.startswith("using the node at ")]
        self.assertEqual(len(lines), 1, ran.err)
        self.assertTrue(lines[0].startswith("bitcoin-ipc: error: "), ran.err)
        self.assertNotIn("panicked", ran.err)
        self.assertNotIn("RUST_BACKTRACE", ran.err)
        for text in texts:
            self.assertIn(text, lines[0])


class TestNode(Serving):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.node = await self.serve_node(Python())

    async def test_echo(self):
        for text in ["hi", "", "é € 😀", "x" * 100_000]:
            ran = await self.run_ipc("echo", text)
            self.assert_done(ran, self.node)
            self.assertEqual(ran.out, text + "\n")
        self.assertEqual(self.node.calls[:3], ["construct", "makeEcho", "echo"])
        self.assertEqual(self.connections, 4)

    async def test_connect(self):
        for address in ["unix", "unix:", "unix:node.sock", f"unix:{self.path}", "auto"]:
            ran = await self.run_ipc("--connect", address, "echo", "hi")
            self.assert_done(ran, self.node)
            self.assertEqual((ran.out, ran.err), ("hi\n", ""))

    async def test_one_thread_serves_all_calls_of_a_thread(self):
        ran = await self.run_ipc("template", "--json")
        self.assert_done(ran, self.node)
        # One for its thread; methods that may wait long may have others.
        self.assertLessEqual(len(self.node.threads.made), 2, self.node.threads.made)

    async def test_tip(self):
        ran = await self.run_ipc("tip")
        self.assert_done(ran, self.node)
        self.assertEqual([line.split() for line in ran.out.splitlines()], [["height", "7"], ["hash", GENESIS[::-1].hex()]])
        ran = await self.run_ipc("tip", "--json")
        self.assert_done(ran, self.node)
        self.assertEqual(json.loads(ran.out), {"height": 7, "hash": GENESIS[::-1].hex()})

    async def test_template(self):
        ran = await self.run_ipc("template", "--json")
        self.assert_done(ran, self.node)
        output = {"value": 0, "script": "6a02aabb"}
        expected = {
            "height": 8, "version": 0x20000000, "previous": GENESIS[::-1].hex(), "time": 1_700_000_000,
            "bits": "207fffff", "transactions": 1, "fees": 6, "sigops": 9, "reward": 5_000_000_006,
            "required_outputs": [output], "merkle_path_length": 2,
        }
        self.assertEqual(json.loads(ran.out), expected)
        self.assertEqual(self.node.calls.count("BlockTemplate.destroy"), 1)
        ran = await self.run_ipc("template")
        self.assert_done(ran, self.node)
        self.assertIn("50.00000006 BTC", ran.out)

    async def test_wait_tip(self):
        process = await self.start("wait-tip", "--json")
        await wait_until(lambda: "waitTipChanged" in self.node.calls, "it waits")
        self.node.tip = (NEXT, 8)
        self.node.tip_changed.set()
        ran = await self.end(process)
        self.assert_done(ran, self.node)
        self.assertEqual(json.loads(ran.out), {"height": 8, "hash": NEXT[::-1].hex()})

    async def test_wait_tip_times_out(self):
        self.assert_failed(await self.run_ipc("wait-tip", "--timeout", "0.02"), "did not change in time")

    async def test_wait_tip_ended_by_the_node(self):
        process = await self.start("wait-tip")
        await wait_until(lambda: "waitTipChanged" in self.node.calls, "it waits")
        self.node.tip = None
        self.node.tip_changed.set()
        self.assert_failed(await self.end(process), "shutting down")

    async def test_interrupted_at_the_terminal(self):
        process = await self.start("wait-tip")
        await wait_until(lambda: "waitTipChanged" in self.node.calls, "it waits")
        process.send_signal(signal.SIGINT)
        ran = await self.end(process)
        self.assertNotIn(ran.status, [0, 101])
        self.assertNotIn("panicked", ran.err)

    async def test_a_node_without_a_tip(self):
        self.node.tip = None
        self.assert_failed(await self.run_ipc("tip"), "no tip")

    async def test_makers_that_return_null(self):
        class Nothing(Init):
            async def makeEcho(self, context, **_):
                await self.node.on_thread("makeEcho", context)

            async def makeMining(self, context, **_):
                await self.node.on_thread("makeMining", context)

            async def makeRpc(self, context, **_):
                await self.node.on_thread("makeRpc", context)

        self.node.init = Nothing(self.node)
        for args in [["tip"], ["wait-tip"], ["template"]]:
            self.assert_failed(await self.run_ipc(*args), "does not offer Mining")
        self.assert_failed(await self.run_ipc("echo", "x"), "does not offer Echo")
        self.assert_failed(await self.run_ipc("rpc", "x"), "does not offer JSON-RPC")
        self.assertEqual(self.node.wrong, [])

    async def test_a_node_as_old_as_core_30(self):
        """It has makeMining at the ordinal where newer ones return an error, and neither mining nor rpc at theirs."""
        self.node.init = Core30(self.node)
        ran = await self.run_ipc("echo", "hi")
        self.assert_done(ran, self.node)
        self.assertEqual(ran.out, "hi\n")
        self.assert_failed(await self.run_ipc("rpc", "getblockcount"), "Bitcoin Core 32 and newer")
        self.assert_failed(await self.run_ipc("tip"), "makeMining")

    async def test_answers_that_do_not_decode(self):
        self.node.tip = (b"short", 1)
        self.assert_failed(await self.run_ipc("tip"), "32 bytes")

    async def test_exceptions(self):
        class Raising(Init):
            async def makeMining(self, **_):
                raise ValueError("the chain is on fire")

        self.node.init = Raising(self.node)
        # pycapnp sends Python's traceback of several lines along.
        self.assert_failed(await self.run_ipc("tip"), "the chain is on fire")

    async def test_an_exception_in_construct(self):
        class Raising(Init):
            async def construct(self, **_):
                raise ValueError("not today")

        self.node.init = Raising(self.node)
        self.assert_failed(await self.run_ipc("tip"), "not today")

    async def test_a_construct_that_returns_null(self):
        """A server without threads: methods that need none work or fail, and soon."""
        class Threadless(Init):
            async def construct(self, **_):
                pass

        self.node.init = Threadless(self.node)
        ran = await self.run_ipc("tip", deadline=5)
        self.assertIn(ran.status, [0, 1])
        self.assertNotIn("panicked", ran.err)

    async def test_the_command_line_has_threads_too(self):
        class Asking(Init):
            async def makeEcho(self, context, **_):
                thread = (await self.node.peer_threads.makeThread("for python")).result
                self.node.name = (await thread.getName()).result
                return Echo(self.node)

        self.node.init = Asking(self.node)
        self.assert_done(await self.run_ipc("echo", "hi"), self.node)
        self.assertEqual(self.node.name, "for python")

    async def test_a_server_that_goes_away_during_a_wait(self):
        process = await self.start("wait-tip")
        await wait_until(lambda: "waitTipChanged" in self.node.calls, "it waits")
        for stream in self.streams:
            stream.close()
        self.assert_failed(await self.end(process, 5), "disconnected")


class Core30(core30.Init.Server):
    def __init__(self, node):
        self.node = node

    async def construct(self, **_):
        map_type = core30.Init.schema.methods["construct"].result_type.fields["threadMap"].schema
        return peer.proxy.ThreadMap._new_client(self.node.threads).cast_as(map_type)

    async def makeEcho(self, context, **_):
        echo_type = core30.Init.schema.methods["makeEcho"].result_type.fields["result"].schema
        return peer.echo.Echo._new_client(Echo(self.node)).cast_as(echo_type)


class TestMisbehaving(Serving):
    """No objects here, only bytes; the command line always ends in time, with a line that says why."""

    async def check(self, connected, *texts):
        await self.serve_raw(connected)
        for connect in [[], ["--connect", "unix"]]:
            self.assert_failed(await self.run_ipc(*connect, "tip"), *texts)
        self.assertEqual(self.connections, 2)

    async def test_closes_at_once(self):
        async def connected(stream):
            stream.close()

        await self.check(connected)

    async def test_closes_after_the_first_message(self):
        async def connected(stream):
            await asyncio.get_running_loop().sock_recv(stream, 1)
            stream.close()

        await self.check(connected)

    async def test_sends_garbage(self):
        async def connected(stream):
            await asyncio.get_running_loop().sock_sendall(stream, self.text)

        await self.serve_raw(connected)
        for self.text in [b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100, b"\xff" * 64, b"\0" * 64]:
            self.assert_failed(await self.run_ipc("tip", deadline=5))

    async def test_gives_the_connection_up(self):
        async def connected(stream):
            reason = {"reason": "closed for the night", "type": "failed"}
            await asyncio.get_running_loop().sock_sendall(stream, message(abort=reason))
            stream.close()

        await self.check(connected, "closed for the night")

    async def test_does_not_know_bootstrap(self):
        async def connected(stream):
            answer = message(unimplemented={"bootstrap": {"questionId": 0}})
            await asyncio.get_running_loop().sock_sendall(stream, answer)

        await self.serve_raw(connected)
        self.assert_failed(await self.run_ipc("tip", deadline=5))

    async def test_serves_nothing(self):
        """A bootstrap that is answered with an error, and one answered with null."""
        def error(question):
            exception = {"reason": "nothing to see", "type": "failed"}
            return message(**{"return": {"answerId": question, "exception": exception}})

        null = message(**{"return": {"answerId": 0, "results": {}}})

        async def connected(stream):
            # The answers to bootstrap, and to the call of construct that comes with it.
            await asyncio.get_running_loop().sock_sendall(stream, self.answer + error(1))

        await self.serve_raw(connected)
        for self.answer in [error(0), null]:
            self.assert_failed(await self.run_ipc("tip", deadline=5), "nothing to see")

    async def test_says_nothing(self):
        async def connected(stream):
            pass

        await self.serve_raw(connected)
        self.assert_failed(await self.run_ipc("tip", deadline=40), "no answer within 30s")

    async def test_nobody_listens(self):
        """A socket's file without a server is an error, where the address was given."""
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(self.path))
        self.assert_failed(await self.run_ipc("--connect", "unix", "tip"), str(self.path))


def _kill(process):
    if process.returncode is None:
        process.kill()


if __name__ == "__main__":
    unittest.main()
