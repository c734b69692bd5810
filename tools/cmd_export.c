/* cmd_export.c - daybook export: a directory as it was at an instant, as plain files or a tar
 * archive; or with it all of a share's past.
 *
 * Whoever may read may export what he may read: the files come out of .history/at/, through the
 * mount, by cp(1) and tar(1), which know times, owners, ACLs, xattrs and holes.  A store that is
 * not mounted is mounted for the while, for reading, where nobody else sees it. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
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

#include "past.h"
#include "rows.h"
#include "store/clock.h"
#include "taken.h"

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
	return error_set(e, -EIO,
			 "%s did not finish: what it said stands above; what may not be read is "
			 "not exported",
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
		execlp("daybookd", "daybookd", "-f", "-o", "ro", store, ret->directory,
		       (char *)NULL);
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

/* Adds ".history/at/TIME"; the time must be one that is understood, for it becomes a name in a
 * path. */
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

static int archive(const char *from, const char *target, struct error *e)
{
	char *tar[] = { "tar",
			"--create",
			"--format=pax",
			"--acls",
			"--xattrs",
			"--xattrs-include=*",
			"--sparse",
			"--numeric-owner",
			"--file",
			(char *)target,
			"--directory",
			(char *)from,
			".",
			NULL };

	return run(tar, e);
}

static int make_target(const char *target, struct error *e)
{
	if (mkdir(target, 0700) == 0)
		return 0;
	return errno == EEXIST ? error_set(e, -E_STORE_EXISTS,
					   "%s: is there already; name a new directory", target)
			       : error_system(e, "%s", target);
}

static int write_tree(const char *from, const char *target, struct error *e)
{
	CLEANUP(buf_release) struct buf inside = { 0 };

	if (is_archive(target))
		return archive(from, target, e);
	int r = make_target(target, e);
	if (r < 0)
		return r;
	buf_printf(&inside, "%s/.", from);
	char *cp[] = { "cp",
		       "--archive",
		       "--sparse=auto",
		       "--reflink=never",
		       (char *)buf_cstr(&inside),
		       (char *)target,
		       NULL };
	return run(cp, e);
}

/* The directory as it was at the instant that --at says. */
static int export_tree(const struct invocation *in, const struct whereabouts *place,
		       const char *target, struct error *e)
{
	CLEANUP(buf_release) struct buf from = { 0 };
	struct private_mount own = { 0 };
	int r = place->mountpoint ? 0 : mount_privately(place->store, &own, e);

	buf_printf(&from, "%s/%s", place->mountpoint ? place->mountpoint : own.directory,
		   place->path);
	if (r == 0)
		r = add_instant(&from, option(in, "at"), e);
	if (r == 0 && access(buf_cstr(&from), R_OK | X_OK) < 0)
		r = error_system(e, "%s", in->arguments[0]);
	if (r == 0)
		r = write_tree(buf_cstr(&from), target, e);
	unmount_privately(&own);
	return r;
}

/* --- the past ------------------------------------------------------------- */

static const char readme[] =
	"All of a Daybook share, as plain files.\n\n"
	"tree/          the files as they were when this was written, or at the time that was "
	"asked for\n"
	"versions/      every version of every file: "
	"DIRECTORY/NAME/NAME.TIME.vNUMBER.AUTHOR.EXTENSION, times in UTC\n"
	"versions.csv   one line for each version: its file, who saved it and when, its digest\n"
	"changes.csv    everything that happened, oldest first\n\n"
	"A digest is the BLAKE2b-256 of the bytes (b2sum -l 256) of files of up to 64 MiB; of "
	"larger ones see\n"
	"daybook-format(5). Versions flagged \"lost\" have no file: their bytes were lost when the "
	"store was damaged.\n";

static int write_readme(int directory, struct error *e)
{
	int fd = openat(directory, "README.txt", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int r = fd < 0 || write(fd, readme, sizeof(readme) - 1) != (ssize_t)sizeof(readme) - 1
			? error_system(e, "README.txt")
			: 0;

	if (fd >= 0)
		close(fd);
	return r;
}

static int write_past(const struct taken *taken, int directory, struct error *e)
{
	struct store_options looking = { .read_only = true };
	struct printer printer = { 0 };
	struct answer answer = print_answer(&printer, true);
	CLEANUP(buf_release) struct buf path = { 0 };
	struct past_report report;
	struct store *store = NULL;

	buf_printf(&path, "%s/%s", taken->store, taken->name);
	int r = store_open(buf_cstr(&path), &looking, &store, e);
	if (r == 0)
		r = past_write(store, directory, answer.progress, answer.arg, &report, e);
	print_end(&printer);
	store_close(store);
	if (r == 0 && report.lost)
		r = error_set(e, -E_CORRUPT,
			      "%llu versions cannot be read, and are in the list without a file",
			      (unsigned long long)report.lost);
	return r;
}

/* All of it into a new directory. */
static int export_all(const struct invocation *in, const struct whereabouts *place,
		      const char *target, struct error *e)
{
	CLEANUP(buf_release) struct buf tree = { 0 };
	struct taken taken;
	int r = make_target(target, e);

	if (r < 0)
		return r;
	buf_printf(&tree, "%s/tree", target);
	r = export_tree(in, place, buf_cstr(&tree), e);
	if (r < 0)
		return r;
	int directory = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = directory < 0 ? error_system(e, "%s", target) : write_readme(directory, e);
	if (r == 0)
		r = taken_make(place, &taken, e);
	if (r == 0) {
		r = write_past(&taken, directory, e);
		taken_drop(place, &taken);
	}
	if (directory >= 0)
		close(directory);
	return r;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/* An archive is made of a directory, which stands beside it meanwhile. */
static int export_history(const struct invocation *in, const struct whereabouts *place,
			  struct error *e)
{
	CLEANUP(buf_release) struct buf beside = { 0 };
	const char *target = in->arguments[1];
	bool standard_output = strcmp(target, "-") == 0;

	if (place->path[0])
		return error_set(
			e, -E_USAGE,
			"--history exports a share as a whole: name its root, or its store");
	if (!is_archive(target))
		return export_all(in, place, target, e);
	buf_printf(&beside, "%s.daybook-export-%ld", standard_output ? "/var/tmp/stdout" : target,
		   (long)getpid());
	int r = export_all(in, place, buf_cstr(&beside), e), kept = r;
	if (r == 0 || r == -E_CORRUPT)
		r = archive(buf_cstr(&beside), target, r == 0 ? e : NULL);
	nftw(buf_cstr(&beside), remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return r == 0 ? kept : r;
}

int cmd_export(const struct invocation *in, struct error *e)
{
	CLEANUP(whereabouts_release) struct whereabouts place = { 0 };
	int r = whereabouts_find(option(in, "store"), in->arguments[0], &place, e);

	if (r < 0)
		return r;
	return option(in, "history") ? export_history(in, &place, e)
				     : export_tree(in, &place, in->arguments[1], e);
}
