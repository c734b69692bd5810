#!/usr/bin/python3
"""bench.py - Daybook beside ext4 (the floor), bindfs (a plain FUSE layer) and btrfs with a snapshot per save.

Every workload runs on every file system in turn, several rounds of it, so that a change of the machine's mood meets
all of them; what is reported is the ratio to ext4 in the same round: median, and the smallest and largest seen.
All stand on loop files of the same disk.  usage: bench.py BUILD RESULTS.md [--rounds N] [--only WORD] [--quick]
"""
import argparse, datetime, json, os, platform, shutil, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def run(*command, **kw):
    kw.setdefault('stdout', subprocess.DEVNULL)
    return subprocess.run(command, check=True, **kw)


def sh(script, **kw):
    return run('sh', '-c', script, **kw)


def seconds(call):
    start = time.monotonic()
    call()
    return time.monotonic() - start


class Disk:
    """A file system on a loop file below top."""

    def __init__(self, top, name, mkfs, gib):
        self.image, self.at = f'{top}/{name}.img', f'{top}/{name}'
        os.mkdir(self.at)
        with open(self.image, 'wb') as image:
            image.truncate(gib << 30)
        run(*mkfs, self.image, stderr=subprocess.DEVNULL)
        run('mount', '-o', 'loop,noatime', self.image, self.at)

    def close(self):
        run('umount', self.at)
        os.unlink(self.image)


class Ext4:
    name = 'ext4'

    def __init__(self, top, build):
        self.disk = Disk(top, 'ext4', ['mkfs.ext4', '-q', '-F', '-E', 'nodiscard'], 12)
        self.dir = self.backend = self.disk.at
        self.extra = []

    def pids(self):
        return []

    def close(self):
        self.disk.close()


class Bindfs(Ext4):
    name = 'bindfs'

    def __init__(self, top, build):
        self.disk = Disk(top, 'below', ['mkfs.ext4', '-q', '-F', '-E', 'nodiscard'], 12)
        self.backend, self.dir, self.extra = self.disk.at, f'{top}/bindfs', []
        os.mkdir(self.dir)
        run('bindfs', '--multithreaded', self.backend, self.dir)

    def close(self):
        run('umount', self.dir)
        time.sleep(0.5)
        self.disk.close()


class Btrfs(Ext4):
    name = 'btrfs + snapshot'

    def __init__(self, top, build):
        self.disk = Disk(top, 'btrfs', ['mkfs.btrfs', '-q', '-K'], 12)
        self.backend, self.dir = self.disk.at, f'{self.disk.at}/live'
        run('btrfs', 'subvolume', 'create', self.dir)
        os.mkdir(f'{self.disk.at}/snap')
        self.extra = ['--after-save', f'btrfs -q subvolume snapshot -r {self.dir} {self.disk.at}/snap/$(date +%s%N)']


class Daybook(Ext4):
    name = 'daybook'

    def __init__(self, top, build):
        self.disk = Disk(top, 'store-disk', ['mkfs.ext4', '-q', '-F', '-E', 'nodiscard'], 12)
        self.backend, self.dir, self.build, self.extra = f'{self.disk.at}/store', f'{top}/daybook', build, []
        os.mkdir(self.dir)
        run(f'{build}/daybook', 'init', self.backend)
        self.start()

    def start(self):
        run(f'{self.build}/daybookd', self.backend, self.dir)

    def stop(self):
        run('umount', self.dir)
        while subprocess.run(['flock', '-n', f'{self.backend}/LOCK', 'true']).returncode:
            time.sleep(0.05)

    def pids(self):
        with open(f'{self.backend}/LOCK') as lock:
            return [int(lock.read())]

    def close(self):
        self.stop()
        self.disk.close()


def savebench(fs, options, work, seed):
    """One run of savebench on fs: its figures. Each has a seed of its own, so that no run finds its bytes stored."""
    at, out = f'{fs.dir}/bench', f'{work}/save.json'
    os.mkdir(at)
    os.chmod(at, 0o777)
    if os.path.exists(out):
        os.unlink(out)
    extra = ['--pid', str(fs.pids()[0])] if fs.pids() else []
    run(f'{work}/savebench', '--dir', at, '--backend', fs.backend, '--name', fs.name, '--json', out, '--no-cold',
        '--out', f'{work}/save.out', '--seed', str(seed), *options, *extra, *fs.extra, stderr=subprocess.DEVNULL)
    with open(out) as got:
        figures = json.loads(got.readlines()[-1])
    sh(f'rm -rf {at}')
    if figures['errors_total'] or figures.get('wrong_warm'):
        sys.exit(f'{fs.name}: savebench read back something else than it saved')
    return figures


