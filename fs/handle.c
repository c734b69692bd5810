/* handle.c - see handle.h. */
#include "handle.h"

#include <sys/mman.h>
#include <stdlib.h>

#include "store/lock.h"

/* at[0] is no handle: its id is the highest that was ever used. */
struct handles {
	struct lock lock;
	struct handle *at;
	uint64_t free_first;
	bool own;
};

/* Makes a handle that another process left one of ours; what that process was writing when it died
 * is no handle. */
static void inherit(struct handle *handle, uint64_t id)
{
	if (handle->id != id)
		handle->id = 0;
	handle->file = NULL;
	handle->past = NULL;
	handle->who.name[sizeof(handle->who.name) - 1] = '\0';
	handle->who.command[sizeof(handle->who.command) - 1] = '\0';
	handle->who.client[sizeof(handle->who.client) - 1] = '\0';
}

int handles_new(void *memory, struct handles **ret, struct error *e)
{
	struct handles *handles = calloc(1, sizeof(*handles));
	void *at = memory;

	if (!memory)
		at = mmap(NULL, HANDLES_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!handles || at == MAP_FAILED) {
		free(handles);
		return error_set(e, -E_NO_MEMORY, "out of memory for handles");
	}
	handles->at = at;
	handles->own = !memory;
	handles->free_first = 1;
	lock_init(&handles->lock, LOCK_FS_TABLE);
	if (handles->at[0].id > HANDLES_MAX) {
		handles_free(handles);
		return error_set(e, -E_CORRUPT, "the table of open files is damaged");
	}
	for (uint64_t id = 1; id <= handles->at[0].id; id++)
		inherit(&handles->at[id], id);
	*ret = handles;
	return 0;
}

void handles_free(struct handles *handles)
{
	if (!handles)
		return;
	if (handles->own)
		munmap(handles->at, HANDLES_BYTES);
	lock_destroy(&handles->lock);
	free(handles);
}

int handle_add(struct handles *handles, uint64_t opened_by, struct handle **ret, struct error *e)
{
	uint64_t id;

	lock_take(&handles->lock);
	for (id = handles->free_first; id <= HANDLES_MAX && handles->at[id].id; id++)
		;
	if (id > HANDLES_MAX) {
		lock_drop(&handles->lock);
		return error_set(e, -E_TOO_MANY_OPEN, "more than %d files are open", HANDLES_MAX);
	}
	handles->at[id] = (struct handle){ .opened_by = opened_by };
	handles->at[id].id = id;
	if (id > handles->at[0].id)
		handles->at[0].id = id;
	handles->free_first = id + 1;
	lock_drop(&handles->lock);
	*ret = &handles->at[id];
	return 0;
}

int handle_find(struct handles *handles, uint64_t id, struct handle **ret, struct error *e)
{
	lock_take(&handles->lock);
	*ret = id && id <= handles->at[0].id && handles->at[id].id == id ? &handles->at[id] : NULL;
	lock_drop(&handles->lock);
	return *ret ? 0 : error_set(e, -E_STALE, "there is no handle %llu", (unsigned long long)id);
}

struct handle *handle_next(struct handles *handles, uint64_t after)
{
	for (uint64_t id = after + 1; id <= handles->at[0].id; id++) {
		if (handles->at[id].id == id)
			return &handles->at[id];
	}
	return NULL;
}

struct handle *handle_opened_by(struct handles *handles, uint64_t request)
{
	struct handle *handle = NULL;

	lock_take(&handles->lock);
	while ((handle = handle_next(handles, handle ? handle->id : 0)) &&
	       handle->opened_by != request)
		;
	lock_drop(&handles->lock);
	return handle;
}

void handle_remove(struct handles *handles, struct handle *handle)
{
	lock_take(&handles->lock);
	if (handle->id < handles->free_first)
		handles->free_first = handle->id;
	handle->id = 0;
	lock_drop(&handles->lock);
}
