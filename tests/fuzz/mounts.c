/* mounts.c - the mount table, in which anybody who may mount writes names: tools/mounts.h.
 * Input: a path to look for, then the table. */
#include "fuzz.h"
#include "tools/mounts.h"

static bool is_above(const char *point, const char *path)
{
	size_t n = strlen(point);

	return strcmp(point, "/") == 0 ||
	       (strncmp(path, point, n) == 0 && (path[n] == '/' || !path[n]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_release) struct buf path = { 0 };
	struct input in = { data, size };
	struct mount_entry found;
	struct view name = take_string(&in);

	buf_u8(&path, '/');
	buf_append(&path, name.data, name.len);
	FILE *table = fmemopen((void *)(uintptr_t)(in.left ? in.at : (const uint8_t *)"\n"),
			       in.left ? in.left : 1, "r");
	must(table);
	must(mount_find_in(table, buf_cstr(&path), &found, NULL) == 0);
	fclose(table);
	must(found.type && found.source && found.root && is_above(found.point, buf_cstr(&path)));
	mount_entry_release(&found);
	return 0;
}
