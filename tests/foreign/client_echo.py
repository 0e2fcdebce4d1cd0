"""Tests for a node on a socket and as a child: threads, Echo, and the lives of objects."""

import asyncio
from pathlib import Path

import capnp

import peer
import tasks
from miner import GENESIS, Header, mine, new_template

# Echo's texts as bytes.
as_bytes = capnp.SchemaParser().load(str(Path(__file__).parent / "bytes.capnp"))


class Threads:
    """The threads that calls run on."""

    async def test_a_thread_has_its_name(self):
        for name in ["python", "", "zwölf €", "x" * 1000]:
            thread = await self.client.make_thread(name)
            self.assertEqual((await thread.getName()).result, name)

    async def test_a_null_thread_is_an_error_until_there_is_a_pool(self):
        client = self.client
        echo = await client.echo()
        for context in [{}, {"callbackThread": client.callback}]:
            error = await self.fails(echo.echo(context=context, echo="x"), "no thread specified and no pool configured")
            self.assertTrue(error.endswith(": no thread specified and no pool configured"), error)
        await self.fails(client.thread_map.makePool(0), "")
        await client.thread_map.makePool(2)
        self.assertEqual((await echo.echo(context={}, echo="pool")).result, "pool")

    async def test_a_pool_serves_as_many_waits_as_it_has_threads(self):
        client = self.client
        await client.thread_map.makePool(2)
        mining = await client.mining()
        waits = [asyncio.ensure_future(tasks.wait(mining.waitTipChanged(context={}, currentTip=GENESIS))) for _ in range(2)]
        tip = await mine(client, mining)  # on a thread of its own
        for wait in waits:
            self.assertEqual((await wait).result.hash, tip)

    async def test_a_thread_that_is_not_the_nodes_is_an_error(self):
        client = self.client
        echo = await client.echo()
        made_up = await client.own.makeThread("made up")
        for thread in [made_up, echo.cast_as(peer.proxy.Thread), client.thread_map.cast_as(peer.proxy.Thread)]:
            error = await self.fails(echo.echo(context={"thread": thread}, echo="x"), "invalid thread handle")
            self.assertIn(": invalid thread handle: what the caller named is no thread here", error)
        self.assertEqual((await echo.echo(context=client.context(), echo="x")).result, "x")

    async def test_a_thread_need_not_be_waited_for(self):
        client = self.client
        thread = client.thread_map.makeThread("eager").result
        echo = client.init.makeEcho(context={"thread": thread}).result
        self.assertEqual((await echo.echo(context={"thread": thread}, echo="eager")).result, "eager")

    async def test_calls_on_one_thread_run_first_in_first_out(self):
        client = self.client
        echo, mining = await client.echo(), await client.mining()
        queue = await client.make_thread("queue")
        done = []
        context = client.context(queue)
        calls = [tasks.note(done, "wait", mining.waitTipChanged(context=context, currentTip=GENESIS))]
        calls += [tasks.note(done, n, echo.echo(context=context, echo=str(n))) for n in range(20)]
        # Other threads go on meanwhile; calls behind the wait do not run.
        for _ in range(5):
            await echo.echo(context=client.context(), echo="x")
        self.assertEqual(done, [])
        await mine(client, mining)
        await asyncio.gather(*calls)
        self.assertEqual(done, ["wait", *range(20)])

    async def test_many_threads_each_with_a_call(self):
        client = self.client
        echo = await client.echo()
        threads = [await client.make_thread(f"t{n}") for n in range(40)]
        calls = [tasks.wait(echo.echo(context=client.context(thread), echo=str(n))) for n, thread in enumerate(threads)]
        answers = await asyncio.gather(*calls)
        self.assertEqual([answer.result for answer in answers], [str(n) for n in range(40)])

    async def test_a_peer_can_have_so_many_threads_only(self):
        client = self.client
        threads = []
        with self.assertRaises(capnp.KjException) as refused:
            while len(threads) < 10_000:
                threads.append(await client.make_thread("one more"))
        self.assertEqual(refused.exception.type, "OVERLOADED")
        await self.fails(client.thread_map.makePool((1 << 32) - 1), "", "OVERLOADED")
        echo = await client.echo()
        self.assertEqual((await echo.echo(context=client.context(threads[-1]), echo="x")).result, "x")
        # Dropped threads are released before the next call is read.
        del threads[:]
        self.assertEqual((await (await client.make_thread("again")).getName()).result, "again")


class Objects:
    """Echo, and the objects' lives."""

    async def test_echo(self):
        echo = await self.client.echo()
        for text in ["hi", "", "é € 😀 \u202e", "a\0b\0", "\n\r\t", "x" * (1 << 20), "€" * (1 << 18)]:
            answer = await echo.echo(context=self.client.context(), echo=text)
            self.assertTrue(answer.result == text, f"{text[:10]!r} came back as {answer.result[:10]!r}")

    async def test_text_that_is_not_utf8_is_an_error_on_that_call_only(self):
        client = self.client
        echo = client.init.makeEcho(context=client.context()).result
        context = {"thread": client.thread.cast_as(as_bytes.Thread)}
        # Text is Data with a NUL at its end.
        await self.fails(echo.cast_as(as_bytes.Echo).echo(context=context, echo=b"\xff\xfe\0"), "")
        await self.fails(echo.cast_as(as_bytes.Echo).echo(context=context, echo=b"no NUL"), "")
        self.assertEqual((await echo.echo(context=client.context(), echo="x")).result, "x")

    async def test_pipelining(self):
        client = self.client
        made = client.init.makeEcho(context=client.context())
        calls = [made.result.echo(context=client.context(), echo=str(n)) for n in range(10)]
        self.assertEqual([(await call).result for call in calls], [str(n) for n in range(10)])
        mining = client.init.makeMining(context=client.context())
        template = mining.result.createNewBlock(context=client.context(), cooldown=False)
        header = await template.result.getBlockHeader(context=client.context())
        self.assertEqual(Header(header.result).previous, GENESIS)

    async def test_destroy(self):
        client = self.client
        echo = await client.echo()
        await echo.destroy(context=client.context())
        await echo.destroy(context=client.context())
        await self.fails(echo.echo(context=client.context(), echo="x"), "destroyed")
        await echo.destroy(context=client.context())
        another = await client.echo()
        self.assertEqual((await another.echo(context=client.context(), echo="x")).result, "x")

    async def test_destroy_waits_its_turn(self):
        client = self.client
        mining = await client.mining()
        template = await new_template(client, mining)
        done = []
        thread = await client.make_thread("turns")
        context = client.context(thread)
        wait = tasks.note(done, "wait", template.waitNext(context=context, options={"timeout": 1e9}))
        destroy = tasks.note(done, "destroy", template.destroy(context=context))
        await mining.getTip(context=client.context())
        self.assertEqual(done, [])
        await mine(client, mining)
        await asyncio.gather(wait, destroy)
        self.assertEqual(done, ["wait", "destroy"])

    async def test_dropping_objects_without_destroy(self):
        client = self.client
        mining = await client.mining()
        for _ in range(50):
            await new_template(client, mining)
            await client.echo()
        self.assertTrue((await mining.isTestChain(context=client.context())).result)
