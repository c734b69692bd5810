/* wal.c - see wal.h. */
#include "wal.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define BLOCK 32768u
#define HEAD 7u
#define SEQUENCE_MAX ((1ull << 56) - 1)
#define BATCH_HEAD 12 /* sequence u64, count u32, little-endian */
#define LOG_DATA_TAG 3

enum record_type { WHOLE = 1, FIRST = 2, MIDDLE = 3, LAST = 4, TYPE_MAX = 11 };

/* at[n]: what a byte does to the checksum with n bytes behind it. */
struct crc_table {
	uint32_t at[8][256];
};

/* What is known of all logs so far. */
struct survey {
	struct crc_table crc_table;
	uint64_t boot;        /* of the last mark seen */
	uint64_t stable;      /* highest that a mark told */
	/* Last one in whole batches before the first bad place, 0 = there is none. */
	uint64_t sequence;
	/* The first bad place. */
	char bad_name[32];    /* "" = none yet */
	uint64_t bad_at;
	bool bad_is_short;    /* the file ends within the record */
	/* Nothing is damaged, but numbers are missing before the batch there. */
	bool bad_is_gap;
	bool more_after;      /* records that check stand behind it */
	uint64_t sequence_after; /* first one of a batch there, 0 = there is none */
	uint64_t before_after;   /* and what its mark says was logged before it */
};

/* ---- marks ---- */

uint64_t wal_boot(void)
{
	char id[40] = "";
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, id, sizeof(id));

	if (fd >= 0)
		close(fd);
	return n > 0 ? XXH3_64bits(id, (size_t)n) : 0;
}

static void put_u64(uint8_t *out, uint64_t v)
{
	for (size_t i = 0; i < 8; i++)
		out[i] = (uint8_t)(v >> (56 - 8 * i));
}

void wal_mark(uint8_t out[WAL_MARK_LEN], uint64_t boot, uint64_t stable, uint64_t before)
{
	out[0] = 'D';
	out[1] = 'b';
	put_u64(out + 2, boot);
	put_u64(out + 10, stable);
	put_u64(out + 18, before);
}

static uint64_t little_endian(const uint8_t *at, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | at[n];
	return v;
}

/* What it says was logged before. */
static uint64_t survey_mark(struct survey *s, const uint8_t numbers[24])
{
	struct reader r = reader_of(view_of(numbers, 24));

	s->boot = reader_u64(&r);
	uint64_t stable = reader_u64(&r);
	s->stable = s->stable > stable ? s->stable : stable;
	return reader_u64(&r);
}

/* ---- records ---- */

static void fill_crc_table(struct crc_table *table)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
		table->at[0][i] = crc;
	}
	for (size_t n = 1; n < 8; n++)
		for (size_t i = 0; i < 256; i++) {
			uint32_t before = table->at[n - 1][i];

			table->at[n][i] = table->at[0][before & 255] ^ before >> 8;
		}
}

