"""work_history.py - what only Daybook has: history, starts, stores of millions of changes, and long work beside saves.

A workload here yields (label, Sample, name): the name under which it counts, "daybook" or that of the row's floor.
"""
import json, os, shutil, statistics, subprocess, time

from results import Sample
from systems import Daybook, drop_caches, run, status_mb
from work import Watch, operate, play


def write(path, data):
    with open(path, 'wb') as f:
        f.write(data)


def seconds_of(call):
    start = time.monotonic()
    call()
    return time.monotonic() - start


def read(path):
    with open(path, 'rb') as f:
        return f.read()


# --- history ---

def versions(bench, system, turn):
    at = f'{system.dir}/history'
    os.mkdir(at)
    for n, temper, label in ((1000, 'cold', 'cold, 1,000'), (10000, 'warm', 'warm, 10,000')):
        before = system.bytes()
        for i in range(n):
            write(f'{at}/{n}.csv', b'row,%d\n' % i)
        folder = f'{at}/.history/files/{n}.csv'
        if temper == 'cold':
            system.cold()
        else:
            os.listdir(folder)
        with Watch(bench, system) as watch:
            seconds = seconds_of(lambda: os.listdir(folder))
        if len(os.listdir(folder)) != n + 1:
            raise RuntimeError(f'{folder} lists {len(os.listdir(folder)) - 1} versions')
        yield f'history of one file listed, {label} versions', watch.sample(seconds * 1e3), 'daybook'
    kept = (system.bytes() - before) / n
    yield 'bytes kept for a save of a few bytes: log, names, version and all', Sample(kept), 'daybook'
    data = bytearray(os.urandom(200 << 10))
    for i in range(100):
        data[i * 2000 % len(data)] ^= 1
        write(f'{at}/table.bin', data)
    folder = f'{at}/.history/files/table.bin'
    middle = [name for name in os.listdir(folder) if '.v50.' in name][0]
    system.cold()
    with Watch(bench, system) as watch:
        seconds = seconds_of(lambda: read(f'{folder}/{middle}'))
    yield 'version N/2 of a 200 KB file read, cold', watch.sample(seconds * 1e3), 'daybook'
    shutil.rmtree(at)


def folder(bench, system, turn):
    at = f'{system.dir}/folder'
    os.mkdir(at)
    was = [os.urandom(20000) for _ in range(1000)]
    for i, data in enumerate(was):
        write(f'{at}/{i}.bin', data)
    time.sleep(1.1)
    instant = time.strftime('%Y-%m-%d_%H.%M.%SZ', time.gmtime())
    time.sleep(1.1)
    for i in range(1000):
        write(f'{at}/{i}.bin', os.urandom(20000))
    with Watch(bench, system) as watch:
        seconds = seconds_of(lambda: run('cp', '-a', f'{at}/.history/at/{instant}', f'{system.dir}/copy'))
    yield 'folder of 1,000 files restored by cp -a from .history', watch.sample(seconds), 'daybook'
    check(f'{system.dir}/copy', was)
    with Watch(bench, system) as watch:
        seconds = seconds_of(lambda: run(f'{bench.build}/daybook', 'restore', at, '--at', instant))
    yield 'folder of 1,000 files restored', watch.sample(seconds), 'daybook'
    check(at, was)
    shutil.rmtree(at)
    shutil.rmtree(f'{system.dir}/copy')


def check(at, was):
    for i, data in enumerate(was):
        if read(f'{at}/{i}.bin') != data:
            raise RuntimeError(f'{at}/{i}.bin was not restored')


# --- many changes ---

