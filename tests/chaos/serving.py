"""Cases in which a server at a path survives: it, or its clients, suffer the fault while an honest client calls it.

After each of them another client is served, and the server has no more descriptors and threads than at first
(`Case.serving`).
"""

import signal
import socket
import time

import faults
import proxy
from faults import fails
from process import GUARD, Failed, wait_until
from stream import ends_within


def interrupted(case):
    """System calls of the server or of a client are interrupted again and again: every answer is right."""
    first, step = case.rng.randint(1, 9), case.rng.randint(2, 9)
    # The loader of programs makes the first reads, and takes none that is interrupted.
    rules = [fails(faults.INTERRUPTED, "EINTR", f"{first}+{step}"),
             fails("read", "EINTR", f"{first + 20}+{step}")]
    with case.serving() as served:
        if case.next_of([True, False]):
            rules.append(fails("accept4", "EINTR", "1+2"))
            with served.server.under(rules, counts=case.injected):
                clients = [served.call(3), served.call(3)]
                served.is_served()
                for client in clients:
                    client.succeed()
        else:
            clients = [served.call(3, rules=rules), served.call(3)]
            served.is_served()
            for client in clients:
                client.succeed()
            case.count(*clients)


def without_descriptors(case):
    """The server gets no descriptor for a while. Who is there is served; who comes then waits or is told."""
    calls, error = case.next_of(
        [(calls, error) for error in faults.LACKING for calls in ("accept4", "accept4,eventfd2", "eventfd2")])
    lacks(case, fails(calls, error, case.rng.choice(["1+", "1+2", "2+"])), succeeds=calls == "accept4")


def without_threads(case):
    """The server can start no thread for a while."""
    lacks(case, fails("clone3", "EAGAIN", case.next_of(["1+", "1+2", "2+"])))


def lacks(case, rule, succeeds=False):
    """The server lacks something until it was refused. `succeeds`: clients only had to wait."""
    with case.serving() as served:
        with served.server.under([rule], counts=case.injected) as trace:
            clients = [served.call(2) for _ in range(3)]
            wait_until("it was refused", lambda: faults.injected(trace) or not any(client.runs() for client in clients))
            served.is_served()
        for client in clients:
            status, said = client.end()
            if status != 0 and (succeeds or not said):
                raise Failed(f"a client ended with {status}: {said}")


def stopped(case):
    """The server or clients are stopped for a moment, some times: every answer is right."""
    with case.serving() as served:
        clients = [served.call(4) for _ in range(3)]
        for _ in range(case.rng.randint(2, 8)):
            process = case.rng.choice([served.server, *clients])
            time.sleep(case.rng.uniform(0, 0.03))
            process.send(signal.SIGSTOP)
            time.sleep(case.rng.uniform(0, 0.05))
            process.send(signal.SIGCONT)
            case.done["SIGSTOP"] += 1
        for client in clients:
            client.succeed()


def clients_killed(case):
    """Clients are killed at some moment, some of them while they are stopped."""
    with case.serving() as served:
        clients = [served.call(1000) for _ in range(4)]
        for client in clients:
            time.sleep(case.rng.uniform(0, 0.1))
            if case.rng.random() < 0.3:
                client.send(signal.SIGSTOP)
            client.send(signal.SIGKILL)
            if client.end(killed=True)[0] != -signal.SIGKILL:
                raise Failed("a client was over before it was killed")
            case.done["SIGKILL"] += 1
            served.is_served()


def bytes_to_server(case):
    """The server gets messages, damaged and cut, on some connections."""
    with case.serving() as served:
        for _ in range(case.rng.randint(1, 4)):
            with socket.socket(socket.AF_UNIX) as end:
                end.settimeout(GUARD)
                end.connect(served.path)
                try:
                    for message in case.recorded.choose(case.rng, case.recorded.of_client):
                        end.sendall(message)
                        case.done["messages to the server"] += 1
                except (BrokenPipeError, ConnectionResetError):
                    pass  # it has ended the connection, as it may
                except TimeoutError:
                    raise Failed("the server neither reads nor ends the connection") from None
                served.is_served()


def in_pieces(case):
    """What a client and the server say arrives in pieces, and is taken in pieces: every answer is right."""
    most, rounds = case.next_of([(20_000, 11), (50, 1), (3_000, 4)])
    seed = case.rng.randrange(1 << 30)
    with case.serving() as served:
        path = case.path("p")
        made = proxy.listen(path, served.path, lambda client, server: proxy.Proxy(client, server, seed, most))
        with served.server.under([], watch=faults.MOVES) as trace:
            client = served.call(rounds, path, watch=faults.MOVES)
            passing = made()
            served.is_served()
            client.succeed()
        passing.join()
        case.done["pieces"] += passing.pieces
        for read, written in (faults.short(trace), faults.short(client.trace)):
            case.done["short reads"] += read
            case.done["short writes"] += written


def cut(case):
    """The stream between a client and the server ends somewhere, mostly in a message: the client says so."""
    seed, most = case.rng.randrange(1 << 30), case.rng.choice([100, 5_000])
    with case.serving() as served:
        for both in (True, False):
            where = (case.next_of([0, 1]), case.rng.randint(1, 30_000))
            path = case.path("p")
            made = proxy.listen(path, served.path, lambda client, server: proxy.Proxy(
                client, server, seed, most, where, both))
            client = served.call(11, path)
            passing = made()
            client.fail()
            passing.join()
            if not passing.lost:
                raise Failed("the stream was not cut")
            case.done["cuts"] += 1
            case.done["cuts in a message"] += ends_within(bytes(passing.passed[where[0]]))
            served.is_served()


def clock_jumps(case):
    """Whoever asks for the time of day gets another decade each time: every answer is right, and nobody asks."""
    counts = case.path("clock")
    environment = {"LD_PRELOAD": case.args.clock, "CHAOS_CLOCK": counts}
    with case.serving(environment) as served:
        clients = [served.call(3, environment=environment) for _ in range(2)]
        served.is_served()
        for client in clients:
            client.succeed()
    # Each has written how often it read a clock.
    ended = [served.server, served.honest, *clients]

    def read():
        for process in ended:
            with open(f"{counts}.{process.child.pid}") as file:
                steady, wall = map(int, file.read().split())
            if steady == 0:
                raise Failed(f"{process.name} never read a clock, so nothing was checked")
            if wall != 0:
                raise Failed(f"{process.name} read the time of day {wall} times")
            case.done["readings of the clock"] += steady
    case.afterwards.append(read)


CASES = [interrupted, without_descriptors, without_threads, stopped, clients_killed, bytes_to_server, in_pieces, cut,
         clock_jumps]
