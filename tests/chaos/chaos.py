"""Runs `everything-complete` and `everything-client` against each other, or one of them against bytes, under faults.

In no case may a process end by a signal that this did not send, panic, or go on for longer than the guard.
What else is asked of it stands at each case. The runtime makes most of its system calls itself, not through
libc, so that a preloaded library would not see them: strace makes them fail (`-e inject`).
"""

import argparse
import collections
import os
import pathlib
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

# A hang is told after so many seconds. It is no measurement: a run under strace takes a second or two.
GUARD = 60


# The one panic that is no failure: the client asks a method for it.
ASKED_FOR = "multiprocess-everything/src/server/calls.rs"


class Failed(Exception):
    pass


class Process:
    """One of the programs, which has this end of a socket; under strace if something is to be injected."""

    def __init__(self, program, end, scratch, inject=()):
        self.name = pathlib.Path(program).name
        self.errors = tempfile.TemporaryFile("w+", dir=scratch)
        self.trace = pathlib.Path(scratch, f"trace.{self.name}")
        command = [program, "-ipcfd", str(end.fileno())]
        if inject:
            options = [option for rule in inject for option in ("-e", f"inject={rule}")]
            command = ["strace", "-f", "-q", "-o", str(self.trace), *options, *command]
        self.child = subprocess.Popen(
            command, pass_fds=[end.fileno()], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=self.errors, start_new_session=True)
        end.close()

    def send(self, number):
        if self.child.poll() is None:
            self.child.send_signal(number)

    def injected(self):
        return self.trace.read_text(errors="replace").count("(INJECTED)") if self.trace.exists() else 0

    def end(self, killed=False):
        """Waits for its end, which may be no crash, and returns its exit status and what it said."""
        try:
            status = self.child.wait(GUARD)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} hangs: {self.said()}") from None
        said = self.said()
        panics = [line for line in said.splitlines() if "panicked at" in line and ASKED_FOR not in line]
        if panics or (status < 0 and not killed) or status in (101, 134, 139):
            raise Failed(f"{self.name} ended with {status}: {said}")
        return status, said

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def clear(self):
        """Leaves nothing behind, whatever became of the case."""
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.child.wait()
        self.errors.close()


class Chaos:
    def __init__(self, args, rng, scratch, seeds=(), spoken=None):
        self.args, self.rng, self.scratch = args, rng, scratch
        self.processes = []
        self.injected = 0
        self.seeds = seeds
        self.spoken = spoken

    def start(self, program, end, inject=()):
        self.processes.append(Process(program, end, self.scratch, inject))
        return self.processes[-1]

    def pair(self, server=(), client=()):
        ours, theirs = socket.socketpair()
        return self.start(self.args.server, ours, server), self.start(self.args.client, theirs, client)

    def succeed(self, *processes):
        for process in processes:
            status, said = process.end()
            if status != 0:
                raise Failed(f"{process.name} failed with {status}: {said}")

    def either(self, rules):
        """The rules for the server or for the client."""
        return {self.rng.choice(["server", "client"]): rules}

    def count(self, *processes):
        self.injected += sum(process.injected() for process in processes)

    # The cases.

    def interrupted(self):
        """System calls are interrupted again and again: every answer is right."""
        first, step = self.rng.randint(1, 9), self.rng.randint(2, 9)
        calls = "recvfrom,recvmsg,sendto,sendmsg,epoll_wait,epoll_pwait,epoll_pwait2,ppoll,poll"
        # The loader of programs makes the first reads, and takes none that is interrupted.
        read = f"read:error=EINTR:when={first + 20}+{step}"
        both = self.pair(**self.either([f"{calls}:error=EINTR:when={first}+{step}", read]))
        self.succeed(*both)
        self.count(*both)

    def without_descriptors(self):
        """From some call of each thread on it gets no descriptor. It is an error or not, and the other side ends well."""
        error = self.rng.choice(["EMFILE", "ENFILE", "ENOMEM"])
        calls = "eventfd2,epoll_create1,timerfd_create,pidfd_open,socket,socketpair,dup,epoll_ctl"
        self.one_fails(f"{calls}:error={error}:when={self.rng.choice([1, 1, 2, 3])}+")

    def without_threads(self):
        """From some call of each thread on it can start no further one."""
        self.one_fails(f"clone3,clone:error=EAGAIN:when={self.rng.choice([1, 1, 1, 2, 3])}+")

    def one_fails(self, rule):
        server, client = both = self.pair(**self.either([rule]))
        for process in both:
            process.end()
        self.count(*both)

    def stopped(self):
        """Either is stopped for a moment, some times: every answer is right."""
        both = self.pair()
        for _ in range(self.rng.randint(1, 8)):
            process = self.rng.choice(both)
            time.sleep(self.rng.uniform(0, 0.02))
            process.send(signal.SIGSTOP)
            time.sleep(self.rng.uniform(0, 0.05))
            process.send(signal.SIGCONT)
        self.succeed(*both)

    def killed(self):
        """Either is killed at some moment: the other ends, the server always well."""
        server, client = self.pair()
        victim, other = self.rng.choice([(server, client), (client, server)])
        time.sleep(self.rng.uniform(0, 0.3))
        victim.send(signal.SIGKILL)
        victim.end(killed=True)
        status, said = other.end()
        if other is server and status != 0:
            raise Failed(f"the server failed with {status}: {said}")

    def bytes_to_server(self):
        """A server gets messages, damaged and cut. It serves until the end of them, and ends well."""
        server = self.write_to(self.args.server, self.spoken["client"])
        self.succeed(server)

    def bytes_to_client(self):
        """A client gets messages that answer nothing. It fails."""
        status, said = self.write_to(self.args.client, self.spoken["server"]).end()
        if status == 0 or not said:
            raise Failed(f"the client believed it: {status}: {said}")

    def write_to(self, program, messages):
        """Writes messages of another conversation, in their order from some one on, or the fuzz targets' seeds."""
        if self.rng.random() < 0.3:
            messages = self.rng.sample(self.seeds, 20)
        else:
            first = self.rng.choice([0, 0, self.rng.randrange(len(messages))])
            messages = messages[first:first + self.rng.randint(1, 200)]
        damages = self.rng.choice([0, 0.02, 0.5])
        ours, theirs = socket.socketpair()
        process = self.start(program, theirs)
        with ours:
            ours.settimeout(GUARD)
            try:
                for message in messages:
                    ours.sendall(self.damaged(message) if self.rng.random() < damages else message)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it has ended the connection, as it may
            except TimeoutError:
                raise Failed(f"{process.name} neither reads nor ends the connection") from None
        return process

    def damaged(self, message):
        """The same with some bytes changed, mostly behind the table of segments, and now and then cut off."""
        message = bytearray(message)
        if message:
            for _ in range(self.rng.randint(1, 8)):
                first = 8 if len(message) > 8 and self.rng.random() < 0.9 else 0
                message[self.rng.randrange(first, len(message))] = self.rng.choice([0, 1, 255, self.rng.randrange(256)])
        if self.rng.random() < 0.2:
            del message[self.rng.randint(0, len(message)):]
        return bytes(message)


