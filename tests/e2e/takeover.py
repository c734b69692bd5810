#!/usr/bin/python3
"""Programs that must not notice that the process behind their share is killed, and the check that it did not either.

  takeover.py load DIR SHARED ID JOURNAL STOP SEED   saves, renames, unlinks, reads ... until the file STOP is there
  takeover.py kill MNT HOLDER COUNT SEED             kills the worker COUNT times; prints how long each pause was
  takeover.py check MNT JOURNAL...                   the share's log is what the journals say, no more and no less
  takeover.py hold DIR                               holds what can be held; each line on stdin lets it go on

A line of a journal is JSON: [process, operation, path, what].  what: the second path, or the digest, or the name of
the attribute.  Paths are below the share's root, so programs run with it as their working directory.
"""
import collections
import errno
import fcntl
import json
import mmap
import os
import random
import signal
import subprocess
import sys
import time

from pieces import digest_of, write_all


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


# --- what can be held -------------------------------------------------------------------------------------------------
# Each of these stops twice: there the process that serves the share is another one afterwards.

def half_saved(name):
    fd = os.open(name, os.O_WRONLY | os.O_CREAT, 0o664)
    os.write(fd, b"one\n" * 1000)
    yield
    os.write(fd, b"two\n" * 1000)
    yield
    os.write(fd, b"three\n" * 1000)
    os.close(fd)
    same(name, b"one\n" * 1000 + b"two\n" * 1000 + b"three\n" * 1000)


def half_long(name):
    """So much that it is saved before its end."""
    piece = random.Random(name).randbytes(1 << 20)
    fd = os.open(name, os.O_WRONLY | os.O_CREAT, 0o664)
    for _ in range(65):
        os.write(fd, piece)
    yield
    yield
    os.close(fd)
    same(name, piece * 65)


def dated(name):
    """The times that it is given are looked at after the next mount, for until then the kernel remembers them."""
    fd = os.open(name, os.O_WRONLY | os.O_CREAT, 0o664)
    os.write(fd, b"dated")
    os.utime(fd, ns=(1000000000 * 10**9 + 1, 1100000000 * 10**9 + 2))
    yield
    yield
    os.close(fd)


def half_overwritten(name):
    with open(name, "wb") as f:
        f.write(b"what was there")
    fd = os.open(name, os.O_WRONLY | os.O_TRUNC)
    yield
    os.write(fd, b"new ")
    yield
    os.write(fd, b"bytes")
    os.close(fd)
    same(name, b"new bytes")


def half_appended(name):
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o664)
    for line in b"1\n", b"2\n", b"3\n":
        os.write(fd, line)
        if line != b"3\n":
            yield
    os.close(fd)
    same(name, b"1\n2\n3\n")


def synced(name):
    fd = os.open(name, os.O_RDWR | os.O_CREAT, 0o664)
    os.write(fd, b"a" * 5000)
    os.fsync(fd)
    yield
    assert os.pread(fd, 10000, 0) == b"a" * 5000
    os.write(fd, b"b" * 5000)
    os.fsync(fd)
    yield
    os.write(fd, b"c")
    os.fsync(fd)
    os.close(fd)
    same(name, b"a" * 5000 + b"b" * 5000 + b"c")


def closed_by_a_child(name):
    """As a shell does with >: the descriptor is closed in another process, and written on here."""
    fd = os.open(name, os.O_WRONLY | os.O_CREAT, 0o664)
    for line in b"first\n", b"second\n", b"third\n":
        os.write(fd, line)
        os.close(os.dup(fd))
        if line != b"third\n":
            yield
    os.close(fd)
    same(name, b"first\nsecond\nthird\n")


def mapped(name):
    fd = os.open(name, os.O_RDWR | os.O_CREAT, 0o664)
    os.write(fd, bytes(3 * 4096))
    with mmap.mmap(fd, 3 * 4096) as area:
        area[0:5] = b"early"
        yield
        assert area[0:5] == b"early"
        area[4096:4100] = b"late"
        area.flush()
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        yield
        assert area[0:5] == b"early" and area[4096:4100] == b"late"
        area[8192:8196] = b"last"
    os.close(fd)
    data = read_past_cache(name)
    assert data[0:5] == b"early" and data[4096:4100] == b"late" and data[8192:8196] == b"last"


def read_on(name):
    data = random.Random(name).randbytes(3 << 20)
    with open(name, "wb") as f:
        f.write(data)
    fd = os.open(name, os.O_RDONLY)
    assert os.read(fd, 1 << 20) == data[:1 << 20]
    for at in 1, 2:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        yield
        assert os.read(fd, 1 << 20) == data[at << 20:at + 1 << 20]
    os.close(fd)


def without_a_name(name):
    fd = os.open(name, os.O_RDWR | os.O_CREAT, 0o664)
    os.write(fd, b"no name ")
    os.unlink(name)
    yield
    assert os.fstat(fd).st_nlink == 0 and os.pread(fd, 100, 0) == b"no name "
    os.write(fd, b"but bytes")
    yield
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    assert os.pread(fd, 100, 0) == b"no name but bytes"
    os.close(fd)
    assert not os.path.exists(name)


