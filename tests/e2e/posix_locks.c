/* posix_locks - locks and leases between processes (see posix.h). */
#include "posix.h"

#include <signal.h>
#include <sys/file.h>
#include <time.h>

/* Pipes: the parent lets the child go on; the child says how it went. */
static int turn[2], answer[2];

/* Starts f in a child; it says and waits through the pipes. */
static pid_t start(void (*f)(void))
{
	if (pipe(turn) || pipe(answer))
		exit(2);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		for (int fd = 3; fd < 64; fd++) /* the parent's handles are its own */
			if (fd != turn[0] && fd != answer[1])
				close(fd);
		f();
		_exit(0);
	}
	close(turn[0]), close(answer[1]);
	return pid;
}

static void end(pid_t pid)
{
	int status;

	close(turn[1]), close(answer[0]);
	waitpid(pid, &status, 0);
}

/* In the child. */
static void tell(bool good)
{
	if (write(answer[1], good ? "y" : "n", 1) != 1)
		_exit(1);
}

static void wait_turn(void)
{
	char c;

	if (read(turn[0], &c, 1) != 1)
		_exit(1);
}

/* In the parent. */
static bool told(void)
{
	char c = 'n';

	return TEMP_FAILURE_RETRY(read(answer[0], &c, 1)) == 1 && c == 'y';
}

static void go_on(void)
{
	if (write(turn[1], "g", 1) != 1)
		say(false, "the other process is there");
}

static int lock(int fd, int command, short type, off_t from, off_t n)
{
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET, .l_start = from, .l_len = n };

	return fcntl(fd, command, &fl);
}

static void hold_range(void)
{
	int fd = open("locked", O_RDWR);

	tell(lock(fd, F_SETLK, F_WRLCK, 10, 10) == 0);
	wait_turn();
	/* POSIX: closing any of the process's handles lets go of all. */
	close(open("locked", O_RDONLY));
	tell(true);
	wait_turn();
	tell(lock(fd, F_SETLK, F_WRLCK, 10, 10) == 0);
	wait_turn();
}

static void test_ranges(void)
{
	int fd = open("locked", O_RDWR | O_CREAT, 0644);
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0 };
	pid_t pid = start(hold_range);

	say(told(), "another process locks a range");
	say(lock(fd, F_SETLK, F_WRLCK, 15, 1) == -1 && (errno == EAGAIN || errno == EACCES),
	    "it is refused to others");
	say(lock(fd, F_SETLK, F_RDLCK, 19, 5) == -1 && (errno == EAGAIN || errno == EACCES),
	    "for reading too");
	say(lock(fd, F_SETLK, F_WRLCK, 0, 10) == 0 && lock(fd, F_SETLK, F_WRLCK, 20, 0) == 0,
	    "beside it is free");
	say(fcntl(fd, F_GETLK, &fl) == 0 && fl.l_type == F_WRLCK && fl.l_start == 10 &&
		    fl.l_len == 10 && fl.l_pid == pid,
	    "F_GETLK tells range and process");
	go_on();
	say(told() && lock(fd, F_SETLK, F_WRLCK, 10, 10) == 0,
	    "its close of another handle lets go");
	say(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0, "unlocked");
	go_on();
	say(told() && lock(fd, F_SETLK, F_WRLCK, 10, 1) == -1, "locked there again");
	kill(pid, SIGKILL);
	end(pid);
	say(lock(fd, F_SETLK, F_WRLCK, 10, 10) == 0, "the end of the process lets go");
	close(fd);
}

static void on_alarm(int number)
{
	(void)number;
}

static void hold_and_leave(void)
{
	int fd = open("locked", O_RDWR);

	tell(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0 && flock(fd, LOCK_EX) == 0);
	wait_turn();
	usleep(100000);
}

static void test_blocking(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	int fd = open("locked", O_RDWR);
	pid_t pid = start(hold_and_leave);

	say(told(), "another process holds everything");
	sigaction(SIGALRM, &action, NULL);
	ualarm(50000, 0);
	REFUSED(lock(fd, F_SETLKW, F_WRLCK, 0, 0), EINTR, "a signal ends the wait for a range");
	ualarm(50000, 0);
	REFUSED(flock(fd, LOCK_EX), EINTR, "and for flock");
	ualarm(50000, 0);
	REFUSED(lock(fd, F_OFD_SETLKW, F_WRLCK, 0, 0), EINTR, "and for an OFD lock");
	go_on();
	say(lock(fd, F_SETLKW, F_WRLCK, 0, 0) == 0, "the wait ends when it leaves");
	say(flock(fd, LOCK_EX) == 0, "for flock too");
	end(pid);
	close(fd);
}

