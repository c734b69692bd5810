#!/usr/bin/python3
"""A model of a filesystem: it predicts what each random operation answers and what is there after it.

  model.py run DIR STATE SEED COUNT USER...   operations on DIR as the users and root; STATE keeps what was there when
  model.py check DIR STATE                    the present, and random instants of .history/at/, against STATE
"""
import ctypes
import errno
import grp
import os
import pickle
import pwd
import random
import stat
import sys

INSTANTS = 100
NOREPLACE, EXCHANGE = 1, 2
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
NAMES = ["b.txt", "c.xlsx", "ü ö.csv", "t.tmp", "~$x", "~d", "n\n", "x" * 255] + [f"f{n}" for n in range(24)]
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


class Refused(Exception):
    """The model's answer is an errno."""


def require(condition, code):
    if not condition:
        raise Refused(code)


class Node:
    def __init__(self, kind, mode, uid, gid, content):
        self.kind, self.mode, self.uid, self.gid = kind, mode, uid, gid
        self.content = content  # bytes, a target, or a dict of names
        self.xattrs = {}


class User:
    def __init__(self, name):
        entry = pwd.getpwnam(name)
        self.name, self.uid, self.gid = name, entry.pw_uid, entry.pw_gid
        self.groups = sorted({entry.pw_gid} | {g.gr_gid for g in grp.getgrall() if name in g.gr_mem})

    def __enter__(self):
        os.setgroups(self.groups)
        os.setresgid(-1, self.gid, -1)
        os.setresuid(-1, self.uid, -1)

    def __exit__(self, *_):
        os.setresuid(-1, 0, -1)
        os.setresgid(-1, 0, -1)
        os.setgroups([])

    def changes(self, node, content):
        """Writing by others than root takes the setgid bit of a program away."""
        node.content = content
        if self.uid:
            node.mode &= ~stat.S_ISGID

    def may(self, node, want):
        if self.uid == 0:
            return True
        shift = 6 if node.uid == self.uid else 3 if node.gid in self.groups else 0
        return node.mode >> shift & want == want


R, W, X = 4, 2, 1
protected_hardlinks = open("/proc/sys/fs/protected_hardlinks", encoding="ascii").read().strip() != "0"


