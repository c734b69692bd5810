#!/usr/bin/python3
"""Writers whose saves must outlive the daemon, and the check that they did.

  kill.py write DIR ID LOG SEED   saves until the mount dies; each acknowledged save is a line of LOG
  kill.py hold DIR READY          writes that are neither fsynced nor closed; its pid is in READY once all returned
  kill.py check DIR LOG...        every save below DIR in the logs is a version with its author and bytes

A line of a log: path, author, digest (BLAKE2b-256), how it was saved.
"""
import json
import os
import pwd
import random
import re
import subprocess
import sys
import time

from pieces import digest_of, write_all

SHARED = "shared.bin"  # all writers rename over it


def save_by_rename(path, data, rng, me):
    temp = f"{os.path.dirname(path)}/.{me}.tmp"
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o664)
    try:
        write_all(fd, data, rng.randint(1, 4))
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(temp, path)
    fd = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def save_in_place(path, data, rng):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o664)
    try:
        write_all(fd, data, rng.randint(1, 4))
        os.ftruncate(fd, len(data))
        os.fsync(fd)
    finally:
        os.close(fd)


def save_synchronously(path, data):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_SYNC, 0o664)
    try:
        write_all(fd, data)
    finally:
        os.close(fd)


def write(directory, me, log_path, seed):
    rng = random.Random(int(seed))
    author = pwd.getpwuid(os.getuid()).pw_name
    pool = rng.randbytes(1 << 18)
    os.umask(0o002)
    with open(log_path, "a", encoding="ascii", buffering=1) as log:
        for n in range(10 ** 9):
            at, size = rng.randrange(len(pool)), rng.choice((0, 100, 5000, 70000, 200000))
            data = f"{me} {seed} {n}\n".encode() + pool[at:at + size]
            name = rng.choice((f"{me}-a.bin", f"{me}-b.txt", f"{me}-c.xlsx", SHARED))
            path = f"{directory}/{name}"
            how = "rename" if name == SHARED else rng.choice(("rename", "in place", "in place", "O_SYNC"))
            try:
                if how == "rename":
                    save_by_rename(path, data, rng, me)
                elif how == "in place":
                    save_in_place(path, data, rng)
                else:
                    save_synchronously(path, data)
            except OSError as e:
                print(f"{me}: ended by {e}", file=sys.stderr)
                return 0
            log.write(f"{path}\t{author}\t{digest_of(data)}\t{how}\n")


def hold(directory, ready):
    """Leaves its handles open and waits to be killed."""
    os.umask(0o002)
    kept = []

    def begin(name, flags):
        kept.append(os.open(f"{directory}/{name}", flags | os.O_CREAT, 0o664))
        return kept[-1]

    fd = begin("new.bin", os.O_WRONLY)
    for n in range(50):
        assert os.pwrite(fd, b"%05d\n" % n * 700, n * 4200) == 4200
    fd = begin("middle.bin", os.O_RDWR)
    assert os.pwrite(fd, b"MIDDLE", 5000) == 6
    fd = begin("end.txt", os.O_WRONLY | os.O_APPEND)
    assert os.write(fd, b"appended\n") == 9
    fd = begin("over.txt", os.O_WRONLY | os.O_TRUNC)
    assert os.write(fd, b"over\n") == 5
    fd = begin("short.bin", os.O_WRONLY)
    os.ftruncate(fd, 100)
    fd = begin("sparse.bin", os.O_WRONLY)
    assert os.pwrite(fd, b"far", 1 << 33) == 3
    fd = begin("unlinked.bin", os.O_WRONLY)
    assert os.write(fd, b"gone") == 4
    os.unlink(f"{directory}/unlinked.bin")
    fd = begin("moved.bin", os.O_WRONLY)
    assert os.write(fd, b"moved") == 5
    os.rename(f"{directory}/moved.bin", f"{directory}/moved to.bin")
    assert os.write(fd, b" on") == 3
    fd = begin("dated.bin", os.O_WRONLY)  # as tar leaves a file, but for the close
    assert os.write(fd, b"dated") == 5
    os.utime(fd, ns=(1000000000 * 10**9 + 1, 1100000000 * 10**9 + 2))
    os.fchmod(fd, 0o604)
    fd = begin("long.bin", os.O_WRONLY)  # so much is saved before the close
    piece = b"long" * (1 << 18)
    for n in range(65):
        assert os.pwrite(fd, piece, n << 20) == 1 << 20
    with open(ready, "w", encoding="ascii") as f:
        f.write(f"{os.getpid()}\n")
    time.sleep(600)


def versions_of(path):
    out = subprocess.run(["daybook", "history", "--all", "--json", path], stdout=subprocess.PIPE, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def saves_below(directory, logs):
    saves = {}
    for log in logs:
        with open(log, encoding="ascii") as lines:
            for line in lines:
                path, author, digest, how = line.rstrip("\n").split("\t")
                if path.startswith(directory + "/"):
                    saves.setdefault(path, []).append((author, digest, how))
    return saves


def has_bytes(path, number, author, digest):
    """The version as the history tree shows it; documents that shared a name may share a number too."""
    folder = f"{os.path.dirname(path)}/.history/files/{os.path.basename(path)}"
    for name in os.listdir(folder):
        if re.search(rf"\.v{number}(-\d+)?\.{author}(\.|$)", name):
            with open(f"{folder}/{name}", "rb") as f:
                if digest_of(f.read()) == digest:
                    return True
    return False


def check(directory, logs):
    missing = count = 0
    wanted = saves_below(directory, logs)
    for path, saves in sorted(wanted.items()):
        there = {(v["author"], v["digest"]): v["version"] for v in versions_of(path)}
        count += len(saves)
        for author, digest, how in saves:
            if (author, digest) not in there:
                missing += 1
                print(f"missing: {path} saved by {author} ({how}), {digest}", file=sys.stderr)
        author, digest, how = saves[-1]
        number = there.get((author, digest))
        if number and not has_bytes(path, number, author, digest):
            missing += 1
            print(f"other bytes: {path} version {number} by {author} ({how}), {digest}", file=sys.stderr)
    print(f"{count} acknowledged saves to {len(wanted)} files, {missing} missing")
    return missing > 0


if __name__ == "__main__":
    if sys.argv[1] == "write":
        sys.exit(write(*sys.argv[2:6]))
    elif sys.argv[1] == "hold":
        sys.exit(hold(*sys.argv[2:4]))
    sys.exit(check(sys.argv[2], sys.argv[3:]))
