"""Promises as tasks that run meanwhile."""

import asyncio


def wait(promise):
    async def run():
        return await promise

    return run()


def start(promise):
    return asyncio.ensure_future(wait(promise))


def note(done, what, promise):
    """A task that notes down what is done, when it is."""
    task = start(promise)
    task.add_done_callback(lambda _: done.append(what))
    return task