class Tree:
    """What POSIX and Linux say, in the kernel's order of checking."""

    def __init__(self, root):
        self.root = root

    def parent(self, user, path, depth=0):
        """The directory of path's last name; symlinks before it are followed."""
        node = self.root
        *names, last = path.split("/")
        for i, name in enumerate(names):
            node = self.step(user, node, name, "/".join(names[:i]), depth)
        require(node.kind == "dir", errno.ENOTDIR)
        require(user.may(node, X), errno.EACCES)
        return node, last

    def place(self, user, path, depth=0):
        """The directory, the name and what is there, if anything."""
        directory, name = self.parent(user, path, depth)
        return directory, name, self.look(directory, name)

    def look(self, directory, name):
        require(len(name.encode()) <= 255, errno.ENAMETOOLONG)
        return directory.content.get(name)

    def step(self, user, node, name, above, depth):
        require(node.kind == "dir", errno.ENOTDIR)
        require(user.may(node, X), errno.EACCES)
        node = self.look(node, name)
        require(node, errno.ENOENT)
        if node.kind == "link":
            return self.follow(user, node, depth)
        return node

    def follow(self, user, link, depth):
        require(depth < 40, errno.ELOOP)
        # Targets are paths from the top, written absolute below DIR.
        return self.find(user, link.content, True, depth + 1)

    def find(self, user, path, follow=True, depth=0):
        node = self.place(user, path, depth)[2]
        require(node, errno.ENOENT)
        return self.follow(user, node, depth) if follow and node.kind == "link" else node

    def open(self, user, path, want):
        node = self.find(user, path)
        require(not (node.kind == "dir" and want & W), errno.EISDIR)
        require(user.may(node, want), errno.EACCES)
        return node

    def make(self, user, path, kind, mode, content):
        directory, name, there = self.place(user, path)
        require(not there, errno.EEXIST)
        require(user.may(directory, W | X), errno.EACCES)
        inherit = directory.mode & stat.S_ISGID
        node = Node(kind, mode, user.uid, directory.gid if inherit else user.gid, content)
        if kind == "dir" and inherit:
            node.mode |= stat.S_ISGID
        directory.content[name] = node
        return node

    def may_delete(self, user, directory, node, as_dir):
        require(user.may(directory, W | X), errno.EACCES)
        if as_dir:
            require(node.kind == "dir", errno.ENOTDIR)
        else:
            require(node.kind != "dir", errno.EISDIR)

    def is_in(self, node, inside):
        return node is inside or (inside.kind == "dir" and any(self.is_in(node, n) for n in inside.content.values()))

    def rename(self, user, source, target, flags):
        from_dir, from_name = self.parent(user, source)
        to_dir, to_name = self.parent(user, target)
        node = self.look(from_dir, from_name)
        require(node, errno.ENOENT)
        other = self.look(to_dir, to_name)
        require(not (other and flags & NOREPLACE), errno.EEXIST)
        require(other or not flags & EXCHANGE, errno.ENOENT)
        require(not (node.kind == "dir" and self.is_in(to_dir, node)), errno.EINVAL)
        if other and other.kind == "dir" and self.is_in(from_dir, other):
            raise Refused(errno.EINVAL if flags & EXCHANGE else errno.ENOTEMPTY)
        if node is other:
            return
        self.may_delete(user, from_dir, node, node.kind == "dir")
        if not other:
            require(user.may(to_dir, W | X), errno.EACCES)
        else:
            self.may_delete(user, to_dir, other, (other if flags & EXCHANGE else node).kind == "dir")
        if from_dir is not to_dir:
            require(node.kind != "dir" or user.may(node, W), errno.EACCES)
            require(not flags & EXCHANGE or other.kind != "dir" or user.may(other, W), errno.EACCES)
        require(flags & EXCHANGE or not other or other.kind != "dir" or not other.content, errno.ENOTEMPTY)
        del from_dir.content[from_name]
        to_dir.content[to_name] = node
        if flags & EXCHANGE:
            from_dir.content[from_name] = other

    def link(self, user, source, target):
        node = self.find(user, source, follow=False)
        directory, name, there = self.place(user, target)
        require(not there, errno.EEXIST)
        if protected_hardlinks and user.uid not in (0, node.uid):
            require(node.kind == "file" and user.may(node, R | W), errno.EPERM)
        require(user.may(directory, W | X), errno.EACCES)
        require(node.kind != "dir", errno.EPERM)
        directory.content[name] = node

    def unlink(self, user, path, as_dir):
        directory, name, node = self.place(user, path)
        require(node, errno.ENOENT)
        self.may_delete(user, directory, node, as_dir)
        require(not as_dir or not node.content, errno.ENOTEMPTY)
        del directory.content[name]

    def chmod(self, user, path, mode):
        node = self.find(user, path)
        require(user.uid in (0, node.uid), errno.EPERM)
        if user.uid and node.gid not in user.groups:
            mode &= ~stat.S_ISGID
        node.mode = mode

    def snapshot(self):
        found = {}

        def walk(node, path):
            content = tuple(sorted(node.content)) if node.kind == "dir" else node.content
            found[path] = (node.kind, node.mode, node.uid, node.gid, content, tuple(sorted(node.xattrs.items())))
            if node.kind == "dir":
                for name, below in node.content.items():
                    walk(below, f"{path}/{name}" if path else name)

        walk(self.root, "")
        return found


def patched(data, at, new):
    data = data.ljust(at, b"\0")
    return data[:at] + new + data[at + len(new):]


