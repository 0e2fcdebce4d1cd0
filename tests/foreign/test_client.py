"""Python as a client of our node, over a socket that it listens on and as its child."""

import asyncio
import signal
import socket
import sys
import unittest
from pathlib import Path

import capnp

import peer
import tasks
from client_echo import Objects, Threads
from client_mining import Mining
from miner import GENESIS, mine
from peer import Case, Client, Node, message, wait_until

HERE = Path(__file__).parent
# Types of one parser are not those of another.
parser30 = capnp.SchemaParser()
core30 = parser30.load(f"{peer.IMPORTS[1]}/older/30/init.capnp", imports=peer.IMPORTS)
proxy30 = parser30.load(f"{peer.IMPORTS[0]}/mp/proxy.capnp", imports=peer.IMPORTS)


class Connected(Case):
    """A node, and a connection to it."""

    async def asyncSetUp(self):
        await super().asyncSetUp()
        await self.start()

    async def asyncTearDown(self):
        self.client.close()
        await self.stop()
        await super().asyncTearDown()


class OverSocket(Connected):
    async def start(self):
        self.node = await self.listening(self.serve())
        self.client = await self.connect()

    async def connect(self, **options):
        return await Client.open(self.node.path, **options)

    async def stop(self):
        self.node.process.send_signal(signal.SIGTERM)
        await self.node.check_ended()


class Relayed(Connected):
    """The same behind `bitcoin-ipc relay`: to a client the relay is the node."""

    async def start(self):
        self.behind = await self.listening(self.serve())
        path = self.dir / "ipc" / "relay.sock"
        args = ["--connect", f"unix:{self.behind.path}", "relay", "--listen", f"unix:{path}"]
        self.node = Node(self.dir, args, "bitcoin-ipc")
        self.node.path = path
        self.addCleanup(self.node.kill)
        await self.listening(self.node)
        self.client = await Client.open(path)

    async def stop(self):
        for node in (self.node, self.behind):
            node.process.send_signal(signal.SIGTERM)
            await node.check_ended()


class Spawned(Connected):
    async def start(self):
        self.node = self.spawn()
        self.client = await Client.open(sock=self.node.socket)

    async def stop(self):
        await self.node.check_ended()


class TestOverSocket(Threads, Objects, Mining, OverSocket):
    async def test_without_threads_of_pythons_own(self):
        client = await self.connect(own=False)
        echo = await client.echo()
        self.assertEqual((await echo.echo(context=client.context(), echo="x")).result, "x")
        client.close()

    async def test_a_thread_of_another_connection_is_an_error(self):
        other = await self.connect()
        echo = await self.client.echo()
        await self.fails(echo.echo(context={"thread": other.thread}, echo="x"), "invalid thread handle")
        other.close()

    async def test_a_block_of_another_connection_ends_a_wait(self):
        other = await self.connect()
        mining = await self.client.mining()
        wait = tasks.start(mining.waitTipChanged(context=self.client.context(), currentTip=GENESIS))
        tip = await mine(other, await other.mining())
        self.assertEqual((await wait).result.hash, tip)
        other.close()

    async def test_interrupt_is_for_one_connection(self):
        other = await self.connect()
        wait = tasks.start((await self.client.mining()).waitTipChanged(context=self.client.context(), currentTip=GENESIS))
        others = await other.mining()
        for _ in range(5):
            await others.interrupt()
        self.assertFalse(wait.done())
        tip = await mine(other, others)
        self.assertEqual((await wait).result.hash, tip)
        other.close()

    async def test_sigterm_ends_the_node_during_a_wait(self):
        mining = await self.client.mining()
        wait = tasks.start(mining.waitTipChanged(context=self.client.context(), currentTip=GENESIS))
        await self.client.thread.getName()
        self.node.process.send_signal(signal.SIGTERM)
        await self.node.check_ended()
        try:
            self.assertFalse((await wait)._has("result"))
        except capnp.KjException as lost:
            self.assertEqual(lost.type, "DISCONNECTED")

    async def test_garbage_ends_that_connection_only(self):
        huge = (4).to_bytes(4, "little") + b"\xff" * 16
        many = b"\xff\xff\xff\x7f" + bytes(8)
        pointer = (0).to_bytes(4, "little") + (1).to_bytes(4, "little") + b"\xff" * 8
        texts = [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 1000, huge, many, pointer]
        nonsense = message(call={"questionId": 1, "target": {"importedCap": 77}, "interfaceId": 1})
        for text in [*texts, nonsense, message(finish={"questionId": 99}), message(release={"id": 99, "referenceCount": 1})]:
            with socket.socket(socket.AF_UNIX) as raw:
                raw.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(raw, str(self.node.path))
                await loop.sock_sendall(raw, text)
                raw.shutdown(socket.SHUT_WR)
                while await loop.sock_recv(raw, 4096):
                    pass
        echo = await self.client.echo()
        self.assertEqual((await echo.echo(context=self.client.context(), echo="x")).result, "x")

    async def test_unclean_ends_leave_nothing_behind(self):
        self.client.close()
        at_first = lambda: (self.node.threads(), self.node.fds())
        # Idle pool threads go after five seconds; the driver stays, and the thread for SIGUSR1.
        await wait_until(lambda: len(self.node.threads()) == 3, self.node.threads)
        before = at_first()

        await asyncio.gather(*(self.killed_in_a_wait() for _ in range(7)))
        for number in range(13):
            await self.ends_in_a_message(number) if number % 2 else await self.reset()

        self.client = await self.connect()
        echo = await self.client.echo()
        self.assertEqual((await echo.echo(context=self.client.context(), echo="x")).result, "x")
        self.client.close()
        await wait_until(lambda: at_first() == before, lambda: f"{before}, but now {at_first()}")

    async def killed_in_a_wait(self):
        program = [sys.executable, str(HERE / "hanging_peer.py"), str(self.node.path)]
        process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
        try:
            self.assertEqual(await process.stdout.readline(), b"waiting\n")
        finally:
            process.kill()
            await process.wait()

    async def reset(self):
        """Closes with an answer unread, which the other side sees as a reset."""
        with await self.raw() as raw:
            await asyncio.get_running_loop().sock_sendall(raw, message(bootstrap={"questionId": 0}))
            await wait_until(lambda: _peek(raw), "the node answers")

    async def ends_in_a_message(self, number):
        data = message(bootstrap={"questionId": 0})
        with await self.raw() as raw:
            await asyncio.get_running_loop().sock_sendall(raw, data + data[: 1 + number])

    async def raw(self):
        raw = socket.socket(socket.AF_UNIX)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, str(self.node.path))
        return raw


