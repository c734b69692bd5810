/* disk.c - see disk.h. */
#include "disk.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "tests/crash/grow.h"
#include "tests/unit/noise.h"

#define NODES_MAX 65536
#define PAGE 4096
#define SECTOR 512

/* A change of a file's bytes that is not surely durable. */
struct pending {
	uint64_t sequence, at, len;
	const uint8_t *data; /* NULL: the size becomes at */
	bool grow;           /* only when it was less */
};

struct node {
	bool is_dir;
	uint8_t *bytes;
	size_t size, cap;
	struct pending *pending;
	size_t count, pending_cap;
};

struct name {
	uint32_t parent, node;
	char name[64];
};

struct names {
	struct name *at;
	size_t count, cap;
};

/* A change of names: node appears as to, or goes from from, or both. */
struct move {
	uint64_t sequence;
	uint32_t node;
	bool has_from, has_to;
	struct name from, to;
};

struct sync {
	uint64_t number, sequence;
	uint32_t node;
};

struct open_file {
	uint64_t handle;
	uint32_t node;
};

struct disk {
	enum disk_model model;
	uint64_t sequence;
	struct node *nodes;
	uint32_t node_count;
	struct names durable, now;
	struct move *moves;
	size_t move_count, move_cap;
	struct sync syncs[64];
	struct open_file *files;
	size_t file_count, file_cap;
};


static void __attribute__((noreturn, format(printf, 1, 2))) give_up(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

static uint32_t add_node(struct disk *disk, bool is_dir)
{
	if (disk->node_count == NODES_MAX)
		give_up("disk: too many files");
	disk->nodes[disk->node_count] = (struct node){ .is_dir = is_dir };
	return disk->node_count++;
}

struct disk *disk_new(enum disk_model model)
{
	struct disk *disk = calloc(1, sizeof(*disk));

	if (!disk || !(disk->nodes = calloc(NODES_MAX, sizeof(*disk->nodes))))
		abort();
	disk->model = model;
	add_node(disk, true);
	return disk;
}

void disk_free(struct disk *disk)
{
	for (uint32_t i = 0; i < disk->node_count; i++) {
		free(disk->nodes[i].bytes);
		free(disk->nodes[i].pending);
	}
	free(disk->nodes);
	free(disk->durable.at);
	free(disk->now.at);
	free(disk->moves);
	free(disk->files);
	free(disk);
}

/* ---- names ---- */

static struct name *find(struct names *names, uint32_t parent, const char *name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (names->at[i].parent == parent && strcmp(names->at[i].name, name) == 0)
			return &names->at[i];
	}
	return NULL;
}

static void drop(struct names *names, const struct name *what)
{
	struct name *at = find(names, what->parent, what->name);

	if (at)
		*at = names->at[--names->count];
}

static void put(struct names *names, const struct name *what)
{
	drop(names, what);
	GROW(names->at, names->count, names->cap);
	names->at[names->count++] = *what;
}

static void apply_move(struct names *names, const struct move *move)
{
	if (move->has_from)
		drop(names, &move->from);
	if (move->has_to)
		put(names, &move->to);
}

/* Splits a path into its directory's node and its last part. */
static struct name place_of(struct disk *disk, const char *path, size_t n)
{
	struct name place = { 0 };
	const char *end = path + n;

	for (;;) {
		const char *slash = memchr(path, '/', (size_t)(end - path));
		size_t len = (size_t)((slash ? slash : end) - path);

		if (len >= sizeof(place.name))
			give_up("disk: a name too long: %.*s", (int)n, path);
		memcpy(place.name, path, len);
		place.name[len] = '\0';
		if (!slash)
			break;
		struct name *directory = find(&disk->now, place.parent, place.name);
		if (!directory)
			give_up("disk: no directory for %.*s", (int)n, path);
		place.parent = directory->node;
		path = slash + 1;
	}
	struct name *there = find(&disk->now, place.parent, place.name);
	place.node = there ? there->node : UINT32_MAX;
	return place;
}

static void make_move(struct disk *disk, const struct move *move)
{
	apply_move(&disk->now, move);
	GROW(disk->moves, disk->move_count, disk->move_cap);
	disk->moves[disk->move_count] = *move;
	disk->moves[disk->move_count++].sequence = disk->sequence;
}

static void add_name(struct disk *disk, struct name to, uint32_t node)
{
	to.node = node;
	make_move(disk, &(struct move){ .node = node, .has_to = true, .to = to });
}

