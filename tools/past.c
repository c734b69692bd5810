/* past.c - see past.h. */
#include "past.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/changelog.h"
#include "store/clock.h"
#include "store/logtext.h"
#include "store/names.h"
#include "store/timeline.h"
#include "store/version.h"

#define PART_BYTES ((size_t)1 << 20)
#define DIGEST_WHOLE_MAX CONTENT_SEGMENT_MAX /* up to here a digest is that of the bytes */
#define TWINS_MAX 1000
#define PAIR_LEN 16 /* document u64, version u64, big-endian: bytes that sort */
#define DEPTH_MAX 4096

struct past {
	struct store *store;
	int directory;
	FILE *list;
	struct past_report *report;
	bool (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
	uint64_t total, documents;
	uint64_t doc;       /* that is looked at */
	bool listed;        /* the list has its header */
	struct buf part;
	struct buf above;   /* the path of the directory that is gone through */
	struct buf written; /* (document u64, version u64) of what a name showed */
	int rc;
	struct error *e;
};

/* --- where a version stands ----------------------------------------------- */

/* Makes all directories of a path that ends in a slash. */
static int make_path(int at, char *path, struct error *e)
{
	for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		int r = mkdirat(at, path, 0755) < 0 && errno != EEXIST ? error_system(e, "%s", path)
								       : 0;
		*slash = '/';
		if (r < 0)
			return r;
	}
	return 0;
}

/* Opens a new file for the version, below the name raw of the directory; path becomes its name. */
static int make_file(struct past *p, struct view raw, uint64_t number,
		     const struct version_record *v, struct buf *path)
{
	char author[NAMES_AUTHOR_ROOM], name[NAMES_LEN_MAX + 1];
	int r;

	names_author(author, v->author, (uint32_t)v->uid, false);
	struct names_version named = { .raw = raw,
				       .cookie = store_cookie(p->store, raw),
				       .time = v->time,
				       .number = number,
				       .author = view_str(author) };
	buf_append(path, p->above.data, p->above.len);
	buf_append(path, raw.data, raw.len);
	buf_printf(path, "/");
	if ((r = buf_check(path, p->e)) == 0)
		r = make_path(p->directory, (char *)buf_cstr(path), p->e);
	for (size_t len = path->len; r == 0 && named.twin < TWINS_MAX;
	     named.twin = named.twin ? named.twin + 1 : 2) {
		path->len = len;
		names_version(name, &named);
		buf_printf(path, "%s", name);
		int fd = openat(p->directory, buf_cstr(path),
				O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			break;
	}
	return r < 0 ? r : error_system(p->e, "%s", buf_cstr(path));
}

/* --- its bytes ------------------------------------------------------------ */

static bool is_zero(const uint8_t *bytes, size_t n)
{
	return n > 0 && bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0;
}

static int copy_bytes(struct past *p, int fd, const struct version_record *v, struct error *e)
{
	crypto_generichash_state state;
	struct digest digest;

	crypto_generichash_init(&state, NULL, 0, DIGEST_LEN);
	for (uint64_t at = 0; at < v->size;) {
		int n = content_read(store_contents(p->store), v->content, at, p->part.data,
				     PART_BYTES, e);

		if (n <= 0)
			return n < 0 ? n
				     : error_set(e, -E_CORRUPT,
						 "its content is shorter than it was");
		if (v->size <= DIGEST_WHOLE_MAX)
			crypto_generichash_update(&state, p->part.data, (size_t)n);
		if (!is_zero(p->part.data, (size_t)n) &&
		    pwrite(fd, p->part.data, (size_t)n, (off_t)at) != n)
			return error_system(e, "writing");
		at += (uint64_t)n;
	}
	if (ftruncate(fd, (off_t)v->size) < 0)
		return error_system(e, "writing");
	crypto_generichash_final(&state, digest.bytes, DIGEST_LEN);
	if (v->size <= DIGEST_WHOLE_MAX && memcmp(digest.bytes, v->digest.bytes, DIGEST_LEN) != 0)
		return error_set(e, -E_CORRUPT, "its bytes are not those that were saved");
	return 0;
}

/* As the file was: whoever may not give it away keeps it. */
static void set_attributes(int fd, const struct version_record *v)
{
	struct timespec times[2] = { clock_timespec(v->mtime), clock_timespec(v->mtime) };

	if (fchown(fd, (uid_t)v->owner_uid, (gid_t)v->owner_gid) < 0)
		errno = 0;
	fchmod(fd, v->mode & 0777);
	futimens(fd, times);
}

/* --- the lists ------------------------------------------------------------ */

static int put_line(FILE *to, bool *listed, const struct cell *cells, size_t count, struct error *e)
{
	CLEANUP(buf_release) struct buf line = { 0 };

	if (!*listed)
		cells_csv_header(&line, cells, count);
	*listed = true;
	cells_csv(&line, cells, count);
	int r = buf_check(&line, e);
	return r < 0 || fwrite(line.data, 1, line.len, to) == line.len
		       ? r
		       : error_system(e, "writing a list");
}

static int list_version(struct past *p, const struct name_version *n, const char *path)
{
	CLEANUP(buf_release) struct buf flags = { 0 };
	const struct version_record *v = n->version;
	char digest[2 * DIGEST_LEN + 1];

	hex_encode(digest, v->digest.bytes, DIGEST_LEN);
	version_flag_words(&flags, v->flags);
	struct cell cells[] = { cell_text_some("file", view_str(path)),
				cell_text("name", v->name),
				cell_number("document", n->doc),
				cell_number("version", n->number),
				cell_number("change", v->change),
				cell_time("time", v->time),
				cell_text("author", v->author),
				cell_number("uid", v->uid),
				cell_number("size", v->size),
				cell_text("digest", view_str(digest)),
				cell_text("flags", buf_view(&flags)) };
	return put_line(p->list, &p->listed, cells, sizeof(cells) / sizeof(cells[0]), p->e);
}

/* Writes a version that the name raw shows. */
static int write_version(struct past *p, struct view raw, const struct name_version *n)
{
	CLEANUP(buf_release) struct buf path = { 0 };
	struct error why = { 0 };
	int fd = make_file(p, raw, n->number, n->version, &path);

	if (fd < 0)
		return fd;
	int r = copy_bytes(p, fd, n->version, &why);
	set_attributes(fd, n->version);
	close(fd);
	if (r == -E_CORRUPT) {
		fprintf(stderr, "daybook export: %s: %s\n", buf_cstr(&path), why.text);
		unlinkat(p->directory, buf_cstr(&path), 0);
		buf_clear(&path);
		p->report->lost++;
	} else if (r < 0) {
		return error_set(p->e, r, "%s: %s", buf_cstr(&path), why.text);
	} else {
		p->report->files++;
	}
	return list_version(p, n, buf_cstr(&path));
}

/* --- the names there ever were -------------------------------------------- */

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, PAIR_LEN);
}

