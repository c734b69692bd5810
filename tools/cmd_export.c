/* cmd_export.c - daybook export: a directory as it was at an instant, as plain files or a tar archive.
 *
 * Whoever may read may export what he may read: the files come out of .history/at/, through the mount, by cp(1) and
 * tar(1), which know times, owners, ACLs, xattrs and holes.  A store that is not mounted is mounted for the while, for
 * reading, where nobody else sees it. */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rows.h"
#include "store/clock.h"

#define MOUNT_TRIES 600 /* of 50 ms */

/* A mount of our own. */
struct private_mount {
	char directory[64];
	pid_t daemon; /* 0: none */
};

static int run(char *const arguments[], struct error *e)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		execvp(arguments[0], arguments);
		fprintf(stderr, "daybook export: %s: %s\n", arguments[0], strerror(errno));
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return error_system(e, "%s", arguments[0]);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return error_set(e, -EIO, "%s did not finish: what it said stands above; what may not be read is not exported",
			 arguments[0]);
}

static bool is_mounted(const char *directory)
{
	struct stat here, above;
	char up[80];

	snprintf(up, sizeof(up), "%s/..", directory);
	return stat(directory, &here) == 0 && stat(up, &above) == 0 && here.st_dev != above.st_dev;
}

static int mount_privately(const char *store, struct private_mount *ret, struct error *e)
{
	snprintf(ret->directory, sizeof(ret->directory), "/tmp/daybook-export.XXXXXX");
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_system(e, "%s: cannot be mounted for the while (root can)", store);
	if (!mkdtemp(ret->directory))
		return error_system(e, "%s", ret->directory);
	ret->daemon = fork();
	if (ret->daemon == 0) {
		execlp("daybookd", "daybookd", "-f", "-o", "ro", store, ret->directory, (char *)NULL);
		fprintf(stderr, "daybook export: daybookd: %s\n", strerror(errno));
		_exit(127);
	}
	for (int i = 0; ret->daemon > 0 && i < MOUNT_TRIES; i++) {
		if (is_mounted(ret->directory))
			return 0;
		if (waitpid(ret->daemon, NULL, WNOHANG) == ret->daemon)
			ret->daemon = 0;
		else
			usleep(50000);
	}
	return error_set(e, -E_NO_DAEMON, "%s: could not be mounted for reading", store);
}

static void unmount_privately(struct private_mount *own)
{
	if (own->daemon > 0) {
		kill(own->daemon, SIGTERM);
		waitpid(own->daemon, NULL, 0);
	}
	if (own->directory[0])
		rmdir(own->directory);
}

/* Adds ".history/at/TIME"; the time must be one that is understood, for it becomes a name in a path. */
static int add_instant(struct buf *path, const char *text, struct error *e)
{
	char name[CLOCK_NAME_LEN + 1];
	int64_t last;
	int r = 0;

	if (text)
		r = clock_parse(view_str(text), clock_now(), &last, e);
	if (r < 0)
		return r;
	clock_name(name, text ? last : clock_now());
	buf_printf(path, "/" HISTORY_NAME "/at/%s", name);
	return buf_check(path, e);
}

static bool is_archive(const char *target)
{
	size_t n = strlen(target);

	return strcmp(target, "-") == 0 || (n > 4 && strcmp(target + n - 4, ".tar") == 0);
}

static int write_out(const char *from, const char *target, struct error *e)
{
	CLEANUP(buf_release) struct buf inside = { 0 };
	char *tar[] = { "tar", "--create", "--format=pax", "--acls", "--xattrs", "--xattrs-include=*", "--sparse", "--numeric-owner",
			"--file", (char *)target, "--directory", (char *)from, ".", NULL };

	if (is_archive(target))
		return run(tar, e);
	if (mkdir(target, 0700) < 0)
		return errno == EEXIST ? error_set(e, -E_STORE_EXISTS, "%s: is there already; name a new directory", target)
				       : error_system(e, "%s", target);
	buf_printf(&inside, "%s/.", from);
	char *cp[] = { "cp", "--archive", "--sparse=auto", "--reflink=never", (char *)buf_cstr(&inside), (char *)target, NULL };
	return run(cp, e);
}

int cmd_export(const struct invocation *in, struct error *e)
{
	CLEANUP(whereabouts_release) struct whereabouts place = { 0 };
	CLEANUP(buf_release) struct buf from = { 0 };
	struct private_mount own = { 0 };
	int r = whereabouts_find(option(in, "store"), in->arguments[0], &place, e);

	if (r < 0)
		return r;
	if (!place.mountpoint)
		r = mount_privately(place.store, &own, e);
	buf_printf(&from, "%s/%s", place.mountpoint ? place.mountpoint : own.directory, place.path);
	if (r == 0)
		r = add_instant(&from, option(in, "at"), e);
	if (r == 0 && access(buf_cstr(&from), R_OK | X_OK) < 0)
		r = error_system(e, "%s", in->arguments[0]);
	if (r == 0)
		r = write_out(buf_cstr(&from), in->arguments[1], e);
	unmount_privately(&own);
	return r;
}
