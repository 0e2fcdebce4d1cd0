"""Tests for a node on a socket and as a child: Mining, methods that it does not have, and waiting."""

import asyncio
import json
from pathlib import Path

import capnp

import peer
import tasks
from miner import GENESIS, Header, mine, new_template, sha256d, solution

# Methods that the node does not have.
future = capnp.SchemaParser().load(str(Path(__file__).parent / "future.capnp"))


class Mining:
    """Mining, methods that the node does not have, and waiting."""

    # ---- methods that the node does not have

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
        # Its only block is older than a day.
        self.assertTrue((await mining.isInitialBlockDownload(context=context)).result)
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
            call = mining.createNewBlock(context=self.client.context(), options=options, cooldown=False)
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
        waits = [tasks.start(mining.waitTipChanged(context=client.context(thread), currentTip=GENESIS)) for thread in threads[:3]]
        next_template = tasks.start(template.waitNext(context=client.context(threads[3])))
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
        # On a tip that is older than 20 minutes there is always a new template.
        template = await new_template(client, mining)
        self.assertTrue((await template.waitNext(context=client.context(), options={"timeout": 30.0}))._has("result"))
        tip = await mine(client, mining)
        template = await new_template(client, mining)
        for timeout in [30.0, 0.0, -1.0]:
            answer = await mining.waitTipChanged(context=client.context(), currentTip=tip, timeout=timeout)
            self.assertEqual((answer.result.hash, answer.result.height), (tip, 1))
            answer = await template.waitNext(context=client.context(), options={"timeout": timeout})
            self.assertFalse(answer._has("result"))
        nan = float("nan")
        with self.assertRaisesRegex(capnp.KjException, "waitTipChanged.timeout: a time in milliseconds that is not a number"):
            await mining.waitTipChanged(context=client.context(), currentTip=GENESIS, timeout=nan)
        with self.assertRaisesRegex(capnp.KjException, "waitNext.options.timeout: a time in milliseconds that is not a number"):
            await template.waitNext(context=client.context(), options={"timeout": nan})

    async def test_a_tip_that_changed_before_is_returned_at_once(self):
        mining = await self.client.mining()
        answer = await mining.waitTipChanged(context=self.client.context(), currentTip=bytes(32))
        self.assertEqual(answer.result.hash, GENESIS)

    async def test_interrupt_ends_the_waits_of_its_object(self):
        client = self.client
        mining, other = await client.mining(), await client.mining()
        threads = [await client.make_thread(f"wait {n}") for n in range(3)]
        waits = [tasks.start(mining.waitTipChanged(context=client.context(thread), currentTip=GENESIS)) for thread in threads[:2]]
        others = tasks.start(other.waitTipChanged(context=client.context(threads[2]), currentTip=GENESIS))
        # An interrupt ends the waits that have begun, which this side cannot see; so it is repeated.
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
        wait = tasks.start(template.waitNext(context=client.context(threads[0])))
        others = tasks.start(other.waitNext(context=client.context(threads[1])))
        await template.interruptWait()
        self.assertFalse((await wait)._has("result"))
        self.assertFalse(others.done())
        await other.interruptWait()
        self.assertFalse((await others)._has("result"))
        # One interrupt ends one wait.
        wait = tasks.start(template.waitNext(context=client.context(threads[0])))
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
                # A task that is cancelled before it runs would keep its promise, so the promise is cancelled.
                wait = tasks.start(start()) if round_trip_first else start()
                behind = tasks.start(echo.echo(context=context, echo="behind"))
                if round_trip_first:
                    await echo.echo(context=client.context(), echo="x")
                    self.assertFalse(behind.done())
                wait.cancel()
                self.assertEqual((await behind).result, "behind")
        # A call that is still queued does not run, either.
        first = tasks.start(mining.waitTipChanged(context=context, currentTip=GENESIS))
        queued = tasks.start(mining.waitTipChanged(context=context, currentTip=GENESIS))
        behind = tasks.start(echo.echo(context=context, echo="behind"))
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
