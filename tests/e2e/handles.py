#!/usr/bin/python3
# handles.py COMMAND ARGUMENTS...: plays programs that hold files open; prints what it was asked for.
import ctypes, os, subprocess, sys, time

libc = ctypes.CDLL(None, use_errno=True)


class Handle(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("data", ctypes.c_ubyte * 128)]


def hold(path, ready, go):
    """Writes and syncs, waits for a line on the fifo `go`, appends and ends."""
    fd = os.open(path, os.O_RDWR | os.O_TRUNC)
    os.write(fd, b"held\n")
    os.fsync(fd)
    open(ready, "w").close()
    open(go).read()
    print(os.pread(fd, 100, 0).decode(), end="")
    os.pwrite(fd, b"added\n", os.fstat(fd).st_size)
    os.close(fd)


def restore(path, version, rounds, *command):
    """Restores over a file held open, by command and by renaming the version, while the processors are busy: how often
    the open file was not what was restored as soon as that returned, and how often it could not be written."""
    busy = [subprocess.Popen(["sha256sum", "/dev/zero"], stdout=subprocess.DEVNULL) for _ in range(os.cpu_count() * 2)]
    wanted, stale, refused = open(version, "rb").read(), 0, 0
    try:
        for i in range(int(rounds)):
            fd = os.open(path, os.O_RDWR | os.O_TRUNC)
            os.write(fd, b"held\n")
            os.fsync(fd)
            os.pread(fd, 100, 0)
            if i % 2:
                subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            else:
                os.rename(version, path)
            stale += os.pread(fd, 100, 0) != wanted
            try:
                os.close(os.open(path, os.O_WRONLY))
            except OSError:
                refused += 1
            os.close(fd)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    print(stale, "stale,", refused, "refused")


def lend(path, uid):
    """A user's open file is written and closed by root, as sudo does with the output file of the user's shell."""
    os.seteuid(int(uid))
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o664)
    os.seteuid(0)
    os.write(fd, b"by sudo\n")
    os.close(fd)


def reuse(path, first, second, ready, go):
    """With a reader on it, the file is saved by one and written by another, whose handle gets the same id."""
    reader = os.open(path, os.O_RDONLY)
    for uid, text in (int(first), b"one\n"), (int(second), b"two\n"):
        os.seteuid(uid)
        fd = os.open(path, os.O_WRONLY)
        os.seteuid(0)
        os.write(fd, text)
        if uid == int(first):
            os.fsync(fd)
            os.close(fd)
    open(ready, "w").close()
    open(go).read()
    os._exit(reader < 0)


def handle_of(path):
    handle, mount = Handle(bytes=128), ctypes.c_int()
    if libc.name_to_handle_at(-100, path.encode(), ctypes.byref(handle), ctypes.byref(mount), 0):
        sys.exit(f"name_to_handle_at: {os.strerror(ctypes.get_errno())}")
    return handle


def unlinked(directory, count):
    """Files that are removed while open and closed: how many their handles still lead to after a second."""
    left, top = [], os.open(directory, os.O_RDONLY)
    for i in range(int(count)):
        path = os.path.join(directory, f"unlinked{i}")
        with open(path, "w") as file:
            file.write("nobody's\n")
        left.append(handle_of(path))
        fd = os.open(path, os.O_RDWR | os.O_TRUNC) # emptied only: RELEASE has something to save
        os.unlink(path)
        os.close(fd)
    time.sleep(1)
    print(sum(libc.open_by_handle_at(top, ctypes.byref(h), os.O_RDONLY) >= 0 for h in left))


def to_handle(path):
    handle = handle_of(path)
    print(handle.type, bytes(handle.data[:handle.bytes]).hex())


def by_handle(mountpoint, kind, text):
    data = bytes.fromhex(text)
    handle = Handle(bytes=len(data), type=int(kind))
    ctypes.memmove(handle.data, data, len(data))
    fd = libc.open_by_handle_at(os.open(mountpoint, os.O_RDONLY), ctypes.byref(handle), os.O_RDONLY)
    if fd < 0:
        sys.exit(f"open_by_handle_at: {os.strerror(ctypes.get_errno())}")
    print(os.read(fd, 100).decode(), end="")


globals()[sys.argv[1]](*sys.argv[2:])
