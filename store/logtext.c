/* logtext.c - see logtext.h. */
#include "logtext.h"

struct word {
	uint64_t flag;
	const char *word;
};

static void append_words(struct buf *out, const struct word *words, size_t count, uint64_t flags)
{
	const char *blank = "";

	for (size_t i = 0; i < count; i++) {
		if (flags & words[i].flag) {
			buf_printf(out, "%s%s", blank, words[i].word);
			blank = " ";
		}
	}
}

#define X(flag, word, what) { flag, word },
void log_flag_words(struct buf *out, uint64_t flags)
{
	static const struct word words[] = { LOG_FLAG_WORDS(X) };

	append_words(out, words, sizeof(words) / sizeof(words[0]), flags);
}

void version_flag_words(struct buf *out, uint64_t flags)
{
	static const struct word words[] = { VERSION_FLAG_WORDS(X) };

	append_words(out, words, sizeof(words) / sizeof(words[0]), flags);
}
#undef X

/* Three digests in hexadecimal and all flag words. */
#define MEMORY_ROOM (4 * (2 * DIGEST_LEN + 1) + 128)

static struct cell digest_cell(const char *name, struct digest d, struct buf *memory)
{
	static const struct digest none;
	char hex[2 * DIGEST_LEN + 1];
	size_t at = memory->len;

	if (memcmp(&d, &none, sizeof(d)) == 0)
		return (struct cell){ .name = name, .kind = CELL_NONE };
	hex_encode(hex, d.bytes, DIGEST_LEN);
	buf_append(memory, hex, 2 * DIGEST_LEN);
	return memory->failed ? cell_text(name, view_str(""))
			      : cell_text(name, view_of(memory->data + at, 2 * DIGEST_LEN));
}

static struct cell words_cell(const char *name, uint64_t flags, struct buf *memory)
{
	size_t at = memory->len;

	log_flag_words(memory, flags);
	return memory->failed ? cell_text(name, view_str("")) :
				cell_text_some(name, view_of(memory->data + at, memory->len - at));
}

/* Sizes say something only where content was made. */
static struct cell size_cell(const char *name, uint64_t size, const struct log_record *r)
{
	bool said = size > 0 || r->op == OP_SAVE || r->op == OP_RESTORE;

	return said ? cell_number(name, size) : cell_number_some(name, 0);
}

#define CELL_number(name, value) cell_number(name, value)
#define CELL_count(name, value) cell_number_some(name, value)
#define CELL_size(name, value) size_cell(name, value, r)
#define CELL_time(name, value) cell_time(name, value)
#define CELL_text(name, value) cell_text(name, value)
#define CELL_some(name, value) cell_text_some(name, value)
#define CELL_digest(name, value) digest_cell(name, value, memory)
#define CELL_words(name, value) words_cell(name, value, memory)

void logtext_cells(struct cell cells[LOG_COLUMN_COUNT], const struct log_record *r,
		   struct buf *memory)
{
	buf_clear(memory);
	/* The cells point into memory: it must not move while they are made. */
	if (!buf_grow(memory, MEMORY_ROOM))
		memory->failed = true;
	memory->len = 0;
#define X(column, kind, value, what) cells[LOG_COLUMN_##column] = CELL_##kind(#column, value);
	LOG_COLUMNS(X)
#undef X
}

void logtext_columns(struct cell cells[LOG_COLUMN_COUNT])
{
	CLEANUP(buf_release) struct buf memory = { 0 };

	logtext_cells(cells, &(struct log_record){ 0 }, &memory);
	for (size_t i = 0; i < LOG_COLUMN_COUNT; i++)
		cells[i] = (struct cell){ .name = cells[i].name, .kind = CELL_NONE };
}
