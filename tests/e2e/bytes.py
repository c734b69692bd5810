#!/usr/bin/python3
# bytes.py DIR SEED COUNT: random operations on the bytes of two files, each compared with a copy in memory.
import ctypes, mmap, os, random, sys

directory, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
MAX = 1 << 20
rng = random.Random(seed)
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
KEEP, PUNCH, ZERO = 1, 2, 16
model = [bytearray(), bytearray()]
paths = [os.path.join(directory, f"bytes{i}") for i in range(2)]
fds = [os.open(p, os.O_RDWR | os.O_CREAT, 0o644) for p in paths]
trail = []


def span(limit):
    at = rng.randrange(limit)
    n = rng.choice([1, 100, 4096, 5000, 65536, 200000])
    return at, max(1, min(rng.randint(1, n), limit - at))


def grow(m, size):
    if len(m) < size:
        m.extend(bytes(size - len(m)))


def write(i):
    at, n = span(MAX)
    data = rng.randbytes(n) if rng.random() < 0.8 else bytes(n)
    assert os.pwrite(fds[i], data, at) == n
    grow(model[i], at + n)
    model[i][at:at + n] = data
    return at, n


def append(i):
    n = rng.randint(1, 5000)
    if len(model[i]) + n > MAX:
        return None
    fd = os.open(paths[i], os.O_WRONLY | os.O_APPEND)
    data = rng.randbytes(n)
    assert os.write(fd, data) == n
    os.close(fd)
    model[i].extend(data)
    return n


def truncate(i):
    size = rng.randrange(MAX)
    os.truncate(paths[i], size) if rng.random() < 0.3 else os.ftruncate(fds[i], size)
    grow(model[i], size)
    del model[i][size:]
    return size


def fallocate(i):
    at, n = span(MAX)
    mode = rng.choice([0, KEEP, PUNCH | KEEP, ZERO, ZERO | KEEP])
    if libc.fallocate(fds[i], mode, at, n) != 0:
        return "refused", mode, ctypes.get_errno()
    if not mode & KEEP:
        grow(model[i], at + n)
    if mode & (PUNCH | ZERO):
        end = min(at + n, len(model[i]))
        if at < end:
            model[i][at:end] = bytes(end - at)
    return mode, at, n


def copy(i):
    j = rng.randrange(2)
    if not model[j]:
        return None
    at, n = span(len(model[j]))
    to = rng.randrange(MAX - n)
    if i == j and at < to + n and to < at + n:
        return None
    done = os.copy_file_range(fds[j], fds[i], n, at, to)
    grow(model[i], to + done)
    model[i][to:to + done] = model[j][at:at + done]
    return j, at, to, n, done


def map_write(i):
    if not model[i]:
        return None
    at, n = span(len(model[i]))
    data = rng.randbytes(n)
    with mmap.mmap(fds[i], len(model[i])) as m:
        m[at:at + n] = data
        if rng.random() < 0.5:
            m.flush()
    model[i][at:at + n] = data
    return at, n


def reopen(i):
    os.close(fds[i])
    if rng.random() < 0.2:
        os.rename(paths[i], paths[i] + ".x")
        os.rename(paths[i] + ".x", paths[i])
    if rng.random() < 0.1:
        fds[i] = os.open(paths[i], os.O_RDWR | os.O_TRUNC)
        model[i].clear()
        return "truncated"
    fds[i] = os.open(paths[i], os.O_RDWR)


def sync(i):
    os.fsync(fds[i])


def check(i):
    assert os.fstat(fds[i]).st_size == len(model[i]), (os.fstat(fds[i]).st_size, len(model[i]))
    got = os.pread(fds[i], MAX + 10, 0)
    while len(got) < len(model[i]):
        more = os.pread(fds[i], MAX, len(got))
        if not more:
            break
        got += more
    if got != model[i]:
        at = next((k for k in range(min(len(got), len(model[i]))) if got[k] != model[i][k]), -1)
        raise AssertionError(f"{paths[i]}: {len(got)} of {len(model[i])} bytes, the first other one at {at}")


operations = [write] * 6 + [append, truncate, fallocate, fallocate, copy, copy, map_write, reopen, sync, check]
try:
    for step in range(count):
        i = rng.randrange(2)
        op = rng.choice(operations)
        trail.append((step, op.__name__, i, op(i)))
        if step % 7 == 0:
            check(i)
    for i in range(2):
        check(i)
        os.close(fds[i])
        fds[i] = os.open(paths[i], os.O_RDWR)
        check(i)
except AssertionError as e:
    print("not ok - seed", seed, "step", step, e)
    print("\n".join("# " + repr(t) for t in trail[-25:]))
    sys.exit(1)
print(f"ok - seed {seed}: {count} operations")