class TestRelayed(Threads, Objects, Mining, Relayed):
    async def test_core_30s_make_mining_is_an_error(self):
        """Not here: the relay has Mining as clients of Bitcoin Core 30 know it."""
        client = self.client
        context = {"thread": client.thread.cast_as(proxy30.Thread)}
        init = client.rpc.bootstrap().cast_as(core30.Init)
        mining = (await init.makeMining(context=context)).result
        self.assertEqual((await mining.getTip(context=context)).result.height, 0)
        # Neither has a context.
        options = {"useMempool": True, "blockReservedWeight": 4000, "coinbaseOutputMaxAdditionalSigops": 400}
        template = (await mining.createNewBlock(options=options)).result
        block = (await template.getBlock(context=context)).result
        checked = await mining.checkBlock(block=block, options={"checkMerkleRoot": False, "checkPow": False})
        self.assertTrue(checked.result, checked.reason)
        coinbase = (await template.getCoinbaseTx(context=context)).result
        self.assertEqual(block[81:], coinbase)
        self.assertEqual(list((await template.getCoinbaseMerklePath(context=context)).result), [])
        waits = template.waitNext(context=context, options={"timeout": 1, "feeThreshold": 2**63 - 1})
        self.assertIsNotNone(await waits)
        await template.destroy(context=context)


class TestSpawned(Threads, Objects, Mining, Spawned):
    async def test_sigint_is_ignored(self):
        self.node.process.send_signal(signal.SIGINT)
        await wait_until(lambda: "parent" in self.node.said(), "the node says that it waits for its parent")
        echo = await self.client.echo()
        self.assertEqual((await echo.echo(context=self.client.context(), echo="x")).result, "x")

    async def test_it_ends_with_the_socket_during_a_wait(self):
        mining = await self.client.mining()
        wait = tasks.start(mining.waitTipChanged(context=self.client.context(), currentTip=GENESIS))
        await self.client.thread.getName()
        self.client.close()
        await self.node.check_ended()
        with self.assertRaises(capnp.KjException):
            await wait


class TestSpawnedRaw(Case):
    async def test_without_threads_of_pythons_own(self):
        node = self.spawn()
        client = await Client.open(sock=node.socket, own=False)
        echo = await client.echo()
        self.assertEqual((await echo.echo(context=client.context(), echo="x")).result, "x")
        client.close()
        await node.check_ended()

    async def test_it_ends_with_a_socket_that_was_never_used(self):
        node = self.spawn()
        node.socket.close()
        await node.check_ended()

    async def test_it_ends_with_a_socket_that_ends_in_a_message(self):
        node = self.spawn()
        node.socket.sendall(message(bootstrap={"questionId": 0})[:13])
        node.socket.close()
        await node.check_ended()


def _peek(raw):
    try:
        return raw.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return b""


if __name__ == "__main__":
    unittest.main()