static bool take_pair(void *arg, const struct name_version *n)
{
	struct buf *pairs = arg;

	buf_u64(pairs, n->doc);
	buf_u64(pairs, n->number);
	return !pairs->failed;
}

/* Each version once, in the order in which .history tells apart those that would be called the
 * same. */
static int write_pairs(struct past *p, struct view raw, const struct buf *pairs)
{
	for (const uint8_t *at = pairs->data; at && at < pairs->data + pairs->len; at += PAIR_LEN) {
		CLEANUP(buf_release) struct buf memory = { 0 };
		struct reader in = reader_of(view_of(at, PAIR_LEN));
		struct version_record v;
		struct name_version n = { .doc = reader_u64(&in),
					  .number = reader_u64(&in),
					  .version = &v };

		if (at > pairs->data && by_bytes(at - PAIR_LEN, at) == 0)
			continue;
		int r = version_get(p->store, n.doc, n.number, &v, &memory, p->e);
		if (r == 0)
			r = write_version(p, raw, &n);
		if (r < 0)
			return r;
		buf_append(&p->written, at, PAIR_LEN);
	}
	return buf_check(&p->written, p->e);
}

static int write_name(struct past *p, uint64_t directory, struct view raw)
{
	CLEANUP(buf_release) struct buf pairs = { 0 };
	int r = timeline_name_versions(p->store, directory, raw, true, take_pair, &pairs, p->e);

	if (r == 0)
		r = buf_check(&pairs, p->e);
	if (r == 0 && pairs.len)
		qsort(pairs.data, pairs.len / PAIR_LEN, PAIR_LEN, by_bytes);
	return r < 0 ? r : write_pairs(p, raw, &pairs);
}

/* A directory that is to be gone through: its number, and its name. */
struct listing {
	struct past *p;
	uint64_t directory;
	struct buf last;        /* the name of the interval before */
	struct buf directories; /* (u64 number, string name) each */
	int rc;
};

static bool visit_interval(void *arg, struct view name, uint64_t cookie,
			   const struct dirent_record *d)
{
	struct listing *l = arg;
	bool again = l->last.len && view_equal(buf_view(&l->last), name);

	(void)cookie;
	/* A directory is gone through where it is, or was last. */
	if (S_ISDIR(d->type) &&
	    (!d->until || (d->ended != SLOT_MOVED && d->ended != SLOT_PASSED))) {
		buf_u64(&l->directories, d->ino);
		buf_string(&l->directories, name);
	}
	if (again)
		return true;
	buf_clear(&l->last);
	buf_append(&l->last, name.data, name.len);
	l->rc = write_name(l->p, l->directory, name);
	if (l->rc == 0 && !l->p->progress(l->p->arg, l->p->report->files, l->p->total))
		l->rc = error_set(l->p->e, -ECANCELED, "stopped");
	return l->rc == 0;
}

