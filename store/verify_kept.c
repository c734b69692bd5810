/* verify_kept.c - what is kept of verifications in the store's directory: in the file VERIFY how
 * far one came that was stopped, in VERIFIED up to where all is read and well.
 *
 * u8 KEPT_FORMAT, varint change and digest of the log's newest record then (another history's is
 * not gone on with), the numbers of struct verify_kept as varints, string findings; last, a digest
 * of all that.  Only a hint: what does not read right is as if it were not there. */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "changelog.h"
#include "verify_parts.h"

#define KEPT_FORMAT 1
#define KEPT_MAX (4u << 20)

static const char *const names[] = { [VERIFY_STOPPED] = "VERIFY", [VERIFY_DONE] = "VERIFIED" };
static const char *const new_names[] = {
	[VERIFY_STOPPED] = "VERIFY.new", [VERIFY_DONE] = "VERIFIED.new"
};

#define KEPT_NUMBERS(X) \
	X(contents.next) X(contents.bytes) X(chunks.next) X(chunks.bytes) X(named_chunks) X(content_count) X(byte_count) \
	X(chunk_count) X(damaged)

static struct digest digest_of(struct view bytes)
{
	struct digest digest;

	crypto_generichash(digest.bytes, DIGEST_LEN, bytes.data, bytes.len, NULL, 0);
	return digest;
}

/* The log's record of that change is the one that was its newest then. */
static bool is_of_this_log(struct verifier *v, uint64_t change, struct view digest)
{
	struct view record;
	int found = verify_get(v, FAMILY_LOG, key_number(change), &record, NULL);
	struct digest now = digest_of(record);

	return found > 0 && digest.len == DIGEST_LEN &&
	       memcmp(now.bytes, digest.data, DIGEST_LEN) == 0;
}

static bool decode(struct verifier *v, struct view file)
{
	struct verify_kept kept = { 0 };
	struct digest digest;

	if (file.len <= DIGEST_LEN)
		return false;
	file.len -= DIGEST_LEN;
	digest = digest_of(file);
	if (memcmp(digest.bytes, (const uint8_t *)file.data + file.len, DIGEST_LEN) != 0)
		return false;
	struct reader in = reader_of(file);
	bool format = reader_u8(&in) == KEPT_FORMAT;
	uint64_t change = reader_varint(&in);
	struct view head = reader_bytes(&in, DIGEST_LEN);
	kept.tables = reader_u8(&in);
#define X(field) kept.field = reader_varint(&in);
	KEPT_NUMBERS(X)
#undef X
	struct view findings = reader_string(&in);
	if (!format || !reader_done(&in) || !is_of_this_log(v, change, head))
		return false;
	buf_append(&kept.findings, findings.data, findings.len);
	v->kept = kept;
	return true;
}

void verify_kept_read(struct verifier *v, enum verify_file which)
{
	CLEANUP(buf_release) struct buf file = { 0 };
	int fd = openat(v->store->directory_fd, names[which], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = 0;
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size < KEPT_MAX &&
	    buf_grow(&file, (size_t)st.st_size))
		n = pread(fd, file.data, (size_t)st.st_size, 0);
	if (n > 0 && n == st.st_size)
		decode(v, buf_view(&file));
	if (fd >= 0)
		close(fd);
}

static void encode(struct verifier *v, struct buf *out)
{
	struct digest head, digest;
	uint64_t change = 0;

	buf_u8(out, KEPT_FORMAT);
	if (changelog_head(v->store, &change, &head, NULL) < 0)
		memset(&head, 0, sizeof(head));
	buf_varint(out, change);
	buf_append(out, head.bytes, DIGEST_LEN);
	buf_u8(out, v->kept.tables);
#define X(field) buf_varint(out, v->kept.field);
	KEPT_NUMBERS(X)
#undef X
	buf_string(out, buf_view(&v->kept.findings));
	digest = digest_of(buf_view(out));
	buf_append(out, digest.bytes, DIGEST_LEN);
}

void verify_kept_write(struct verifier *v, enum verify_file which)
{
	CLEANUP(buf_release) struct buf file = { 0 };
	int directory = v->store->directory_fd;
	int fd = openat(directory, new_names[which], O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			0600);

	encode(v, &file);
	/* Of several verifications at once, one keeps what it did. */
	if (fd >= 0 && !file.failed && flock(fd, LOCK_EX | LOCK_NB) == 0 && ftruncate(fd, 0) == 0 &&
	    write(fd, file.data, file.len) == (ssize_t)file.len)
		renameat(directory, new_names[which], directory, names[which]);
	if (fd >= 0)
		close(fd);
}

void verify_kept_remove(struct verifier *v)
{
	unlinkat(v->store->directory_fd, names[VERIFY_STOPPED], 0);
}
