#!/usr/bin/python3
"""Memory runs out for one allocation of the daemon or of a tool, the n-th, for n = 1, 2 ...: who asked is told ENOMEM and
nothing has changed, or gets what he asked for.

  memory.py serve COUNTER SECONDS        works in the current directory of a share until a round needs fewer than n
  memory.py tools COUNTER SECONDS FILE   asks the tools of a file
SECONDS: then n takes larger steps, so that it ends about in time.  COUNTER is preload/memory.c's.
"""
import errno
import os
import struct
import subprocess
import sys
import time


class Counter:
    def __init__(self, path):
        self.file = open(path, "r+b", buffering=0)

    def set(self, n):
        os.pwrite(self.file.fileno(), struct.pack("=II", n, 0), 0)

    def failed(self):
        return struct.unpack("=II", os.pread(self.file.fileno(), 8, 0))[1]


def raising(counter, seconds, one_round):
    """one_round(number) with the n-th allocation failing, n raised until it is not reached three times in a row (what
    the daemon does by itself has its allocations among them)."""
    n, number, hit, quiet, began = 1, 0, 0, 0, time.monotonic()
    while quiet < 3:
        counter.set(n)
        one_round(number)
        failed = counter.failed()
        counter.set(0)
        hit += failed
        quiet = 0 if failed else quiet + 1
        number += 1
        spent = time.monotonic() - began
        n += 1 if spent * 600 < seconds * n else 1 + n // 12
        if spent > 3 * seconds:
            break
    return n, number, hit


class Round:
    """What is asked of the share.  An operation that says ENOMEM has changed nothing, one that says something else is
    wrong."""

    def __init__(self, number):
        self.number, self.refused, self.names = number, 0, set()
        self.data = (b"%d\n" % number) * 3000

    def ask(self, operation, *arguments, **named):
        """Its result, None when memory was out."""
        try:
            result = operation(*arguments, **named)
            return True if result is None else result
        except OSError as error:
            if error.errno != errno.ENOMEM:
                raise
            self.refused += 1
            return None

    def sure(self, operation, *arguments, **named):
        """As ask, again until it says something else."""
        while (result := self.ask(operation, *arguments, **named)) is None:
            pass
        return result

    def exists(self, name):
        try:
            return bool(self.sure(os.lstat, name))
        except FileNotFoundError:
            return False

    def changes(self, what, gone=None, new=None):
        """A change of names: all of it or nothing."""
        done = what() is not None
        for name, there in ((gone, not done), (new, done)):
            assert not name or self.exists(name) == there, f"{name}: {'not ' if there else ''}there, {done}"
        if gone and done:
            self.names.discard(gone)
        if new and done:
            self.names.add(new)
        return done

    def bytes_of(self, name):
        fd = self.sure(os.open, name, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        data = b""
        while part := self.sure(os.read, fd, 1 << 16):
            if part is True:
                break
            data += part
        os.close(fd)
        return data

    def save(self, name):
        opened = []
        if not self.changes(lambda: opened.append(self.ask(os.open, name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o664)) or
                            opened[0], new=name):
            return False
        fd, written = opened[0], 0
        while written < len(self.data):
            written += self.ask(os.pwrite, fd, self.data[written:written + 10000], written) or 0
        self.ask(os.fsync, fd)
        self.ask(os.close, fd)
        got = self.bytes_of(name)
        assert got == self.data, f"{name}: {len(got)} bytes of {len(self.data)}"
        return True

    def look(self):
        listed = self.ask(os.listdir, ".")
        mine = {n for n in listed or () if n.endswith(f".{self.number}")}
        assert listed is None or mine == self.names, f"listed {mine}, there are {self.names}"

    def history(self, name):
        folder = f".history/files/{name}"
        versions = [v for v in self.sure(os.listdir, folder) if ".v" in v]
        assert versions, folder
        for version in versions[:1]:
            assert self.bytes_of(f"{folder}/{version}") == self.data, version
        self.ask(os.listdir, f".history/at/{time.strftime('%Y-%m-%d_%H.%M.%SZ', time.gmtime())}")
        self.ask(self.bytes_of, ".history/changes.csv")

    def run(self):
        a, b, c, d, s = (f"{kind}.{self.number}" for kind in ("a", "b", "link", "dir", "symlink"))
        if self.save(a):
            self.history(a)
            if self.ask(os.setxattr, a, "user.mark", b"1"):
                assert self.sure(os.getxattr, a, "user.mark") == b"1"
            self.changes(lambda: self.ask(os.link, a, c), new=c)
            if self.changes(lambda: self.ask(os.rename, a, b), gone=a, new=b):
                a = b
            if self.ask(os.truncate, a, 10) is None:
                time.sleep(0.02)  # it may have been done all the same, which the kernel is then told
            size = self.sure(os.stat, a).st_size
            got = self.bytes_of(a)
            assert got == self.data[:size] and size in (10, len(self.data)), f"{size} {len(got)}"
        self.changes(lambda: self.ask(os.mkdir, d), new=d)
        self.changes(lambda: self.ask(os.symlink, "target", s), new=s)
        if s in self.names:
            assert self.sure(os.readlink, s) == "target"
        self.look()
        for name in sorted(self.names):
            remove = os.rmdir if name == d else os.unlink
            self.changes(lambda: self.ask(remove, name), gone=name)
        for name in sorted(self.names):
            self.sure(os.rmdir if name == d else os.unlink, name)


def serve(counter, seconds):
    refused = 0

    def one(number):
        nonlocal refused
        work = Round(number)
        work.run()
        refused += work.refused

    n, rounds, hit = raising(counter, seconds, one)
    print(f"# {rounds} rounds, up to allocation {n}: {hit} failed, {refused} answers were ENOMEM")
    return hit < 20 or not refused


def tools(counter, seconds, path):
    wrong = 0
    environment = dict(os.environ, LD_PRELOAD=os.environ["TOOLS_PRELOAD"], MEMORY=counter.file.name)
    for command in (["log", path, "--limit", "5"], ["history", path, "--json"], ["status", path, "--csv"],
                    ["restore", path, "--version", "1"], ["export", os.path.dirname(path), "-"]):
        refused = 0

        def one(_number):
            nonlocal refused, wrong
            done = subprocess.run(["daybook", *command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            well = done.returncode == 0 or (done.returncode == 1 and done.stderr)
            refused += done.returncode == 1
            if not well or (done.returncode and not counter.failed()):
                wrong += 1
                print(f"not ok - daybook {' '.join(command)}: {done.returncode} {done.stderr.decode()[:300]}")

        n, rounds, hit = raising(counter, seconds / 5, one)
        print(f"# daybook {command[0]}: {rounds} times, up to allocation {n}: {hit} failed, {refused} said so")
    return wrong > 0


if __name__ == "__main__":
    mode, rest = sys.argv[1], sys.argv[2:]
    if mode == "serve":
        sys.exit(serve(Counter(rest[0]), float(rest[1])))
    sys.exit(tools(Counter(rest[0]), float(rest[1]), rest[2]))
