"""One program that runs, perhaps under strace; what it has open; and what came of it."""

import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import faults

# A hang is told after so many seconds. It is no measurement: a case takes a second or two.
GUARD = 60
# Threads that are idle end after five seconds; whatever is left after so many has leaked.
SETTLED = 30
# Between two looks at a condition that is waited for.
LOOK = 0.01

# The one panic that is no failure: the client asks a method for it.
ASKED_FOR = "multiprocess-everything/src/server/calls.rs"


class Failed(Exception):
    pass


def wait_until(what, holds, guard=GUARD):
    end = time.monotonic() + guard
    while not (found := holds()):
        if time.monotonic() > end:
            raise Failed(f"it does not come to that: {what() if callable(what) else what}")
        time.sleep(LOOK)
    return found


def state(thread):
    """A letter for what a process or thread does: S if it waits. X if it is gone."""
    try:
        return pathlib.Path(f"/proc/{thread}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


class Process:
    """A program in a process group of its own, with its standard error in a file."""

    def __init__(self, name, command, scratch, rules=(), watch=(), pipes=False, environment=None, pass_fds=()):
        self.name, self.traced = name, bool(rules or watch)
        self.errors = tempfile.TemporaryFile("w+", dir=scratch)
        self.trace = pathlib.Path(tempfile.mkdtemp(dir=scratch), "trace")
        if self.traced:
            # The filter has the other calls go on without a stop.
            command = [*faults.strace(self.trace, rules, watch), "--seccomp-bpf", *command]
        pipe = subprocess.PIPE if pipes else subprocess.DEVNULL
        self.child = subprocess.Popen(
            command, pass_fds=pass_fds, stdin=pipe, stdout=pipe, stderr=self.errors, text=True,
            start_new_session=True, env={**os.environ, **(environment or {})})

    def send(self, number):
        if self.child.poll() is None:
            self.child.send_signal(number)

    def runs(self):
        return self.child.poll() is None

    def line(self):
        """The next line that it writes."""
        line = self.child.stdout.readline()
        if not line:
            self.end()
            raise Failed(f"{self.name} says nothing: {self.said()}")
        return line.strip()

    def end(self, killed=False):
        """Waits for its end, which may be no crash, and returns its exit status and what it said."""
        try:
            status = self.child.wait(GUARD)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} hangs: {self.said()}\n{self.threads_shown()}") from None
        said = self.said()
        panics = [line for line in said.splitlines() if "panicked at" in line and ASKED_FOR not in line]
        if panics or (status < 0 and not killed) or status in (101, 134, 139):
            raise Failed(f"{self.name} ended with {status}: {said}")
        return status, said

    def succeed(self):
        status, said = self.end()
        if status != 0:
            raise Failed(f"{self.name} failed with {status}: {said}")

    def fail(self):
        """It is to end with a reason."""
        status, said = self.end()
        if status == 0 or not said:
            raise Failed(f"{self.name} was to fail and say why: {status}: {said}")
        return said

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def open(self):
        """How many descriptors and threads it has. None if it is gone."""
        try:
            return tuple(len(os.listdir(f"/proc/{self.child.pid}/{what}")) for what in ("fd", "task"))
        except FileNotFoundError:
            return None

    def shown(self):
        """What it has, for a person."""
        folder = f"/proc/{self.child.pid}/fd"
        with contextlib.suppress(FileNotFoundError):
            names = sorted(os.listdir(folder), key=int)
            open_now = ", ".join(f"{name} {os.readlink(f'{folder}/{name}')}" for name in names)
            return f"{open_now}\n{self.threads_shown()}"
        return "it is gone"

    def threads_shown(self):
        lines = []
        for task in pathlib.Path(f"/proc/{self.child.pid}/task").glob("*"):
            with contextlib.suppress(OSError):
                lines.append(f"{task.joinpath('comm').read_text().strip()}: {task.joinpath('wchan').read_text()}")
        return ", ".join(sorted(lines))

    @contextlib.contextmanager
    def under(self, rules, watch=(), counts=None):
        """It runs under strace meanwhile, which is attached to it and let go again."""
        trace = self.trace.with_name(f"attached.{time.monotonic_ns()}")
        command = faults.strace(trace, rules, watch)
        with tempfile.TemporaryFile("w+") as said:
            tracer = subprocess.Popen([*command, "-p", str(self.child.pid)], stderr=said, start_new_session=True)
            try:
                def attached():
                    if tracer.poll() is not None:
                        said.seek(0)
                        raise Failed(f"strace ended: {said.read()}")
                    return all(self.traced_threads())
                wait_until("strace has attached to each thread", attached)
                yield trace
            finally:
                self.let_go(tracer)
                if counts is not None:
                    counts.update(faults.injected(trace))

    def let_go(self, tracer):
        """Ends strace. If it let a thread go in the middle of a system call that is to fail, that would fail with
        ENOSYS, as no kernel has it: so all threads stop first."""
        self.send(signal.SIGSTOP)
        try:
            wait_until("each thread has stopped", lambda: (
                not self.runs() or tracer.poll() is not None
                or self.stands() and state(tracer.pid) == "S" and self.stands()))
        finally:
            tracer.send_signal(signal.SIGINT)
            try:
                tracer.wait(GUARD)
            except subprocess.TimeoutExpired:
                tracer.kill()
                raise Failed("strace does not let go of the program") from None
            finally:
                self.send(signal.SIGCONT)

    def stands(self):
        """Whether each thread is stopped. If strace waits for something to do, none is about to be told to go on."""
        tasks = os.listdir(f"/proc/{self.child.pid}/task")
        return all(state(f"{self.child.pid}/task/{task}") in "tTXZ" for task in tasks)

    def traced_threads(self):
        for task in pathlib.Path(f"/proc/{self.child.pid}/task").glob("*"):
            with contextlib.suppress(OSError):
                yield "TracerPid:\t0\n" not in task.joinpath("status").read_text()

    def clear(self):
        """Leaves nothing behind, whatever became of the case."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        for pipe in (self.child.stdin, self.child.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self.errors.close()
