/* region.c - see region.h. */
#include "region.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ull
#define HEAD_BYTES (4 * PAGE)
#define BASES_AT HEAD_BYTES
#define HANDLES_AT (BASES_AT + BASES_BYTES)
#define NODES_AT ((HANDLES_AT + HANDLES_BYTES + PAGE - 1) / PAGE * PAGE)
#define REGION_BYTES ((NODES_AT + HISTORY_BYTES + PAGE - 1) / PAGE * PAGE)

_Static_assert(sizeof(struct region) <= HEAD_BYTES, "the head fits");

/* Sizes and offsets are what a forgotten REGION_FORMAT would get wrong first. */
static uint32_t layout(void)
{
	uint64_t parts[] = { sizeof(struct region), sizeof(struct handle), HANDLES_AT, NODES_AT,
			     REGION_BYTES };
	uint64_t mixed = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		mixed = mixed * 1000003 + parts[i];
	return (uint32_t)(mixed ^ mixed >> 32);
}

static bool ends(const char *text, size_t n)
{
	return memchr(text, '\0', n) != NULL;
}

int region_new(int *ret_fd, struct error *e)
{
	struct region *region;
	int fd = memfd_create("daybookd", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)REGION_BYTES) < 0)
		return error_system(e, "memory for the mount");
	region = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (region == MAP_FAILED) {
		close(fd);
		return error_system(e, "memory for the mount");
	}
	region->format = REGION_FORMAT;
	region->layout = layout();
	munmap(region, PAGE);
	*ret_fd = fd;
	return 0;
}

int region_map(int fd, struct region **ret, struct error *e)
{
	struct region *region =
		mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

	if (region == MAP_FAILED)
		return error_system(e, "memory for the mount");
	if (region->format == REGION_FORMAT && region->layout == layout() &&
	    (region->init_len > REGION_INIT_MAX || !ends(region->store, sizeof(region->store)) ||
	     !ends(region->mountpoint, sizeof(region->mountpoint)))) {
		munmap(region, REGION_BYTES);
		return error_set(e, -E_CORRUPT,
				 "what the process before left of the mount is damaged");
	}
	if (region->format != REGION_FORMAT || region->layout != layout()) {
		munmap(region, REGION_BYTES);
		return error_set(
			e, -E_FORMAT_NEWER,
			"the mount was made by another Daybook, with which this one cannot go "
			"on: unmount the share and mount it again");
	}
	*ret = region;
	return 0;
}

void *region_bases(struct region *region)
{
	return (char *)region + BASES_AT;
}

void *region_handles(struct region *region)
{
	return (char *)region + HANDLES_AT;
}

void *region_nodes(struct region *region)
{
	return (char *)region + NODES_AT;
}
