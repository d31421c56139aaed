"""Compares two reports of the Autobahn test suite: straight to a peer, and through the proxy. What the peer itself does not do well it
does not do well there either; that nothing is worse is what the proxy is asked.

  verdicts.py STRAIGHT THROUGH     files index.json
"""
import collections
import json
import sys


def verdicts(path):
    with open(path) as file:
        (cases,) = json.load(file).values()
    return {case: (told["behavior"], told["behaviorClose"]) for case, told in cases.items()}


def class_of(verdict):
    """Both of these conform; where a peer fails a connection, time decides which it is."""
    return verdict and tuple("OK" if word == "NON-STRICT" else word for word in verdict)


def main(straight, through):
    straight, through = verdicts(straight), verdicts(through)
    counts = collections.Counter(behavior for behavior, _ in through.values())
    cases = straight.keys() | through.keys()
    differ = sorted(case for case in cases if class_of(straight.get(case)) != class_of(through.get(case)))
    print(f"{len(through)} cases through the proxy: {', '.join(f'{count} {name}' for name, count in counts.most_common())}; "
          f"{len(through) - len(differ)} as without it")
    for case in differ:
        print(f"FAILED {case}: {through.get(case)} through the proxy, {straight.get(case)} without it")
    return 1 if differ or len(through) < 200 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