/* What was ever in a directory; p->above is its path, with a slash at the end. */
static int write_directory(struct past *p, uint64_t directory, unsigned depth)
{
	struct listing l = { .p = p, .directory = directory };
	int r = timeline_names(p->store, directory, 0, UINT32_MAX, visit_interval, &l, p->e);

	r = r < 0 ? r : l.rc;
	for (struct reader in = reader_of(buf_view(&l.directories));
	     r == 0 && reader_left(&in) > 0 && depth < DEPTH_MAX;) {
		uint64_t below = reader_u64(&in);
		struct view name = reader_string(&in);
		size_t len = p->above.len;

		buf_append(&p->above, name.data, name.len);
		buf_printf(&p->above, "/");
		r = write_directory(p, below, depth + 1);
		p->above.len = len;
	}
	buf_release(&l.last);
	buf_release(&l.directories);
	return r;
}

/* --- what no name shows --------------------------------------------------- */

static bool write_nameless(void *arg, uint64_t number, const struct version_record *v)
{
	CLEANUP(buf_release) struct buf pair = { 0 };
	struct past *p = arg;
	struct name_version n = { .doc = p->doc, .number = number, .version = v };

	buf_u64(&pair, p->doc);
	buf_u64(&pair, number);
	p->rc = buf_check(&pair, p->e);
	if (p->rc == 0 &&
	    !(p->written.len &&
	      bsearch(pair.data, p->written.data, p->written.len / PAIR_LEN, PAIR_LEN, by_bytes)))
		p->rc = write_version(p, v->name.len ? v->name : view_str("without a name"), &n);
	return p->rc == 0;
}

/* Every version is of some document: none is left out. */
static int write_rest(struct past *p)
{
	int r = buf_check(&p->written, p->e);

	if (r == 0 && p->written.len)
		qsort(p->written.data, p->written.len / PAIR_LEN, PAIR_LEN, by_bytes);
	buf_clear(&p->above);
	buf_printf(&p->above, "versions/no longer named/");
	for (p->doc = 1; r == 0 && p->doc < p->documents; p->doc++) {
		r = version_each(p->store, p->doc, 0, write_nameless, p, p->e);
		r = r == -E_NO_VERSION || r == -E_STALE ? 0 : r;
		if (r == 0)
			r = p->rc;
	}
	return r;
}

static FILE *make_list(int directory, const char *name, struct error *e)
{
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	if (!file)
		error_system(e, "%s", name);
	if (!file && fd >= 0)
		close(fd);
	return file;
}

struct log_list {
	FILE *to;
	bool listed;
	struct buf memory;
	int rc;
	struct error *e;
};

static bool write_change(void *arg, const struct log_record *record)
{
	struct cell cells[LOG_COLUMN_COUNT];
	struct log_list *l = arg;

	logtext_cells(cells, record, &l->memory);
	l->rc = put_line(l->to, &l->listed, cells, LOG_COLUMN_COUNT, l->e);
	return l->rc == 0;
}

static int write_log(struct past *p)
{
	struct log_list l = { .to = make_list(p->directory, "changes.csv", p->e), .e = p->e };
	struct log_query all = { .oldest_first = true };

	if (!l.to)
		return -EIO;
	int r = changelog_each(p->store, &all, write_change, &l, p->e);
	buf_release(&l.memory);
	if (fclose(l.to) != 0 && r == 0)
		r = error_system(p->e, "changes.csv");
	return r < 0 ? r : l.rc;
}

static int write_versions(struct past *p)
{
	struct store_facts facts;
	int r = store_facts(p->store, &facts, p->e);

	p->documents = facts.documents_next;
	p->total = facts.changes;
	buf_printf(&p->above, "versions/");
	if (r == 0)
		r = write_directory(p, ROOT_INODE, 0);
	return r < 0 ? r : write_rest(p);
}

int past_write(struct store *store, int directory,
	       bool (*progress)(void *arg, uint64_t done, uint64_t total), void *arg,
	       struct past_report *ret, struct error *e)
{
	struct past p = { .store = store,
			  .directory = directory,
			  .report = ret,
			  .progress = progress,
			  .arg = arg,
			  .e = e };
	int r = 0;

	*ret = (struct past_report){ 0 };
	if (!buf_grow(&p.part, PART_BYTES))
		return error_set(e, -E_NO_MEMORY, "out of memory");
	p.list = make_list(directory, "versions.csv", e);
	r = p.list ? write_log(&p) : -EIO;
	if (r == 0)
		r = write_versions(&p);
	if (p.list && fclose(p.list) != 0 && r == 0)
		r = error_system(e, "versions.csv");
	buf_release(&p.part);
	buf_release(&p.above);
	buf_release(&p.written);
	return r;
}
