/* memory.c - preloaded into daybookd or daybook: memory runs out for one allocation.
 *
 * MEMORY is a file of two u32: how many allocations are left until one fails (0: none does), and how many have failed.
 * Those count that Daybook's own objects and libfuse make; RocksDB and the C++ library end the program when theirs fail.
 * With MEMORY_OF=worker those of the process that keeps the mount do not. */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static struct {
	_Atomic uint32_t left, failed;
} *shared;

/* Where the code is whose allocations count. */
static struct {
	uintptr_t first, end;
} ours[4];
static int ours_count;

static int note_code(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	if (info->dlpi_name[0] && !strstr(info->dlpi_name, "/libfuse3."))
		return 0;
	for (int i = 0; i < info->dlpi_phnum && ours_count < 4; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		ours[ours_count].first = info->dlpi_addr + p->p_vaddr;
		ours[ours_count].end = ours[ours_count].first + p->p_memsz;
		ours_count++;
	}
	return 0;
}

__attribute__((constructor)) static void begin(int argc, char **argv)
{
	const char *path = getenv("MEMORY"), *of = getenv("MEMORY_OF");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if (fd < 0 || (of && (argc < 2 || strcmp(argv[1], "--worker") != 0)))
		return;
	dl_iterate_phdr(note_code, NULL);
	void *area = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (area != MAP_FAILED)
		shared = area;
}

static bool fails(const void *caller)
{
	uintptr_t at = (uintptr_t)caller;
	bool counts = false;

	if (!shared || !shared->left)
		return false;
	for (int i = 0; i < ours_count; i++)
		counts = counts || (at >= ours[i].first && at < ours[i].end);
	uint32_t left = shared->left;
	while (counts && left && !atomic_compare_exchange_weak(&shared->left, &left, left - 1))
		;
	if (!counts || left != 1)
		return false;
	shared->failed++;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}
