"""The engine against the C++ implementation: random programs; see differential.py.

`CAPNP_ENGINE_STEPS` says how much is done altogether; a failure says with which `CAPNP_ENGINE_SEED`
its program is run again, alone.
"""

import asyncio
import gc
import os
import socket

import capnp

from differential import Peer
from peer import DEADLINE, Case, Node, wait_until

STEPS = int(os.environ.get("CAPNP_ENGINE_STEPS", 30_000))
SEED = os.environ.get("CAPNP_ENGINE_SEED")


class TestPrograms(Case):
    deadline = None  # each program has its own

    async def asyncSetUp(self):
        await super().asyncSetUp()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_report)
        loop.set_debug(False)  # which takes half of the time
        self.path = str(self.dir / "socket")
        self.listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.listener.close)
        self.listener.bind(self.path)
        self.listener.listen()
        self.listener.setblocking(False)

    async def test_programs_end_as_predicted(self):
        steps, seed = 0, int(SEED or 1)
        while True:
            steps += await self.run_program(seed)
            if SEED or steps >= STEPS:
                break
            seed += 1
        print(f"{1 if SEED else seed} programs of {steps} steps", end=" ... ", flush=True)

    async def run_program(self, seed):
        env = {**os.environ, "CAPNP_ENGINE_SEED": str(seed)}
        node = Node(self.dir, [self.path], "engine-differential", env=env)
        try:
            return await asyncio.wait_for(self.serve(node), DEADLINE)
        except BaseException:
            print(f"program {seed}: run it again with CAPNP_ENGINE_SEED={seed}. It said:")
            lines = node.said().splitlines()
            print("\n".join(lines if SEED else lines[-40:]), flush=True)
            raise
        finally:
            node.kill()
            node.log.unlink()

    async def serve(self, node):
        sock, _ = await asyncio.get_running_loop().sock_accept(self.listener)
        stream = await capnp.AsyncIoStream.create_unix_connection(sock=sock)
        peer = Peer(stream)
        closing = asyncio.ensure_future(peer.closing.wait())
        over = asyncio.ensure_future(peer.rpc.on_disconnect())
        await asyncio.wait([closing, over], return_when=asyncio.FIRST_COMPLETED)
        closing.cancel()
        over.cancel()
        peer.rpc.close()
        stream.close()
        await node.check_ended()

        # None of Python's objects is left, either.
        peer.let_go()
        peer.rpc = None

        def gone():
            gc.collect()
            return peer.alive == 0

        await wait_until(gone, lambda: f"{peer.alive} objects of Python's are held")
        return peer.steps


def _report(loop, context):
    """Suppresses pycapnp's reports of methods that fail when nobody waits for them any more."""
    if not context["message"].startswith("Cancelled server method"):
        loop.default_exception_handler(context)
