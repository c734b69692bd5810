/* check.c - see check.h. */
#include "check.h"

#include <dirent.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "store/changelog.h"
#include "store/timeline.h"
#include "store/verify.h"
#include "tests/crash/grow.h"

#define FAIL(...) (fprintf(stderr, "  " __VA_ARGS__), fputc('\n', stderr), 1)

/* ---- promises ---- */

static struct promised_bytes *bytes_of(struct promises *p, uint64_t ino)
{
	for (size_t i = p->byte_count; i-- > 0;) {
		if (p->bytes[i].ino == ino)
			return &p->bytes[i];
	}
	GROW(p->bytes, p->byte_count, p->byte_cap);
	p->bytes[p->byte_count] = (struct promised_bytes){ .ino = ino };
	return &p->bytes[p->byte_count++];
}

static struct promised_file *file_of(struct promises *p, const char *path)
{
	for (size_t i = p->file_count; i-- > 0;) {
		if (strcmp(p->files[i].path, path) == 0)
			return &p->files[i];
	}
	GROW(p->files, p->file_count, p->file_cap);
	p->files[p->file_count] = (struct promised_file){ 0 };
	snprintf(p->files[p->file_count].path, sizeof(p->files->path), "%s", path);
	return &p->files[p->file_count++];
}

static void raise_to(uint64_t *at, uint64_t value)
{
	*at = *at < value ? value : *at;
}

static void note_may(struct digest may[8], unsigned *count, const struct digest *digest)
{
	if (*count == 8)
		abort();
	may[(*count)++] = *digest;
}

static void note_bytes(struct promises *p, const char *word, uint64_t ino,
		       const struct digest *digest)
{
	struct promised_bytes *bytes = bytes_of(p, ino);

	if (strcmp(word, "gone") == 0) {
		bytes->gone = true;
	} else if (strcmp(word, "may") == 0) {
		note_may(bytes->may, &bytes->may_count, digest);
	} else {
		bytes->digest = *digest;
		bytes->may_count = 0;
	}
}

static void note_file(struct promises *p, const char *word, const char *path, uint32_t uid,
		      const struct digest *digest)
{
	struct promised_file *file = file_of(p, path);

	if (strcmp(word, "try") == 0) {
		note_may(file->may, &file->may_count, digest);
		return;
	}
	file->digest = *digest;
	file->uid = uid;
	file->known = true;
	file->may_count = 0;
}

void promises_note(struct promises *p, const struct trace_head *r)
{
	char text[1024], word[16] = "", path[128], hex[80] = "";
	struct promised_save save = { 0 };
	struct digest digest = { 0 };
	uint64_t n = 0;

	snprintf(text, sizeof(text), "%.*s", (int)r->data_len, (const char *)(r + 1));
	if (sscanf(text, "%15s %" SCNu64, word, &n) < 1)
		return;
	if (strcmp(word, "open") == 0) {
		p->opened = true;
	} else if (strcmp(word, "done") == 0) {
		raise_to(&p->done, n);
	} else if (strcmp(word, "durable") == 0) {
		raise_to(&p->durable, n);
		raise_to(&p->done, n);
	} else if (sscanf(text, "save %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu32 " %79s",
			  &save.doc, &save.number, &save.change, &save.uid, hex) == 5) {
		hex_decode(&save.digest, DIGEST_LEN, hex);
		GROW(p->saves, p->save_count, p->save_cap);
		p->saves[p->save_count++] = save;
		raise_to(&p->done, save.change);
	} else if ((strcmp(word, "try") == 0 || strcmp(word, "saved") == 0) &&
		   sscanf(text, "%*s %127s %" SCNu32 " %79s", path, &save.uid, hex) == 3) {
		hex_decode(&digest, DIGEST_LEN, hex);
		note_file(p, word, path, save.uid, &digest);
	} else {
		sscanf(text, "%15s %" SCNu64 " %79s", word, &n, hex);
		if (hex[0])
			hex_decode(&digest, DIGEST_LEN, hex);
		note_bytes(p, word, n, &digest);
	}
}