def tree(fs, work):
    """Trees of small files: seconds by what is done."""
    at, t = f'{fs.dir}/tree', {}
    os.mkdir(at)
    t['untar'] = seconds(lambda: sh(f'tar xf {work}/tree.tar -C {at}'))
    t['cp -a'] = seconds(lambda: sh(f'cp -a {at}/t {at}/copy'))
    t['find'] = seconds(lambda: sh(f'find {at}/t -type f'))
    sh(f'ls -lR {at}/t')
    t['ls -lR, warm'] = seconds(lambda: sh(f'ls -lR {at}/t'))
    t['stat, warm'] = seconds(lambda: sh(f'find {at}/t -size 0'))
    t['read all, warm'] = seconds(lambda: sh(f'cat $(find {at}/t -type f)'))
    t['git clone'] = seconds(lambda: sh(f'git clone -q {work}/repo {at}/clone', stderr=subprocess.DEVNULL))
    t['git status'] = seconds(lambda: sh(f'git -C {at}/clone status'))
    t['make'] = seconds(lambda: sh(f'make -C {at}/clone build/libstore.a', stderr=subprocess.DEVNULL))
    t['rm -rf'] = seconds(lambda: sh(f'rm -rf {at}'))
    return t


def big(fs, mib):
    """One large file, front to back."""
    at, t = f'{fs.dir}/big', {}
    t['write + fsync'] = seconds(lambda: run('dd', 'if=/dev/urandom', f'of={at}', 'bs=1M', f'count={mib}', 'conv=fsync',
                                             stderr=subprocess.DEVNULL))
    sh('echo 3 > /proc/sys/vm/drop_caches')
    t['read, cold'] = seconds(lambda: run('dd', f'if={at}', 'of=/dev/null', 'bs=1M', stderr=subprocess.DEVNULL))
    t['read, warm'] = seconds(lambda: run('dd', f'if={at}', 'of=/dev/null', 'bs=1M', stderr=subprocess.DEVNULL))
    os.unlink(at)
    return t


