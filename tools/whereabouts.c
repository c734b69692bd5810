/* whereabouts.c - see client.h: from a path as a person writes it to a store and a path in its
 * share. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client.h"
#include "mounts.h"

void whereabouts_release(struct whereabouts *place)
{
	free(place->store);
	free(place->path);
	free(place->mountpoint);
	*place = (struct whereabouts){ 0 };
}

static int out_of_memory(struct error *e)
{
	return error_set(e, -E_NO_MEMORY, "out of memory");
}

/* The path made absolute, with "." and double slashes gone; ".." stay, for what they mean depends
 * on symlinks. */
static int make_absolute(const char *path, char **ret, struct error *e)
{
	CLEANUP(buf_release) struct buf out = { 0 };
	char working[PATH_MAX];

	if (path[0] != '/') {
		if (!getcwd(working, sizeof(working)))
			return error_system(e, "the working directory is gone");
		buf_printf(&out, "%s", working);
	}
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n > 0 && !(n == 1 && path[0] == '.')) {
			if (!out.len || out.data[out.len - 1] != '/')
				buf_u8(&out, '/');
			buf_append(&out, path, n);
		}
		path += n + (path[n] == '/');
	}
	if (!out.len)
		buf_u8(&out, '/');
	*ret = strdup(buf_cstr(&out));
	return *ret && !out.failed ? 0 : out_of_memory(e);
}

/* Without symlinks, as far as the path exists; what does not exist any more is kept as it was
 * written. */
static int resolve(const char *absolute, char **ret, struct error *e)
{
	char *head = strdup(absolute), *real = NULL, *slash;
	int r = 0;

	if (!head)
		return out_of_memory(e);
	while (!(real = realpath(head, NULL)) && (slash = strrchr(head, '/')) && slash > head) {
		if (errno == EACCES)
			break;
		*slash = '\0';
	}
	const char *rest = absolute + strlen(head);
	if (!real)
		real = strdup("/"), rest = absolute;
	while (*rest == '/')
		rest++;
	if (!real || asprintf(ret, "%s%s%s", strcmp(real, "/") == 0 ? "" : real,
			      *rest || !real[1] ? "/" : "", rest) < 0)
		r = out_of_memory(e);
	free(head);
	free(real);
	return r;
}

/* Joins two relative paths. */
static int join(const char *a, const char *b, char **ret, struct error *e)
{
	while (*a == '/')
		a++;
	while (*b == '/')
		b++;
	return asprintf(ret, "%s%s%s", a, *a && *b ? "/" : "", b) < 0 ? out_of_memory(e) : 0;
}

static int not_on_a_share(const char *path, struct error *e)
{
	return error_set(e, -E_NO_DAEMON,
			 "%s: is not on a mounted Daybook share: name a path on one, or a "
			 "store's directory",
			 path);
}

/* Cuts the path at the mount: what lies below it goes to *ret_path. */
static int below_mount(const struct mount_entry *m, const char *path, char **ret_path,
		       struct error *e)
{
	const char *rest = path + (strcmp(m->point, "/") == 0 ? 0 : strlen(m->point));

	return join(m->root, rest, ret_path, e);
}

static int find_stored(const char *store, const char *path, struct whereabouts *ret,
		       struct error *e)
{
	ret->store = realpath(store, NULL);
	if (!ret->store)
		return error_system(e, "%s: cannot find the store", store);
	return join("", path ? path : "", &ret->path, e);
}

/* A store's own directory stands for the root of its share. */
static int find_by_store(const char *path, struct whereabouts *ret, struct error *e)
{
	CLEANUP(buf_release) struct buf format = { 0 };

	buf_printf(&format, "%s/%s", path, STORE_FORMAT_NAME);
	if (format.failed)
		return out_of_memory(e);
	return access(buf_cstr(&format), F_OK) == 0 ? find_stored(path, NULL, ret, e)
						    : not_on_a_share(path, e);
}

static int find_mounted(const char *path, struct whereabouts *ret, struct error *e)
{
	struct mount_entry m = { 0 };
	char *absolute = NULL, *real = NULL;
	int r = make_absolute(path, &absolute, e);

	/* The mountpoint itself is found without touching the mount. */
	if (r == 0)
		r = mount_find(absolute, &m, e);
	if (r == 0 && strcmp(m.type, MOUNT_TYPE) == 0 && strcmp(m.point, absolute) == 0) {
		real = strdup(absolute);
	} else if (r == 0) {
		mount_entry_release(&m);
		r = resolve(absolute, &real, e);
		if (r == 0)
			r = mount_find(real, &m, e);
	}
	bool mounted = r == 0 && strcmp(m.type, MOUNT_TYPE) == 0;
	if (r == 0 && !mounted)
		r = find_by_store(path, ret, e);
	else if (r == 0)
		r = below_mount(&m, real, &ret->path, e);
	if (r == 0 && mounted) {
		ret->store = strdup(m.source);
		ret->mountpoint = strdup(m.point);
		r = ret->store && ret->mountpoint ? 0 : out_of_memory(e);
	}
	mount_entry_release(&m);
	free(absolute);
	free(real);
	return r;
}

int whereabouts_find(const char *store, const char *path, struct whereabouts *ret, struct error *e)
{
	int r;

	*ret = (struct whereabouts){ 0 };
	r = store ? find_stored(store, path, ret, e) : find_mounted(path ? path : ".", ret, e);
	if (r < 0)
		whereabouts_release(ret);
	return r;
}

int whereabouts_second(const struct whereabouts *first, const char *path, char **ret,
		       struct error *e)
{
	struct whereabouts second;
	int r;

	if (!first->mountpoint)
		return join("", path, ret, e);
	r = whereabouts_find(NULL, path, &second, e);
	if (r < 0)
		return r;
	if (strcmp(second.store, first->store) == 0) {
		*ret = second.path;
		second.path = NULL;
	} else {
		r = error_set(e, -E_USAGE, "%s: is on another share; copy from .history instead",
			      path);
	}
	whereabouts_release(&second);
	return r;
}