def messages(stream):
    """Cuts a stream into its messages."""
    while stream:
        count = int.from_bytes(stream[:4], "little") + 1
        words = sum(int.from_bytes(stream[4 * i:4 * i + 4], "little") for i in range(1, count + 1))
        length = 8 * (count // 2 + 1 + words)
        yield stream[:length]
        stream = stream[length:]


def conversation(args):
    """What the client and the server write when nothing is wrong."""
    with tempfile.TemporaryDirectory() as scratch:
        chaos = Chaos(args, None, scratch)
        (to_client, client), (to_server, server) = socket.socketpair(), socket.socketpair()
        both = [chaos.start(args.client, client), chaos.start(args.server, server)]
        ends = {to_client: (to_server, "client"), to_server: (to_client, "server")}
        spoken = {"client": b"", "server": b""}
        with to_client, to_server:
            open_ends = set(ends)
            while open_ends:
                for end in select.select(list(open_ends), [], [], GUARD)[0] or sys.exit("chaos: nothing is said"):
                    read, (other, name) = end.recv(1 << 16), ends[end]
                    spoken[name] += read
                    if read:
                        other.sendall(read)
                    else:
                        open_ends.remove(end)
                        other.shutdown(socket.SHUT_WR)
        try:
            chaos.succeed(*both)
        except Failed as failed:
            sys.exit(f"chaos: without any fault: {failed}")
        finally:
            for process in chaos.processes:
                process.clear()
        return {name: list(messages(stream)) for name, stream in spoken.items()}


CASES = [Chaos.interrupted, Chaos.without_descriptors, Chaos.without_threads, Chaos.stopped, Chaos.killed,
         Chaos.bytes_to_server, Chaos.bytes_to_client]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--case", choices=[case.__name__ for case in CASES], help="this one only")
    for name in ("--server", "--client", "--seeds"):
        parser.add_argument(name, required=True)
    args = parser.parse_args()
    print(f"chaos: --seed {args.seed}", flush=True)
    folders = (pathlib.Path(args.seeds, name) for name in ("connection", "frames", "everything"))
    seeds = [path.read_bytes() for folder in folders for path in sorted(folder.iterdir())]
    spoken = conversation(args)
    done, number, until = collections.Counter(), 0, time.monotonic() + args.seconds
    injected = collections.Counter()
    # Each case at least once, however short the run.
    cases = [case for case in CASES if args.case in (None, case.__name__)]
    while number < len(cases) or time.monotonic() < until:
        case = cases[number % len(cases)]
        with tempfile.TemporaryDirectory() as scratch:
            # Each case has a seed of its own, so that one does not depend on how another went.
            chaos = Chaos(args, random.Random(args.seed * 1_000_003 + number), scratch, seeds, spoken)
            try:
                case(chaos)
            except Failed as failed:
                sys.exit(f"chaos: --seed {args.seed}: case {number}, {case.__name__}: {failed}")
            finally:
                for process in chaos.processes:
                    process.clear()
        injected[case.__name__] += chaos.injected
        done[case.__name__] += 1
        number += 1
    for name, count in done.items():
        print(f"chaos: {name:20} {count:5} times, {injected[name]:5} system calls made to fail")
    for name in ("interrupted", "without_descriptors", "without_threads"):
        # Of so many, some must have come to the call that fails.
        if done[name] >= 5 and injected[name] == 0:
            sys.exit(f"chaos: {name}: no system call was made to fail, so nothing was checked")


main()
