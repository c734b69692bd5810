"""work.py - what is done on every file system, and the rows that come of it.

A workload is a function (bench, system, turn) that yields (label, Sample); WORKLOADS says on which systems and how
often it runs.  History, start and scale, which only Daybook has, are in work_history.py.
"""
import json, os, shutil, signal, subprocess

from results import Row, Sample
from systems import drop_caches, run

OURS, BOTH = ('daybook',), ('ext4', 'daybook')

SIZES = (('20 KB', 'xlsx20k'), ('200 KB', 'xlsx200k'), ('2 MB', 'xlsx2m'))
PATTERNS = (('by rename', 'rename'), ('in place', 'inplace'), ("Excel's dance", 'excel'))
USERS = (1, 8, 32)


def size_label(size, pattern, users):
    who = 'one at a time, p50' if users == 1 else f'{users} users'
    return f'durable saves, {size} {pattern}, {who}'


def tail_label(minutes):
    return f'durable save p99 over a run of {minutes:g} minutes'


def scale_rows(store, optional):
    yield Row(store + 'start to first answer', 's', '≤', 1, 0.3, floor=None, optional=optional)
    yield Row(store + 'start to first answer after kill -9', 's', '≤', 1, 0.3, floor=None, optional=optional)
    yield Row(store + 'memory at rest', 'MB', '≤', 100, 60, floor=None, optional=optional)
    yield Row(store + 'memory at most, under find, ls -lR, cp', 'MB', '≤', 512, None, floor=None, optional=optional)
    yield Row(store + 'durable save p50', 'ms', '≤', 1.1, 1.03, floor='fresh', optional=optional)
    yield Row(store + 'durable saves per second, 8 users', '/s', '≥', 0.9, 0.97, floor='fresh', optional=optional)
    yield Row(store + 'lookup of a name not cached', 'µs', '≤', 1.1, 1.03, floor='fresh', optional=optional)
    yield Row(store + 'a file of many versions: lookup, open, read', 'µs', '≤', 1.1, 1.03, floor='one', optional=optional)
    yield Row(store + 'an empty folder where names died: lookup, listing', 'µs', '≤', 1.1, 1.03, floor='one', optional=optional)


def rows(args):
    """The table: first what it must show."""
    yield Row('durable save p50, mixed documents and patterns, one at a time', 'ms', '≤', 1.3, 0.7)
    yield Row('durable saves per second, 8 users', '/s', '≥', 0.7, 1.2)
    yield Row('durable saves per second, 32 users', '/s', '≥', 0.7, 1.2)
    for minutes in sorted({0.5, 2, 30, args.minutes}):
        yield Row(tail_label(minutes), 'ms', '≤', 1.5, 1.0, optional=minutes < 30)
    for pattern in ('in place', 'rename', 'office', 'excel'):
        yield Row(f'versions kept, with their author: {pattern}', '%', '≥', 100, 100, floor=None)
    yield Row('bytes kept per version ÷ bytes saved, mixed documents', '', '≤', 0.20, 0.10, floor=None)
    yield Row('bytes kept per version ÷ bytes saved, real workbooks: at once', '', '≤', 0.5, 0.4, floor=None)
    yield Row('bytes kept per version ÷ bytes saved, real workbooks: packed', '', '≤', 0.02, 0.002, floor=None)
    yield Row('bytes kept for a save of a few bytes: log, names, version and all', 'bytes', '≤', 400, None, floor=None)
    yield Row('untar', 's', '≤', 2.5, 1.5)
    yield Row('rm -rf', 's', '≤', 2, 1, floor='loop')
    yield Row('git clone', 's', '≤', 2, 1.2)
    yield Row('make', 's', '≤', 1.3, 1.1)
    yield Row('stat, warm', 'µs', '≤', 1.5, 1.2)
    yield Row('find, warm', 's', '≤', 2, 1.3)
    yield Row('ls -lR, warm', 's', '≤', 4, 3)
    yield Row('read, warm', 's', '≤', 1.7, 1.5)
    for op in ('open+close', 'rename', 'unlink'):
        yield Row(f'{op}: handler time beyond the round trip', 'µs', '≤', 10, 3, floor=None)
    yield Row('sequential write', 'MB/s', '≥', 0.3, 0.6)
    yield Row('sequential read, cold', 'MB/s', '≥', 0.5, 0.9)
    yield Row('history of one file listed, cold, 1,000 versions', 'ms', '≤', 25, 2, floor=None)
    yield Row('history of one file listed, warm, 10,000 versions', 'ms', '≤', 30, 5, floor=None)
    yield Row('version N/2 of a 200 KB file read, cold', 'ms', '≤', 30, 2, floor=None)
    yield Row('folder of 1,000 files restored', 's', '≤', 0.8, 0.3, floor=None)
    for changes in sorted({100000, 1000000, 10000000, args.changes}):
        yield from scale_rows(f'store of {changes:,} changes: ', changes != 1000000)
    for what in ('verify', 'cp -a of a tree', 'restore of a folder', 'packing'):
        yield Row(f'save p50 beside {what}', 'ms', '≤', 1.2, None, floor='alone')
    yield Row('save p50 beside cp -a of a tree, on ext4', 'ms', floor='alone')
    # and the rest
    for users in USERS:
        for size, _ in SIZES:
            for pattern, _ in PATTERNS:
                yield Row(size_label(size, pattern, users), 'ms' if users == 1 else '/s', '≤' if users == 1 else '≥')
    yield Row('saves without fsync, p50', 'ms')
    yield Row('cp -a', 's')
    yield Row('find, cold', 's')
    yield Row('ls -lR, cold', 's')
    yield Row('read, cold', 's')
    yield Row('git status', 's')
    for op in ('create', 'open+close', 'rename', 'unlink'):
        yield Row(f'{op}, one of 20,000 files', 'µs', floor='loop' if op == 'unlink' else 'ext4')
    yield Row('FUSE round trip', 'µs', floor=None)
    for op in ('create', 'list, cold', 'list, warm', 'stat, warm', 'unlink'):
        yield Row(f'100,000 entries in a folder: {op}', 's', floor='loop' if op == 'unlink' else 'ext4')
    yield Row('sequential read, warm', 'MB/s', '≥')
    for how in ('read, cold', 'read, warm', 'write + fsync'):
        yield Row(f'random {how}, 4 KiB', '/s', '≥')
    yield Row('folder of 1,000 files restored by cp -a from .history', 's', floor=None)


