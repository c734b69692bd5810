/* region.h - memory that outlives the worker: all that the next one needs, besides the store, to go
 * on with the mount (see holder.h).  It is a memory file that the holder makes and every worker
 * maps; what of it is never touched costs nothing. */
#ifndef DAYBOOK_FS_REGION_H
#define DAYBOOK_FS_REGION_H

#include "bases.h"
#include "handle.h"
#include "history.h"

#define REGION_FORMAT 5 /* to be raised with every change of what is in it; see also layout */
#define REGION_INIT_MAX 256

struct region {
	uint32_t format;
	/* Its parts' sizes: a worker that finds others cannot go on with the mount. */
	uint32_t layout;
	int32_t holder;          /* its pid */
	uint32_t workers;        /* that have served, the present one included */
	uint32_t init_len;       /* 0: the kernel has not been greeted */
	/* The kernel's INIT request, which every worker's libfuse must see. */
	_Alignas(8) uint8_t init[REGION_INIT_MAX];
	int64_t mounted_ns, started_ns; /* of the mount, of the present worker: clock_now() */
	uint64_t mounted_change; /* the newest change when the share was mounted */
	_Atomic uint64_t resends; /* 1: the kernel sends again what was not answered */
	/* Absolute; a worker must not look for them: its own mount would not answer. */
	char store[4096], mountpoint[4096];
};

/* A new one: *ret_fd is the caller's. */
int region_new(int *ret_fd, struct error *e);
/* Maps it; -E_FORMAT_NEWER when it is another Daybook's, -E_CORRUPT when a worker left nonsense. */
int region_map(int fd, struct region **ret, struct error *e);

/* Its parts, as handle.h, bases.h and history.h have them. */
void *region_bases(struct region *region);
void *region_handles(struct region *region);
void *region_nodes(struct region *region);

#endif
