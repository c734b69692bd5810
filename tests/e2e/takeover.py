#!/usr/bin/python3
"""Programs that must not notice that the process behind their share is killed, and the check that it did not either.

  takeover.py load DIR SHARED ID JOURNAL STOP SEED   saves, renames, unlinks, reads ... until the file STOP is there
  takeover.py kill MNT HOLDER COUNT SEED             kills the worker COUNT times; prints how long each pause was
  takeover.py check MNT JOURNAL...                   the share's log is what the journals say, no more and no less
  takeover.py hold DIR OTHER                         holds everything that can be held; a line on stdin: all is well?

A line of a journal is JSON: [process, operation, path, what].  what: the second path, or the digest, or the name of
the attribute.  Paths are below the share's root, so programs run with it as their working directory.
"""
import collections
import ctypes
import errno
import fcntl
import hashlib
import json
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import time


def digest_of(data):
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def write_all(fd, data, pieces=1):
    step = max(1, -(-len(data) // pieces))
    for at in range(0, len(data), step):
        part = data[at:at + step]
        n = os.pwrite(fd, part, at)
        assert n == len(part), f"{n} of {len(part)} bytes written"


def read_past_cache(path):
    """What the daemon says, not what the kernel remembers."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        data = b""
        while part := os.read(fd, 1 << 20):
            data += part
        return data
    finally:
        os.close(fd)


def same(path, wanted):
    got = read_past_cache(path)
    if got != wanted:
        at = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), min(len(got), len(wanted)))
        again = read_past_cache(path) == wanted
        raise AssertionError(f"{path}: {len(got)} bytes, not {len(wanted)}, the first other one at {at}: "
                             f"{got[at:at + 40]} and not {wanted[at:at + 40]}; read again: {'well' if again else 'too'}")


# --- the load -------------------------------------------------------------------------------------------------------

class Load:
    """One program.  It knows what must be there, for nobody else touches its names."""

    def __init__(self, directory, shared, me, journal, seed):
        self.rng = random.Random(f"{seed} {me}")
        self.pool = self.rng.randbytes(1 << 18)
        self.me, self.places = me, (directory, shared)
        self.journal, self.pid = journal, os.getpid()
        self.files, self.dirs, self.links, self.attributes = {}, set(), {}, set()
        self.serial = 0

    def done(self, operation, path, what=None):
        self.journal.write(json.dumps([self.pid, operation, path, what]) + "\n")

    def fresh(self, kind):
        self.serial += 1
        return f"{self.rng.choice(self.places)}/{self.me}-{kind}{self.serial}"

    def content(self):
        at, size = self.rng.randrange(len(self.pool)), self.rng.choice((0, 100, 5000, 70000, 200000))
        return f"{self.me} {self.serial} {time.monotonic_ns()}\n".encode() + self.pool[at:at + size]

    def some(self, of):
        return self.rng.choice(sorted(of)) if of else None

    def save(self, path, flags, sync):
        data, is_new = self.content(), path not in self.files
        fd = os.open(path, flags | os.O_CREAT, 0o664)
        try:
            write_all(fd, data, self.rng.randint(1, 4))
            if not flags & os.O_TRUNC:
                os.ftruncate(fd, len(data))
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        if is_new:
            self.done("create", path)
        self.done("save", path, digest_of(data))
        self.files[path] = data

    def save_new(self):
        self.save(self.fresh("f"), os.O_WRONLY | os.O_EXCL, False)

    def save_in_place(self):
        if self.files:
            self.save(self.some(self.files), os.O_WRONLY, self.rng.random() < 0.5)

    def save_truncated(self):
        if self.files:
            self.save(self.some(self.files), os.O_WRONLY | os.O_TRUNC, self.rng.random() < 0.3)

    def save_by_rename(self):
        if self.files:
            path = self.some(self.files)
            temp = f"{os.path.dirname(path)}/.{self.me}.{self.serial}.tmp"
            self.serial += 1
            self.save(temp, os.O_WRONLY | os.O_EXCL, True)
            self.move(temp, path)

    def move(self, old, new):
        os.rename(old, new)
        self.done("rename", old, new)
        self.files[new] = self.files.pop(old)
        self.attributes.discard(new)
        if old in self.attributes:
            self.attributes.remove(old)
            self.attributes.add(new)

    def rename(self):
        if self.files:
            self.move(self.some(self.files), self.fresh("f"))

    def unlink(self):
        if len(self.files) > 3:
            path = self.some(self.files)
            os.unlink(path)
            self.done("unlink", path)
            del self.files[path]
            self.attributes.discard(path)

    def link_and_unlink(self):
        if self.files:
            path, name = self.some(self.files), self.fresh("l")
            os.link(path, name)
            self.done("link", path, name)
            assert os.stat(name).st_nlink == 2
            os.unlink(name)
            self.done("unlink", name)

    def mkdir(self):
        path = self.fresh("d")
        os.mkdir(path)
        self.done("mkdir", path)
        self.dirs.add(path)

    def rmdir(self):
        if self.dirs:
            path = self.some(self.dirs)
            os.rmdir(path)
            self.done("rmdir", path)
            self.dirs.remove(path)

    def symlink(self):
        path, target = self.fresh("s"), f"target of {self.serial}"
        os.symlink(target, path)
        self.done("symlink", path, target)
        self.links[path] = target

    def unlink_symlink(self):
        if self.links:
            path = self.some(self.links)
            assert os.readlink(path) == self.links.pop(path)
            os.unlink(path)
            self.done("unlink", path)

    def attribute(self):
        """Fails the second time it is done: XATTR_CREATE."""
        if self.files:
            path = self.some(self.files)
            if path in self.attributes:
                os.removexattr(path, "user.mark")
                self.done("rmxattr", path, "user.mark")
                self.attributes.remove(path)
            else:
                os.setxattr(path, "user.mark", b"1", os.XATTR_CREATE)
                self.done("setxattr", path, "user.mark")
                self.attributes.add(path)

    def read(self):
        if self.files:
            path = self.some(self.files)
            same(path, self.files[path])

    def look(self):
        mine = {p for p in list(self.files) + list(self.dirs) + list(self.links)}
        for place in self.places:
            there = {f"{place}/{n}" for n in os.listdir(place) if n.startswith(f"{self.me}-")}
            wanted = {p for p in mine if os.path.dirname(p) == place}
            assert there == wanted, f"{place}: {there ^ wanted}"

    def look_back(self):
        if self.files:
            path = self.some(self.files)
            folder = f"{os.path.dirname(path)}/.history/files/{os.path.basename(path)}"
            assert len(os.listdir(folder)) > 1, f"{folder}: no version"
        os.statvfs(self.places[0])

    def run(self, stop):
        steps = [self.save_new] * 3 + [self.save_in_place] * 3 + [self.save_truncated] * 2 + [self.save_by_rename] * 4 + [
            self.rename] * 4 + [self.unlink] * 4 + [self.link_and_unlink, self.mkdir, self.mkdir, self.rmdir, self.rmdir,
            self.symlink, self.unlink_symlink, self.attribute, self.attribute, self.look, self.look_back] + [self.read] * 5
        count = longest = 0
        while not os.path.exists(stop):
            step, began = self.rng.choice(steps), time.monotonic()
            try:
                step()
            except (OSError, AssertionError) as error:
                raise SystemExit(f"{self.me}: {step.__name__}: {type(error).__name__}: {error}") from error
            longest = max(longest, time.monotonic() - began)
            count += 1
        for path, data in self.files.items():
            same(path, data)
        self.look()
        print(f"{count} {longest:.3f}")


def load(directory, shared, me, journal, stop, seed):
    os.umask(0o002)
    with open(journal, "w", encoding="ascii") as lines:
        Load(directory, shared, me, lines, seed).run(stop)


# --- the killer -----------------------------------------------------------------------------------------------------

def status(mnt):
    out = subprocess.run(["daybook", "status", "--json", mnt], stdout=subprocess.PIPE, check=True).stdout
    return json.loads(out)


def child_of(holder):
    with open(f"/proc/{holder}/task/{holder}/children", encoding="ascii") as f:
        return [int(pid) for pid in f.read().split()]


def kill(mnt, holder, count, seed):
    """A pause is from the signal to the answer to a question that only the daemon can answer, and that it gets after
    the process that was hit is gone."""
    rng, pauses = random.Random(seed), []
    while len(pauses) < count:
        time.sleep(rng.uniform(0.05, 0.5))
        workers = child_of(holder)
        if not workers:
            raise SystemExit("no process serves the share")
        began = time.monotonic()
        os.kill(workers[0], signal.SIGKILL)
        while workers[0] in child_of(holder):
            time.sleep(0.001)
        try:
            os.stat(f"{mnt}/nothing{len(pauses)}-{seed}")
        except FileNotFoundError:
            pass
        pauses.append(time.monotonic() - began)
    pauses.sort()
    print(f"{len(pauses)} kills, pauses: median {pauses[len(pauses) // 2] * 1000:.0f} ms, "
          f"longest {pauses[-1] * 1000:.0f} ms")
    return pauses[-1] > 5


# --- the comparison -------------------------------------------------------------------------------------------------

def steps_of_log(mnt, pids):
    """By process what the log says it did, as the journals say it; and what no log of a quiet day would have."""
    steps, wrong = collections.defaultdict(list), []
    out = subprocess.run(["daybook", "log", "--json", "--reverse", mnt], stdout=subprocess.PIPE, check=True).stdout
    for number, line in enumerate(out.splitlines(), 1):
        row = json.loads(line)
        if row["change"] != number:
            wrong.append(f"change {row['change']} where {number} is due")
        flags = (row["flags"] or "").split()
        if "incomplete" in flags or "recovered" in flags or "conflict" in flags:
            wrong.append(f"a save that was torn: {line.decode()}")
        if row["process"] not in pids:
            continue
        what = {"save": row["digest_after"], "rename": row["path2"], "link": row["path2"], "symlink": row["path2"],
                "setxattr": row["after"], "rmxattr": row["before"]}.get(row["operation"])
        steps[row["process"]].append((row["operation"], row["path"], what, flags))
    return steps, wrong


def unfolded(steps):
    """One save in several steps counts as its last one."""
    out = []
    for operation, path, what, flags in steps:
        if operation == "save" and "folded" in flags and out and out[-1][:2] == ("save", path):
            out.pop()
        out.append((operation, path, what))
    return out


def check(mnt, journals):
    wanted, total = collections.defaultdict(list), 0
    for journal in journals:
        with open(journal, encoding="ascii") as lines:
            for line in lines:
                pid, operation, path, what = json.loads(line)
                wanted[pid].append((operation, path, what))
                total += 1
    steps, wrong = steps_of_log(mnt, set(wanted))
    for pid, mine in wanted.items():
        theirs = unfolded(steps[pid])
        for at in range(max(len(mine), len(theirs))):
            pair = [side[at] if at < len(side) else None for side in (mine, theirs)]
            if pair[0] != pair[1]:
                wrong.append(f"process {pid}, step {at}: did {pair[0]}, the log has {pair[1]}")
                break
    for line in wrong[:20]:
        print(line, file=sys.stderr)
    print(f"{total} changes of {len(wanted)} programs, {len(wrong)} differences")
    return bool(wrong) or not total


if __name__ == "__main__":
    mode, rest = sys.argv[1], sys.argv[2:]
    if mode == "load":
        sys.exit(load(*rest[:6]))
    elif mode == "kill":
        sys.exit(kill(rest[0], int(rest[1]), int(rest[2]), rest[3]))
    elif mode == "check":
        sys.exit(check(rest[0], rest[1:]))
    sys.exit(2)