/* CRC-32C, masked as RocksDB stores it.  Eight bytes at a time: every start reads all logs. */
static uint32_t masked_crc(const struct crc_table *table, const uint8_t *data, size_t n)
{
	uint32_t crc = ~0u;
	uint64_t eight;

	for (; n >= 8; n -= 8, data += 8) {
		memcpy(&eight, data, 8);
		eight = le64toh(eight) ^ crc;
		crc = 0;
		for (size_t i = 0; i < 8; i++, eight >>= 8)
			crc ^= table->at[7 - i][eight & 255];
	}
	while (n-- > 0)
		crc = table->at[0][(crc ^ *data++) & 255] ^ crc >> 8;
	crc = ~crc;
	return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

void wal_record(struct buf *out, struct view payload)
{
	uint8_t head[HEAD] = {
		[4] = (uint8_t)payload.len, [5] = (uint8_t)(payload.len >> 8), [6] = WHOLE
	};
	CLEANUP(buf_release) struct buf checked = { 0 };
	struct crc_table table;
	uint32_t crc;

	fill_crc_table(&table);
	buf_u8(&checked, WHOLE);
	buf_append(&checked, payload.data, payload.len);
	crc = checked.failed ? 0 : masked_crc(&table, checked.data, checked.len);
	for (size_t i = 0; i < 4; i++)
		head[i] = (uint8_t)(crc >> 8 * i);
	buf_append(out, head, HEAD);
	buf_append(out, payload.data, payload.len);
}

struct record {
	enum record_type type;
	const uint8_t *payload;
	size_t len;
	uint64_t next; /* where the one after it stands */
};

enum record_state { RECORD_GOOD, RECORD_END, RECORD_SHORT, RECORD_BAD };

/* Reads the record at offset at of a log of n bytes. */
static enum record_state read_record(const struct survey *s, const uint8_t *log, uint64_t n,
				     uint64_t at, struct record *ret)
{
	uint64_t left = BLOCK - at % BLOCK;

	if (left < HEAD)
		at += left; /* too little for a head: zeros */
	ret->next = at;
	if (at >= n)
		return RECORD_END;
	if (n - at < HEAD)
		return RECORD_SHORT;
	left = BLOCK - at % BLOCK;
	size_t len = (size_t)little_endian(log + at + 4, 2);
	if (len > left - HEAD)
		return RECORD_BAD;
	if (len > n - at - HEAD)
		return RECORD_SHORT;
	*ret = (struct record){ (enum record_type)log[at + 6], log + at + HEAD, len,
				at + HEAD + len };
	if (ret->type == 0 || ret->type > TYPE_MAX)
		return RECORD_BAD;
	uint32_t crc = masked_crc(&s->crc_table, log + at + 6, len + 1);
	return crc == little_endian(log + at, 4) ? RECORD_GOOD : RECORD_BAD;
}

#define BATCH_START (BATCH_HEAD + 2 + WAL_MARK_LEN)

/* A batch: where its first record stands, and its first bytes, which may be divided between several
 * records. */
struct batch {
	uint64_t at;
	uint8_t bytes[BATCH_START];
	size_t len;
	bool whole;
	bool empty;           /* it writes nothing: RocksDB begins a log with one after a start */
	uint64_t first, last; /* sequence numbers of what it writes, 0 when there are none */
	uint64_t before;      /* the last one that was logged before it */
};

/* Takes a record into the batch; true when the batch's numbers are known now. */
static bool batch_take(struct batch *b, const struct record *r, uint64_t at)
{
	size_t before, n;

	if (r->type == WHOLE || r->type == FIRST)
		*b = (struct batch){ .at = at };
	before = b->len;
	n = r->len < BATCH_START - before ? r->len : BATCH_START - before;
	memcpy(b->bytes + before, r->payload, n);
	b->len += n;
	b->whole = r->type == WHOLE || r->type == LAST;
	return before < BATCH_START && (b->len == BATCH_START || b->whole);
}

/* Reads a batch's head and, first in it, its mark. */
static void survey_batch(struct survey *s, struct batch *b)
{
	const uint8_t *mark = b->bytes + BATCH_HEAD;
	uint64_t count = b->len < BATCH_HEAD ? 0 : little_endian(b->bytes + 8, 4);

	b->empty = count == 0 && b->len >= BATCH_HEAD;
	b->first = count ? little_endian(b->bytes, 8) : 0;
	if (b->first > SEQUENCE_MAX) /* RocksDB never wrote that */
		b->first = count = 0;
	b->last = count ? b->first + count - 1 : 0;
	b->before = b->first - 1;
	if (b->len == BATCH_START && mark[0] == LOG_DATA_TAG && mark[1] == WAL_MARK_LEN &&
	    mark[2] == 'D' && mark[3] == 'b')
		b->before = survey_mark(s, mark + 4);
}

/* Whether the record may stand here: a middle or last one only behind a first. */
static bool is_in_place(const struct record *r, bool within)
{
	return r->type > LAST || within == (r->type == MIDDLE || r->type == LAST);
}

/* Looks for records that check behind the bad place: at every byte of the rest of its block, for
 * its length may be wrong; then from one block to the next. */
static void survey_rest(struct survey *s, const uint8_t *log, uint64_t n, uint64_t at)
{
	uint64_t every_byte = at + BLOCK - at % BLOCK;
	struct batch b = { 0 };
	struct record r;

	while (at < n) {
		if (read_record(s, log, n, at, &r) != RECORD_GOOD) {
			at += at < every_byte ? 1 : BLOCK - at % BLOCK;
			continue;
		}
		at = r.next;
		bool known = (r.type == WHOLE || r.type == FIRST) && batch_take(&b, &r, at);
		if (known)
			survey_batch(s, &b);
		if (known && b.empty)
			continue;
		s->more_after = true;
		if (known && !s->sequence_after) {
			s->sequence_after = b.first;
			s->before_after = b.before;
		}
	}
}

/* The log does not go on from the number that the one before it ended with: what stood between is
 * lost, or was in a log that is no longer needed. */
static bool is_gap(const struct survey *s, const struct batch *b)
{
	return s->sequence && b->first > s->sequence + 1 && b->before > s->sequence;
}

/* Whether nothing is missing between the last batch before the bad place and the first one behind
 * it: a write that failed, and the log that followed it. */
static bool goes_on(const struct survey *s)
{
	return s->sequence && s->sequence_after > s->sequence && s->before_after <= s->sequence;
}

/* A walk over a log's records as long as they check and are in their place; all zero but the first
 * three, it begins. */
struct walk {
	const struct survey *s;
	const uint8_t *log;
	uint64_t n;
	uint64_t at;             /* where r begins, or what ended the walk */
	bool within;             /* a batch began before at and has not ended there */
	enum record_state state; /* of what stands at at */
	struct record r;
};

static bool walk_next(struct walk *w)
{
	w->within = w->r.type == FIRST || (w->within && w->r.type != LAST);
	w->at = w->r.next;
	w->state = read_record(w->s, w->log, w->n, w->at, &w->r);
	return w->state == RECORD_GOOD && is_in_place(&w->r, w->within);
}

bool wal_is_torn(const void *bytes, uint64_t n, uint64_t *ret_end)
{
	struct survey s = { 0 };
	struct walk w = { .s = &s, .log = bytes, .n = n };
	bool more;

	fill_crc_table(&s.crc_table);
	do {
		more = walk_next(&w);
		*ret_end = w.within ? *ret_end : w.at;
	} while (more);
	if (w.state != RECORD_BAD)
		return false;
	for (uint64_t at = w.at + 1; at < n; at++) {
		if (read_record(&s, bytes, n, at, &w.r) == RECORD_GOOD)
			return false;
	}
	return true;
}

static void note_bad(struct survey *s, const char *name, uint64_t at, enum record_state state)
{
	snprintf(s->bad_name, sizeof(s->bad_name), "%.31s", name);
	s->bad_at = at;
	s->bad_is_short = state == RECORD_SHORT || state == RECORD_END;
}

static void survey_log(struct survey *s, const char *name, const uint8_t *log, uint64_t n)
{
	struct walk w = { .s = s, .log = log, .n = n };
	struct batch b = { 0 };

	while (walk_next(&w)) {
		if (batch_take(&b, &w.r, w.at))
			survey_batch(s, &b);
		if (is_gap(s, &b)) {
			note_bad(s, name, b.at, RECORD_BAD);
			s->bad_is_gap = true;
			survey_rest(s, log, n, b.at);
			return;
		}
		if (b.whole && b.last)
			s->sequence = b.last;
	}
	if (w.state == RECORD_END && !w.within)
		return;
	note_bad(s, name, w.within ? b.at : w.at, w.state);
	survey_rest(s, log, n, w.at + 1);
}

/* ---- files ---- */

static int survey_file(struct survey *s, int directory_fd, const char *name, struct error *e)
{
	int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		int r = error_system(e, "db/%s", name);

		if (fd >= 0)
			close(fd);
		return r;
	}
	uint64_t n = (uint64_t)st.st_size;
	uint8_t *log = n ? mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
	close(fd);
	if (log == MAP_FAILED)
		return error_system(e, "db/%s", name);
	if (!log)
		return 0;
	madvise(log, n, MADV_SEQUENTIAL);
	if (s->bad_name[0])
		survey_rest(s, log, n, 0);
	else
		survey_log(s, name, log, n);
	munmap(log, n);
	return 0;
}

