/* journal.c - unsaved bytes that a start finds: store/staging.h, store/recovery.h. Input: one byte,
 * then the file; with bit 0 of that byte the checksums of its entries are made right first, so that
 * what they say is believed; with bit 1 a start recovers it as a whole, as the journal of an inode
 * of the share. */
#include <xxhash.h>

#include "share.h"
#include "store/recovery.h"

static void put_number(uint8_t *at, uint64_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 8)
		at[i] = (uint8_t)v;
}

/* Makes the checksums right, from the first entry on as long as there are entries. */
static void seal_entries(uint8_t *bytes, size_t size)
{
	struct staging_head head;
	uint64_t salt = 0;

	for (size_t at = 0;
	     size - at >= STAGING_HEAD_LEN && staging_head_decode(&head, bytes + at);) {
		bool data = head.type == STAGING_BEGIN || head.type == STAGING_WRITE;
		uint64_t n = data ? head.length : 0;

		if (n > size - at - STAGING_HEAD_LEN)
			return;
		salt = head.type == STAGING_BEGIN ? head.content : salt;
		uint64_t seed = XXH3_64bits(bytes + at + STAGING_HEAD_LEN, n) ^ at ^
				(head.type == STAGING_BEGIN ? 0 : salt);
		put_number(bytes + at + STAGING_HEAD_LEN - 8,
			   XXH3_64bits_withSeed(bytes + at, STAGING_HEAD_LEN - 8, seed));
		at += STAGING_HEAD_LEN + n;
	}
}

static void write_journal(const char *name, const uint8_t *bytes, size_t size)
{
	int fd = openat(store_staging_fd(share), name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			0600);

	must(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	close(fd);
}

/* The extents of what was recovered cover it, in order and without gaps. */
static void check_work(const struct work *work)
{
	uint64_t at = 0;

	for (size_t i = 0; i < work->count; i++) {
		must(work->extents[i].at == at && work->extents[i].len > 0 &&
		     work->extents[i].len <= CONTENT_SIZE_MAX - at);
		at += work->extents[i].len;
	}
	must(at == work->size);
}

static void recover_alone(void)
{
	CLEANUP(buf_release) struct buf strings = { 0 };
	struct staging_origin origin;
	struct staging *staging;
	struct error e = { 0 };
	bool torn;
	int rc = staging_recover(store_journals(share), "2a", &staging, &origin, &strings, &torn,
				 &e);

	must(rc == 0 || rc == 1 || rc == -E_CORRUPT || rc == -E_FORMAT_NEWER);
	if (rc == 0) {
		struct work work = staging_work(staging);

		check_work(&work);
		staging_remove(staging);
		return;
	}
	unlinkat(store_staging_fd(share), "2a", 0);
	unlinkat(store_staging_fd(share), "lost-2a", 0);
}

static void recover_all(const char *name)
{
	struct error e = { 0 };
	int rc = recovery_run(share, &e);
	char lost[32];

	must(rc == 0 || (rc == e.code && rc != -E_KV));
	snprintf(lost, sizeof(lost), "lost-%s", name);
	unlinkat(store_staging_fd(share), name, 0);
	unlinkat(store_staging_fd(share), lost, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t how = take_u8(&in);
	uint8_t *bytes = malloc(in.left + 1);

	must(bytes);
	if (share_worn()) {
		share_close();
		share_begin();
	}
	memcpy(bytes, in.at, in.left);
	if (how & 1)
		seal_entries(bytes, in.left);
	write_journal(how & 2 ? "3" : "2a", bytes, in.left);
	if (how & 2)
		recover_all("3");
	else
		recover_alone();
	free(bytes);
	return 0;
}
