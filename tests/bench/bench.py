#!/usr/bin/python3
"""bench.py - Daybook beside ext4, bindfs and btrfs: see RESULTS.md, which it writes, and CONTRIBUTING.md.

usage: bench.py BUILD RESULTS.md [--quick] [--only=WORKLOAD,...] and what --help tells
Every workload runs on its file systems in turn, in several rounds, so that a change of the machine's mood meets all.
"""
import argparse, os, shutil, signal, subprocess, sys, tempfile, time

import results, systems, work, work_history

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WORKLOADS = work.WORKLOADS + work_history.HISTORY_WORKLOADS
KINDS = {kind.name: kind for kind in (systems.System, systems.Loop, systems.Bindfs, systems.Btrfs, systems.Daybook)}


class Bench:
    """What the workloads are told: where, how much, how often."""

    def __init__(self, args):
        self.args, self.build = args, os.path.abspath(args.build)
        self.mib, self.minutes, self.changes, self.store = int(args.size * 1024), args.minutes, args.changes, args.store
        self.top, self.counter, self.seed = tempfile.mkdtemp(prefix='daybook-bench.'), None, 0
        os.chmod(self.top, 0o711)  # the benchmark's users pass through
        self.tar, self.repo = f'{self.top}/tree.tar', f'{self.top}/repo'

    def few(self, default, quick, kind=str):
        return kind(quick if self.args.quick else default)

    def rounds_of(self, name):
        w = [w for w in WORKLOADS if w[0] == name][0]
        return self.args.rounds or w[2 if self.args.quick else 1]

    def seconds_for(self, share):
        """After which no further round begins; a sixth is kept for rounds that are under way."""
        return float('inf') if self.args.rounds else self.args.limit * 60 * 5 / 6 * share / sum(w[3] for w in WORKLOADS)

    def has_command(self, name):
        return name in subprocess.run([f'{self.build}/daybook', 'help'], capture_output=True, text=True).stdout.split()

    @staticmethod
    def seconds(*command):
        return work_history.seconds_of(lambda: systems.run(*command))

    def prepare(self):
        """A tree of many small files, and this repository to clone and make."""
        os.mkdir(f'{self.top}/t')
        for name in ('linux', 'c++', 'asm-generic', 'rocksdb', 'python3.11'):
            if os.path.exists(f'/usr/include/{name}'):
                systems.run('cp', '-a', f'/usr/include/{name}', f'{self.top}/t')
        systems.run('tar', 'cf', self.tar, '-C', self.top, 't')
        systems.run('git', 'clone', '-q', '--bare', ROOT, self.repo)
        systems.run('git', '-C', self.repo, 'gc', '-q')  # not as many files as this checkout was committed in steps
        self.counter = systems.Counter(self.top)

    def close(self):
        if self.counter:
            self.counter.close()
        shutil.rmtree(self.top)


def play(bench, name, seconds, on, function, rows):
    """One workload, all rounds of it, on file systems of its own; the order changes from round to round."""
    there, began, at = {}, time.monotonic(), f'{bench.top}/{name}'
    os.mkdir(at)
    os.chmod(at, 0o711)
    try:
        for kind in on:
            there[kind] = KINDS[kind](at, bench.build)
        for turn in range(bench.rounds_of(name)):
            if turn and time.monotonic() - began > seconds:
                break
            for kind in on[turn % len(on):] + on[:turn % len(on)]:
                for label, sample, *counts_as in function(bench, there[kind], turn):
                    if label in rows:
                        rows[label].add(turn, counts_as[0] if counts_as else kind, sample)
                    else:
                        raise KeyError(f'{name}: there is no row "{label}"')
    finally:
        for kind in reversed(list(there)):
            there[kind].close()
    shutil.rmtree(at)


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument('build')
    parser.add_argument('results')
    parser.add_argument('--quick', action='store_true', help='fewer rounds, 1 GiB, ext4 and Daybook only')
    parser.add_argument('--only', help='of: ' + ' '.join(w[0] for w in WORKLOADS))
    parser.add_argument('--size', type=float, default=0, help='GiB of the large file (4; quick: 1)')
    parser.add_argument('--minutes', type=float, default=0, help='of the run for the 99th percentile (2; quick: 0.5)')
    parser.add_argument('--changes', type=int, default=0, help='in the store of many (1,000,000; quick: 100,000)')
    parser.add_argument('--limit', type=float, default=0, help='minutes, about, for the whole run (25; quick: 6)')
    parser.add_argument('--rounds', type=int, default=0, help='so many of each workload, however long that takes')
    parser.add_argument('--store', help='a store made by bigstore with --changes, instead of making it')
    args = parser.parse_args()
    args.limit = args.limit or (6 if args.quick else 25)
    args.size = args.size or (1 if args.quick else 4)
    args.minutes = args.minutes or (0.5 if args.quick else 2)
    args.changes = args.changes or (100000 if args.quick else 1000000)
    return args


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is taken away again
    args = parse()
    bench = Bench(args)
    rows = {row.label: row for row in work.rows(args)}
    start = time.monotonic()
    try:
        bench.prepare()
        for name, _, _, share, on, function in WORKLOADS:
            if args.only and name not in args.only.split(','):
                continue
            if args.quick:
                on = tuple(kind for kind in on if kind not in ('bindfs', 'btrfs'))
            began = time.monotonic()
            play(bench, name, bench.seconds_for(share), on, function, rows)
            print(f'{name}: {time.monotonic() - began:.0f} s', file=sys.stderr, flush=True)
    finally:
        bench.close()
        results.write(args.results, rows.values(), tempfile.gettempdir(), ROOT, time.monotonic() - start,
                      f'--only={args.only}' if args.only else '--quick' if args.quick else 'whole')
    with open(args.results) as written:
        print(written.read())


main()
