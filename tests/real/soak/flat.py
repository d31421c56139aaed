"""Whether memory stays: a line through what was resident after the first fifth (least squares), and what it rises by.

  flat.py SAMPLES START     lines of seconds and KiB; what was resident before the load, in KiB
"""
import statistics
import sys

# Of a process: what the allocator may still find room for at the end of a run, in KiB.
SLACK = 2048
# Samples without which a line says nothing.
LEAST = 20
# Of what is resident: for longer runs.
SHARE = 0.03


def main(path, start):
    with open(path) as file:
        samples = [tuple(map(float, line.split())) for line in file]
    ends = samples[-1][0]
    warm = [(second, resident) for second, resident in samples if second >= ends / 5]
    if len(warm) < LEAST:
        print(f"{len(warm)} samples after the first fifth are too few")
        return 1
    slope, _ = statistics.linear_regression(*zip(*warm))
    length = warm[-1][0] - warm[0][0]
    resident = statistics.median(resident for _, resident in warm)
    rise, most = slope * length, max(SLACK, SHARE * resident)
    after, last = (statistics.median(kib for _, kib in part) for part in (warm[: len(warm) // 10 + 1], warm[-len(warm) // 10 - 1 :]))
    print(f"resident: {start / 1024:.1f} MiB before the load, {after / 1024:.1f} MiB after the first fifth, {last / 1024:.1f} MiB at the end of "
          f"{ends / 60:.1f} min, {max(kib for _, kib in samples) / 1024:.1f} MiB at most; a line through it rises by {rise:+.0f} KiB in "
          f"{length / 60:.1f} min (at most {most:.0f}), {slope * 3600:+.0f} KiB in an hour")
    return 1 if rise > most else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