static int is_log(const struct dirent *entry)
{
	size_t digits = strspn(entry->d_name, "0123456789");

	return digits > 0 && digits < 24 && strcmp(entry->d_name + digits, ".log") == 0;
}

static int by_number(const struct dirent **a, const struct dirent **b)
{
	unsigned long long x = strtoull((*a)->d_name, NULL, 10),
			   y = strtoull((*b)->d_name, NULL, 10);

	return (x > y) - (x < y);
}

/* Calls each() with the logs from number oldest on, in their order, until a negative code. */
static int each_log(struct survey *s, int directory_fd, uint64_t oldest,
		    int (*each)(struct survey *s, int directory_fd, const char *name,
				struct error *e),
		    struct error *e)
{
	struct dirent **entries;
	int n = scandirat(directory_fd, ".", &entries, is_log, by_number), r = 0;

	if (n < 0)
		return error_system(e, "db");
	for (int i = 0; i < n; i++) {
		if (r == 0 && strtoull(entries[i]->d_name, NULL, 10) >= oldest)
			r = each(s, directory_fd, entries[i]->d_name, e);
		free(entries[i]);
	}
	free(entries);
	return r;
}

/* Whether something that should be there is not. */
static bool is_damage(const struct survey *s, uint64_t boot)
{
	if (goes_on(s))
		return false;
	if (boot && s->boot == boot)
		return !s->bad_is_short || s->more_after;
	return s->sequence ? s->stable > s->sequence
			   : s->sequence_after && s->stable >= s->sequence_after;
}

