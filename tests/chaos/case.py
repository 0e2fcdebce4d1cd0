"""What one case has: a seed, its processes, a server with an honest client, and what it counts."""

import collections
import contextlib
import itertools
import pathlib
import socket
import subprocess

import faults
from process import GUARD, SETTLED, Failed, Process, wait_until


class Case:
    def __init__(self, args, rng, scratch, recorded=None, turn=0):
        self.args, self.rng, self.scratch, self.recorded, self.turn = args, rng, scratch, recorded, turn
        self.processes = []
        self.injected = collections.Counter()
        self.done = collections.Counter()
        self.numbers = itertools.count()
        self.served = None
        # What is checked when the server has ended.
        self.afterwards = []

    def next_of(self, ways):
        """One of the ways in which a case goes: each in its turn, so that none depends on luck."""
        return ways[self.turn % len(ways)]

    def path(self, name):
        """A new path."""
        return str(pathlib.Path(self.scratch, f"{name}{next(self.numbers)}"))

    def start(self, name, command, **how):
        self.processes.append(Process(name, command, self.scratch, **how))
        return self.processes[-1]

    def with_socket(self, program, end, **how):
        """A program that is given this end of a socket."""
        try:
            number = str(end.fileno())
            return self.start(pathlib.Path(program).name, [program, "-ipcfd", number], pass_fds=[end.fileno()], **how)
        finally:
            end.close()

    def pair(self, server=(), client=()):
        """A server and a client with a socket between them, and the rules for each."""
        ours, theirs = socket.socketpair()
        return (self.with_socket(self.args.server, ours, rules=server),
                self.with_socket(self.args.client, theirs, rules=client))

    def role(self, role, *arguments, **how):
        return self.start(role, [self.args.process, role, *arguments], **how)

    def count(self, *processes):
        for process in processes:
            self.injected.update(faults.injected(process.trace))

    @contextlib.contextmanager
    def serving(self, environment=None):
        """A server that is to survive whatever the case does, which an honest client calls meanwhile. Afterwards
        a new client is served too. What the server has must come back to what it had: see Served.settled."""
        served = Served(self, environment)
        yield served
        served.is_served()
        served.call().succeed()
        served.is_served()
        self.served = served

    def finished(self, wait):
        """Whether what is left of the case is as it was before. `wait`: until it is."""
        if self.served:
            if not wait and not self.served.settled():
                return False
            self.served.finish()
        for check in self.afterwards:
            check()
        return True

    def clear(self):
        for process in self.processes:
            process.clear()


class Served:
    def __init__(self, case, environment):
        self.case = case
        self.path = case.path("s")
        self.server = case.role("listen", self.path, pipes=True, environment=environment)
        if (said := self.server.line()) != "listening":
            raise Failed(f"the server says {said}")
        self.honest = case.role("steady", self.path, pipes=True, environment=environment)
        self.is_served(50)
        self.start = self.server.open()

    def call(self, rounds=1, path=None, **how):
        """A client that checks some answers and ends."""
        return self.case.role("call", path or self.path, str(rounds), **how)

    def rounds(self):
        """How many rounds of calls the honest client has had answered."""
        try:
            self.honest.child.stdin.write("\n")
            self.honest.child.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, which is told now
        try:
            return int(self.honest.line())
        except Failed as failed:
            with contextlib.suppress(subprocess.TimeoutExpired):
                # If the server is what ended, that is to be told.
                self.server.child.wait(1)
                self.server.end()
            raise Failed(f"the honest client: {failed}") from None

    def is_served(self, rounds=2):
        """Waits until rounds that the honest client begins from now on are answered."""
        first = self.rounds()
        wait_until("the honest client gets answers", lambda: self.rounds() >= first + rounds)
        self.case.done["rounds of the honest client"] += rounds

    def settled(self):
        """Has the server what it had at the start? Idle threads end in a while, so this is asked again."""
        now = self.server.open()
        if now is None:
            raise Failed(f"the server is gone: {self.server.said()}")
        return now[0] == self.start[0] and now[1] <= self.start[1]

    def finish(self):
        """Waits until the server has what it had, and then ends both."""
        wait_until(self.left, self.settled, SETTLED)
        self.is_served()
        self.honest.child.stdin.close()
        self.honest.succeed()
        self.server.child.stdin.close()
        self.server.succeed()
        if pathlib.Path(self.path).exists():
            raise Failed("the server leaves its socket behind")

    def left(self):
        return (f"descriptors and threads of the server are what they were, {self.start}: now "
                f"{self.server.open()}: {self.server.shown()}")
