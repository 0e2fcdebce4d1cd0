"""A miner in Python: Bitcoin's serialization and hashes, as much as a regtest block needs."""

import hashlib
import struct

GENESIS = bytes.fromhex("0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206")[::-1]

OP_TRUE = b"\x51"


def sha256d(data):
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def compact_size(number):
    return bytes([number]) if number < 0xFD else b"\xfd" + struct.pack("<H", number)


def with_size(data):
    return compact_size(len(data)) + data


class Coinbase:
    """A coinbase transaction from the result of getCoinbaseTx."""

    def __init__(self, parts, extra=b"/python/"):
        reward = struct.pack("<q", parts.blockRewardRemaining) + with_size(OP_TRUE)
        outputs = [reward, *parts.requiredOutputs]
        self.version = struct.pack("<I", parts.version)
        self.inputs = (
            b"\x01" + bytes(32) + b"\xff" * 4 + with_size(parts.scriptSigPrefix + extra) + struct.pack("<I", parts.sequence)
        )
        self.outputs = compact_size(len(outputs)) + b"".join(outputs)
        self.witness = b"\x01" + with_size(parts.witness) if parts.witness else b""
        self.lock_time = struct.pack("<I", parts.lockTime)

    def txid(self):
        return sha256d(self.version + self.inputs + self.outputs + self.lock_time)

    def serialize(self):
        if not self.witness:
            return self.version + self.inputs + self.outputs + self.lock_time
        return self.version + b"\x00\x01" + self.inputs + self.outputs + self.witness + self.lock_time


def merkle_root(leaf, path):
    for beside in path:
        leaf = sha256d(leaf + beside)
    return leaf


class Header:
    """A block header of 80 bytes, taken apart."""

    def __init__(self, data):
        assert len(data) == 80
        self.version, self.previous, self.merkle_root, self.time, self.bits, self.nonce = struct.unpack("<I32s32sIII", data)

    def serialize(self):
        return struct.pack("<I32s32sIII", self.version, self.previous, self.merkle_root, self.time, self.bits, self.nonce)

    def hash(self):
        return sha256d(self.serialize())

    def target(self):
        exponent, mantissa = self.bits >> 24, self.bits & 0x7FFFFF
        return mantissa << 8 * (exponent - 3)

    def is_solved(self):
        return int.from_bytes(self.hash(), "little") <= self.target()

    def solve(self, solved=True):
        """Counts the nonce up until the header is solved (or, on request, not solved)."""
        while self.is_solved() != solved:
            self.nonce += 1


class Solution:
    """A solved template: the arguments of submitSolution, and the block."""

    def __init__(self, header, parts, path, extra=b"/python/", solved=True):
        self.coinbase = Coinbase(parts, extra)
        self.header = Header(header)
        self.header.merkle_root = merkle_root(self.coinbase.txid(), path)
        self.header.solve(solved)

    def arguments(self):
        header = self.header
        return {
            "version": header.version, "timestamp": header.time, "nonce": header.nonce,
            "coinbase": self.coinbase.serialize(),
        }

    def block(self):
        """The block, where the coinbase is its only transaction."""
        return self.header.serialize() + b"\x01" + self.coinbase.serialize()


async def solution(client, template, **how):
    """Asks a template for its parts and solves it."""
    context = client.context()
    header = (await template.getBlockHeader(context=context)).result
    parts = (await template.getCoinbaseTx(context=context)).result
    path = (await template.getCoinbaseMerklePath(context=context)).result
    return Solution(header, parts, path, **how)


async def new_template(client, mining):
    return (await mining.createNewBlock(context=client.context(), cooldown=False)).result


async def mine(client, mining):
    """Mines a block on the tip; its hash."""
    template = await new_template(client, mining)
    solved = await solution(client, template)
    answer = await template.submitSolution(context=client.context(), **solved.arguments())
    assert answer.result, "the node refused a solved block"
    return solved.header.hash()
