"""Passes a stream on in pieces, through the smallest buffers, and may cut it: the two programs then read and
write parts of messages, as the kernel has them, with nothing made up."""

import random
import socket
import threading
import time

from process import GUARD, Failed

# Sockets with the least room that the kernel gives.
LEAST = 1


def small(end):
    """Gives a socket the least room, so that what is written to it rarely fits."""
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        end.setsockopt(socket.SOL_SOCKET, option, LEAST)


def small_pair():
    ends = socket.socketpair()
    for end in ends:
        small(end)
    return ends


class Proxy:
    """Between two sockets, on a thread for each direction. Each piece has from 1 to `most` bytes. If `cut` is a
    direction (0: to the server, 1: to the client) and a number, the stream ends there after so many bytes: that
    direction alone or both ways."""

    def __init__(self, client, server, seed, most, cut=None, both=True):
        self.cut, self.both, self.most = cut, both, most
        self.passed = [bytearray(), bytearray()]
        self.pieces = 0
        self.lost = False
        self.ends = (client, server)
        ways = ((client, server), (server, client))
        self.threads = [
            threading.Thread(target=self.run, args=(way, *ways[way], random.Random(seed * 2 + way)), daemon=True)
            for way in (0, 1)]
        for thread in self.threads:
            thread.start()

    def run(self, way, source, target, rng):
        try:
            self.way(way, source, target, rng)
        except OSError:
            # An end is gone, or the other direction was cut: whoever is left is told.
            self.shut(source, target)

    def way(self, way, source, target, rng):
        left = self.cut[1] if self.cut and self.cut[0] == way else None
        while left is None or left > 0:
            piece = source.recv(min(rng.randint(1, self.most), left or 1 << 30))
            if not piece:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(piece)
            self.pieces += 1
            if self.cut:
                self.passed[way] += piece
            if left is not None:
                left -= len(piece)
            if rng.random() < 0.01:
                # For a moment nothing is read, so that the writer fills the buffers.
                time.sleep(rng.uniform(0, 0.01))
        self.lost = True
        if self.both:
            self.shut(source, target)
        else:
            target.shutdown(socket.SHUT_WR)
            # What the sender goes on to say is read, and lost.
            while source.recv(1 << 16):
                pass

    @staticmethod
    def shut(*ends):
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def join(self):
        for thread in self.threads:
            thread.join(GUARD)
            if thread.is_alive():
                raise Failed("the stream does not end")
        for end in self.ends:
            end.close()


def listen(path, server_path, make):
    """Passes one client that comes to `path` on to the server. `make` makes the proxy of two sockets. Returns
    what gives the proxy, once there is one."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    listener.settimeout(GUARD)
    made = []

    def accept():
        with listener:
            client = listener.accept()[0]
        client.settimeout(None)
        server = socket.socket(socket.AF_UNIX)
        server.connect(server_path)
        small(client)
        small(server)
        made.append(make(client, server))

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()

    def proxy():
        thread.join(GUARD)
        if not made:
            raise Failed("no client came")
        return made[0]
    return proxy