static bool touches(const struct move *move, uint32_t directory)
{
	return (move->has_from && move->from.parent == directory) ||
	       (move->has_to && move->to.parent == directory);
}

/* ---- bytes ---- */

static void set_size(struct node *node, size_t size)
{
	if (size > node->cap) {
		node->cap = size + size / 2;
		node->bytes = realloc(node->bytes, node->cap);
		if (!node->bytes)
			abort();
	}
	if (size > node->size)
		memset(node->bytes + node->size, 0, size - node->size);
	node->size = size;
}

static void apply_part(struct node *node, const struct pending *p, uint64_t start, uint64_t end)
{
	if (!p->data) {
		if (!p->grow || node->size < p->at)
			set_size(node, p->at);
		return;
	}
	if (node->size < p->at + end)
		set_size(node, p->at + end);
	memcpy(node->bytes + p->at + start, p->data + start, end - start);
}

static void apply_pending(struct node *node, const struct pending *p)
{
	apply_part(node, p, 0, p->len);
}

static void add_pending(struct node *node, const struct pending *p)
{
	GROW(node->pending, node->count, node->pending_cap);
	node->pending[node->count++] = *p;
}

/* ---- syncs ---- */

static void settle_bytes(struct node *node, uint64_t before)
{
	size_t kept = 0;

	for (size_t i = 0; i < node->count; i++) {
		if (node->pending[i].sequence < before)
			apply_pending(node, &node->pending[i]);
		else
			node->pending[kept++] = node->pending[i];
	}
	node->count = kept;
}

static void settle_names(struct disk *disk, uint32_t node, uint64_t before)
{
	size_t kept = 0;

	for (size_t i = 0; i < disk->move_count; i++) {
		struct move *move = &disk->moves[i];

		if (move->sequence < before &&
		    (disk->model != DISK_UNORDERED || touches(move, node)))
			apply_move(&disk->durable, move);
		else
			disk->moves[kept++] = *move;
	}
	disk->move_count = kept;
}

static uint32_t node_of(struct disk *disk, uint64_t handle)
{
	for (size_t i = disk->file_count; i-- > 0;) {
		if (disk->files[i].handle == handle)
			return disk->files[i].node;
	}
	give_up("disk: a handle that was not opened");
}

static void step_sync(struct disk *disk, const struct trace_head *r)
{
	for (size_t i = 0; i < 64; i++) {
		struct sync *sync = &disk->syncs[i];

		if (r->op == TRACE_SYNC && !sync->number) {
			*sync = (struct sync){ r->offset, disk->sequence,
					       node_of(disk, r->handle) };
			return;
		}
		if (r->op == TRACE_SYNCED && sync->number == r->offset) {
			settle_bytes(&disk->nodes[sync->node], sync->sequence);
			settle_names(disk, sync->node, sync->sequence);
			sync->number = 0;
			return;
		}
	}
}

/* ---- steps ---- */

static const uint8_t *data_of(const struct trace_head *r)
{
	return (const uint8_t *)(r + 1) + r->path_len + r->path2_len;
}

static void step_open(struct disk *disk, const struct trace_head *r, const char *path)
{
	struct name place = { 0 };
	bool is_root = r->path_len == 0;
	uint32_t node = 0;

	if (!is_root) {
		place = place_of(disk, path, r->path_len);
		node = place.node;
	}
	if (node == UINT32_MAX) {
		node = add_node(disk, false);
		add_name(disk, place, node);
	}
	if (r->flags & O_TRUNC)
		add_pending(&disk->nodes[node], &(struct pending){ .sequence = disk->sequence });
	GROW(disk->files, disk->file_count, disk->file_cap);
	disk->files[disk->file_count++] = (struct open_file){ r->handle, node };
}

static void step_found(struct disk *disk, const struct trace_head *r, const char *path)
{
	struct name place = place_of(disk, path, r->path_len);

	place.node = add_node(disk, r->op == TRACE_FOUND_DIR);
	put(&disk->now, &place);
	put(&disk->durable, &place);
	apply_pending(&disk->nodes[place.node],
		      &(struct pending){ .len = r->data_len, .data = data_of(r) });
}

static void step_names(struct disk *disk, const struct trace_head *r, const char *path)
{
	struct name from = place_of(disk, path, r->path_len);
	struct move move = { .node = from.node, .from = from, .has_from = true };

	if (r->op == TRACE_MKDIR) {
		add_name(disk, from, add_node(disk, true));
		return;
	}
	if (r->op == TRACE_RENAME || r->op == TRACE_LINK) {
		move.has_to = true;
		move.to = place_of(disk, path + r->path_len, r->path2_len);
		move.to.node = from.node;
		move.has_from = r->op == TRACE_RENAME;
	}
	make_move(disk, &move);
}

