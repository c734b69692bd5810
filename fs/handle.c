/* handle.c - see handle.h. */
#include "handle.h"

#include <stdlib.h>

#include "store/lock.h"

struct handles {
	struct lock lock;
	struct handle **at; /* by id; at[0] is never used */
	size_t count, free_first;
};

int handles_new(struct handles **ret, struct error *e)
{
	struct handles *handles = calloc(1, sizeof(*handles));

	if (!handles)
		return error_set(e, -E_NO_MEMORY, "out of memory for handles");
	lock_init(&handles->lock, LOCK_FS_TABLE);
	handles->free_first = 1;
	*ret = handles;
	return 0;
}

void handles_free(struct handles *handles)
{
	if (!handles)
		return;
	for (size_t i = 1; i < handles->count; i++)
		free(handles->at[i]);
	free(handles->at);
	lock_destroy(&handles->lock);
	free(handles);
}

static int grow(struct handles *handles)
{
	size_t count = handles->count ? handles->count * 2 : 64;
	struct handle **at = realloc(handles->at, count * sizeof(*at));

	if (!at)
		return -1;
	memset(at + handles->count, 0, (count - handles->count) * sizeof(*at));
	handles->at = at;
	handles->count = count;
	return 0;
}

int handle_add(struct handles *handles, struct handle **ret, struct error *e)
{
	struct handle *handle = calloc(1, sizeof(*handle));
	size_t id;

	if (!handle)
		return error_set(e, -E_NO_MEMORY, "out of memory for a handle");
	lock_take(&handles->lock);
	for (id = handles->free_first; id < handles->count && handles->at[id]; id++)
		;
	if (id >= handles->count && grow(handles) < 0) {
		lock_drop(&handles->lock);
		free(handle);
		return error_set(e, -E_NO_MEMORY, "out of memory for handles");
	}
	handle->id = id;
	handles->at[id] = handle;
	handles->free_first = id + 1;
	lock_drop(&handles->lock);
	*ret = handle;
	return 0;
}

int handle_find(struct handles *handles, uint64_t id, struct handle **ret, struct error *e)
{
	lock_take(&handles->lock);
	*ret = id && id < handles->count ? handles->at[id] : NULL;
	lock_drop(&handles->lock);
	return *ret ? 0 : error_set(e, -E_STALE, "there is no handle %llu", (unsigned long long)id);
}

void handle_remove(struct handles *handles, struct handle *handle)
{
	lock_take(&handles->lock);
	handles->at[handle->id] = NULL;
	if (handle->id < handles->free_first)
		handles->free_first = handle->id;
	lock_drop(&handles->lock);
	free(handle);
}