/* ---- fingerprints of a tree ---- */

struct walk {
	struct store *store;
	uint64_t at;
	XXH3_state_t *hash;
	bool failed;
};

static void add(struct walk *w, const void *data, size_t n)
{
	XXH3_64bits_update(w->hash, &n, sizeof(n));
	XXH3_64bits_update(w->hash, data, n);
}

static void walk_below(struct walk *w, uint64_t parent);

static void add_inode(struct walk *w, uint64_t ino)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct content_ref content = { 0 };
	struct inode_record r;

	if (timeline_inode(w->store, w->at, ino, &r, &memory, NULL) < 0 ||
	    content_stat(store_contents(w->store), r.content, &content, NULL) < 0) {
		w->failed = true;
		return;
	}
	uint64_t numbers[] = { r.ino, r.mode, r.uid, r.gid, r.doc, r.version, r.size };
	/* Those of a directory change with the names in it and have no past; nor has ctime, which a
	 * chmod that changes nothing moves on. */
	uint64_t others[] = { r.nlink, (uint64_t)r.mtime };

	add(w, numbers, sizeof(numbers));
	add(w, others, S_ISDIR(r.mode) ? 0 : sizeof(others));
	add(w, &content.digest, r.content ? DIGEST_LEN : 0);
	add(w, r.target.data, r.target.len);
	add(w, r.xattrs.data, r.xattrs.len);
	if (S_ISDIR(r.mode))
		walk_below(w, ino);
}

static bool add_dirent(void *arg, struct view name, uint64_t cookie,
		       const struct dirent_record *dirent)
{
	struct walk *w = arg;

	(void)cookie;
	add(w, name.data, name.len);
	add(w, &dirent->doc, sizeof(dirent->doc));
	add_inode(w, dirent->ino);
	return !w->failed;
}

static void walk_below(struct walk *w, uint64_t parent)
{
	if (timeline_readdir(w->store, w->at, parent, 0, add_dirent, w, NULL) < 0)
		w->failed = true;
}

/* The tree at an instant, UINT64_MAX: now.  0: it could not be walked. */
static uint64_t fingerprint(struct store *store, uint64_t at)
{
	struct walk w = { store, at, XXH3_createState(), false };

	XXH3_64bits_reset(w.hash);
	add_inode(&w, ROOT_INODE);
	uint64_t hash = XXH3_64bits_digest(w.hash);
	XXH3_freeState(w.hash);
	return w.failed ? 0 : hash;
}

/* ---- the story ---- */

static bool take_prev(void *arg, const struct log_record *record)
{
	struct story *story = arg;

	if (record->change < STORY_MAX)
		story->digests[record->change - 1] = record->prev;
	return true;
}

/* The digest of each change's record, as the next one quotes it. */
static int read_digests(struct store *store, struct story *ret, struct error *e)
{
	struct log_query all = { .oldest_first = true };
	struct digest last;
	int rc = changelog_head(store, &ret->head, &last, e);

	if (rc == 0 && ret->head >= STORY_MAX)
		return error_set(e, -E_INVALID, "the run is too long");
	if (rc == 0)
		rc = changelog_each(store, &all, take_prev, ret, e);
	if (rc == 0)
		ret->digests[ret->head] = last;
	return rc;
}

int story_read(const char *directory, struct story *ret)
{
	struct store *store;
	struct error e = { 0 };
	int rc = store_open(directory, NULL, &store, &e);

	if (rc < 0)
		return FAIL("the store as the run left it: %s", e.text);
	rc = read_digests(store, ret, &e);
	for (uint64_t change = 1; rc == 0 && change <= ret->head; change++)
		ret->trees[change] = fingerprint(store, change);
	if (rc == 0 && ret->trees[ret->head] != fingerprint(store, UINT64_MAX))
		rc = error_set(&e, -E_CORRUPT, "the present is not the tree as of the last change");
	store_close(store);
	return rc < 0 ? FAIL("the log as the run left it: %s", e.text) : 0;
}

/* ---- checking ---- */