void disk_step(struct disk *disk, const struct trace_head *r)
{
	const char *path = (const char *)(r + 1);
	struct pending p = { .sequence = ++disk->sequence, .at = r->offset };

	switch (r->op) {
	case TRACE_FOUND:
	case TRACE_FOUND_DIR:
		step_found(disk, r, path);
		break;
	case TRACE_OPEN:
		step_open(disk, r, path);
		break;
	case TRACE_WRITE:
		p.data = data_of(r);
		p.len = r->data_len;
		/* fall through */
	case TRACE_SIZE:
	case TRACE_GROW:
		p.grow = r->op == TRACE_GROW;
		add_pending(&disk->nodes[node_of(disk, r->handle)], &p);
		break;
	case TRACE_SYNC:
	case TRACE_SYNCED:
		step_sync(disk, r);
		break;
	case TRACE_ACK:
		break;
	default:
		step_names(disk, r, path);
	}
}

/* ---- what might be there ---- */

static void copy_names(struct names *to, const struct names *from)
{
	*to = (struct names){ malloc((from->count + 1) * sizeof(*from->at)), from->count,
			      from->count + 1 };
	if (!to->at)
		abort();
	memcpy(to->at, from->at, from->count * sizeof(*from->at));
}

static bool is_blocked(struct names *blocked, const struct move *move)
{
	return (move->has_from && find(blocked, move->from.parent, move->from.name)) ||
	       (move->has_to && find(blocked, move->to.parent, move->to.name));
}

static void choose_names(struct disk *disk, uint64_t *seed, struct names *ret)
{
	struct names blocked = { 0 };
	unsigned how = (unsigned)noise_below(seed, 4);
	size_t until = noise_below(seed, disk->move_count + 1);

	copy_names(ret, &disk->durable);
	for (size_t i = 0; i < disk->move_count; i++) {
		const struct move *move = &disk->moves[i];
		bool kept = how == 1 || (how > 1 && i < until);

		if (disk->model == DISK_UNORDERED && how == 3)
			kept = noise_below(seed, 2) && !is_blocked(&blocked, move);
		if (disk->model == DISK_KILLED || kept) {
			apply_move(ret, move);
			continue;
		}
		if (move->has_from)
			put(&blocked, &move->from);
		if (move->has_to)
			put(&blocked, &move->to);
	}
	free(blocked.at);
}

/* Some of the pages that a change touched. */
static void apply_pages(struct node *image, const struct pending *p, uint64_t *seed)
{
	for (uint64_t start = 0, end; start < p->len; start = end) {
		end = start + PAGE - (p->at + start) % PAGE;
		end = end < p->len ? end : p->len;
		if (noise_below(seed, 2))
			apply_part(image, p, start, end);
	}
}

static void choose_bytes(const struct node *node, enum disk_model model, uint64_t *seed,
			 struct node *image)
{
	unsigned how = model == DISK_KILLED ? 1 : (unsigned)noise_below(seed, 5);
	size_t until = how == 0 ? 0 : how == 2 ? noise_below(seed, node->count + 1) : node->count;
	size_t size;

	*image = (struct node){ 0 };
	set_size(image, node->size);
	if (node->size)
		memcpy(image->bytes, node->bytes, node->size);
	size = image->size;
	for (size_t i = 0; i < until; i++) {
		const struct pending *p = &node->pending[i];

		if (!p->data)
			apply_pending(image, p);
		else if (how == 3)
			apply_pages(image, p, seed);
		else if (how != 4)
			apply_pending(image, p);
		if (p->data && size < p->at + p->len)
			size = p->at + p->len;
	}
	if (how >= 3 && image->size < size && noise_below(seed, 2))
		set_size(image, size);
	if (how == 2 && until < node->count) {
		const struct pending *p = &node->pending[until];
		uint64_t whole = p->data ? noise_below(seed, p->len / SECTOR + 1) * SECTOR : 0;

		if (whole)
			apply_part(image, p, 0, whole);
	}
}

/* Part of the write that was under way when the process was killed. */
static void apply_under_way(struct disk *disk, uint32_t node, const struct trace_head *under,
			    uint64_t *seed, struct node *image)
{
	if (!under || under->op != TRACE_WRITE || disk->model != DISK_KILLED ||
	    node_of(disk, under->handle) != node)
		return;
	struct pending p = { .at = under->offset, .len = under->data_len, .data = data_of(under) };
	uint64_t part = noise_below(seed, p.len / PAGE + 1) * PAGE;

	part -= part ? p.at % PAGE : 0; /* the kernel goes from page to page */
	if (part && part <= p.len)
		apply_part(image, &p, 0, part);
}

