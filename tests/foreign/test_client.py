"""Python as a client of our node, over a socket that it listens on and as its child."""

import asyncio
import json
import signal
import socket
import sys
import unittest
from pathlib import Path

import capnp

import peer
from miner import Header, mine, new_template, sha256d, solution
from peer import Case, Client, message, wait_until

GENESIS = bytes.fromhex("0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206")[::-1]
HERE = Path(__file__).parent
# Methods that the node does not have.
future = capnp.SchemaParser().load(str(HERE / "future.capnp"))
# Echo's texts as bytes.
as_bytes = capnp.SchemaParser().load(str(HERE / "bytes.capnp"))


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


class Spawned(Connected):
    async def start(self):
        self.node = self.spawn()
        self.client = await Client.open(sock=self.node.socket)

    async def stop(self):
        await self.node.check_ended()


class Calls:
    """What has to work over either."""

    # ---- threads

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
        waits = [asyncio.ensure_future(_await(mining.waitTipChanged(context={}, currentTip=GENESIS))) for _ in range(2)]
        tip = await mine(client, mining)  # on a thread of its own
        for wait in waits:
            self.assertEqual((await wait).result.hash, tip)

    async def test_a_thread_that_is_not_the_nodes_is_an_error(self):
        client = self.client
        echo = await client.echo()
        made_up = await client.own.makeThread("made up")
        for thread in [made_up, echo.cast_as(peer.proxy.Thread), client.thread_map.cast_as(peer.proxy.Thread)]:
            error = await self.fails(echo.echo(context={"thread": thread}, echo="x"), "invalid thread handle")
            self.assertTrue(error.endswith(": invalid thread handle"), error)
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
        calls = [_note(done, "wait", mining.waitTipChanged(context=context, currentTip=GENESIS))]
        calls += [_note(done, n, echo.echo(context=context, echo=str(n))) for n in range(20)]
        # Others go on meanwhile; behind the wait nothing moves.
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
        calls = [_await(echo.echo(context=client.context(thread), echo=str(n))) for n, thread in enumerate(threads)]
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
        # Dropped ones are given back, before the next call is read.
        del threads[:]
        self.assertEqual((await (await client.make_thread("again")).getName()).result, "again")

    # ---- Echo, and the objects' lives

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
        wait = _note(done, "wait", template.waitNext(context=context, options={"timeout": 1e9}))
        destroy = _note(done, "destroy", template.destroy(context=context))
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

    # ---- what the node does not have

    async def test_unknown_methods_and_interfaces(self):
        client = self.client
        echo = await client.echo()
        later = echo.cast_as(future.Echo)
        await self.fails(later.whisper(), "", "UNIMPLEMENTED")
        other = echo.cast_as(peer.mining.Mining)
        await self.fails(other.getTip(context=client.context()), "", "UNIMPLEMENTED")
        bootstrap = client.rpc.bootstrap().cast_as(peer.echo.Echo)
        await self.fails(bootstrap.echo(context=client.context(), echo="x"), "", "UNIMPLEMENTED")
        named = client.thread.cast_as(peer.echo.Echo)
        await self.fails(named.echo(context=client.context(), echo="x"), "", "UNIMPLEMENTED")
        maker = client.thread_map.cast_as(peer.echo.Echo)
        await self.fails(maker.echo(context=client.context(), echo="x"), "", "UNIMPLEMENTED")
        self.assertEqual((await echo.echo(context=client.context(), echo="x")).result, "x")

    async def test_core_30s_make_mining_is_an_error(self):
        error = await self.fails(self.client.init.makeMiningOld2(), "makeMining")
        self.assertIn("30", error)

    # ---- Mining

    async def test_the_chain(self):
        client = self.client
        mining = await client.mining()
        context = client.context()
        self.assertTrue((await mining.isTestChain(context=context)).result)
        self.assertFalse((await mining.isInitialBlockDownload(context=context)).result)
        tip = await mining.getTip(context=context)
        self.assertTrue(tip.hasResult)
        self.assertEqual((tip.result.hash, tip.result.height), (GENESIS, 0))

    async def test_a_template_and_its_solution(self):
        client = self.client
        mining = await client.mining()
        context = client.context()
        template = await new_template(client, mining)
        header = Header((await template.getBlockHeader(context=context)).result)
        self.assertEqual((header.previous, header.bits), (GENESIS, 0x207FFFFF))
        block = (await template.getBlock(context=context)).result
        self.assertEqual(block[:80], header.serialize())
        self.assertEqual(list((await template.getTxFees(context=context)).result), [])
        self.assertEqual(list((await template.getTxSigops(context=context)).result), [])
        self.assertEqual(list((await template.getCoinbaseMerklePath(context=context)).result), [])
        parts = (await template.getCoinbaseTx(context=context)).result
        self.assertEqual((parts.version, parts.lockTime, parts.scriptSigPrefix), (2, 0, b"\x51"))
        self.assertEqual((parts.witness, parts.sequence), (bytes(32), 0xFFFFFFFE))
        self.assertEqual(parts.blockRewardRemaining, 50 * 100_000_000)
        commitment = b"\x6a\x24\xaa\x21\xa9\xed" + sha256d(bytes(64))
        self.assertEqual(list(parts.requiredOutputs), [bytes(8) + bytes([len(commitment)]) + commitment])

        unsolved = await solution(client, template, solved=False)
        self.assertFalse((await template.submitSolution(context=context, **unsolved.arguments())).result)
        solved = await solution(client, template)
        self.assertTrue((await template.submitSolution(context=context, **solved.arguments())).result)
        tip = (await mining.getTip(context=context)).result
        self.assertEqual((tip.hash, tip.height), (solved.header.hash(), 1))

    async def test_a_chain_of_blocks(self):
        client = self.client
        mining = await client.mining()
        for height in range(1, 21):  # the height's push changes form at 17
            await mine(client, mining)
            self.assertEqual((await mining.getTip(context=client.context())).result.height, height)

    async def test_check_block_and_submit_block(self):
        client = self.client
        mining = await client.mining()
        context = client.context()
        template = await new_template(client, mining)
        unsolved = await solution(client, template, solved=False)
        checked = await mining.checkBlock(context=context, block=unsolved.block())
        self.assertEqual((checked.result, checked.reason), (False, "high-hash"))
        checked = await mining.checkBlock(context=context, block=unsolved.block(), options={"checkPow": False})
        self.assertEqual((checked.result, checked.reason, checked.debug), (True, "", ""))
        unsolved.header.merkle_root = bytes(32)
        checked = await mining.checkBlock(context=context, block=unsolved.block(), options={"checkPow": False})
        self.assertEqual((checked.result, checked.reason), (False, "bad-txnmrklroot"))
        options = {"checkPow": False, "checkMerkleRoot": False}
        checked = await mining.checkBlock(context=context, block=unsolved.block(), options=options)
        self.assertTrue(checked.result)

        solved = await solution(client, template)
        for expected in [(True, ""), (False, "duplicate"), (False, "duplicate")]:
            submitted = await mining.submitBlock(context=context, block=solved.block())
            self.assertEqual((submitted.result, submitted.reason), expected)
        stale = await solution(client, template, extra=b"/other/")
        self.assertFalse((await template.submitSolution(context=context, **stale.arguments())).result)
        self.assertEqual((await mining.getTip(context=context)).result.hash, solved.header.hash())

    async def test_wrong_bytes_are_an_error_on_that_call_only(self):
        client = self.client
        mining = await client.mining()
        context = client.context()
        template = await new_template(client, mining)
        for wrong in [b"", bytes(31), bytes(33), bytes(1 << 16)]:
            await self.fails(mining.waitTipChanged(context=context, currentTip=wrong, timeout=0), "hash")
            await self.fails(mining.checkBlock(context=context, block=wrong), "block")
            await self.fails(mining.submitBlock(context=context, block=wrong), "block")
            await self.fails(mining.getTransactionsByTxID(context=context, txids=[bytes(32), wrong]), "txids[1]")
            arguments = {"version": 1, "timestamp": 1, "nonce": 1, "coinbase": wrong}
            await self.fails(template.submitSolution(context=context, **arguments), "coinbase")
        self.assertEqual((await mining.getTip(context=context)).result.hash, GENESIS)

    async def test_options_out_of_range_are_an_error_on_that_call_only(self):
        mining = await self.client.mining()
        for options in [{"blockReservedWeight": 0}, {"blockReservedWeight": (1 << 64) - 1}, {"coinbaseOutputMaxAdditionalSigops": 1 << 40}]:
            call = mining.createNewBlock(context=self.client.context(), options=options)
            await self.fails(call, "block_reserved_weight" if "blockReservedWeight" in options else "sigops")
        await new_template(self.client, mining)

    async def test_transactions_that_nobody_has(self):
        mining = await self.client.mining()
        ids = [bytes([n]) * 32 for n in range(3)]
        answer = await mining.getTransactionsByTxID(context=self.client.context(), txids=ids)
        self.assertEqual(list(answer.result), [b""] * 3)
        answer = await mining.getTransactionsByWitnessID(context=self.client.context(), wtxids=ids)
        self.assertEqual(list(answer.result), [b""] * 3)

    async def test_rpc(self):
        client = self.client
        rpc = await client.rpc_object()

        async def execute(request):
            answer = await rpc.executeRpc(context=client.context(), request=json.dumps(request), uri="/", user="python")
            return json.loads(answer.result)

        answer = await execute({"jsonrpc": "2.0", "id": 7, "method": "getblockchaininfo", "params": []})
        self.assertEqual((answer["id"], answer["result"]["chain"], answer["result"]["blocks"]), (7, "regtest", 0))
        self.assertEqual(answer["result"]["bestblockhash"], GENESIS[::-1].hex())
        answer = await execute({"jsonrpc": "2.0", "id": 8, "method": "nonsense"})
        self.assertEqual(answer["error"]["code"], -32601)
        nonsense = await rpc.executeRpc(context=client.context(), request="nonsense", uri="", user="")
        self.assertEqual(json.loads(nonsense.result)["error"]["code"], -32700)

    # ---- waiting

    async def test_waits_end_with_a_block(self):
        client = self.client
        mining = await client.mining()
        template = await new_template(client, mining)
        threads = [await client.make_thread(f"wait {n}") for n in range(4)]
        waits = [_task(mining.waitTipChanged(context=client.context(thread), currentTip=GENESIS)) for thread in threads[:3]]
        next_template = _task(template.waitNext(context=client.context(threads[3])))
        await mining.getTip(context=client.context())
        self.assertFalse(any(wait.done() for wait in [*waits, next_template]))
        tip = await mine(client, mining)
        for wait in waits:
            result = (await wait).result
            self.assertEqual((result.hash, result.height), (tip, 1))
        header = await (await next_template).result.getBlockHeader(context=client.context())
        self.assertEqual(Header(header.result).previous, tip)

    async def test_waits_time_out(self):
        client = self.client
        mining = await client.mining()
        template = await new_template(client, mining)
        for timeout in [30.0, 0.0, -1.0, float("nan")]:
            answer = await mining.waitTipChanged(context=client.context(), currentTip=GENESIS, timeout=timeout)
            self.assertEqual((answer.result.hash, answer.result.height), (GENESIS, 0))
            answer = await template.waitNext(context=client.context(), options={"timeout": timeout})
            self.assertFalse(answer._has("result"))

    async def test_a_tip_that_changed_before_is_returned_at_once(self):
        mining = await self.client.mining()
        answer = await mining.waitTipChanged(context=self.client.context(), currentTip=bytes(32))
        self.assertEqual(answer.result.hash, GENESIS)

    async def test_interrupt_ends_the_waits_of_its_object(self):
        client = self.client
        mining, other = await client.mining(), await client.mining()
        threads = [await client.make_thread(f"wait {n}") for n in range(3)]
        waits = [_task(mining.waitTipChanged(context=client.context(thread), currentTip=GENESIS)) for thread in threads[:2]]
        others = _task(other.waitTipChanged(context=client.context(threads[2]), currentTip=GENESIS))
        # An interrupt ends the waits that have begun; when they have is not to be seen from here.
        while not all(wait.done() for wait in waits):
            await mining.interrupt()
            await asyncio.wait(waits, timeout=0.01)
        for wait in waits:
            self.assertFalse((await wait)._has("result"))
        self.assertFalse(others.done())
        tip = await mine(client, mining)
        self.assertEqual((await others).result.hash, tip)

    async def test_interrupt_wait_ends_the_wait_of_its_template(self):
        client = self.client
        mining = await client.mining()
        template, other = await new_template(client, mining), await new_template(client, mining)
        threads = [await client.make_thread(f"wait {n}") for n in range(2)]
        wait = _task(template.waitNext(context=client.context(threads[0])))
        others = _task(other.waitNext(context=client.context(threads[1])))
        await template.interruptWait()
        self.assertFalse((await wait)._has("result"))
        self.assertFalse(others.done())
        await other.interruptWait()
        self.assertFalse((await others)._has("result"))
        # One interrupt ends one wait.
        wait = _task(template.waitNext(context=client.context(threads[0])))
        await mine(client, mining)
        self.assertTrue((await wait)._has("result"))

    async def test_a_cancelled_wait_gives_its_thread_back(self):
        client = self.client
        mining, echo = await client.mining(), await client.echo()
        template = await new_template(client, mining)
        thread = await client.make_thread("cancelled")
        context = client.context(thread)
        for round_trip_first in [True, False]:
            for start in [
                lambda: mining.waitTipChanged(context=context, currentTip=GENESIS),
                lambda: template.waitNext(context=context),
            ]:
                # A task that is cancelled before it runs would keep its promise: cancel that itself.
                wait = _task(start()) if round_trip_first else start()
                behind = _task(echo.echo(context=context, echo="behind"))
                if round_trip_first:
                    await echo.echo(context=client.context(), echo="x")
                    self.assertFalse(behind.done())
                wait.cancel()
                self.assertEqual((await behind).result, "behind")
        # One that still stands in the queue does not run, either.
        first = _task(mining.waitTipChanged(context=context, currentTip=GENESIS))
        queued = _task(mining.waitTipChanged(context=context, currentTip=GENESIS))
        behind = _task(echo.echo(context=context, echo="behind"))
        await echo.echo(context=client.context(), echo="x")
        queued.cancel()
        await echo.echo(context=client.context(), echo="x")
        first.cancel()
        self.assertEqual((await behind).result, "behind")

    async def test_many_cancelled_calls_leave_nothing(self):
        client = self.client
        mining, echo = await client.mining(), await client.echo()
        thread = await client.make_thread("cancelled")
        for _ in range(200):
            promise = mining.waitTipChanged(context=client.context(thread), currentTip=GENESIS)
            promise.cancel()
            del promise
        self.assertEqual((await echo.echo(context=client.context(thread), echo="x")).result, "x")

    async def test_a_cancelled_make_leaves_the_connection_whole(self):
        client = self.client
        for _ in range(50):
            made = client.init.makeEcho(context=client.context())
            call = made.result.echo(context=client.context(), echo="x")
            made.cancel()
            call.cancel()
        echo = await client.echo()
        self.assertEqual((await echo.echo(context=client.context(), echo="x")).result, "x")

    async def test_bootstrapping_again(self):
        for _ in range(5):
            again = self.client.rpc.bootstrap().cast_as(peer.init.Init)
            threads = (await again.construct(threadMap=self.client.own)).threadMap
            thread = (await threads.makeThread("again")).result
            echo = (await again.makeEcho(context={"thread": thread})).result
            self.assertEqual((await echo.echo(context={"thread": thread}, echo="x")).result, "x")


