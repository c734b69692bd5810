#!/usr/bin/python3
"""limits.py DIR UID SOCKET: goes to the limits of daybook-limits(7) and one past each.  UID is an ordinary user.
limits.py DIR few-files: only what a daemon does that has few files to open.  Prints "ok - what", "not ok - what"."""
import csv
import ctypes
import errno
import os
import resource
import socket
import sys


def say(good, what):
    print(("ok - " if good else "not ok - ") + what, flush=True)


def refused(code, what, run):
    try:
        run()
    except OSError as e:
        say(e.errno == code, f"{what}: {errno.errorcode[code]}" + ("" if e.errno == code else f", not {e}"))
        return
    say(False, f"{what}: {errno.errorcode[code]}, but it was done")


def works(what, run):
    try:
        run()
    except OSError as e:
        say(False, f"{what}: {e}")
        return
    say(True, what)


def sizes():
    most = (1 << 63) - 1 - 65536
    open("size", "w").close()
    works("a size of 2^63-65,537", lambda: os.truncate("size", most))
    say(os.stat("size").st_size == most, "is what stat tells")
    refused(errno.EFBIG, "a byte more", lambda: os.truncate("size", most + 1))
    fd = os.open("size", os.O_RDWR)
    works("its last byte is written", lambda: os.pwrite(fd, b"z", most - 1))
    say(os.pread(fd, 10, most - 1) == b"z", "and read")
    refused(errno.EFBIG, "the next is not", lambda: os.pwrite(fd, b"z", most))
    os.ftruncate(fd, 0)
    os.close(fd)


def times():
    open("time", "w").close()
    for ns, what in (((1 << 63) - 1, "last"), (-(1 << 63), "first")):
        os.utime("time", ns=(ns, ns))
        say(os.stat("time").st_mtime_ns == ns, f"the {what} time")
        os.utime("time", ns=(ns + (1 if ns > 0 else -1), ns * 2))
        st = os.stat("time")
        say(st.st_atime_ns == ns and st.st_mtime_ns == ns, "one beyond becomes it")


def links():
    open("link-0", "w").close()
    os.mkdir("links")
    for i in range(1, 65000):
        os.link("link-0", f"links/{i}")
    say(os.stat("link-0").st_nlink == 65000, "65,000 names of one file")
    refused(errno.EMLINK, "one more", lambda: os.link("link-0", "links/more"))
    os.unlink("links/1")
    works("one in the place of another", lambda: os.link("link-0", "links/more"))


def xattrs():
    open("x", "w").close()
    works("an attribute's name of 255 bytes", lambda: os.setxattr("x", "user." + "n" * 250, b"v"))
    refused(errno.ERANGE, "of 256", lambda: os.setxattr("x", "user." + "n" * 251, b"v"))
    open("y", "w").close()
    room = 61440 - (1 + len("user.a") + 3)
    works("attributes of 61,440 bytes", lambda: os.setxattr("y", "user.a", b"v" * room))
    say(len(os.getxattr("y", "user.a")) == room, "are read back")
    refused(errno.ENOSPC, "a byte more", lambda: os.setxattr("y", "user.a", b"v" * (room + 1)))
    refused(errno.ENOSPC, "another attribute", lambda: os.setxattr("y", "user.b", b""))
    say(len(os.getxattr("y", "user.a")) == room, "what was there stays")


def acl(named):
    entry = lambda tag, perm, who: tag.to_bytes(2, "little") + perm.to_bytes(2, "little") + who.to_bytes(4, "little")
    none = 0xFFFFFFFF
    return ((2).to_bytes(4, "little") + entry(1, 7, none) + b"".join(entry(2, 4, 5000 + i) for i in range(named)) +
            entry(4, 5, none) + entry(16, 5, none) + entry(32, 5, none))


def acls():
    open("acl", "w").close()
    works("an ACL of 511 entries", lambda: os.setxattr("acl", "system.posix_acl_access", acl(507)))
    say(os.getxattr("acl", "system.posix_acl_access") == acl(507), "is read back")
    refused(errno.E2BIG, "of 512", lambda: os.setxattr("acl", "system.posix_acl_access", acl(508)))


def tags():
    works("a tag of 255 bytes", lambda: os.mkdir(".history/tags/" + "t" * 255))
    refused(errno.ENAMETOOLONG, "of 256", lambda: os.mkdir(".history/tags/" + "t" * 256))


def chain(name, n):
    """n directories below one another; the last, open."""
    os.mkdir(name)
    at = os.open(name, os.O_RDONLY)
    for _ in range(n - 1):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    return at


