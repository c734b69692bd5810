/* saver.c MOUNT SEED STEPS - programs that save durably on a mount, and tell the trace what they
 *   were promised: try PATH UID DIGEST     what follows may make the file these bytes
 *   saved PATH UID DIGEST   fsync has returned
 * Three processes save into files of their own: written in place; as a temporary file renamed over;
 * made anew. */
#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/crash/trace.h"
#include "tests/unit/noise.h"

#define SAVERS 3
#define FILES 4
#define BYTES 20000
#define UID 4001

static void __attribute__((noreturn)) give_up(const char *what)
{
	perror(what);
	exit(1);
}

static void tell(const char *word, const char *path, const uint8_t *bytes)
{
	unsigned char digest[32];
	char hex[65];

	crypto_generichash(digest, sizeof(digest), bytes, BYTES, NULL, 0);
	trace_ack("%s %s %d %s", word, path, UID,
		  sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest)));
}

static void write_durably(const char *path, int flags, const uint8_t *bytes)
{
	int fd = open(path, flags | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0 || pwrite(fd, bytes, BYTES, 0) != BYTES || fsync(fd) < 0 || close(fd) < 0)
		give_up(path);
}

static void save(const char *path, bool exists, bool rename_over, const uint8_t *bytes)
{
	char temporary[80];

	tell("try", path, bytes);
	if (!rename_over) {
		write_durably(path, exists ? 0 : O_CREAT | O_EXCL, bytes);
	} else {
		snprintf(temporary, sizeof(temporary), "%s.tmp", path);
		write_durably(temporary, O_CREAT | O_EXCL, bytes);
		if (rename(temporary, path) < 0)
			give_up(path);
		int directory = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (directory < 0 || fsync(directory) < 0)
			give_up("fsync of the directory");
		close(directory);
	}
	tell("saved", path, bytes);
}

static void work(unsigned id, uint64_t seed, unsigned steps)
{
	bool exists[FILES] = { 0 };
	uint8_t *bytes = malloc(BYTES);
	char path[64];

	for (unsigned i = 0; i < steps && bytes; i++) {
		unsigned which = (unsigned)noise_below(&seed, FILES);

		noise_fill(bytes, BYTES, noise_next(&seed));
		snprintf(path, sizeof(path), "saver%u.file%u", id, which);
		save(path, exists[which], exists[which] && noise_below(&seed, 2), bytes);
		exists[which] = true;
	}
	free(bytes);
}

int main(int argc, char **argv)
{
	int status, rc = 0;

	if (argc != 4)
		return fprintf(stderr, "usage: saver MOUNT SEED STEPS\n"), 2;
	trace_ack("open");
	if (chdir(argv[1]) < 0 || chmod(".", 0777) < 0 || setgid(UID) < 0 || setuid(UID) < 0)
		give_up(argv[1]);
	for (unsigned id = 0; id < SAVERS; id++) {
		if (fork() == 0) {
			work(id, strtoull(argv[2], NULL, 10) * SAVERS + id,
			     (unsigned)atoi(argv[3]));
			exit(0);
		}
	}
	while (wait(&status) > 0)
		rc |= !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	return rc;
}
