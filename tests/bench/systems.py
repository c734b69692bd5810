"""systems.py - the file systems that are measured, and how they are watched.

ext4 is the floor, on the disk that all stand on; `loop` is ext4 on a loop file of it, the floor for deletes, which a
disk mounted with discard makes slow.  bindfs is a plain FUSE layer over the first, btrfs on a loop file takes a
snapshot with every save.  Daybook's store lies on the disk itself.
"""
import os, shutil, signal, subprocess, time

LOOP_GIB = 14


def run(*command, **kw):
    kw.setdefault('stdout', subprocess.DEVNULL)
    kw.setdefault('stderr', subprocess.PIPE)
    done = subprocess.run(command, **kw)
    if done.returncode:
        raise RuntimeError(f'{command}: {done.returncode} {(done.stderr or b"").decode()[-400:]}')
    return done.stdout


def drop_caches():
    os.sync()
    with open('/proc/sys/vm/drop_caches', 'w') as f:
        f.write('3')


def status_mb(pid, field):
    with open(f'/proc/{pid}/status') as status:
        return [int(line.split()[1]) / 1024 for line in status if line.startswith(field + ':')][0]


class Counter:
    """Requests that the kernel sends to a FUSE daemon, from the trace event fuse_request_send (Linux 6.11)."""

    def __init__(self, top):
        self.trace, self.at = f'{top}/trace', None
        os.mkdir(self.trace)
        if subprocess.run(['mount', '-t', 'tracefs', 'trace', self.trace], stderr=subprocess.DEVNULL).returncode:
            return
        if os.path.exists(f'{self.trace}/events/fuse/fuse_request_send'):
            self.at = f'{self.trace}/instances/daybook-bench-{os.getpid()}'
            os.mkdir(self.at)

    def put(self, name, text):
        with open(f'{self.at}/{name}', 'w') as f:
            f.write(text)

    def start(self, mountpoint):
        """Counts from now on; nothing where there is no such event."""
        if self.at:
            self.put('events/fuse/fuse_request_send/filter', f'connection == {os.minor(os.stat(mountpoint).st_dev)}')
            self.before = self.sum()
            self.put('events/fuse/fuse_request_send/enable', '1')

    def stop(self):
        if not self.at:
            return None
        self.put('events/fuse/fuse_request_send/enable', '0')
        return self.sum() - self.before

    def sum(self):
        n = 0
        for cpu in os.listdir(f'{self.at}/per_cpu'):
            with open(f'{self.at}/per_cpu/{cpu}/stats') as stats:
                n += sum(int(line.split()[1]) for line in stats if line.startswith(('entries', 'overrun')))
        return n

    def close(self):
        if self.at:
            os.rmdir(self.at)
        subprocess.run(['umount', self.trace], stderr=subprocess.DEVNULL)


class System:
    """A file system: work is done in dir.  extra: what savebench is told beyond that."""
    name, extra, is_fuse = 'ext4', [], False

    def __init__(self, top, build):
        self.top, self.build = top, build
        self.dir = f'{top}/{self.name}'
        os.mkdir(self.dir)
        self.set_up()

    def set_up(self):
        pass

    def pid(self):
        return None

    def cpu(self):
        """Seconds that the daemon has computed."""
        ns, pid = 0, self.pid()
        for task in os.listdir(f'/proc/{pid}/task') if pid else []:
            try:
                with open(f'/proc/{pid}/task/{task}/schedstat') as stat:
                    ns += int(stat.read().split()[0])
            except FileNotFoundError:
                pass
        return ns / 1e9

    def restart(self):
        pass

    def cold(self):
        self.restart()
        drop_caches()

    def close(self):
        shutil.rmtree(self.dir)


class OnLoop(System):
    """On a loop file, which goes as a whole."""

    def make_loop(self, *mkfs):
        self.image, self.loop = f'{self.top}/{self.name}.img', f'{self.top}/{self.name}.mnt'
        os.mkdir(self.loop)
        with open(self.image, 'wb') as image:
            image.truncate(LOOP_GIB << 30)
        run(*mkfs, self.image)
        run('mount', '-o', 'loop,noatime', self.image, self.loop)

    def close(self):
        run('umount', self.loop)
        os.unlink(self.image)


class Loop(OnLoop):
    name = 'loop'

    def set_up(self):
        self.make_loop('mkfs.ext4', '-q', '-F', '-E', 'nodiscard')
        self.dir = self.loop


class Btrfs(OnLoop):
    name = 'btrfs'

    def set_up(self):
        self.make_loop('mkfs.btrfs', '-q', '-K')
        self.dir = f'{self.loop}/live'
        run('btrfs', 'subvolume', 'create', self.dir)
        os.mkdir(f'{self.loop}/snapshots')

    @property
    def extra(self):
        return ['--snapshots', f'{self.loop}/snapshots']

    def subvolume(self, path):
        """Snapshots are of a subvolume, so each run gets one."""
        run('btrfs', 'subvolume', 'create', path)


class Bindfs(System):
    name, is_fuse = 'bindfs', True

    def set_up(self):
        self.below = f'{self.top}/bindfs.below'
        os.mkdir(self.below)
        self.daemon = subprocess.Popen(['bindfs', '-f', '--multithreaded', self.below, self.dir])
        while not os.path.ismount(self.dir):
            time.sleep(0.05)

    def pid(self):
        return self.daemon.pid

    def close(self):
        run('umount', self.dir)
        self.daemon.wait()
        shutil.rmtree(self.below)


class Daybook(System):
    name, is_fuse, store = 'daybook', True, None

    def __init__(self, top, build, store=None, name=None):
        self.name, self.store = name or self.name, store
        super().__init__(top, build)

    def set_up(self):
        if not self.store:
            self.store = f'{self.top}/{self.name}.store'
            run(f'{self.build}/daybook', 'init', self.store)
        self.start()

    def start(self):
        run(f'{self.build}/daybookd', self.store, self.dir)

    def wait(self):
        while subprocess.run(['flock', '-n', f'{self.store}/LOCK', 'true']).returncode:
            time.sleep(0.02)

    def stop(self):
        run('umount', self.dir)
        self.wait()

    def restart(self):
        self.stop()
        self.start()

    def kill(self):
        """All of it at once, as a power cut would; the process that holds the mount would else start another."""
        worker = self.pid()
        with open(f'/proc/{worker}/stat') as stat:
            holder = int(stat.read().rpartition(')')[2].split()[1])
        os.kill(holder, signal.SIGKILL)
        os.kill(worker, signal.SIGKILL)
        run('umount', '-l', self.dir)
        self.wait()

    def pid(self):
        """The process that works; another one only holds the mount."""
        with open(f'{self.store}/LOCK') as lock:
            return int(lock.read())

    def bytes(self):
        """On disk, everything, at rest: nothing left to flush, and no room taken in advance by open files."""
        self.stop()
        held = 512 * sum(os.lstat(os.path.join(at, name)).st_blocks
                         for at, _, names in os.walk(self.store) for name in names)
        self.start()
        return held

    def close(self):
        self.stop()
        shutil.rmtree(self.store)
        os.rmdir(self.dir)