def depth(above):
    upper = chain("upper", 1024 - above)
    lower = chain("lower", 1024)
    works("a tree moved to a depth of 2,048", lambda: os.rename("lower", "lower", dst_dir_fd=upper))
    refused(errno.ENAMETOOLONG, "a directory below", lambda: os.mkdir("d", dir_fd=lower))
    refused(errno.ENAMETOOLONG, "one moved there", lambda: (os.mkdir("one"), os.rename("one", "one", dst_dir_fd=lower)))
    fd = os.open("file", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=lower)
    works("a file is made and saved there", lambda: (os.write(fd, b"deep"), os.close(fd)))
    say(os.stat("file", dir_fd=lower).st_size == 4, "and is there")


def open_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    os.mkdir("open")
    fds = [os.open(f"open/{i}", os.O_CREAT | os.O_RDWR, 0o644) for i in range(1500)]
    works("1,500 files are written at once", lambda: [os.write(fd, b"%d" % fd) for fd in fds])
    say(all(os.pread(fd, 10, 0) == b"%d" % fd for fd in fds), "each has its bytes")
    works("and are closed", lambda: [os.close(fd) for fd in fds])


def rows():
    """A directory of 20,000 changes."""
    os.mkdir("rows")
    open("rows/f", "w").close()
    listed = lambda: list(csv.reader(open("rows/.history/changes.csv", encoding="utf-8-sig", newline="")))
    for i in range(len(listed()), 20001):
        os.chmod("rows/f", 0o600 + i % 2)
    shown = listed()
    say(len(shown) == 20001 and not any("older" in row[2] for row in shown), "a changes.csv shows 20,000 changes")


def groups(uid):
    """Of a user's groups, 1,024 count in the past."""
    last = 60000
    os.mkdir("groups")
    with open("groups/f", "w") as f:
        f.write("for a group")
    os.chown("groups/f", 0, last)
    os.chmod("groups/f", 0o640)
    past = "groups/.history/files/f/" + next(n for n in os.listdir("groups/.history/files/f") if n.startswith("f."))
    for count, refusal in ((1024, 0), (1025, errno.ENOENT)):
        pid = os.fork()
        if pid == 0:
            os.setgroups(list(range(last - count + 1, last + 1)))
            os.setgid(uid)
            os.setuid(uid)
            code = 255
            try:
                code = 0 if open("groups/f").read() == "for a group" else 254
                code = code or (0 if open(past).read() == "for a group" else 253)
            except OSError as e:
                code = e.errno
            os._exit(code)
        got = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        say(got == refusal, f"the last of {count} groups {'counts not' if refusal else 'counts'} in the past ({got})")


def clients(uid, path):
    """6 connections of one user; and of all, 16."""
    def connect(who):
        os.seteuid(who)
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        os.seteuid(0)
        s.settimeout(1)
        return s

    def refusal(s):
        try:
            return s.recv(4096)
        except TimeoutError:
            return b""

    of_user = [connect(uid) for _ in range(6)]
    say(not any(refusal(s) for s in of_user), "six clients of one user")
    say(b"again" in refusal(connect(uid)), "the seventh is told to try again")
    say(not refusal(connect(uid + 1)), "another user's is not")


def command():
    ctypes.CDLL(None).prctl(15, b"fifteen-letters-and-more", 0, 0, 0)
    open("command", "w").write("by a program of a long name")
    os.setxattr("command", "user.looked", b"")


def few_files():
    """The daemon may open no more than some hundred files: who wants more is refused, and nobody else is harmed."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    os.mkdir("few")
    fds, written, refused = [os.open(f"few/{i}", os.O_CREAT | os.O_RDWR, 0o644) for i in range(1500)], [], set()
    for fd in fds:
        try:
            os.write(fd, b"%d" % fd)
            written.append(fd)
        except OSError as e:
            refused.add(e.errno)
    say(len(written) > 100, f"some hundred files are written at once ({len(written)})")
    say(refused == {errno.EMFILE}, f"more are refused: EMFILE ({refused})")
    say(all(os.pread(fd, 10, 0) == b"%d" % fd for fd in written), "those have their bytes")
    works("and are synced", lambda: [os.fsync(fd) for fd in written])
    works("the log goes on", lambda: [os.mkdir(f"few/d{i}") for i in range(100)])
    for fd in written:
        os.close(fd)
    works("then the others are written", lambda: [os.write(fd, b"late") for fd in fds[-100:]])
    say(all(open(f"few/{i}").read() == "%d" % fd for i, fd in enumerate(fds) if fd in written), "all that was said is there")


os.chdir(sys.argv[1])
if sys.argv[2] == "few-files":
    few_files()
    sys.exit()
user = int(sys.argv[2])
sizes()
times()
xattrs()
acls()
tags()
depth(1)
open_files()
rows()
groups(user)
clients(user, sys.argv[3])
command()
links()
