"""results.py - what was measured, the table of it, and RESULTS.md, of which a partial run renews its own rows."""
import datetime, os, platform, re, statistics, subprocess

HEADER = '''# What it costs

`make bench` writes this file; `ARGS=--only=WORKLOAD,...` renews rows, so each says when it was measured and on what.
Every piece of work is done on all file systems in turn, in several rounds. ext4 on the same disk is the floor (for
deletes: ext4 on a loop file of it); under a file system's name stands the ratio to the floor in the same round, median
and (quartiles) over the rounds. Rows that only Daybook has show what was measured. A value that misses "at least" is
**bold**. Requests: what the kernel sent to Daybook's daemon for one operation, free of noise; CPU: what the daemon
computed for it, requests and background work together.
'''
COLUMNS = ['work', 'at least', 'aim', 'floor', 'bindfs', 'btrfs', 'Daybook', 'requests', 'CPU', 'rounds', 'measured']
SYSTEMS = ['bindfs', 'btrfs', 'daybook']


class Sample:
    """One measurement: value in the row's unit; requests and CPU seconds for one operation, when known."""

    def __init__(self, value, requests=None, cpu=None):
        self.value, self.requests, self.cpu = value, requests, cpu


class Row:
    """label; unit of the value; better: '≤' or '≥'; at_least, aim: what the ratio (own: the value) should reach; floor:
    the system it is divided by, None for what only Daybook has."""

    def __init__(self, label, unit='s', better='≤', at_least=None, aim=None, floor='ext4', optional=False):
        self.optional = optional or at_least is None  # not shown before it was measured once
        self.label, self.unit, self.better, self.at_least, self.aim, self.floor = label, unit, better, at_least, aim, floor
        self.rounds = []  # of {system: Sample}

    def add(self, turn, system, sample):
        while len(self.rounds) <= turn:
            self.rounds.append({})
        self.rounds[turn][system] = sample

    def values(self, system):
        if system == 'daybook' and not self.floor:
            return [r[system].value for r in self.rounds if system in r]
        return [r[system].value / r[self.floor].value for r in self.rounds if system in r and self.floor in r]

    def misses(self, value):
        if self.at_least is None:
            return False
        return value > self.at_least if self.better == '≤' else value < self.at_least

    def cell(self, system):
        values = self.values(system)
        if not values:
            return '–'
        middle = statistics.median(values)
        text = number(middle) + ('' if self.floor or not self.unit else f' {self.unit}')
        if len(values) > 1:
            low, _, high = statistics.quantiles(values, n=4, method='inclusive')
            text += f' ({number(low)}–{number(high)})'
        return f'**{text}**' if system == 'daybook' and self.misses(middle) else text

    def wanted(self, value):
        return '' if value is None else f'{self.better} {number(value)}' + ('' if self.floor or not self.unit else f' {self.unit}')

    def floor_cell(self):
        floors = [r[self.floor].value for r in self.rounds if self.floor in r] if self.floor else []
        on = '' if self.floor == 'ext4' else f' ({self.floor})'
        return f'{number(statistics.median(floors))} {self.unit}{on}' if floors else '–'

    def extra(self, field, shown):
        got = [getattr(r['daybook'], field) for r in self.rounds if 'daybook' in r]
        got = [value for value in got if value is not None]
        return shown(statistics.median(got)) if got else ''

    def markdown(self, when):
        cells = [self.label, self.wanted(self.at_least), self.wanted(self.aim), self.floor_cell()]
        cells += [self.cell(system) for system in SYSTEMS]
        cells += [self.extra('requests', number), self.extra('cpu', duration), str(len(self.rounds)), when]
        return '| ' + ' | '.join(cells) + ' |'


def number(value):
    """Three digits, without an exponent."""
    return f'{value:.0f}' if abs(value) >= 100 else f'{value:.3g}'


def duration(seconds):
    return f'{number(seconds * 1e6)} µs' if seconds < 1e-3 else f'{number(seconds * 1e3)} ms'


def machine(where):
    with open('/proc/cpuinfo') as cpu:
        model = re.search(r'model name\s*: (.*)', cpu.read())
    with open('/proc/meminfo') as memory:
        gib = round(int(memory.readline().split()[1]) / 2**20)
    source = subprocess.run(['findmnt', '-no', 'FSTYPE,OPTIONS', '-T', where], capture_output=True, text=True).stdout
    return (f'{model.group(1) if model else platform.machine()}, {os.cpu_count()} cores, {gib} GiB, Linux '
            f'{platform.release()}, disk: {" ".join(source.split())}')


def commit_of(root):
    git = ['git', '-C', root]
    name = subprocess.run(git + ['rev-parse', '--short', 'HEAD'], capture_output=True, text=True).stdout.strip()
    dirty = subprocess.run(git + ['status', '--porcelain', '-uno', '--', 'store', 'fs', 'tools', 'Makefile'],
                           capture_output=True, text=True).stdout.strip()
    return (name or 'unknown') + ('+' if dirty else '')


def old_rows(path):
    """label: line, of the RESULTS.md that is there."""
    if not os.path.exists(path):
        return {}
    with open(path) as f:
        lines = [line.rstrip('\n') for line in f if line.startswith('| ')]
    return {line.split(' | ')[0][2:]: line for line in lines if not line.startswith('| work |')}


def write(path, rows, where, root, seconds, what):
    """The rows in their order; one that was not measured now keeps the line it has, or is left out."""
    old, when = old_rows(path), f'{commit_of(root)}, {datetime.date.today()}'
    lines = [HEADER, f'Last run: {datetime.datetime.now():%Y-%m-%d %H:%M}, {seconds / 60:.0f} minutes ({what}), on '
             f'{machine(where)}.', '', '| ' + ' | '.join(COLUMNS) + ' |', '|' + '---|' * len(COLUMNS)]
    for row in rows:
        if row.rounds:
            lines.append(row.markdown(when))
        elif row.label in old:
            lines.append(old[row.label])
        elif not row.optional:
            lines.append(row.markdown('not yet'))
    with open(path, 'w') as f:
        f.write('\n'.join(lines) + '\n')
