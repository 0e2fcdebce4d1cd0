"""System calls that fail: the rules for strace, and what it made to fail.

The runtime makes most of its system calls itself, not through libc, so that a preloaded library would not see
them. strace replaces their results (`-e inject`).
"""

import collections
import re
import subprocess

# What a process may lack that makes a descriptor.
LACKING = ["EMFILE", "ENFILE", "ENOMEM"]

# Calls that wait or move bytes, which a signal may interrupt. (Not those that wake: they never wait, so no signal
# ends them, and one that is lost hangs any program.)
INTERRUPTED = "recvfrom,recvmsg,sendto,sendmsg,epoll_wait,epoll_pwait,epoll_pwait2,ppoll,poll"

# The rows of the table: a name, the system calls that it stands for, and the errors of which each must be made at
# least once in a whole run. The programs make no other descriptors: they never duplicate
# one, and a child's comes with the child, from clone.
KINDS = [
    ("accept4", ["accept4"], LACKING),
    ("socket", ["socket"], LACKING),
    ("socketpair", ["socketpair"], LACKING),
    ("eventfd2", ["eventfd2"], LACKING),
    ("epoll_create1", ["epoll_create1"], LACKING),
    ("epoll_ctl", ["epoll_ctl"], LACKING),
    ("clone (a process)", ["clone"], [*LACKING, "EAGAIN"]),
    ("clone3 (a thread)", ["clone3"], ["EAGAIN"]),
    ("reading", ["recvfrom", "recvmsg", "read"], ["EINTR"]),
    ("writing", ["sendto", "sendmsg"], ["EINTR"]),
    ("waiting", ["epoll_wait", "epoll_pwait", "epoll_pwait2", "ppoll", "poll"], ["EINTR"]),
    ("bind", ["bind"], ["ENOSPC"]),
    ("renameat2", ["renameat2"], ["ENOSPC"]),
]

INJECTED = re.compile(r"^\d+ +(?:<\.\.\. )?(\w+).* = -1 (E\w+) .*\(INJECTED\)$")


def fails(calls, error, when):
    """The rule that these calls fail: from the first on ("1+"), or the second, fifth, eighth... ("2+3")."""
    return f"{calls}:error={error}:when={when}"


def strace(trace, rules, more=()):
    """The command that injects them, before that of the program."""
    injected = [option for rule in rules for option in ("-e", f"inject={rule}")]
    calls = ",".join([rule.split(":")[0] for rule in rules] + list(more))
    return ["strace", "-f", "-q", "-s", "0", "-o", str(trace), "-e", f"trace={calls}", "-e", "signal=none", *injected]


def injected(trace):
    """How often each call failed with each error."""
    counts = collections.Counter()
    if trace.exists():
        for line in trace.read_text(errors="replace").splitlines():
            if found := INJECTED.match(line):
                counts[found.groups()] += 1
    return counts


def cannot_attach():
    """Why strace cannot trace a process that runs already, if it cannot."""
    # It reads what nobody writes, until it is told to end.
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as reader:
        tracer = subprocess.run(["timeout", "-s", "INT", "1", "strace", "-q", "-p", str(reader.pid)],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return tracer.stdout if "strace: attach" in tracer.stdout else ""


def table(counts):
    """The rows of what failed, and what of it never did."""
    rows, missing = [], []
    for name, calls, wanted in KINDS:
        errors = collections.Counter()
        for (call, error), count in counts.items():
            if call in calls:
                errors[error] += count
        each = ", ".join(f"{error} {count}" for error, count in sorted(errors.items()))
        rows.append((name, sum(errors.values()), each))
        missing += [f"{name}: {error}" for error in wanted if not errors[error]]
    return rows, missing


# ---- reads and writes that moved a part

CALL = re.compile(r"^(\w+)\((.*)\) += (\d+)$")
MOVES = ["recvfrom", "recvmsg", "read", "sendto", "sendmsg", "write"]


def short(trace):
    """How many reads and writes of a trace moved fewer bytes than was asked for: (reads, writes)."""
    begun, counts = {}, collections.Counter()
    for line in trace.read_text(errors="replace").splitlines():
        thread, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith("<unfinished ...>"):
            begun[thread] = text[:-len("<unfinished ...>")].rstrip()
            continue
        if text.startswith("<... ") and thread in begun:
            text = begun.pop(thread) + text.partition("resumed>")[2]
        if not (call := CALL.match(text)):
            continue
        name, arguments, done = call.groups()
        lengths = re.findall(r"iov_len=(\d+)", arguments)
        if name in ("recvmsg", "sendmsg"):
            asked = sum(map(int, lengths))
        else:
            asked = next((int(part) for part in arguments.split(", ")[2:3] if part.isdigit()), 0)
        if 0 < int(done) < asked:
            counts["writes" if name in ("sendto", "sendmsg", "write") else "reads"] += 1
    return counts["reads"], counts["writes"]