class Session:
    """One random operation after another: asked of the model, done on the mount, compared."""

    def __init__(self, base, seed, names):
        self.base, self.rng = base, random.Random(seed)
        self.users = [User(name) for name in names]
        self.root = User("root")
        top = os.stat(base)
        self.tree = Tree(Node("dir", stat.S_IMODE(top.st_mode), top.st_uid, top.st_gid, {}))
        self.pool = self.rng.randbytes(1 << 19)
        self.refusals = 0

    def real(self, path):
        return f"{self.base}/{path}"

    def data(self):
        size = self.rng.choice((0, 1, 50, 4096, 5000, 30000, 100000, 300000))
        at = self.rng.randrange(len(self.pool) - size)
        return self.pool[at:at + size]

    # Paths: mostly of what is there.

    def any_path(self, kinds=None):
        found = [p for p, s in self.tree.snapshot().items() if p and (not kinds or s[0] in kinds)]
        if not found or self.rng.random() < 0.04:
            return self.new_path()
        return self.rng.choice(found)

    def new_path(self):
        folders = [p for p, s in self.tree.snapshot().items() if s[0] == "dir"]
        folder = self.rng.choice(folders) if self.rng.random() < 0.95 else self.any_path()
        name = self.rng.choice(NAMES)
        if self.rng.random() < 0.01:
            name = "x" * 256
        return f"{folder}/{name}" if folder else name

    # Operations: each returns (what the model does, what is done on the mount).

    def op_create(self, user):
        path, data, mode = self.new_path(), self.data(), self.rng.choice((0o666, 0o666, 0o666, 0o600, 0o640))

        def model():
            self.tree.make(user, path, "file", mode & ~0o002, data)

        def real():
            fd = os.open(self.real(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            try:
                half = len(data) // 2
                os.write(fd, data[:half])
                os.write(fd, data[half:])
            finally:
                os.close(fd)

        return model, real

    def change_bytes(self, user, flags, data, edit, do):
        """data: what is written, None when it is no write.  A file that was emptied and closed is saved some time
        after close() has returned; fsync() makes it now."""
        path = self.any_path(("file", "file", "link", "dir") if self.rng.random() < 0.1 else ("file",))

        def model():
            node = self.tree.open(user, path, W)
            if data is None or data or flags & os.O_TRUNC:
                user.changes(node, edit(node.content))

        def real():
            fd = os.open(self.real(path), os.O_WRONLY | flags)
            try:
                do(fd)
                if data == b"":
                    os.fsync(fd)
            finally:
                os.close(fd)

        return model, real

    def op_overwrite(self, user):
        data = self.data()
        return self.change_bytes(user, os.O_TRUNC, data, lambda old: data, lambda fd: os.write(fd, data))

    def op_append(self, user):
        data = self.data()
        return self.change_bytes(user, os.O_APPEND, data, lambda old: old + data, lambda fd: os.write(fd, data))

    def op_write_in_place(self, user):
        data, at = self.data()[:9000], self.rng.choice((0, 10, 4096, 7000, 65536, 200000))

        def do(fd):
            os.pwrite(fd, data, at)
            if self.rng.random() < 0.3:
                os.fsync(fd)

        return self.change_bytes(user, 0, data, lambda old: patched(old, at, data), do)

    def op_truncate(self, user):
        path, size = self.any_path(), self.rng.choice((0, 1, 4096, 40000, 500000))

        def model():
            node = self.tree.find(user, path)
            require(node.kind != "dir", errno.EISDIR)
            require(user.may(node, W), errno.EACCES)
            user.changes(node, node.content[:size].ljust(size, b"\0"))

        return model, lambda: os.truncate(self.real(path), size)

    def op_punch(self, user):
        at, size = self.rng.choice((0, 100, 4096, 50000)), self.rng.choice((10, 4096, 70000))
        mode = self.rng.choice((PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE | KEEP_SIZE, ZERO_RANGE, 0))

        def edit(old):
            if mode == 0:
                return old.ljust(at + size, b"\0")
            end = min(at + size, len(old)) if mode & KEEP_SIZE else at + size
            return patched(old, at, bytes(end - at)) if end > at else old

        def do(fd):
            if libc.fallocate(fd, mode, at, size):
                raise OSError(ctypes.get_errno(), "fallocate")

        return self.change_bytes(user, 0, None, edit, do)

    def op_rename(self, user, flags=0):
        source = self.any_path()
        target = self.new_path() if self.rng.random() < 0.5 else self.any_path()

        def real():
            if libc.renameat2(-100, os.fsencode(self.real(source)), -100, os.fsencode(self.real(target)), flags):
                raise OSError(ctypes.get_errno(), "rename")

        return lambda: self.tree.rename(user, source, target, flags), real

    def op_rename_noreplace(self, user):
        return self.op_rename(user, NOREPLACE)

    def op_exchange(self, user):
        return self.op_rename(user, EXCHANGE)

    def op_save_dance(self, user):
        """Temp, then rename over; the halves are predicted as one."""
        path, data = self.any_path(("file",)), self.data()
        temp = f"{os.path.dirname(path)}/saving.tmp".lstrip("/")

        def model():
            self.tree.make(user, temp, "file", 0o664, data)
            self.tree.rename(user, temp, path, 0)

        def real():
            fd = os.open(self.real(temp), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            os.write(fd, data)
            os.close(fd)
            os.rename(self.real(temp), self.real(path))

        return model, real

    def op_link(self, user):
        source, target = self.any_path(), self.new_path()
        return (lambda: self.tree.link(user, source, target),
                lambda: os.link(self.real(source), self.real(target), follow_symlinks=False))

    def op_unlink(self, user):
        path = self.any_path()
        return lambda: self.tree.unlink(user, path, False), lambda: os.unlink(self.real(path))

    def op_unlink_open(self, user):
        """What is written after the last name went is nobody's."""
        path, data = self.any_path(("file",)), self.data()

        def model():
            node = self.tree.open(user, path, W)
            self.tree.unlink(user, path, False)
            node.content += data

        def real():
            fd = os.open(self.real(path), os.O_WRONLY | os.O_APPEND)
            try:
                os.unlink(self.real(path))
                os.write(fd, data)
            finally:
                os.close(fd)

        return model, real

    def op_mkdir(self, user):
        path, mode = self.new_path(), self.rng.choice((0o777, 0o777, 0o777, 0o750))
        return lambda: self.tree.make(user, path, "dir", mode & ~0o002, {}), lambda: os.mkdir(self.real(path), mode)

    def op_rmdir(self, user):
        path = self.any_path(("dir",) if self.rng.random() < 0.8 else None)
        return lambda: self.tree.unlink(user, path, True), lambda: os.rmdir(self.real(path))

    def op_symlink(self, user):
        path, target = self.new_path(), self.any_path()
        return (lambda: self.tree.make(user, path, "link", 0o777, target),
                lambda: os.symlink(self.real(target), self.real(path)))

    def op_chmod(self, user):
        path = self.any_path(("file", "file", "file", "dir") if self.rng.random() < 0.3 else ("file",))
        mode = self.rng.choice((0o664, 0o664, 0o644, 0o660, 0o600, 0o444, 0o775, 0o2775, 0o2775, 0o755, 0o700))
        return lambda: self.tree.chmod(user, path, mode), lambda: os.chmod(self.real(path), mode)

    def op_chown(self, user):
        path, owner = self.any_path(("file", "dir")), self.rng.choice(self.users)
        gid = self.rng.choice((self.tree.root.gid, owner.gid))
        user = self.root if self.rng.random() < 0.8 else user

        def model():
            node = self.tree.find(user, path)
            free = user.uid == 0 or (node.uid == user.uid == owner.uid and gid in user.groups)
            require(free, errno.EPERM)
            node.uid, node.gid = owner.uid, gid
            if node.kind == "file":
                node.mode &= ~stat.S_ISGID

        return model, lambda: os.chown(self.real(path), owner.uid, gid), user

    def op_setxattr(self, user):
        path, name = self.any_path(("file", "dir")), self.rng.choice(("user.a", "user.b"))
        value, flags = self.data()[:3000], self.rng.choice((0, 0, os.XATTR_CREATE, os.XATTR_REPLACE))

        def model():
            node = self.tree.find(user, path)
            require(user.may(node, W), errno.EACCES)
            require(not (flags == os.XATTR_CREATE and name in node.xattrs), errno.EEXIST)
            require(not (flags == os.XATTR_REPLACE and name not in node.xattrs), errno.ENODATA)
            node.xattrs[name] = value

        return model, lambda: os.setxattr(self.real(path), name, value, flags)

    def op_removexattr(self, user):
        path = self.any_path(("file", "dir"))

        def model():
            node = self.tree.find(user, path)
            require(user.may(node, W), errno.EACCES)
            require("user.a" in node.xattrs, errno.ENODATA)
            del node.xattrs["user.a"]

        return model, lambda: os.removexattr(self.real(path), "user.a")

    def op_copy(self, user):
        source, target = self.any_path(("file",)), self.any_path(("file",))

        def model():
            data = self.tree.open(user, source, R).content
            node = self.tree.open(user, target, W)
            user.changes(node, b"" if self.tree.find(user, source) is node else data)

        def real():
            a = os.open(self.real(source), os.O_RDONLY)
            try:
                b = os.open(self.real(target), os.O_WRONLY | os.O_TRUNC)
                try:
                    while os.copy_file_range(a, b, 1 << 20):
                        pass
                    os.fsync(b)
                finally:
                    os.close(b)
            finally:
                os.close(a)

        return model, real

    def op_read(self, user):
        path = self.any_path(("file",))

        def real():
            with open(self.real(path), "rb") as f:
                return f.read()

        return lambda: self.tree.open(user, path, R).content, real

    def op_list(self, user):
        path = self.any_path(("dir",))

        def model():
            node = self.tree.find(user, path)
            require(node.kind == "dir", errno.ENOTDIR)
            require(user.may(node, R), errno.EACCES)
            return sorted(node.content)

        return model, lambda: sorted(os.listdir(self.real(path)))

    def step(self):
        """One operation as one user; what went otherwise than predicted, or None."""
        operations = {"create": 20, "overwrite": 8, "append": 8, "write_in_place": 8, "truncate": 5, "punch": 5,
                      "rename": 12, "rename_noreplace": 3, "exchange": 4, "save_dance": 8, "link": 5, "unlink": 8,
                      "unlink_open": 3, "mkdir": 7, "rmdir": 3, "symlink": 4, "chmod": 5, "chown": 4, "setxattr": 5,
                      "removexattr": 2, "copy": 6, "read": 4, "list": 3}
        name = self.rng.choices(list(operations), operations.values())[0]
        user = self.rng.choice(self.users)
        model, real, *other = getattr(self, f"op_{name}")(user)
        user = other[0] if other else user
        try:
            wanted = model()
        except Refused as e:
            wanted = e
            self.refusals += 1
        try:
            with user:
                got = real()
        except OSError as e:
            got = Refused(e.errno)
        if name not in ("read", "list"):
            wanted, got = (x if isinstance(x, Refused) else None for x in (wanted, got))
        same = repr(wanted) == repr(got)
        values = [c.cell_contents for f in (real, model) for c in f.__closure__ or () if isinstance(c.cell_contents,
                                                                                                  (str, int))]
        values = [v if isinstance(v, int) else v.replace("x" * 254, "xx..") for v in dict.fromkeys(values)]
        self.told = f"{name} by {user.name}: predicted {told(wanted)}, got {told(got)}: {values}"
        return None if same else self.told


def told(result):
    if isinstance(result, Refused):
        return errno.errorcode[result.args[0]]
    return f"{len(result)} bytes" if isinstance(result, bytes) else result


def present(top):
    """What is there, in the form of Tree.snapshot(); targets of symlinks as paths from the top."""
    found = {}

    def xattrs(path):
        names = [n for n in os.listxattr(path, follow_symlinks=False) if n.startswith("user.")]
        return tuple(sorted((n, os.getxattr(path, n, follow_symlinks=False)) for n in names))

    def walk(path, real):
        st = os.lstat(real)
        if stat.S_ISDIR(st.st_mode):
            names = os.listdir(real)
            kind, content = "dir", tuple(sorted(names))
            for name in names:
                walk(f"{path}/{name}" if path else name, f"{real}/{name}")
        elif stat.S_ISLNK(st.st_mode):
            kind, content = "link", os.readlink(real)
        else:
            with open(real, "rb") as f:
                kind, content = "file", f.read()
            assert len(content) == st.st_size, f"{real}: size {st.st_size}, {len(content)} bytes"
        found[path] = (kind, stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, content, xattrs(real))

    walk("", top)
    return found


def difference(wanted, got, base):
    """The first path that differs, in words; None when there is none."""
    fields = ("type", "mode", "uid", "gid", "content", "xattrs")
    for path in sorted(wanted.keys() | got.keys()):
        if path not in got or path not in wanted:
            return f"{path!r} is {'missing' if path in wanted else 'too much'}"
        for field, a, b in zip(fields, wanted[path], got[path]):
            if field == "content" and wanted[path][0] == "link":
                a = f"{base}/{a}"
            if a != b:
                return f"{path!r}: {field} is {str(b)[:80]}, not {str(a)[:80]}"
    return None


def settle(base):
    """A file that was emptied and closed is saved when the kernel lets go of it, a moment after close(): asking for a
    fact of a file waits for that."""
    for directory, _, names in os.walk(os.fsencode(base)):
        for name in names:
            path = directory + b"/" + name
            try:
                if stat.S_ISREG(os.lstat(path).st_mode) and os.lstat(path).st_size == 0:
                    os.getxattr(path, "user.daybook.version")
            except OSError:
                pass


def newest_change(base):
    settle(base)
    with open(f"{base}/.history/changes.csv", "rb") as f:
        return int(f.read(400).split(b"\n")[1].split(b",")[0])


def run(base, state, seed, count, *names):
    os.umask(0o002)
    session = Session(base, int(seed), names)
    kept, wrong = {}, []
    for n in range(int(count)):
        failed = session.step()
        if failed:
            wrong.append(f"operation {n}: {failed}")
            break
        if os.environ.get("TRACE"):
            print(f"# {n}: {session.told}")
        snapshot = session.tree.snapshot()
        if os.environ.get("TRACE"):
            d = difference(snapshot, present(base), base)
            assert not d, d
        kept[newest_change(base)] = snapshot
    print(f"{'not ' if wrong else ''}ok - {count} operations answer as predicted")
    for line in wrong:
        print(f"# {line}")
    print(f"# {session.refusals} were refused, {len(session.tree.snapshot())} names are there at the end")
    with open(state, "wb") as f:
        pickle.dump((int(seed), kept), f)
    return bool(wrong)


def check(base, state):
    with open(state, "rb") as f:
        seed, kept = pickle.load(f)
    differs = difference(kept[max(kept)], present(base), base)
    print(f"{'not ' if differs else ''}ok - the present is the model's\n# {differs or ''}")
    wrong = []
    instants = random.Random(seed + 1).sample(sorted(kept), min(INSTANTS, len(kept)))
    for change in instants:
        found = difference(kept[change], present(f"{base}/.history/at/change-{change}"), base)
        if found:
            wrong.append(f"change {change}: {found}")
    print(f"{'not ' if wrong else ''}ok - the tree at {len(instants)} random instants is the model's")
    for line in wrong[:10]:
        print(f"# {line}")
    return bool(wrong or differs)


if __name__ == "__main__":
    sys.exit({"run": run, "check": check}[sys.argv[1]](*sys.argv[2:]))