class Watch:
    """What the daemon does during a piece of work."""

    def __init__(self, bench, system):
        self.bench, self.system = bench, system

    def __enter__(self):
        if self.system.is_fuse:
            self.bench.counter.start(self.system.dir)
        self.cpu = self.system.cpu()
        return self

    def __exit__(self, *_):
        self.cpu = self.system.cpu() - self.cpu
        self.requests = self.bench.counter.stop() if self.system.is_fuse else None

    def sample(self, value, operations=1):
        if not self.system.is_fuse:
            return Sample(value)
        return Sample(value, None if self.requests is None else self.requests / operations, self.cpu / operations)


# --- saves ---

def stopped(player):
    """Waits until savebench stops; True when it did."""
    return os.waitid(os.P_PID, player.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT).si_code == os.CLD_STOPPED


def play_at(bench, system, options, at, before=lambda: None, after=lambda: None):
    """One run of savebench: what it prints, and how the daemon fared from the first save after the creations to the
    last.  Each run has a seed of its own, so that none finds its bytes stored."""
    bench.seed += 1
    os.chmod(at, 0o777)
    player = subprocess.Popen([f'{bench.build}/tests/bench/savebench', '--dir', at, '--seed', str(bench.seed), '--stop',
                               *options, *system.extra], stdout=subprocess.PIPE)
    if stopped(player):
        before()
        with Watch(bench, system) as watch:
            player.send_signal(signal.SIGCONT)
            stopped(player)
        after()
        player.send_signal(signal.SIGCONT)
    out = player.communicate()[0]
    figures = json.loads(out) if out else {}
    if player.returncode or figures['wrong'] or figures['errors']:
        raise RuntimeError(f'{system.name}: savebench: {player.returncode} {figures}')
    return figures, watch


def play(bench, system, turn, options):
    """The same in a folder of its own, which goes afterwards."""
    at = f'{system.dir}/saves'
    if system.name == 'btrfs':
        system.subvolume(at)
    else:
        os.mkdir(at)
    figures, watch = play_at(bench, system, options, at)
    run('btrfs', 'subvolume', 'delete', at) if system.name == 'btrfs' else shutil.rmtree(at)
    return figures, watch


