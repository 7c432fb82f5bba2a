#!/usr/bin/env python3
"""Compares a hang report with what the guest itself said it did.

    score.py truth.json report.json [--kinds mutex,rwsem] [--min-waits 1.0] [--min-holds 0.9] [--max-wrong 0] [-v]

report.json is `hangscope report --json`.  A wait counts when that pid is among the waiters of a lock of
that kind at that address, a hold when it is among the holders, whatever the confidence.  Wrong is what the
truth denies: a pid of the truth that "certainly" holds or waits for a lock that it has nothing to do with,
and a holder, "certain" or "likely", of a lock of the truth that somebody else holds.  A holder that has
exited need not be named.

--kinds looks at these kinds of the truth only (wrong claims are looked for in all), --held-modes at
holders with these modes only.  Exit status 1 when a limit is missed.  The last line is the summary.
"""
import argparse
import collections
import json
import sys

# The names that a report may give to the truth's kinds.  On PREEMPT_RT some locks are rt_mutexes inside.
ACCEPTED = {
    "mmap_lock": {"rwsem"},
    "mutex": {"mutex", "rt_mutex"},
    "spinlock": {"spinlock", "rt_mutex"},
    "raw_spinlock": {"spinlock"},
    "futex_pi": {"futex"},
}
# Nobody holds a condition.
CONDITIONS = {"completion", "waitqueue", "bit"}
# Where a wrong place is an error: waitqueues, bits and futexes may be described by other addresses too.
PLACED = {"mutex", "rwsem", "semaphore", "rt_mutex", "spinlock", "rwlock"}
SIDES = {"waiters": "waiting", "holders": "held"}

Claim = collections.namedtuple("Claim", "rel pid kind lock confidence")


def claims_of(report):
    for lock in report["locks"]:
        for side, rel in SIDES.items():
            for claim in lock.get(side) or []:
                yield Claim(rel, claim["pid"], lock["kind"], int(lock["address"], 16), claim.get("confidence", "certain"))


def wrong_claims(truth, claims):
    """What the truth denies."""
    told = collections.defaultdict(set)  # (rel, pid) -> locks
    holders = collections.defaultdict(set)  # lock -> pids; each lock of the truth has an entry
    for line in truth:
        told[line["rel"], line["pid"]].add(line["lock"])
        holders[line["lock"]] |= {line["pid"]} if line["rel"] == "held" else set()
    pids = {line["pid"] for line in truth}
    for claim in claims:
        certain, doubted = claim.confidence == "certain", claim.confidence == "possible"
        misplaced = claim.pid in pids and certain and claim.kind in PLACED and claim.lock not in told[claim.rel, claim.pid]
        usurper = claim.rel == "held" and not doubted and claim.lock in holders and claim.pid not in holders[claim.lock]
        if misplaced or usurper:
            yield claim


def read_truth(path):
    with open(path) as file:
        return [line | {"lock": int(line["lock"], 16)} for line in json.load(file)]


def missing(line, said):
    """A line of the truth that a report does not have, and what it has of that task."""
    claims = ", ".join(f"{claim.kind} {claim.lock:#x} ({claim.confidence})" for claim in said) or "nothing"
    return f"missing: {line['role']} {line['pid']} {line['rel']} {line['kind']} {line['lock']:#x} {line['mode']} | said: {claims}"


class Score:
    """How much of the truth a report has found."""

    def __init__(self, truth, report, kinds=None, held_modes=None):
        claims = set(claims_of(report))
        self.found, self.wanted, self.missing = collections.Counter(), collections.Counter(), []
        for line in truth:
            rel, kind = line["rel"], line["kind"]
            if kinds and kind not in kinds:
                continue
            if rel == "held":
                if kind in CONDITIONS or line["mode"] == "exited" or held_modes and line["mode"] not in held_modes:
                    continue
            self.wanted[rel, kind] += 1
            of_pid = [claim for claim in claims if claim.rel == rel and claim.pid == line["pid"]]
            if any(claim.lock == line["lock"] and claim.kind in ACCEPTED.get(kind, {kind}) for claim in of_pid):
                self.found[rel, kind] += 1
            else:
                self.missing.append((line, of_pid))
        self.wrong = sorted(wrong_claims(truth, claims))

    def counts(self, rel):
        """How many of this relation were found, of how many."""
        return tuple(sum(n for key, n in of.items() if key[0] == rel) for of in (self.found, self.wanted))

    def share(self, rel):
        found, wanted = self.counts(rel)
        return found / wanted if wanted else 1.0

    def details(self):
        yield from (missing(line, said) for line, said in self.missing)
        for claim in self.wrong:
            yield f"wrong: pid {claim.pid} {claim.rel} {claim.kind} {claim.lock:#x} ({claim.confidence})"

    def __str__(self):
        waits, holds = (f"{found}/{wanted}" for found, wanted in (self.counts("waiting"), self.counts("held")))
        return f"waits {waits} holds {holds} wrong {len(self.wrong)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth")
    parser.add_argument("report")
    parser.add_argument("--kinds", type=lambda text: text.split(","))
    parser.add_argument("--held-modes", type=lambda text: text.split(","))
    parser.add_argument("--min-waits", type=float, default=1.0)
    parser.add_argument("--min-holds", type=float, default=0.9)
    parser.add_argument("--max-wrong", type=int, default=0)
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    with open(options.report) as file:
        score = Score(read_truth(options.truth), json.load(file), options.kinds, options.held_modes)
    for line in score.details():
        if options.verbose or line.startswith("wrong"):
            print(line)
    for rel, kind in sorted(score.wanted):
        print(f"{rel:8} {kind:13} {score.found[rel, kind]:3}/{score.wanted[rel, kind]}")
    print(score)
    missed = (
        score.share("waiting") < options.min_waits
        or score.share("held") < options.min_holds
        or len(score.wrong) > options.max_wrong
    )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