def big_store(bench):
    """The store of bench.changes changes: half files, some of many versions, a tenth names that came and went."""
    if not bench.store:
        n, bench.store = bench.changes, f'{bench.top}/big.store'
        run(f'{bench.build}/tests/bench/bigstore', bench.store, '--files', str(n // 2), '--saved-every', '10',
            '--documents', '20', '--versions', str(min(10000, n // 100)), '--temporary', str(n // 10))
    return bench.store


def start_time(system):
    """From the command to the answer to a question that nothing has cached."""
    start = time.monotonic()
    system.start()
    os.listdir(f'{system.dir}/files/000')
    return time.monotonic() - start


def per_call(places, call, passes):
    """Microseconds of a call on each place, what a tenth of the calls take at most (the others waited for a processor):
    on paths that the daemon has seen but the kernel has forgotten, the places by turns."""
    took = [[] for _ in places]
    for paths in places:
        for path in paths:
            call(path)
    for _ in range(passes):
        for paths, times in zip(places, took):
            with open('/proc/sys/vm/drop_caches', 'w') as f:
                f.write('2')
            times += [seconds_of(lambda: call(path)) for path in paths]
    return [statistics.quantiles(times, n=10)[0] * 1e6 for times in took]


def open_and_read(path):
    os.lstat(path)
    read(path)


def miss_and_list(path):
    os.path.exists(f'{path}/absent{time.monotonic_ns()}')
    os.listdir(path)


def compare_saves(bench, big, fresh, turn, store_of):
    for system, name in ((fresh, 'fresh'), (big, 'daybook')) if turn % 2 else ((big, 'daybook'), (fresh, 'fresh')):
        figures, watch = play(bench, system, turn, ['--pattern', 'all', '--docs', '40', '--saves', '8'])
        yield f'{store_of}: durable save p50', watch.sample(figures['p50_ms'], figures['saves']), name
        figures, watch = play(bench, system, turn, ['--pattern', 'all', '--docs', '40', '--saves', '8', '--parallel', '8'])
        yield f'{store_of}: durable saves per second, 8 users', watch.sample(figures['per_s'], figures['saves']), name


def compare_lookups(big, fresh, store_of):
    few, like = f'{fresh.dir}/few', os.stat(f'{big.dir}/churn')
    for at in (few, f'{few}/empty', f'{few}/0000'):
        os.mkdir(at)
        os.chown(at, like.st_uid, like.st_gid)  # of a folder that is not his the kernel also asks the ACL
        os.chmod(at, like.st_mode & 0o7777)
    for i in range(1000):
        write(f'{few}/0000/file{i:04}', b'some text\n')
    names = [[f'{at}/0000/file{i:04}' for i in range(1000)] for at in (few, f'{big.dir}/files/000')]
    deep = [f'{big.dir}/deep/{name}' for name in sorted(os.listdir(f'{big.dir}/deep'))]
    flat = [f'{big.dir}/files/000/0000/file{i * 10:04}' for i in range(len(deep))]
    for what, floor, places, call, passes in (
            ('lookup of a name not cached', 'fresh', names, os.lstat, 6),
            ('a file of many versions: lookup, open, read', 'one', [flat, deep], open_and_read, 30),
            ('an empty folder where names died: lookup, listing', 'one', [[f'{few}/empty'], [f'{big.dir}/churn']],
             miss_and_list, 50)):
        for value, name in zip(per_call(places, call, passes), (floor, 'daybook')):
            yield f'{store_of}: {what}', Sample(value), name
    shutil.rmtree(few)


def look_at_everything(big, seconds):
    """find, ls -lR and cp, each cut off when it takes too long: the daemon's largest size."""
    for script in (f'find {big.dir} -size 0', f'ls -lR {big.dir}', f'cp -r {big.dir}/files/000 {big.dir}/copied'):
        subprocess.run(['timeout', str(seconds), 'sh', '-c', script], stdout=subprocess.DEVNULL)
    peak = status_mb(big.pid(), 'VmHWM')
    shutil.rmtree(f'{big.dir}/copied', ignore_errors=True)
    return peak


def scale(bench, fresh, turn):
    store_of = f'store of {bench.changes:,} changes'
    store = big_store(bench)
    drop_caches()
    big = Daybook.__new__(Daybook)
    big.name, big.store, big.build, big.dir = 'big', store, bench.build, f'{bench.top}/big{turn}'
    os.mkdir(big.dir)
    try:
        yield f'{store_of}: start to first answer', Sample(start_time(big)), 'daybook'
        time.sleep(2)
        yield f'{store_of}: memory at rest', Sample(status_mb(big.pid(), 'VmRSS')), 'daybook'
        yield from compare_lookups(big, fresh, store_of)
        yield from compare_saves(bench, big, fresh, turn, store_of)
        play(bench, big, turn, ['--mix', 'xlsx200k', '--saves', '3'])
        big.kill()
        drop_caches()
        yield f'{store_of}: start to first answer after kill -9', Sample(start_time(big)), 'daybook'
        if turn == 0:
            peak = look_at_everything(big, bench.minutes * 60)
            yield f'{store_of}: memory at most, under find, ls -lR, cp', Sample(peak), 'daybook'
    finally:
        big.stop()
        os.rmdir(big.dir)


# --- long work beside saves ---

class Beside:
    """Runs a script over and over in the background, as long as a file of the benchmark is there."""

    def __init__(self, bench, script):
        self.flag, self.script = f'{bench.top}/long-work', script

    def __enter__(self):
        write(self.flag, b'')
        self.shell = subprocess.Popen(['sh', '-c', f'while [ -e "$0" ]; do {self.script}; done', self.flag],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)

    def __exit__(self, *_):
        os.unlink(self.flag)
        self.shell.wait()


def beside(bench, system, turn):
    at, daybook = f'{system.dir}/long', f'{bench.build}/daybook'
    os.mkdir(at)
    run('tar', 'xf', bench.tar, '-C', at)
    time.sleep(1.1)
    instant = time.strftime('%Y-%m-%d_%H.%M.%SZ', time.gmtime())
    scripts = {'cp -a of a tree': f'cp -a {bench.top}/t {at}/copy; rm -rf {at}/copy'}
    if system.name == 'daybook':
        scripts['verify'] = f'{daybook} verify {system.dir}'
        scripts['restore of a folder'] = (f'find {at}/t -type f -exec sh -c "for f; do echo >>\\$f; done" x {{}} +;'
                                          f'{daybook} restore {at}/t --at {instant}')
        if bench.has_command('pack'):
            scripts['packing'] = f'{daybook} pack --now {system.dir}'
    options = ['--pattern', 'all', '--docs', '40', '--saves', bench.few(8, 5)]
    for what, script in scripts.items():
        name = f'save p50 beside {what}' + (', on ext4' if system.name == 'ext4' else '')
        figures, watch = play(bench, system, turn, options)
        yield name, watch.sample(figures['p50_ms'], figures['saves']), 'alone'
        with Beside(bench, script):
            figures, watch = play(bench, system, turn, options)
        yield name, Sample(figures['p50_ms']), 'daybook'
    shutil.rmtree(at)


HISTORY_WORKLOADS = [
    ('versions', 3, 1, 4, ('daybook',), versions),
    ('folder', 3, 1, 3, ('daybook',), folder),
    ('scale', 3, 1, 18, ('daybook',), scale),
    ('beside', 3, 1, 9, ('ext4', 'daybook'), beside),
]