static void write_file(const char *path, const struct node *image)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	for (size_t done = 0; fd >= 0 && done < image->size;) {
		ssize_t n = write(fd, image->bytes + done, image->size - done);

		if (n <= 0)
			give_up("disk: %s: %s", path, strerror(errno));
		done += (size_t)n;
	}
	if (fd < 0 || close(fd) < 0)
		give_up("disk: %s: %s", path, strerror(errno));
}

struct making {
	struct disk *disk;
	const struct names *names;
	const struct trace_head *under;
	uint64_t *seed, hash;
	struct node *images; /* of each node, made once however many names it has */
	bool *made;
};

static void make_below(struct making *m, uint32_t parent, const char *directory)
{
	char path[4096];

	if (mkdir(directory, 0700) < 0)
		give_up("disk: %s: %s", directory, strerror(errno));
	for (size_t i = 0; i < m->names->count; i++) {
		const struct name *name = &m->names->at[i];
		struct node *image = &m->images[name->node];

		if (name->parent != parent)
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, name->name);
		/* In no order. */
		m->hash += XXH3_64bits_withSeed(name->name, strlen(name->name), parent);
		if (m->disk->nodes[name->node].is_dir) {
			make_below(m, name->node, path);
			continue;
		}
		if (!m->made[name->node]) {
			choose_bytes(&m->disk->nodes[name->node], m->disk->model, m->seed, image);
			apply_under_way(m->disk, name->node, m->under, m->seed, image);
			m->made[name->node] = true;
		}
		m->hash += XXH3_64bits_withSeed(image->bytes, image->size,
						XXH3_64bits(name->name, strlen(name->name)));
		write_file(path, image);
	}
}

uint64_t disk_make(struct disk *disk, const struct trace_head *under, uint64_t *seed,
		   const char *directory)
{
	struct names names;
	struct making m = { disk,
			    &names,
			    under,
			    seed,
			    0,
			    calloc(disk->node_count, sizeof(struct node)),
			    calloc(disk->node_count, sizeof(bool)) };

	if (!m.images || !m.made)
		abort();
	choose_names(disk, seed, &names);
	make_below(&m, 0, directory);
	for (uint32_t i = 0; i < disk->node_count; i++)
		free(m.images[i].bytes);
	free(m.images);
	free(m.made);
	free(names.at);
	return m.hash;
}

/* ---- comparing ---- */

static bool is_file(struct disk *disk, const struct node *node, const char *path)
{
	struct node image;
	struct stat st;
	uint64_t seed = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool same = fd >= 0 && fstat(fd, &st) == 0;

	(void)disk;
	choose_bytes(node, DISK_KILLED, &seed, &image);
	same = same && (size_t)st.st_size == image.size;
	uint8_t *bytes = malloc(image.size + 1);
	same = same && bytes && pread(fd, bytes, image.size, 0) == (ssize_t)image.size &&
	       memcmp(bytes, image.bytes, image.size) == 0;
	if (!same)
		fprintf(stderr, "the trace does not tell how %s became what it is\n", path);
	if (fd >= 0)
		close(fd);
	free(bytes);
	free(image.bytes);
	return same;
}

static bool is_below(struct disk *disk, uint32_t parent, const char *directory)
{
	DIR *there = opendir(directory);
	size_t count = 0;
	bool same = there != NULL;
	struct dirent *entry;
	char path[4096];

	while (same && (entry = readdir(there)))
		count += entry->d_name[0] != '.' && strcmp(entry->d_name, "LOG") != 0 &&
			 strncmp(entry->d_name, "LOG.old", 7) != 0;
	if (there)
		closedir(there);
	for (size_t i = 0; same && i < disk->now.count; i++) {
		const struct name *name = &disk->now.at[i];

		if (name->parent != parent)
			continue;
		count--;
		snprintf(path, sizeof(path), "%s/%s", directory, name->name);
		same = disk->nodes[name->node].is_dir
			       ? is_below(disk, name->node, path)
			       : is_file(disk, &disk->nodes[name->node], path);
	}
	if (same && count)
		fprintf(stderr, "the trace does not tell of all files in %s\n", directory);
	return same && !count;
}

bool disk_is(struct disk *disk, const char *directory)
{
	return is_below(disk, 0, directory);
}