def named_late(name):
    fd = os.open(os.path.dirname(name), os.O_RDWR | os.O_TMPFILE, 0o664)
    os.write(fd, b"written ")
    yield
    os.write(fd, b"before it is named")
    yield
    os.link(f"/proc/self/fd/{fd}", name, src_dir_fd=fd)  # else Python would not follow it
    os.close(fd)
    same(name, b"written before it is named")


def is_locked(name, how):
    """Asks from another process."""
    pid = os.fork()
    if pid == 0:
        try:
            fd = os.open(name, os.O_RDWR)
            how(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os._exit(0)
        except OSError as error:
            os._exit(1 if error.errno in (errno.EAGAIN, errno.EACCES) else 2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def locked(name):
    fds = []
    for end, how in (".flock", fcntl.flock), (".fcntl", fcntl.lockf):
        fds.append(os.open(name + end, os.O_RDWR | os.O_CREAT, 0o664))
        how(fds[-1], fcntl.LOCK_EX)
    yield
    assert is_locked(f"{name}.flock", fcntl.flock) and is_locked(f"{name}.fcntl", fcntl.lockf)
    yield
    assert is_locked(f"{name}.flock", fcntl.flock) and is_locked(f"{name}.fcntl", fcntl.lockf)
    for fd in fds:
        os.close(fd)
    assert not is_locked(f"{name}.flock", fcntl.flock) and not is_locked(f"{name}.fcntl", fcntl.lockf)


def listed(name):
    os.mkdir(name)
    names = {f"a name of some length {n:05}" for n in range(1500)}
    for n in names:
        os.mknod(f"{name}/{n}", 0o664)
    seen = []
    with os.scandir(name) as entries:
        for entry in entries:
            seen.append(entry.name)
            if len(seen) in (100, 900):
                os.mknod(f"{name}/later {len(seen)}", 0o664)
                yield
    old = [n for n in seen if not n.startswith("later")]
    assert len(old) == len(names) and set(old) == names, f"{len(old)} of {len(names)} names"


def in_the_past(name):
    for text in b"old", b"new":
        with open(name, "wb") as f:
            f.write(text * 1000)
    folder = os.path.dirname(name) + "/.history"
    versions = f"{folder}/files/{os.path.basename(name)}"
    first = next(v for v in os.listdir(versions) if ".v1." in v)
    place, fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY), os.open(f"{versions}/{first}", os.O_RDONLY)
    entries = os.scandir(versions)
    seen = {next(entries).name}
    yield
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    assert os.pread(fd, 10000, 0) == b"old" * 1000
    assert "README.txt" in os.listdir(place)
    yield
    seen.update(entry.name for entry in entries)
    assert seen == set(os.listdir(versions)), seen
    text = os.open(f"files/{os.path.basename(name)}/{first}", os.O_RDONLY, dir_fd=place)
    assert os.pread(text, 10000, 0) == b"old" * 1000
    for done in text, fd, place:
        os.close(done)
    entries.close()


def standing_in(name):
    """A working directory, which is renamed meanwhile."""
    os.mkdir(name)
    place = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
    os.mknod("file", 0o664, dir_fd=place)
    yield
    os.rename(name, f"{name} renamed")
    assert os.listdir(place) == ["file"]
    yield
    os.mknod("other", 0o664, dir_fd=place)
    assert sorted(os.listdir(f"{name} renamed")) == ["file", "other"]
    os.close(place)


def read_before(name):
    """Another user saves between what we read and what we write: a conflict, whoever served when."""
    with open(name, "wb") as f:
        f.write(b"read by us")
    same(name, b"read by us")
    yield
    with open(f"{name}.now", "wb") as f:
        f.write(b"may be saved by another")
    yield
    with open(name, "wb") as f:
        f.write(b"ours")


HELD = [half_saved, half_long, dated, half_overwritten, half_appended, synced, closed_by_a_child, mapped, read_on,
        without_a_name, named_late, locked, listed, in_the_past, standing_in, read_before]


def hold(directory):
    os.umask(0o002)
    running = {what.__name__: what(f"{directory}/{what.__name__}") for what in HELD}
    while running:
        for name, steps in list(running.items()):
            try:
                next(steps)
            except StopIteration:
                print(f"ok - {name}")
                del running[name]
            except (OSError, AssertionError) as error:
                print(f"not ok - {name}: {type(error).__name__}: {error}")
                del running[name]
        print(f"# {len(running)} held", flush=True)
        if running:
            sys.stdin.readline()


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
        time.sleep(rng.uniform(0, 0.4) + (1.1 if len(pauses) % 4 == 3 else 0))  # five in a row would end the share
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
    elif mode == "hold":
        sys.exit(hold(*rest[:1]))
    sys.exit(2)
