"""Cases in which a program has a fault from its start: a server and a client with a socket between them, a program
that starts another, a server whose disk is full, a client that gets bytes."""

import os
import pathlib
import signal
import socket
import subprocess
import time

import faults
import proxy
from faults import fails
from process import Failed


def starts_without_descriptors(case):
    """From some call of each thread on it gets no descriptor. It is an error or not, and the other side ends well."""
    error = case.next_of(faults.LACKING)
    for calls in ("eventfd2", "epoll_ctl", "epoll_create1", "eventfd2,epoll_ctl"):
        # In the first rounds from the first one on, so that each comes to fail.
        each_fails(case, fails(calls, error, "1+" if case.turn < 3 else case.rng.choice(["1+", "2+", "3+"])))


def starts_without_threads(case):
    """From some call of each thread on it can start no further one."""
    for when in ("1+", "2+", "3+"):
        each_fails(case, fails("clone3", "EAGAIN", when))


def each_fails(case, rule):
    for side in ("server", "client"):
        both = case.pair(**{side: [rule]})
        for process in both:
            status, said = process.end()
            if status != 0 and not said:
                raise Failed(f"{process.name} ended with {status} and does not say why, under {rule} of the {side}")
        case.count(*both)


def either_killed(case):
    """Either is killed at some moment: the other ends, the server always well."""
    server, client = case.pair()
    victim, other = case.next_of([(server, client), (client, server)])
    time.sleep(case.rng.uniform(0, 0.3))
    victim.send(signal.SIGKILL)
    victim.end(killed=True)
    case.done["SIGKILL"] += 1
    if other is server:
        server.succeed()
    else:
        client.end()


def bytes_to_client(case):
    """A client gets messages that answer nothing. It fails."""
    ours, theirs = socket.socketpair()
    client = case.with_socket(case.args.client, theirs)
    with ours:
        try:
            for message in case.recorded.choose(case.rng, case.recorded.of_server):
                ours.sendall(message)
                case.done["messages to a client"] += 1
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has ended the connection, as it may
    client.fail()


def everything_in_pieces(case):
    """Everything that is said arrives in pieces of a few bytes, through the smallest buffers: all is right."""
    # strace, which counts, takes too long with more pieces.
    most, watch = case.next_of([(300, faults.MOVES), (40, []), (60, faults.MOVES), (7, [])])
    (ours, near), (far, theirs) = proxy.small_pair(), proxy.small_pair()
    server = case.with_socket(case.args.server, theirs, watch=watch)
    client = case.with_socket(case.args.client, ours, watch=watch)
    passing = proxy.Proxy(near, far, case.rng.randrange(1 << 30), most)
    for process in (client, server):
        process.succeed()
        if watch:
            read, written = faults.short(process.trace)
            case.done["short reads"] += read
            case.done["short writes"] += written
    passing.join()
    case.done["pieces"] += passing.pieces


def starts_another(case):
    """A program that starts another cannot have a process, a socket or a descriptor of a process."""
    rules, works = case.next_of([way for error in faults.LACKING for way in [
        # Without a descriptor of the child, it is known by its number.
        ([fails("clone", error, "1")], True),
        ([fails("socketpair", error, "1+")], False),
        ([fails("clone", "EAGAIN", "1+")], False),
        ([fails("clone3", "EAGAIN", case.rng.choice(["1+", "2+"]))], None),
        ([fails("eventfd2,epoll_create1,epoll_ctl", error, case.rng.choice(["1+", "2+"]))], None),
    ]])
    parent = case.role("spawn", case.args.server, rules=rules)
    if works:
        parent.succeed()
    elif works is False:
        parent.fail()
    else:
        status, said = parent.end()
        if status != 0 and not said:
            raise Failed(f"it ended with {status} and does not say why")
    case.count(parent)


def no_socket_for_a_path(case):
    """A server that would listen, or a client that would connect, gets no socket: it says so in one line."""
    role, more, error = case.next_of(
        [(*role, error) for error in faults.LACKING for role in (("listen", []), ("call", ["1"]))])
    process = case.role(role, case.path("s"), *more, rules=[fails("socket", error, "1+")])
    texts = {"EMFILE": "Too many open files", "ENFILE": "Too many open files in system",
             "ENOMEM": "Cannot allocate memory"}
    refused(process, texts[error])
    case.count(process)


# What the system says of a file that cannot be made, and how Linux words it.
ERRORS = [("ENOSPC", "No space left on device"), ("EDQUOT", "Disk quota exceeded"),
          ("EROFS", "Read-only file system"), ("EIO", "Input/output error")]


def full_disk(case):
    """A server whose socket the disk has no room for says so in one line, and leaves nothing behind."""
    folder = pathlib.Path(case.path("disk"))
    folder.mkdir(mode=0o700)
    kinds = [(call, *kind) for kind in ERRORS for call in ("bind", "renameat2")]
    if case.turn % 2 == 0 and tiny(folder):
        try:
            fill(folder)
            before = set(folder.iterdir())
            refused(case.role("listen", str(folder / "s")), "No space left on device")
            left = set(folder.iterdir()) - before
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        case.done["full file systems"] += 1
    else:
        call, error, text = kinds[case.turn // 2 % len(kinds)]
        server = case.role("listen", str(folder / "s"), rules=[fails(call, error, "1+")])
        refused(server, text)
        case.count(server)
        left = set(folder.iterdir())
    if left:
        raise Failed(f"it leaves {left} behind")


def refused(server, text):
    said = server.fail()
    if len(said.splitlines()) != 1 or text not in said:
        raise Failed(f"it does not say in one line that there was {text}: {said}")


def tiny(folder):
    """A file system of its own with room for next to nothing, where this process may mount one."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=4,mode=700", "chaos", str(folder)]
    return os.geteuid() == 0 and subprocess.run(mount, stderr=subprocess.DEVNULL).returncode == 0


def fill(folder):
    # A socket takes a file's place, and no bytes.
    for number in range(100):
        try:
            folder.joinpath(str(number)).touch()
        except OSError:
            return
    raise Failed("the disk does not get full")


CASES = [starts_without_descriptors, starts_without_threads, either_killed, bytes_to_client, everything_in_pieces,
         starts_another, no_socket_for_a_path, full_disk]
