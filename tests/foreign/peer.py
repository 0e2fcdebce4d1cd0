"""Helpers of the tests: the schemas, our programs as processes, and a Python peer."""

import asyncio
import functools
import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import capnp

ROOT = Path(__file__).resolve().parents[2]
BIN_DIR = Path(os.environ.get("BIN_DIR") or ROOT / "target/debug").resolve()
IMPORTS = [str(ROOT / "crates/multiprocess/schema"), str(ROOT / "schema")]
DEADLINE = 20.0  # seconds; what takes longer does not happen at all

capnp.remove_import_hook()
proxy = capnp.load(f"{IMPORTS[0]}/mp/proxy.capnp", imports=IMPORTS)
init = capnp.load(f"{IMPORTS[1]}/init.capnp", imports=IMPORTS)
echo = capnp.load(f"{IMPORTS[1]}/echo.capnp", imports=IMPORTS)
mining = capnp.load(f"{IMPORTS[1]}/mining.capnp", imports=IMPORTS)
rpc = capnp.load(f"{IMPORTS[1]}/rpc.capnp", imports=IMPORTS)
# With a parser of its own: pycapnp brings another /capnp/c++.capnp with the same id.
_bundled = Path(capnp.__file__).parent
wire = capnp.SchemaParser().load(str(_bundled / "rpc.capnp"), imports=[str(_bundled.parent)])


async def wait_until(condition, what, deadline=DEADLINE):
    """Checks `condition` repeatedly until it holds."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline} s: {what() if callable(what) else what}")
        await asyncio.sleep(0.005)


class Thread(proxy.Thread.Server):
    """A thread of Python's, by name only. Counts who asked for the name."""

    def __init__(self, name):
        self.name = name
        self.asked = 0

    async def getName(self, **_):
        self.asked += 1
        return self.name


class ThreadMap(proxy.ThreadMap.Server):
    """Python's own ThreadMap; knows every thread that it made by its name."""

    def __init__(self):
        self.made = {}

    async def makeThread(self, name, **_):
        thread = Thread(f"{name}#{len(self.made)}")
        self.made[thread.name] = thread
        return thread


class Node:
    """A process of ours. Its output goes to a file; `stop` expects exit status 0 and no panic."""

    def __init__(self, directory, args, program="bitcoin-node", **options):
        self.log = Path(directory) / f"stderr-{time.monotonic_ns()}"
        with open(self.log, "wb") as log:
            command = [str(BIN_DIR / program), *args]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, **options)
        self.pid = self.process.pid

    def said(self):
        return self.log.read_text(errors="replace")

    def threads(self):
        names = []
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                names.append((task / "comm").read_text().strip())
            except (FileNotFoundError, ProcessLookupError):
                pass  # ended meanwhile
        return sorted(names)

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def ended(self):
        return self.process.poll() is not None

    async def check_ended(self):
        await wait_until(self.ended, lambda: f"the node ends; it said: {self.said()}")
        status = self.process.returncode
        assert "panicked" not in self.said(), self.said()
        assert status == 0, f"exit status {status}: {self.said()}"

    def kill(self):
        if not self.ended():
            self.process.kill()
            self.process.wait()


class Client:
    """A connection of Python's to a node: its Init, and a thread there for this side's calls."""

    def __init__(self, stream):
        self.stream = stream
        self.rpc = capnp.TwoPartyClient(stream)
        self.init = self.rpc.bootstrap().cast_as(init.Init)
        self.own = ThreadMap()
        self.thread_map = self.thread = self.callback = None

    @classmethod
    async def open(cls, path=None, sock=None, own=True):
        target = {"sock": sock} if sock is not None else {"path": str(path)}
        client = cls(await capnp.AsyncIoStream.create_unix_connection(**target))
        answer = await (client.init.construct(threadMap=client.own) if own else client.init.construct())
        client.thread_map = answer.threadMap
        client.thread = await client.make_thread("python")
        client.callback = (await client.own.makeThread("callback")) if own else None
        return client

    async def make_thread(self, name):
        return (await self.thread_map.makeThread(name)).result

    def context(self, thread=None):
        context = {"thread": thread or self.thread}
        if self.callback is not None:
            context["callbackThread"] = self.callback
        return context

    async def echo(self):
        return (await self.init.makeEcho(context=self.context())).result

    async def mining(self):
        return (await self.init.makeMining(context=self.context())).result

    async def rpc_object(self):
        return (await self.init.makeRpc(context=self.context())).result

    def close(self):
        self.rpc.close()
        self.stream.close()


class Case(unittest.IsolatedAsyncioTestCase):
    """A test with an event loop for Cap'n Proto, a directory, and a deadline."""

    deadline = 2 * DEADLINE  # of each test

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        for name, test in list(vars(cls).items()):
            if name.startswith("test_"):
                setattr(cls, name, _within(test, cls.deadline))

    async def asyncSetUp(self):
        self.dir = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="foreign-")))
        # unittest runs the loop in debug mode, which would report slow steps on a busy machine.
        asyncio.get_running_loop().slow_callback_duration = DEADLINE
        await self.enterAsyncContext(capnp.kj_loop())

    def serve(self, *args, **options):
        """A node that listens."""
        path = self.dir / "ipc" / "n.sock"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        node = Node(self.dir, [f"-ipcbind=unix:{path}", f"-datadir={self.dir}", *args], **options)
        node.path = path
        self.addCleanup(node.kill)
        return node

    async def listening(self, node):
        def connects():
            assert not node.ended(), node.said()
            with socket.socket(socket.AF_UNIX) as probe:
                return probe.connect_ex(str(node.path)) == 0

        await wait_until(connects, "the node listens")
        return node

    def spawn(self, program="bitcoin-node", **options):
        """A node, or another program of ours, that has the other end of the socket."""
        ours, theirs = socket.socketpair()
        with theirs:
            fd = theirs.fileno()
            node = Node(self.dir, ["-ipcfd", str(fd)], program, pass_fds=[fd], **options)
        node.socket = ours
        self.addCleanup(node.kill)
        self.addCleanup(ours.close)
        return node

    async def fails(self, promise, text, kind="FAILED"):
        """Checks that the call ends with an error of this kind that contains `text`."""
        with self.assertRaises(capnp.KjException) as raised:
            await promise
        self.assertIn(text, raised.exception.description)
        self.assertEqual(raised.exception.type, kind)
        return raised.exception.description


def _within(test, seconds):
    async def run(self):
        await asyncio.wait_for(test(self), seconds)

    # Copies attributes of decorators, such as a skip; but no docstring, which would hide the name.
    functools.update_wrapper(run, test)
    run.__doc__ = None
    return run


def message(**fields):
    """The bytes of one RPC message."""
    return wire.Message.new_message(**fields).to_bytes()
