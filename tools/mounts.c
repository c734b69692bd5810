/* mounts.c - see mounts.h. */
#include "mounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mount_entry_release(struct mount_entry *m)
{
	free(m->point);
	free(m->root);
	free(m->type);
	free(m->source);
	*m = (struct mount_entry){ 0 };
}

void mount_unescape(char *text)
{
	char *to = text;

	for (const char *at = text; *at; to++) {
		if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' &&
		    at[3] >= '0' && at[3] <= '7') {
			*to = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
			at += 4;
		} else {
			*to = *at++;
		}
	}
	*to = '\0';
}

/* Whether path is point or below it. */
static int is_in(const char *path, const char *point)
{
	size_t n = strlen(point);

	if (strcmp(point, "/") == 0)
		return path[0] == '/';
	return strncmp(path, point, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* "36 35 98:0 /root /point options fields... - type source super": cut in place; 0 when it is no
 * such line. */
static int cut_line(char *line, struct mount_entry *ret)
{
	char *field[5] = { 0 }, *tail = strstr(line, " - "), *rest = line;

	if (!tail)
		return 0;
	*tail = '\0';
	tail += 3;
	for (size_t i = 0; i < 5; i++)
		field[i] = strsep(&rest, " ");
	*ret = (struct mount_entry){ .point = field[4],
				     .root = field[3],
				     .type = strsep(&tail, " "),
				     .source = strsep(&tail, " \n") };
	if (!ret->point || !ret->source)
		return 0;
	mount_unescape(ret->point);
	mount_unescape(ret->root);
	mount_unescape(ret->source);
	return 1;
}

static int keep(struct mount_entry *best, const struct mount_entry *m, struct error *e)
{
	mount_entry_release(best);
	*best = (struct mount_entry){ strdup(m->point), strdup(m->root), strdup(m->type),
				      strdup(m->source) };
	if (!best->point || !best->root || !best->type || !best->source)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	return 0;
}

int mount_find_in(FILE *table, const char *path, struct mount_entry *ret, struct error *e)
{
	struct mount_entry best = { 0 }, m;
	char *line = NULL;
	size_t room = 0;
	int r = 0;

	while (r == 0 && getline(&line, &room, table) > 0) {
		if (cut_line(line, &m) && is_in(path, m.point) &&
		    (!best.point || strlen(m.point) >= strlen(best.point)))
			r = keep(&best, &m, e);
	}
	free(line);
	/* A chroot's root need not be a mount: then the table has no line for it. */
	if (r == 0 && !best.point) {
		char root[] = "/", unknown[] = "none";

		r = keep(&best, &(struct mount_entry){ root, root, unknown, unknown }, e);
	}
	if (r < 0)
		mount_entry_release(&best);
	else
		*ret = best;
	return r;
}

int mount_find(const char *path, struct mount_entry *ret, struct error *e)
{
	FILE *table = fopen("/proc/self/mountinfo", "re");

	if (!table)
		return error_system(e, "/proc/self/mountinfo: cannot read the mount table: mount "
				       "/proc, or use --store");
	int r = mount_find_in(table, path, ret, e);
	fclose(table);
	return r;
}