/* Whether a RocksDB has the database open; then the logs are its affair.  Only looked at when
 * something is wrong: closing the file would drop a lock that this very process holds on it. */
static bool is_in_use(int directory_fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = openat(directory_fd, "LOCK", O_RDWR | O_CLOEXEC);
	bool in_use = fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;

	if (fd >= 0)
		close(fd);
	return in_use;
}

/* Cuts the bad log where it is bad, and empties those behind it unless they go on from there. */
static int cut_log(struct survey *s, int directory_fd, const char *name, struct error *e)
{
	unsigned long long bad = strtoull(s->bad_name, NULL, 10), number = strtoull(name, NULL, 10);
	uint64_t length = number == bad ? s->bad_at : 0;

	if (number < bad || (number > bad && goes_on(s)))
		return 0;
	int fd = openat(directory_fd, name, O_WRONLY | O_CLOEXEC);
	int r = fd < 0 || ftruncate(fd, (off_t)length) < 0 || fdatasync(fd) < 0
			? error_system(e, "db/%s", name)
			: 0;
	if (fd >= 0)
		close(fd);
	return r;
}

static int drop_end(struct survey *s, int directory_fd, uint64_t oldest, struct buf *note,
		    struct error *e)
{
	int r = each_log(s, directory_fd, oldest, cut_log, e);

	buf_printf(note,
		   "db/%s: the last moments before a power cut did not reach the disk and are "
		   "gone; all that was "
		   "synced is there\n",
		   s->bad_name);
	return r;
}

static int damaged(const struct survey *s, struct error *e)
{
	if (s->bad_is_gap)
		return error_set(
			e, -E_CORRUPT,
			"db/%s does not go on where the .log file before it ends: what is between "
			"them is missing, so nothing was touched; restore db/ from a backup",
			s->bad_name);
	return error_set(e, -E_CORRUPT,
			 "db/%s is damaged at byte %llu: what was saved after that could not be "
			 "replayed, so "
			 "nothing was touched; restore that file from a backup",
			 s->bad_name, (unsigned long long)s->bad_at);
}

int wal_inspect(const char *directory, uint64_t boot, uint64_t oldest, struct buf *note,
		uint64_t *ret_last, struct error *e)
{
	struct survey s = { 0 };
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return error_system(e, "%s", directory);
	fill_crc_table(&s.crc_table);
	r = each_log(&s, fd, oldest, survey_file, e);
	if (r == 0 && s.bad_name[0] && !is_in_use(fd)) {
		if (!oldest && (s.bad_is_gap || s.more_after || is_damage(&s, boot)))
			r = 1;
		else if (is_damage(&s, boot))
			r = damaged(&s, e);
		else if (s.more_after)
			r = drop_end(&s, fd, oldest, note, e);
	}
	*ret_last = s.sequence;
	close(fd);
	return r;
}
