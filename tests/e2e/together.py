#!/usr/bin/python3
"""together.py DIR SECONDS SEED: does what people and programs do with a few files, at random, getting in the way of
others who do the same in the same directory.  Prints what failed that should not have."""
import errno
import os
import random
import stat
import sys
import time

# What is no failure when somebody else was quicker, or with these names: a directory into itself, a link to one, a mode
# of somebody else's file (which was one's own just before).
EXPECTED = {errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR, errno.ESTALE, errno.ENODATA}
ALLOWED = {"rename": {errno.EINVAL}, "link": {errno.EPERM}, "attributes": {errno.EPERM}, "restore": {errno.EXDEV}}
NAMES = ["a.csv", "b.csv", "c.txt", "d.xlsx", "sub", "sub2"]


class Worker:
    def __init__(self, directory, seed):
        self.directory = directory
        self.random = random.Random(seed)
        self.mark = f"{os.getpid()}"

    def path(self):
        names = [self.random.choice(NAMES)]
        if self.random.random() < 0.3:
            names.insert(0, self.random.choice(["sub", "sub2"]))
        return os.path.join(self.directory, *names)

    def content(self):
        return self.random.randbytes(self.random.choice([10, 500, 5000, 70000]))

    def overwrite(self):
        with open(self.path(), "wb") as file:
            file.write(self.content())

    def replace(self):
        path = self.path()
        temporary = f"{path}.{self.mark}.tmp"
        try:
            with open(temporary, "wb") as file:
                file.write(self.content())
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, path)
        except OSError:
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise

    def append(self):
        with open(self.path(), "ab") as file:
            file.write(self.content())
            os.fstat(file.fileno())

    def patch(self):
        fd = os.open(self.path(), os.O_RDWR)
        try:
            os.pwrite(fd, b"patch", self.random.randrange(100000))
            if self.random.random() < 0.5:
                os.ftruncate(fd, self.random.randrange(100000))
            os.pread(fd, 4096, 0)
        finally:
            os.close(fd)

    def read(self):
        with open(self.path(), "rb") as file:
            file.read()

    def unlink(self):
        os.unlink(self.path())

    def rename(self):
        os.rename(self.path(), self.path())

    def link(self):
        os.link(self.path(), self.path())

    def make(self):
        os.mkdir(self.path())

    def remove(self):
        os.rmdir(self.path())

    def look(self):
        for entry in os.scandir(self.directory):
            entry.stat(follow_symlinks=False)

    def attributes(self):
        path = self.path()
        status = os.stat(path)
        if stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid():
            os.chmod(path, self.random.choice([0o664, 0o660, 0o775]))
        os.utime(path)
        os.setxattr(path, "user.note", self.mark.encode())
        os.getxattr(path, "user.note")
        os.listxattr(path)

    def past(self):
        history = os.path.join(os.path.dirname(self.path()), ".history")
        for name in os.listdir(os.path.join(history, "files"))[:4]:
            for version in os.listdir(os.path.join(history, "files", name))[-3:]:
                with open(os.path.join(history, "files", name, version), "rb") as file:
                    file.read(4096)
        for entry in os.scandir(os.path.join(history, "at", "now")):
            entry.stat(follow_symlinks=False)

    def restore(self):
        path = self.path()
        versions = os.path.join(os.path.dirname(path), ".history", "files", os.path.basename(path))
        names = [name for name in os.listdir(versions) if ".v" in name]
        if not names:
            return
        with open(os.path.join(versions, self.random.choice(names)), "rb") as old, open(path, "wb") as new:
            while os.copy_file_range(old.fileno(), new.fileno(), 1 << 20):
                pass

    def run(self, seconds):
        todo = [self.overwrite, self.replace, self.append, self.patch, self.read, self.unlink, self.rename, self.link,
                self.make, self.remove, self.look, self.attributes, self.past, self.restore]
        failures, done, until = 0, 0, time.monotonic() + seconds
        while time.monotonic() < until:
            what = self.random.choice(todo)
            try:
                what()
            except OSError as failure:
                name = what.__name__
                if failure.errno not in EXPECTED | ALLOWED.get(name, set()):
                    print(f"{name}: {failure}")
                    failures += 1
            done += 1
        print(f"# {done} operations", file=sys.stderr)
        return failures


def main():
    directory, seconds, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    os.umask(0o002)
    return 1 if Worker(directory, seed).run(seconds) else 0


if __name__ == "__main__":
    sys.exit(main())