static bool print_finding(void *arg, const char *sentence)
{
	(void)arg;
	fprintf(stderr, "  verify: %s\n", sentence);
	return true;
}

static int check_verifies(struct store *store)
{
	struct verify_report report;
	struct error e = { 0 };

	if (verify_store(store, &(struct verify_options){ .read_contents = true }, print_finding,
			 NULL, NULL, &report, &e) == 0)
		return 0;
	return FAIL("it does not verify: %s", e.text);
}

/* The last change that is the story's. */
static uint64_t common_head(const struct story *story, const struct story *mine)
{
	uint64_t change = mine->head < story->head ? mine->head : story->head;

	while (change && !digest_equal(&story->digests[change], &mine->digests[change]))
		change--;
	return change;
}

static bool is_recovery(void *arg, const struct log_record *record)
{
	bool *ret = arg;

	*ret = *ret && (record->flags & LOG_RECOVERED);
	if (!*ret)
		fprintf(stderr,
			"  change %" PRIu64 " (%s %.*s) is neither the run's nor recovery's\n",
			record->change, log_operation_name(record->op), (int)record->path.len,
			(const char *)record->path.data);
	return *ret;
}

static int check_log(struct store *store, const struct story *story, uint64_t promised)
{
	struct story *mine = calloc(1, sizeof(*mine));
	struct log_query rest = { .oldest_first = true };
	struct error e = { 0 };
	bool recovered = true;

	if (!mine || read_digests(store, mine, &e) < 0)
		return FAIL("its log: %s", e.text);
	uint64_t head = common_head(story, mine), last = mine->head;
	free(mine);
	if (head < promised)
		return FAIL("it came up to change %" PRIu64 " of the run, but %" PRIu64
			    " was promised",
			    head, promised);
	rest.first = head + 1;
	if (last > head &&
	    (changelog_each(store, &rest, is_recovery, &recovered, &e) < 0 || !recovered))
		return FAIL("its log goes on in another way after change %" PRIu64 " %s", head,
			    e.text);
	if (fingerprint(store, head) != story->trees[head])
		return FAIL("its tree at change %" PRIu64 " is not the run's", head);
	if (last == head && fingerprint(store, UINT64_MAX) != story->trees[head])
		return FAIL("its present is not the tree as of its last change");
	return 0;
}

/* A version may have been saved into again since, or gone with a save that brought back the bytes
 * before it; that is the log's to tell, which was checked. */
static int check_save(struct store *store, const struct promised_save *save)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct version_record v;
	struct error e = { 0 };
	int rc = version_get(store, save->doc, save->number, &v, &memory, &e);

	if (rc < 0)
		return FAIL("version %" PRIu64 " of document %" PRIu64 ": %s", save->number,
			    save->doc, e.text);
	if (v.change < save->change)
		return FAIL("version %" PRIu64 " of document %" PRIu64 " is older than promised",
			    save->number, save->doc);
	if (v.change == save->change &&
	    (v.uid != save->uid || !digest_equal(&v.digest, &save->digest)))
		return FAIL("version %" PRIu64 " of document %" PRIu64 " is another than promised",
			    save->number, save->doc);
	return 0;
}

static int check_saves(struct store *store, const struct promises *p, uint64_t promised)
{
	for (size_t i = 0; i < p->save_count; i++) {
		if (p->saves[i].change <= promised && check_save(store, &p->saves[i]))
			return 1;
	}
	return 0;
}

static bool is_one_of(const struct digest *digest, const struct digest *promised,
		      const struct digest *may, unsigned n)
{
	bool found = digest_equal(digest, promised);

	while (!found && n-- > 0)
		found = digest_equal(digest, &may[n]);
	return found;
}

static int digest_of_inode(struct store *store, uint64_t ino, struct digest *ret, struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct content_ref content;
	int rc = inode_get(store, ino, &inode, e);

	if (rc == 0)
		rc = content_stat(store_contents(store), inode->r.content, &content, e);
	if (rc == 0)
		*ret = inode->r.content ? content.digest : digest_of(view_of(NULL, 0));
	return rc;
}