def memory_mb(pid):
    with open(f'/proc/{pid}/status') as status:
        return [int(line.split()[1]) // 1024 for line in status if line.startswith('VmRSS')][0]


def history(fs):
    """What only Daybook has: milliseconds of its history, its start and its memory."""
    at, t = f'{fs.dir}/h.csv', {}
    for i in range(1000):
        with open(at, 'w') as save:
            save.write('row,%d\n' % i * 500)
    fs.stop()
    t['start'] = seconds(fs.start) * 1000
    folder = f'{fs.dir}/.history/files/h.csv'
    t['list 1,000 versions, after a start'] = seconds(lambda: os.listdir(folder)) * 1000
    t['list 1,000 versions, again'] = seconds(lambda: os.listdir(folder)) * 1000
    middle = [name for name in os.listdir(folder) if '.v500.' in name][0]
    t['read version 500'] = seconds(lambda: open(f'{folder}/{middle}').read()) * 1000
    t['memory at rest, MB'] = memory_mb(fs.pids()[0])
    return t


SAVES = [  # name, savebench options, figures taken: (label, key)
    ('durable saves, one at a time', ['--docs', '40', '--saves', '15'],
     [('p50', 'save_p50_ms'), ('p99', 'save_p99_ms'), ('mean', 'save_mean_ms')]),
    ('durable saves, 8 users at once', ['--docs', '40', '--saves', '15', '--parallel', '8'], [('time per save', 'saves_wall_s')]),
    ('durable saves, 32 users at once', ['--docs', '64', '--saves', '10', '--users', '32', '--parallel', '32'],
     [('time per save', 'saves_wall_s')]),
    ('saves without fsync', ['--docs', '40', '--saves', '15', '--sync', 'none'], [('p50', 'save_p50_ms')]),
    ('real workbooks, by rename', ['--docs', '10', '--saves', '10', '--pattern', 'rename', '--mix',
                                   'book200k:3,lobook200k:3,book2m:1,lobook2m:1'], [('p50', 'save_p50_ms')]),
]


class Table:
    def __init__(self):
        self.rows = {}

    def add(self, label, name, value):
        self.rows.setdefault(label, {}).setdefault(name, []).append(value)

    def markdown(self, names):
        lines = ['| work | ext4 | ' + ' | '.join(f'{n} / ext4' for n in names[1:]) + ' |',
                 '|---|---|' + '---|' * (len(names) - 1)]
        for label, by in self.rows.items():
            floor = by['ext4']
            cells = [f'{statistics.median(floor):.4g}']
            for n in names[1:]:
                ratios = [b / a for a, b in zip(floor, by.get(n, [])) if a]
                cells.append(f'{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})' if ratios else '–')
            lines.append(f'| {label} | ' + ' | '.join(cells) + ' |')
        return lines


def measure(systems, args, work, table, space):
    for turn in range(args.rounds):
        for place, (name, options, figures) in enumerate(SAVES):
            if args.only and args.only not in name:
                continue
            for fs in systems:
                got = savebench(fs, options, work, 1 + turn * len(SAVES) + place)
                for label, key in figures:
                    table.add(f'{name}: {label}' + (', ms' if key.endswith('_ms') else ', s'), fs.name, got[key])
                if fs.name == 'daybook':
                    space.setdefault(name, []).append(got['bytes_per_version'] / 1024)
        for what, call in (('tree', lambda fs: tree(fs, work)), ('large file', lambda fs: big(fs, args.mib))):
            if args.only and args.only not in what:
                continue
            for fs in systems:
                for label, value in call(fs).items():
                    table.add(f'{what}: {label}, s', fs.name, value)


def prepare(work):
    for name in ('savebench', 'treebench'):
        run('cc', '-O2', '-o', f'{work}/{name}', f'{HERE}/{name}.c', '-pthread', '-lm', '-lz')
    os.mkdir(f'{work}/t')
    sh(f'cp -a /usr/include/linux /usr/include/c++ /usr/include/asm-generic {work}/t 2>/dev/null; '
       f'tar cf {work}/tree.tar -C {work} t && git clone -q --bare {ROOT} {work}/repo')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build')
    parser.add_argument('results')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--mib', type=int, default=1024)
    parser.add_argument('--only', default='')
    parser.add_argument('--quick', action='store_true', help='one round, ext4 and Daybook only')
    args = parser.parse_args()
    if args.quick:
        args.rounds = 1
    work = tempfile.mkdtemp(prefix='daybook-bench.')
    os.chmod(work, 0o711)  # the benchmark's users pass through
    table, space, systems, only_ours = Table(), {}, [], {}
    try:
        prepare(work)
        for kind in (Ext4, Daybook) if args.quick else (Ext4, Bindfs, Btrfs, Daybook):
            systems.append(kind(work, os.path.abspath(args.build)))
        measure(systems, args, work, table, space)
        if not args.only or args.only == 'history':
            only_ours = history(systems[-1])
    finally:
        for fs in reversed(systems):
            fs.close()
        shutil.rmtree(work)
    commit = subprocess.run(['git', '-C', ROOT, 'describe', '--always', '--dirty'], capture_output=True, text=True)
    lines = ['# What it costs', '',
             f'`make bench` on {datetime.date.today()}, commit {commit.stdout.strip()}, Linux {platform.release()}, '
             f'{os.cpu_count()} cores, {args.rounds} rounds interleaved. Time over ext4\'s in the same round: median '
             '(smallest–largest). Everything on loop files of one disk.', ''] + table.markdown([fs.name for fs in systems])
    if space:
        lines += ['', 'Kept by Daybook per version (right after the saves, log and names included), KiB: ' +
                  '; '.join(f'{k}: {statistics.median(v):.1f}' for k, v in space.items()) + '.']
    if only_ours:
        lines += ['', '| Daybook only | |', '|---|---|'] + [f'| {k} | {v:.1f} |' for k, v in only_ours.items()]
    with open(args.results, 'w') as results:
        results.write('\n'.join(lines) + '\n')
    print('\n'.join(lines))


main()