def saves(bench, system, turn):
    figures, watch = play(bench, system, turn, ['--pattern', 'all', '--docs', '40', '--saves', bench.few(10, 5)])
    yield 'durable save p50, mixed documents and patterns, one at a time', watch.sample(figures['p50_ms'], figures['saves'])
    figures, watch = play(bench, system, turn, ['--pattern', 'all', '--docs', '40', '--saves', bench.few(10, 5), '--sync', 'none'])
    yield 'saves without fsync, p50', watch.sample(figures['p50_ms'], figures['saves'])


def users(bench, system, turn):
    for n, docs in ((8, 40), (32, 64)):
        figures, watch = play(bench, system, turn, ['--pattern', 'all', '--docs', str(docs), '--saves', bench.few(12, 6),
                                                    '--users', str(n), '--parallel', str(n)])
        yield f'durable saves per second, {n} users', watch.sample(figures['per_s'], figures['saves'])


def sizes(bench, system, turn):
    for n in USERS:
        for size, kind in SIZES:
            for pattern, name in PATTERNS:
                count = 6 if size == '2 MB' else 12
                figures, watch = play(bench, system, turn, [
                    '--mix', kind, '--pattern', name, '--docs', str(max(8, n)), '--saves', str(count if n < 32 else 4),
                    '--users', str(max(8, n)), '--parallel', str(n)])
                value = figures['p50_ms' if n == 1 else 'per_s']
                yield size_label(size, pattern, n), watch.sample(value, figures['saves'])


def tail(bench, system, turn):
    """Slices of a long run, by turns; the store is never fresh again."""
    seconds = max(5, int(bench.minutes * 60 / len(BOTH) / bench.rounds_of('tail')))
    figures, watch = play(bench, system, turn, ['--pattern', 'all', '--docs', '40', '--saves', '1000', '--limit', str(seconds)])
    yield tail_label(bench.minutes), watch.sample(figures['p99_ms'], figures['saves'])


# --- trees ---

def timed(bench, system, script):
    """A shell script: how long it takes."""
    with Watch(bench, system) as watch:
        seconds = bench.seconds('sh', '-ec', script)
    return watch.sample(seconds)


def trees(bench, system, turn):
    at, tar = f'{system.dir}/tree', bench.tar
    os.mkdir(at)
    if system.name == 'loop':
        run('sh', '-ec', f'tar xf {tar} -C {at}; cp -a {at}/t {at}/copy; git clone -q {bench.repo} {at}/clone; sync')
        yield 'rm -rf', timed(bench, system, f'rm -rf {at}')
        return
    yield 'untar', timed(bench, system, f'tar xf {tar} -C {at}')
    yield 'cp -a', timed(bench, system, f'cp -a {at}/t {at}/copy')
    for temper in ('cold', 'warm'):
        for what, script in (('find', f'find {at}/t -type f'), ('ls -lR', f'ls -lR {at}/t'),
                             ('read', f'find {at}/t -type f -exec cat {{}} +')):
            if temper == 'cold':
                system.cold()
            else:
                run('sh', '-ec', script)
            yield f'{what}, {temper}', timed(bench, system, script)
    yield 'git clone', timed(bench, system, f'git clone -q {bench.repo} {at}/clone')
    yield 'git status', timed(bench, system, f'git -C {at}/clone status')
    yield 'make', timed(bench, system, f'make -C {at}/clone CFLAGS=-O0 build/libstore.a')
    os.sync()
    yield 'rm -rf', timed(bench, system, f'rm -rf {at}')


# --- operations ---

def operate(bench, system, at, phase, *numbers):
    with Watch(bench, system) as watch:
        got = json.loads(run(f'{bench.build}/tests/bench/opbench', at, phase, *map(str, numbers), stdout=subprocess.PIPE))
    return got['seconds'], got['operations'], watch


def operations(bench, system, turn):
    at, n, trip = f'{system.dir}/files', 20000, None
    os.mkdir(at)
    for phase in ('create', 'stat', 'open+close', 'round-trip', 'open+close', 'rename', 'rename-back', 'unlink'):
        seconds, count, watch = operate(bench, system, at, phase, n, 1000, 512)
        sample = watch.sample(seconds / count * 1e6, count)
        if phase == 'stat':
            seconds, count, watch = operate(bench, system, at, phase, n, 1000)
            yield 'stat, warm', watch.sample(seconds / count * 1e6, count)
        elif phase == 'round-trip':
            trip = sample.value / (sample.requests or 1)
            if system.name == 'daybook':
                yield 'FUSE round trip', sample
        elif phase != 'rename-back' and (system.name != 'loop' or phase == 'unlink'):
            yield f'{phase}, one of 20,000 files', sample
            if trip and system.name == 'daybook' and sample.requests:
                beyond = sample.value - sample.requests * trip
                yield f'{phase}: handler time beyond the round trip', Sample(beyond, sample.requests, sample.cpu)
    os.rmdir(at)