class TestOverSocket(Calls, OverSocket):
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
        wait = _task(mining.waitTipChanged(context=self.client.context(), currentTip=GENESIS))
        tip = await mine(other, await other.mining())
        self.assertEqual((await wait).result.hash, tip)
        other.close()

    async def test_interrupt_is_for_one_connection(self):
        other = await self.connect()
        wait = _task((await self.client.mining()).waitTipChanged(context=self.client.context(), currentTip=GENESIS))
        others = await other.mining()
        for _ in range(5):
            await others.interrupt()
        self.assertFalse(wait.done())
        tip = await mine(other, others)
        self.assertEqual((await wait).result.hash, tip)
        other.close()

    async def test_sigterm_ends_the_node_during_a_wait(self):
        mining = await self.client.mining()
        wait = _task(mining.waitTipChanged(context=self.client.context(), currentTip=GENESIS))
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
        # Idle pool threads go after five seconds; the driver stays.
        await wait_until(lambda: len(self.node.threads()) == 2, self.node.threads)
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
        """Closed with an answer unread, which the other side sees as a reset."""
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


class TestSpawned(Calls, Spawned):
    async def test_sigint_is_ignored(self):
        self.node.process.send_signal(signal.SIGINT)
        await wait_until(lambda: "parent" in self.node.said(), "the node says that it waits for its parent")
        echo = await self.client.echo()
        self.assertEqual((await echo.echo(context=self.client.context(), echo="x")).result, "x")

    async def test_it_ends_with_the_socket_during_a_wait(self):
        mining = await self.client.mining()
        wait = _task(mining.waitTipChanged(context=self.client.context(), currentTip=GENESIS))
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


def _await(promise):
    async def wait():
        return await promise

    return wait()


def _task(promise):
    return asyncio.ensure_future(_await(promise))


def _note(done, what, promise):
    """A task that notes down what is done, when it is."""
    task = _task(promise)
    task.add_done_callback(lambda _: done.append(what))
    return task


def _peek(raw):
    try:
        return raw.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return b""


if __name__ == "__main__":
    unittest.main()
