/* handle.c - see handle.h. */
#include "handle.h"

#include <sys/mman.h>
#include <stdlib.h>

#include "store/lock.h"

_Static_assert(HANDLES_MAX == (1 << HANDLE_PLACE_BITS) - 1, "a place fits its bits");

/* at[0] is no handle: its id is the highest place that was ever used, its opened_by how many
 * handles there were. */
struct handles {
	struct lock lock;
	struct handle *at;
	uint64_t free_first;
	bool own;
};

static uint64_t place_of(uint64_t id)
{
	return id & HANDLES_MAX;
}

/* Makes a handle that another process left one of ours; what that process was writing when it died
 * is no handle. */
static void inherit(struct handle *handle, uint64_t place, uint64_t count)
{
	if (place_of(handle->id) != place || handle->id >> HANDLE_PLACE_BITS > count)
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
	for (uint64_t place = 1; place <= handles->at[0].id; place++)
		inherit(&handles->at[place], place, handles->at[0].opened_by);
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
	uint64_t place;

	lock_take(&handles->lock);
	for (place = handles->free_first; place <= HANDLES_MAX && handles->at[place].id; place++)
		;
	if (place > HANDLES_MAX) {
		lock_drop(&handles->lock);
		return error_set(e, -E_TOO_MANY_OPEN, "more than %d files are open", HANDLES_MAX);
	}
	handles->at[place] = (struct handle){ .opened_by = opened_by };
	handles->at[place].id = ++handles->at[0].opened_by << HANDLE_PLACE_BITS | place;
	if (place > handles->at[0].id)
		handles->at[0].id = place;
	handles->free_first = place + 1;
	lock_drop(&handles->lock);
	*ret = &handles->at[place];
	return 0;
}

int handle_find(struct handles *handles, uint64_t id, struct handle **ret, struct error *e)
{
	struct handle *handle = &handles->at[place_of(id)];

	lock_take(&handles->lock);
	*ret = place_of(id) && handle->id == id ? handle : NULL;
	lock_drop(&handles->lock);
	return *ret ? 0 : error_set(e, -E_STALE, "there is no handle %llu", (unsigned long long)id);
}

struct handle *handle_next(struct handles *handles, uint64_t after)
{
	for (uint64_t place = place_of(after) + 1; place <= handles->at[0].id; place++) {
		if (handles->at[place].id)
			return &handles->at[place];
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
	if (place_of(handle->id) < handles->free_first)
		handles->free_first = place_of(handle->id);
	handle->id = 0;
	lock_drop(&handles->lock);
}
