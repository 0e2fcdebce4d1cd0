"""A client in an endless wait, to be killed: `hanging_peer.py SOCKET` prints when it waits."""

import asyncio
import sys

import capnp

from peer import Client


async def main(path):
    async with capnp.kj_loop():
        client = await Client.open(path)
        mining = await client.mining()
        tip = (await mining.getTip(context=client.context())).result.hash
        thread = await client.make_thread("hangs")
        wait = mining.waitTipChanged(context=client.context(thread), currentTip=tip)
        await mining.getTip(context=client.context())
        print("waiting", flush=True)
        await wait


asyncio.run(main(sys.argv[1]))