static void deadlock(void)
{
	int fd = open("locked", O_RDWR);

	tell(lock(fd, F_SETLK, F_WRLCK, 0, 1) == 0);
	wait_turn();
	/* Waits for the parent, who lets go or is told of the deadlock. */
	int rc = lock(fd, F_SETLKW, F_WRLCK, 1, 1);
	tell(rc == 0 || errno == EDEADLK);
}

static void test_deadlock(void)
{
	int fd = open("locked", O_RDWR);
	pid_t pid = start(deadlock);

	say(told() && lock(fd, F_SETLK, F_WRLCK, 1, 1) == 0, "two processes hold a byte each");
	go_on();
	usleep(100000);
	REFUSED(lock(fd, F_SETLKW, F_WRLCK, 0, 1), EDEADLK, "who closes the circle is told");
	say(lock(fd, F_SETLK, F_UNLCK, 1, 1) == 0 && told(), "and the other goes on");
	end(pid);
	close(fd);
}

static void try_ofd(void)
{
	int fd = open("locked", O_RDWR);

	tell(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 5) == -1 && errno == EAGAIN);
	wait_turn();
	tell(lock(fd, F_SETLK, F_WRLCK, 0, 5) == -1 && (errno == EAGAIN || errno == EACCES));
	wait_turn();
	tell(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 5) == 0);
}

static void test_ofd(void)
{
	int fd = open("locked", O_RDWR), twin = dup(fd), other = open("locked", O_RDWR);

	say(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 10) == 0 &&
		    lock(twin, F_OFD_SETLK, F_WRLCK, 0, 5) == 0,
	    "an OFD lock is the handle's");
	say(lock(other, F_OFD_SETLK, F_WRLCK, 3, 1) == -1 && errno == EAGAIN,
	    "and none of another handle's");
	pid_t pid = start(try_ofd);

	say(told(), "nor of another process's");
	close(fd), close(other);
	go_on();
	say(told(), "it outlives other handles' close, and POSIX locks meet it");
	close(twin);
	go_on();
	say(told(), "its last close lets go");
	end(pid);
}

static void try_flock(void)
{
	int fd = open("locked", O_RDWR);

	tell(flock(fd, LOCK_SH | LOCK_NB) == 0);
	tell(flock(fd, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK);
	tell(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0);
}

static void test_flock(void)
{
	int fd = open("locked", O_RDWR);

	say(flock(fd, LOCK_SH) == 0, "flock, shared");
	pid_t pid = start(try_flock);

	say(told(), "another process shares it");
	say(told(), "but does not have it alone");
	say(told(), "fcntl locks are others");
	end(pid);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(flock(fd, LOCK_UN) ? 1 : 0);
	int status, other = open("locked", O_RDWR);

	waitpid(pid, &status, 0);
	say(status == 0 && flock(other, LOCK_EX | LOCK_NB) == 0,
	    "a child unlocks what it inherited");
	close(fd), close(other);
}

static volatile sig_atomic_t lease_broken;

static void on_lease(int number)
{
	(void)number;
	lease_broken = 1;
}

static void open_for_writing(void)
{
	wait_turn();
	tell(open("leased", O_WRONLY | O_NONBLOCK) == -1 && errno == EWOULDBLOCK);
	tell(open("leased", O_WRONLY) >= 0); /* waits until the lease is given up */
}

static void test_leases(void)
{
	struct sigaction action = { .sa_handler = on_lease };

	make_closed("leased", "l");
	pid_t pid = start(open_for_writing);
	int fd = open("leased", O_RDONLY);

	sigaction(SIGIO, &action, NULL);
	if (fcntl(fd, F_SETLEASE, F_RDLCK) == -1) {
		printf("skip - leases\n");
		kill(pid, SIGKILL);
		end(pid);
		close(fd);
		return;
	}
	say(fcntl(fd, F_GETLEASE) == F_RDLCK, "a read lease");
	go_on();
	say(told(), "keeps a writer out who does not wait");
	say(lease_broken, "and its holder hears of him");
	say(fcntl(fd, F_SETLEASE, F_UNLCK) == 0 && told(), "given up, he comes in");
	end(pid);
	close(fd);
}

static void test_rights(void)
{
	int fd = open("locked", O_RDONLY);

	REFUSED(lock(fd, F_SETLK, F_WRLCK, 0, 1), EBADF, "a write lock on a handle for reading");
	REFUSED(lock(fd, F_SETLK, F_RDLCK, -5, 1), EINVAL, "before the start");
	say(lock(fd, F_SETLK, F_RDLCK, INT64_MAX - 1, 1) == 0, "up to 2^63-1");
	close(fd);
}

int main(int argc, char **argv)
{
	posix_begin(argc, argv);
	test_ranges();
	test_blocking();
	test_deadlock();
	test_ofd();
	test_flock();
	test_leases();
	test_rights();
	return 0;
}
