"""Live servers and clients under faults: runs the cases of `serving` and `starting`, with choices that a seed gives.

In no case may a process end by a signal that this did not send, panic, or go on for longer than the guard.
What else is asked of it stands at each case.
"""

import argparse
import collections
import itertools
import random
import sys
import tempfile
import time

import faults
import serving
import starting
from case import Case
from process import Failed
from stream import Recorded

CASES = [case for pair in itertools.zip_longest(serving.CASES, starting.CASES) for case in pair if case]

# What the cases count beside system calls that failed. Each must happen in a run that is not short.
COUNTED = ["SIGKILL", "SIGSTOP", "messages to the server", "messages to a client", "pieces", "short reads",
           "short writes", "cuts", "cuts in a message", "readings of the clock", "rounds of the honest client"]

# A whole run has so many rounds of all cases, after which each case has gone each of its ways. A short one has
# fewer, and always the same seed.
WHOLE, SHORT, SHORT_SEED = 15, 2, 1


class Run:
    def __init__(self, args):
        self.args, self.recorded = args, Recorded(args)
        self.cases = [case for case in CASES if args.case in (None, case.__name__)]
        self.times, self.done, self.injected = (collections.Counter() for _ in range(3))
        # Cases that are over, and whose servers are to come back to what they had: idle threads end in a while.
        self.left = []

    def all(self):
        until = time.monotonic() + self.args.seconds
        for number, function in enumerate(itertools.cycle(self.cases)):
            turn = number // len(self.cases)
            if turn >= self.rounds() and time.monotonic() >= until:
                break
            self.one(turn, function)
            self.finish(wait=False)
        self.finish(wait=True)

    def rounds(self):
        return SHORT if self.args.short else WHOLE

    def one(self, turn, function):
        # Each has a seed of its own, so that it goes as it did, whatever ran before.
        rng = random.Random(f"{self.args.seed} {function.__name__} {turn}")
        scratch = tempfile.TemporaryDirectory(prefix="chaos")
        case = Case(self.args, rng, scratch.name, self.recorded, turn)
        self.left.append((f"{function.__name__}, round {turn + 1}", case, scratch))
        try:
            function(case)
        except Failed as failed:
            self.failed(self.left[-1][0], failed)
        self.times[function.__name__] += 1

    def finish(self, wait):
        for entry in list(self.left):
            name, case, scratch = entry
            try:
                if not case.finished(wait):
                    continue
            except Failed as failed:
                self.failed(name, failed)
            self.injected.update(case.injected)
            self.done.update(case.done)
            case.clear()
            scratch.cleanup()
            self.left.remove(entry)

    def failed(self, name, failed):
        self.clear()
        sys.exit(f"chaos: failed, with --seed {self.args.seed}: {name}: {failed}")

    def clear(self):
        for _, case, scratch in self.left:
            case.clear()
            scratch.cleanup()
        self.left = []

    def report(self):
        """The table, and what never happened, so that nothing was checked of it."""
        for name, count in self.times.items():
            print(f"chaos: {name:30} {count:6} times")
        rows, missing = faults.table(self.injected)
        for name, count, errors in rows:
            print(f"chaos: failed: {name:22} {count:6}   {errors}")
        # Where no file system may be mounted there is no full one.
        for name in [*COUNTED, "full file systems"]:
            print(f"chaos: {name:30} {self.done[name]:6}")
        missing += [name for name in COUNTED if not self.done[name]]
        # One case alone does not have all of it.
        if missing and not self.args.case and not self.args.short:
            sys.exit(f"chaos: never happened, so it was not checked: {', '.join(missing)}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=0, help=f"go on until then after {WHOLE} rounds of all cases")
    parser.add_argument("--short", action="store_true", help=f"{SHORT} rounds, always the same")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--case", choices=[case.__name__ for case in CASES], help="this one only")
    for name in ("--server", "--client", "--process", "--seeds", "--clock"):
        parser.add_argument(name, required=True)
    args = parser.parse_args()
    if args.seed is None:
        args.seed = SHORT_SEED if args.short else random.SystemRandom().randrange(1 << 32)
    if reason := faults.cannot_attach():
        sys.exit(f"chaos: not checked, so failed: strace cannot trace a process that runs: {reason}")
    print(f"chaos: --seed {args.seed}", flush=True)
    run = Run(args)
    try:
        run.all()
    finally:
        run.clear()
    run.report()


main()