/* Every write that had returned is there, saved or recovered. */
static int check_bytes(struct store *store, const struct promises *p)
{
	for (size_t i = 0; i < p->byte_count; i++) {
		const struct promised_bytes *b = &p->bytes[i];
		struct error e = { 0 };
		struct digest digest;

		if (b->gone)
			continue;
		if (digest_of_inode(store, b->ino, &digest, &e) < 0)
			return FAIL("inode %" PRIu64 ": %s", b->ino, e.text);
		if (!is_one_of(&digest, &b->digest, b->may, b->may_count))
			return FAIL("inode %" PRIu64 " lacks bytes whose write had returned",
				    b->ino);
	}
	return 0;
}

static int check_file(struct store *store, const struct promised_file *f)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct digest digest;
	struct version_record v;
	struct error e = { 0 };
	int rc = namespace_walk(store, view_str(f->path), &inode, &e);

	if (rc == 0)
		rc = digest_of_inode(store, inode->r.ino, &digest, &e);
	if (rc == 0)
		rc = version_get(store, inode->r.doc, inode->r.version, &v, &memory, &e);
	if (rc < 0)
		return FAIL("%s: %s", f->path, e.text);
	if (!is_one_of(&digest, &f->digest, f->may, f->may_count))
		return FAIL("%s: is not what was saved", f->path);
	return v.uid == f->uid
		       ? 0
		       : FAIL("%s: is by %" PRIu64 ", not by %" PRIu32, f->path, v.uid, f->uid);
}

static int check_files(struct store *store, const struct promises *p)
{
	for (size_t i = 0; i < p->file_count; i++) {
		if (p->files[i].known && check_file(store, &p->files[i]))
			return 1;
	}
	return 0;
}

/* A store that came back takes a new file and a save. */
static int check_works(struct store *store)
{
	static const struct actor who = {
		.uid = 4001, .gid = 4001, .tgid = 7, .name = { "anna", 4 }
	};
	struct make make = { .mode = S_IFREG | 0644 };
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct work work = { .fd = -1 };
	struct save save = { .work = &work };
	struct saved saved;
	struct error e = { 0 };

	if (namespace_make(store, &who, ROOT_INODE, view_str("after the crash"), &make, &inode,
			   &e) < 0 ||
	    version_save(store, &who, inode->r.ino, &save, &saved, &e) < 0 ||
	    store_sync(store, &e) < 0)
		return FAIL("it does not go on: %s", e.text);
	return 0;
}

/* Unsaved bytes may be put aside when power was cut, but a process's death damages no journal. */
static int check_nothing_lost(const char *directory)
{
	char path[4096];
	struct dirent *entry;
	int lost = 0;

	snprintf(path, sizeof(path), "%s/staging", directory);
	DIR *staging = opendir(path);
	while (staging && (entry = readdir(staging))) {
		if (strncmp(entry->d_name, "lost-", 5) == 0)
			lost = FAIL("unsaved bytes were put aside: %s", entry->d_name);
	}
	if (staging)
		closedir(staging);
	return lost;
}

int check_store(const char *directory, const struct story *story, const struct promises *p,
		bool killed)
{
	uint64_t promised = killed ? p->done : p->durable;
	struct store *store;
	struct error e = { 0 };
	int rc = store_open(directory, NULL, &store, &e);

	if (rc < 0)
		return p->opened ? FAIL("it does not open: %s", e.text) : 0;
	rc = check_verifies(store);
	if (!rc)
		rc = check_log(store, story, promised);
	if (!rc)
		rc = check_saves(store, p, promised);
	if (!rc)
		rc = check_files(store, p);
	if (!rc && killed)
		rc = check_bytes(store, p);
	if (!rc && killed)
		rc = check_nothing_lost(directory);
	if (!rc)
		rc = check_works(store);
	if (rc && store_recovery_report(store)[0])
		fprintf(stderr, "  recovery said: %s", store_recovery_report(store));
	store_close(store);
	return rc;
}
