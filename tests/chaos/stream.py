"""Messages: those of a conversation without faults, the fuzz targets' seeds, and how they are damaged."""

import pathlib
import select
import socket
import sys
import tempfile

from case import Case
from process import GUARD, Failed


class Recorded:
    """What is sent to programs that expect something else: lists of messages."""

    def __init__(self, args):
        folders = (pathlib.Path(args.seeds, name) for name in ("connection", "frames", "everything"))
        self.seeds = [path.read_bytes() for folder in folders for path in sorted(folder.iterdir())]
        self.of_client, self.of_server = conversation(args)

    def choose(self, rng, messages):
        """Messages of a conversation in their order from some one on, or seeds; some of them damaged."""
        if rng.random() < 0.3:
            messages = rng.sample(self.seeds, 20)
        else:
            first = rng.choice([0, 0, rng.randrange(len(messages))])
            messages = messages[first:first + rng.randint(1, 200)]
        damages = rng.choice([0, 0.02, 0.5])
        return [damaged(rng, message) if rng.random() < damages else message for message in messages]


def damaged(rng, message):
    """The same with some bytes changed, mostly behind the table of segments, and now and then cut off."""
    message = bytearray(message)
    if message:
        for _ in range(rng.randint(1, 8)):
            first = 8 if len(message) > 8 and rng.random() < 0.9 else 0
            message[rng.randrange(first, len(message))] = rng.choice([0, 1, 255, rng.randrange(256)])
    if rng.random() < 0.2:
        del message[rng.randint(0, len(message)):]
    return bytes(message)


def messages(stream):
    """Cuts a stream into its messages; the last may lack its end."""
    while stream:
        count = int.from_bytes(stream[:4], "little") + 1
        words = sum(int.from_bytes(stream[4 * i:4 * i + 4], "little") for i in range(1, count + 1))
        length = 8 * (count // 2 + 1 + words)
        yield stream[:length]
        stream = stream[length:]


def ends_within(stream):
    """Whether a stream ends in the middle of a message."""
    while stream:
        if len(stream) < 8:
            return True
        count = int.from_bytes(stream[:4], "little") + 1
        if len(stream) < 8 * (count // 2 + 1):
            return True
        words = sum(int.from_bytes(stream[4 * i:4 * i + 4], "little") for i in range(1, count + 1))
        length = 8 * (count // 2 + 1 + words)
        if len(stream) < length:
            return True
        stream = stream[length:]
    return False


def conversation(args):
    """What the client and the server write when nothing is wrong."""
    with tempfile.TemporaryDirectory() as scratch:
        case = Case(args, None, scratch)
        (to_client, client), (to_server, server) = socket.socketpair(), socket.socketpair()
        both = [case.with_socket(args.client, client), case.with_socket(args.server, server)]
        ends = {to_client: (to_server, 0), to_server: (to_client, 1)}
        spoken = [bytearray(), bytearray()]
        with to_client, to_server:
            open_ends = set(ends)
            while open_ends:
                for end in select.select(list(open_ends), [], [], GUARD)[0] or sys.exit("chaos: nothing is said"):
                    read, (other, way) = end.recv(1 << 16), ends[end]
                    spoken[way] += read
                    if read:
                        other.sendall(read)
                    else:
                        open_ends.remove(end)
                        other.shutdown(socket.SHUT_WR)
        try:
            for process in both:
                process.succeed()
        except Failed as failed:
            sys.exit(f"chaos: without any fault: {failed}")
        finally:
            case.clear()
        return [list(messages(bytes(stream))) for stream in spoken]
