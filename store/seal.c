/* seal.c - see seal.h. */
#include "seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "bytes.h"
#include "current.h"
#include "format.h"

static uint64_t checksum(const uint8_t encoded[SEAL_LEN])
{
	return XXH3_64bits(encoded, SEAL_LEN - 8);
}

static void write_record(const struct seal *s, bool closed)
{
	struct seal_record record = { .closed = closed,
				      .boot = s->boot,
				      .written = atomic_load(&s->written),
				      .stable = atomic_load(&s->stable),
				      .manifest = atomic_load(&s->manifest),
				      .manifest_bytes = atomic_load(&s->manifest_bytes) };
	uint8_t encoded[SEAL_LEN];

	if (record.manifest != atomic_load(&s->manifest))
		record.manifest_bytes = 0; /* it changed just now: of which of the two the length
					      is, is not known */

	if (s->fd < 0)
		return;
	seal_encode(encoded, &record);
	record.checksum = checksum(encoded);
	seal_encode(encoded, &record);
	/* Not written: what stands there claims less, and less is checked. */
	if (pwrite(s->fd, encoded, sizeof(encoded), 0) < 0)
		return;
}

/* At most once a second, unless now. */
static void note_manifest(struct seal *s, bool now)
{
	struct timespec t;
	uint64_t number, bytes;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	if ((!now && (uint64_t)t.tv_sec == atomic_load(&s->looked_at)) ||
	    atomic_flag_test_and_set(&s->looking))
		return;
	atomic_store(&s->looked_at, (uint64_t)t.tv_sec);
	current_look(s->directory_fd, &number, &bytes);
	if (number != atomic_load(&s->manifest))
		atomic_store(&s->manifest_bytes, 0);
	atomic_store(&s->manifest, number);
	atomic_store(&s->manifest_bytes, bytes);
	atomic_flag_clear(&s->looking);
}

static void raise_to(atomic_uint_least64_t *at, uint64_t value)
{
	uint64_t old = atomic_load(at);

	while (old < value && !atomic_compare_exchange_weak(at, &old, value))
		;
}

void seal_written(struct seal *s, uint64_t sequence)
{
	raise_to(&s->written, sequence);
	note_manifest(s, false);
	write_record(s, false);
}

void seal_stable(struct seal *s, uint64_t sequence)
{
	raise_to(&s->written, sequence);
	raise_to(&s->stable, sequence);
	note_manifest(s, true);
	write_record(s, false);
}

static bool read_record(int directory_fd, struct seal_record *record)
{
	int fd = openat(directory_fd, "SEAL", O_RDONLY | O_CLOEXEC);
	uint8_t encoded[SEAL_LEN];
	ssize_t n = fd < 0 ? 0 : pread(fd, encoded, sizeof(encoded), 0);

	if (fd >= 0)
		close(fd);
	return n == SEAL_LEN && seal_decode(record, encoded) &&
	       record->checksum == checksum(encoded);
}

int seal_check(int directory_fd, uint64_t boot, struct seal_claim *ret, struct error *e)
{
	struct seal_record record;
	uint64_t number, bytes;

	*ret = (struct seal_claim){ .known = read_record(directory_fd, &record), .cut = true };
	if (!ret->known)
		return 0;
	ret->cut = !boot || record.boot != boot;
	bool all = record.closed || !ret->cut;
	ret->closed = record.closed;
	ret->sequence = all ? record.written : record.stable;
	ret->manifest = all ? record.manifest : 0;
	if (current_look(directory_fd, &number, &bytes) && all &&
	    (number < record.manifest ||
	     (number == record.manifest && bytes < record.manifest_bytes)))
		return error_set(e, -E_CORRUPT,
				 "db/MANIFEST-%06llu is older or shorter than it was: nothing was "
				 "touched; restore db/ from a backup",
				 (unsigned long long)number);
	return 0;
}

int seal_start(struct seal *s, int directory_fd, uint64_t boot, uint64_t sequence, struct error *e)
{
	s->boot = boot;
	atomic_store(&s->written, sequence);
	atomic_store(&s->stable, 0);
	s->directory_fd = directory_fd;
	note_manifest(s, true);
	s->fd = openat(directory_fd, "SEAL", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->fd < 0)
		return error_system(e, "db/SEAL");
	write_record(s, false);
	return 0;
}

void seal_close(struct seal *s, bool whole)
{
	if (s->fd < 0)
		return;
	note_manifest(s, true);
	if (whole)
		atomic_store(&s->stable, atomic_load(&s->written));
	write_record(s, whole);
	close(s->fd);
	s->fd = -1;
}
