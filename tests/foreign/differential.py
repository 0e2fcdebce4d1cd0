"""Python's side of the random programs that the engine has with it.

The program `engine-differential` leads: it makes its own calls, and has Python make the others by
`run`, on the same connection. Python knows nothing of what is to come of it.

What pycapnp 2.2.4 can't do, so that programs leave it out:

- Raise errors of another kind than FAILED: whatever a method raises becomes that, with the traceback as
  its text. Those of other kinds come from the engine, and pass through Python where no method of
  Python's is between.
- A tail call to an object of the other side: `context.tail_call` ends the process ("Inner node returned
  empty value"), and without `await` as well ("Promise callback destroyed itself").
- Make a promise of a capability: a method that waits, of an object of Python's own, stands in for it.
"""

import asyncio
import gc
from pathlib import Path

import capnp

from tasks import start

Object = capnp.load(str(Path(__file__).parent / "differential.capnp")).Object

NESTED = 1 << 30  # as the engine's model has it, like what follows


def value(number, call):
    return (number * 0x9E3779B1) % 2**32 ^ call


def made(number, call):
    return 1000 + 2 * call + number % 2


class Failure(Exception):
    """The error of a failed method. Its text ends in the original one."""


def failure(call):
    return Failure(f"failure {call}")


def plain(error):
    """The original text of an error, without what was put before it on the way."""
    text = error.description
    while text.startswith("remote exception: "):
        text = text.removeprefix("remote exception: ")
    if text.startswith("message = Traceback"):
        text = text.rstrip().splitlines()[-1].partition(": ")[2]
    return text


class Served(Object.Server):
    """An object served by Python."""

    def __init__(self, peer, number):
        self.peer, self.number = peer, number
        peer.alive += 1

    def __del__(self):
        self.peer.alive -= 1
        self.peer.changed.set()

    def begin(self, context):
        """Notes the call and returns it. pycapnp starts methods in the order of the calls."""
        call = context.params.number
        self.peer.delivered.append((self.number, call))
        context.results.number = value(self.number, call)
        return call

    async def echo_context(self, context):
        self.begin(context)

    async def fail_context(self, context):
        raise failure(self.begin(context))

    async def give_context(self, context):
        self.begin(context)
        context.results.cap = context.params.cap

    async def make_context(self, context):
        context.results.cap = Served(self.peer, made(self.number, self.begin(context)))

    async def callback_context(self, context):
        call = self.begin(context)
        try:
            context.results.number = (await context.params.cap.echo(call | NESTED)).number
        except capnp.KjException as error:
            raise Failure(plain(error)) from None

    async def slow_context(self, context):
        await self.peer.gate(self.begin(context))
        context.results.cap = context.params.cap

    async def slowFail_context(self, context):
        call = self.begin(context)
        await self.peer.gate(call)
        raise failure(call)

    async def hold_context(self, context):
        self.peer.handles[f"h{self.begin(context)}"] = context.params.cap

    async def promise_context(self, context):
        context.results.cap = self.peer.factory.echo(self.begin(context)).cap

    async def run_context(self, context):
        command, *args = context.params.text.split()
        context.results.text = await getattr(self.peer, f"do_{command}")(*args) or ""


class Factory(Object.Server):
    """Answers when the program says so; until then its result is a promise."""

    def __init__(self, peer):
        self.peer = peer

    async def echo_context(self, context):
        to = await self.peer.gate(context.params.number)
        if to is None:
            raise failure(context.params.number)
        context.results.cap = to


class Peer:
    """Python's side of one connection."""

    def __init__(self, stream):
        self.alive, self.changed = 0, asyncio.Event()
        self.steps = 0
        self.delivered = []
        self.gates, self.calls = {}, {}
        self.factory = Object._new_client(Factory(self))
        self.closing = asyncio.Event()
        first = Served(self, 1)
        self.rpc = capnp.TwoPartyServer(stream, bootstrap=first)
        self.handles = {"o0": self.rpc.bootstrap().cast_as(Object), "o1": Object._new_client(first)}

    def gate(self, call):
        """The future that a call waits for, made if it does not exist yet."""
        if call not in self.gates:
            self.gates[call] = asyncio.get_running_loop().create_future()
        return self.gates[call]

    def open(self, call, to=None):
        gate = self.gate(int(call))
        if not gate.done():  # and is not cancelled
            gate.set_result(to)

    def let_go(self):
        self.handles.clear()
        self.gates.clear()
        self.calls.clear()
        self.factory = None

    # ---- commands of the program

    async def do_begin(self, steps):
        self.steps = int(steps)

    async def do_object(self, number):
        self.handles[f"o{number}"] = Object._new_client(Served(self, int(number)))

    async def do_call(self, number, target, method, cap, pipeline):
        """Answers when the call is answered, with its outcome."""
        args = {"number": int(number)}
        if cap != "-":
            args["cap"] = self.handles[cap]
        promise = getattr(self.handles[target], method)(**args)
        if pipeline == "yes":
            self.handles[f"p{number}"] = promise.cap
        call = self.calls[number] = start(promise)
        # A command that waited here would keep references on the objects that it names.
        del args, promise
        try:
            answer = await call
        except capnp.KjException as error:
            return f"error {error.type} {plain(error)}"
        except asyncio.CancelledError:
            # If the command itself is cancelled, pycapnp crashes when it is answered.
            if asyncio.current_task().cancelling() or number in self.calls:
                raise
            return "cancelled"
        finally:
            self.calls.pop(number, None)
        if answer._has("cap"):
            self.handles[f"r{number}"] = answer.cap
        return f"value {answer.number} {'cap' if answer._has('cap') else '-'}"

    async def do_cancel(self, number):
        if number in self.calls:
            self.calls.pop(number).cancel()

    async def do_drop(self, handle):
        del self.handles[handle]

    async def do_wake(self, number):
        self.open(number)

    async def do_resolve(self, number, to):
        self.open(number, self.handles[to])

    async def do_reject(self, number):
        self.open(number)

    async def do_sync(self):
        pass

    async def do_log(self):
        return " ".join(f"{number}:{call}" for number, call in self.delivered)

    async def do_gone(self):
        """Answers when all of Python's objects but the first are released."""
        self.let_go()
        gc.collect()
        while self.alive > 1:
            self.changed.clear()
            await self.changed.wait()

    async def do_close(self):
        self.closing.set()