def directory(bench, system, turn):
    at, n, label = f'{system.dir}/wide', bench.few(100000, 100000, int), '100,000 entries in a folder: {}'
    os.mkdir(at)
    for name, phase in (('create', 'create'), ('list, cold', 'list'), ('list, warm', 'list'), ('stat, warm', 'stat'),
                        ('unlink', 'unlink')):
        if name == 'list, cold':
            system.cold()
        elif name == 'stat, warm':
            operate(bench, system, at, 'stat', n, n)
        seconds, _, watch = operate(bench, system, at, phase, n, n, 0)
        if system.name != 'loop' or name == 'unlink':
            yield label.format(name), watch.sample(seconds)
    os.rmdir(at)


def large(bench, system, turn):
    at = f'{system.dir}/large'
    mib = bench.mib
    for label, phase, cold in (('sequential write', 'write', False), ('sequential read, cold', 'read-large', True),
                               ('sequential read, warm', 'read-large', False),
                               ('random read, warm, 4 KiB', 'read-random', False),
                               ('random read, cold, 4 KiB', 'read-random', True),
                               ('random write + fsync, 4 KiB', 'write-random', False)):
        if cold:
            system.cold()
        seconds, count, watch = operate(bench, system, at, phase, mib)
        per_s = count / seconds if 'random' in label else count * 1.048576 / seconds
        yield label, watch.sample(per_s, count)
    os.unlink(at)


# --- what is kept ---

def kept(bench, system, turn):
    for label, pattern in (('in place', 'inplace'), ('rename', 'rename'), ('office', 'office'), ('excel', 'excel')):
        figures, _ = play(bench, system, turn, ['--pattern', pattern, '--docs', '40', '--saves', '10', '--parallel', '4',
                                                '--history'])
        yield f'versions kept, with their author: {label}', Sample(100 * figures['kept'] / figures['made'])


def space_of(bench, system, options, packed):
    """Bytes kept for the saves after the first of each document, over the bytes saved; and once more when packed."""
    at, bytes_kept = f'{system.dir}/space', []
    os.mkdir(at)
    note = lambda: bytes_kept.append(system.bytes())
    figures, _ = play_at(bench, system, options, at, before=note, after=note)
    if packed and bench.has_command('pack'):
        run(f'{bench.build}/daybook', 'pack', '--now', system.dir)
        note()
    shutil.rmtree(at)
    return [(now - bytes_kept[0]) / figures['logical'] for now in bytes_kept[1:]]


def space(bench, system, turn):
    label = 'bytes kept per version ÷ bytes saved, {}'
    # First: packing would also make smaller what other work has left in the store.
    books = space_of(bench, system, ['--pattern', 'rename', '--docs', '16', '--saves', bench.few(15, 8), '--mix',
                                          'book200k:3,lobook200k:3,book2m:1,lobook2m:1', '--parallel', '2'], True)
    for name, value in zip(('real workbooks: at once', 'real workbooks: packed'), books):
        yield label.format(name), Sample(value)
    mixed, = space_of(bench, system, ['--pattern', 'all', '--docs', '40', '--saves', bench.few(15, 8)], False)
    yield label.format('mixed documents'), Sample(mixed)


# (name, rounds, of a quick run, how much of the time it may take, systems, function)
WORKLOADS = [
    ('saves', 5, 3, 12, ('ext4', 'bindfs', 'btrfs', 'daybook'), saves),
    ('users', 5, 2, 15, ('ext4', 'bindfs', 'btrfs', 'daybook'), users),
    ('sizes', 3, 0, 14, BOTH, sizes),
    ('tail', 6, 2, 14, BOTH, tail),
    ('kept', 1, 1, 2, OURS, kept),
    ('space', 1, 1, 5, OURS, space),
    ('trees', 3, 1, 18, ('ext4', 'loop', 'bindfs', 'btrfs', 'daybook'), trees),
    ('operations', 3, 2, 8, ('ext4', 'loop', 'bindfs', 'daybook'), operations),
    ('directory', 2, 1, 8, ('ext4', 'loop', 'bindfs', 'btrfs', 'daybook'), directory),
    ('large', 2, 1, 24, ('ext4', 'bindfs', 'btrfs', 'daybook'), large),
]
