/* documents.c - see documents.h. */
#include "documents.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

const struct kind kinds[] = {
#define X(name, extension, shape, kib) { #name, extension, shape, (size_t)(kib) << 10 },
	KINDS(X)
#undef X
};
const int kind_count = sizeof(kinds) / sizeof(kinds[0]);

/* --- random numbers: a counter-based generator, so that any state can be reached from its key
 * alone --- */

struct rng {
	uint64_t s;
};

static uint64_t rnd(struct rng *r)
{
	uint64_t z = (r->s += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t below(struct rng *r, uint64_t n)
{
	return n ? rnd(r) % n : 0;
}

static struct rng rng_for(uint64_t seed, int id, int version)
{
	struct rng r = { seed };

	r.s = rnd(&r) ^ (uint64_t)id;
	r.s = rnd(&r) ^ (uint64_t)version;
	return r;
}

static void fill(struct rng *r, unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i += 8) {
		uint64_t v = rnd(r);

		memcpy(p + i, &v, n - i < 8 ? n - i : 8);
	}
}

/* --- text --- */

#define ROW_MAX 400

static const char *const regions[] = { "EU-North", "EU-South", "AMER", "APAC", "MEA", "Domestic" };
static const char *const words[] = {
	"renewal",     "pending",      "invoiced",    "on hold", "approved by finance",
	"credit note", "see e-mail",   "Q3 forecast", "late",    "partial delivery",
	"ok",          "to be checked"
};

/* One row; returns its length, at most ROW_MAX. */
static size_t row(struct rng *r, enum shape shape, unsigned char *to)
{
	static const char *const formats[] = {
		[SHAPE_CSV] = "%u-%02u-%02u,%s,SKU-%06u,%u,%05u.%02u,%s\r\n",
		[SHAPE_XML] =
			"<row><c t=\"d\">%u-%02u-%02u</c><c>%s</c><c>SKU-%06u</c><c t=\"n\">%u</c>"
			"<c t=\"n\">%05u.%02u</c><c>%s</c></row>\n",
		[SHAPE_BOOK] = "<row><c t=\"inlineStr\"><is><t>%u-%02u-%02u</t></is></c>"
			       "<c t=\"inlineStr\"><is><t>%s</t></is></c>"
			       "<c "
			       "t=\"inlineStr\"><is><t>SKU-%06u</t></is></c><c><v>%u</v></"
			       "c><c><v>%05u.%02u</v></c>"
			       "<c t=\"inlineStr\"><is><t>%s</t></is></c></row>\n",
	};
	unsigned y = 2019 + (unsigned)below(r, 7), m = 1 + (unsigned)below(r, 12),
		 d = 1 + (unsigned)below(r, 28);
	const char *region = regions[below(r, 6)], *word = words[below(r, 12)];
	unsigned sku = (unsigned)below(r, 40000), quantity = 1 + (unsigned)below(r, 400);
	unsigned cents = (unsigned)below(r, 9000000);

	return (size_t)sprintf((char *)to, formats[shape], y, m, d, region, sku, quantity,
			       cents / 100, cents % 100, word);
}

/* One to three amounts change in place; every third save a row is added, half the time in the
 * middle. */
static void text_edit(struct rng *r, enum shape shape, unsigned char *text, size_t *len,
		      size_t room)
{
	for (uint64_t n = 1 + below(r, 3); n > 0; n--) {
		size_t at = below(r, *len - ROW_MAX);
		unsigned char *dot = memchr(text + at, '.', ROW_MAX);

		for (int i = 1; dot && i <= 3; i++) {
			if (dot - i >= text && dot[-i] >= '0' && dot[-i] <= '9')
				dot[-i] = (unsigned char)('0' +
							  (dot[-i] - '0' + 1 + (int)below(r, 9)) %
								  10);
		}
	}
	if (below(r, 3) != 0 || *len + ROW_MAX >= room)
		return;
	unsigned char line[ROW_MAX + 1];
	size_t n = row(r, shape, line), at = *len;
	unsigned char *end = below(r, 2) ? memchr(text + *len / 3, '\n', *len - *len / 3) : NULL;
	if (end)
		at = (size_t)(end - text) + 1;
	memmove(text + at + n, text + at, *len - at);
	memcpy(text + at, line, n);
	*len += n;
}

/* --- the model of a workbook --- */

enum { M_TYPES, M_STYLES, M_SHEET1, M_SHEET2, M_STRINGS, M_PROPERTIES, M_DIRECTORY };

static void zip_create(struct document *d, struct rng *r)
{
	size_t n = kinds[d->kind].bytes - 4096;
	size_t lengths[MEMBERS] = { 2048, n / 20, n * 11 / 20, n * 3 / 20, n / 4, 1024, 1024 };

	memcpy(d->member, lengths, sizeof(lengths));
	for (int i = 0; i < MEMBERS; i++)
		d->len += lengths[i];
	fill(r, d->data, d->len);
}

/* Rewrites member m from offset `from` on, its length changing by delta. */
static void member_rewrite(struct document *d, struct rng *r, int m, size_t from, long delta)
{
	size_t at = 0;

	for (int i = 0; i < m; i++)
		at += d->member[i];
	size_t end = at + d->member[m];
	if (d->len + (size_t)delta > d->room || (long)(d->member[m] - from) + delta < 64)
		delta = 0;
	memmove(d->data + end + delta, d->data + end, d->len - end);
	d->member[m] += (size_t)delta;
	d->len += (size_t)delta;
	fill(r, d->data + at + from, d->member[m] - from);
}

static void zip_edit(struct document *d, struct rng *r)
{
	int m = below(r, 5) ? M_SHEET1 : M_SHEET2;
	long delta = (long)below(r, 49) - 24;

	member_rewrite(d, r, m, below(r, d->member[m] - 512), delta);
	if (below(r, 10) < 3) /* a new text: the table's end changes */
		member_rewrite(d, r, M_STRINGS, d->member[M_STRINGS] * 98 / 100,
			       (long)below(r, 20));
	member_rewrite(d, r, M_PROPERTIES, 256, 0);
	member_rewrite(d, r, M_DIRECTORY, 0, 0);
}

/* --- real workbooks --- */

#define LO_BLOCK (128u << 10)
#define SHEETS_PER_BYTE 11 /* sheets deflate to about an eleventh */
#define OFFICE "http://schemas.openxmlformats.org/"
#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"

struct member {
	const char *name, *body; /* body NULL: the sheet; "": the properties */
};

static const struct member workbook[] = {
	{ "[Content_Types].xml",
	  XML "<Types xmlns=\"" OFFICE
	      "package/2006/content-types\"><Default Extension=\"rels\" ContentType=\"application/"
	      "vnd.openxmlformats-package.relationships+xml\"/><Override "
	      "PartName=\"/xl/workbook.xml\" ContentType=\""
	      "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/"
	      "><Override PartName=\"/xl/"
	      "worksheets/sheet1.xml\" "
	      "ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml."
	      "worksheet+xml\"/></Types>" },
	{ "_rels/.rels", XML "<Relationships xmlns=\"" OFFICE
			     "package/2006/relationships\"><Relationship Id=\"rId1\" Type=\"" OFFICE
			     "officeDocument/2006/relationships/officeDocument\" "
			     "Target=\"xl/workbook.xml\"/></Relationships>" },
	{ "docProps/core.xml", "" },
	{ "xl/worksheets/sheet1.xml", NULL },
	{ "xl/workbook.xml",
	  XML "<workbook xmlns=\"" OFFICE "spreadsheetml/2006/main\" xmlns:r=\"" OFFICE
	      "officeDocument/2006/relationships"
	      "\"><sheets><sheet name=\"Data\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>" },
	{ "xl/_rels/workbook.xml.rels",
	  XML "<Relationships xmlns=\"" OFFICE
	      "package/2006/relationships\"><Relationship Id=\"rId1\" Type=\"" OFFICE
	      "officeDocument/2006/relationships/worksheet\" "
	      "Target=\"worksheets/sheet1.xml\"/></Relationships>" },
};
#define WORKBOOK_MEMBERS (sizeof(workbook) / sizeof(workbook[0]))

struct packed {
	uint32_t crc, deflated, bytes, at;
};

static void out_of_room(void)
{
	fputs("documents: a workbook outgrew its buffer\n", stderr);
	exit(1);
}

static size_t deflate_blocks(const unsigned char *from, size_t n, unsigned char *to, size_t room,
			     size_t block)
{
	size_t done = 0, out = 0;

	do {
		size_t take = n - done < block ? n - done : block,
		       prime = done < 32768 ? done : 32768;
		z_stream z = { 0 };

		if (deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
			out_of_room();
		if (prime)
			deflateSetDictionary(&z, from + done - prime, (uInt)prime);
		z.next_in = (Bytef *)from + done;
		z.avail_in = (uInt)take;
		z.next_out = to + out;
		z.avail_out = (uInt)(room - out);
		done += take;
		deflate(&z, done == n ? Z_FINISH : Z_SYNC_FLUSH);
		if (!z.avail_out)
			out_of_room();
		out = room - z.avail_out;
		deflateEnd(&z);
	} while (done < n);
	return out;
}

static void put(unsigned char **p, uint32_t value, int bytes)
{
	while (bytes--) {
		*(*p)++ = (unsigned char)value;
		value >>= 8;
	}
}

/* What the local header and the directory both say of a member. */
static void put_facts(unsigned char **p, const struct document *d, const struct packed *m,
		      size_t name_len)
{
	put(p, 20, 2);
	put(p, 0, 2);
	put(p, 8, 2);
	put(p, 0x50005800 + (uint32_t)d->version, 4); /* when */
	put(p, m->crc, 4);
	put(p, m->deflated, 4);
	put(p, m->bytes, 4);
	put(p, (uint32_t)name_len, 2);
	put(p, 0, 2);
}

static void pack_member(struct document *d, unsigned char **p, const char *name, const void *body,
			size_t n, struct packed *m)
{
	unsigned char *at = *p + 30 + strlen(name);
	bool blocks = kinds[d->kind].shape == SHAPE_LO && n > LO_BLOCK;

	m->at = (uint32_t)(*p - d->data);
	m->bytes = (uint32_t)n;
	m->crc = (uint32_t)crc32(0, body, (uInt)n);
	m->deflated = (uint32_t)deflate_blocks(body, n, at, (size_t)(d->data + d->room - at) - 4096,
					       blocks ? LO_BLOCK : SIZE_MAX);
	put(p, 0x04034b50, 4);
	put_facts(p, d, m, strlen(name));
	memcpy(*p, name, strlen(name));
	*p = at + m->deflated;
}

static void pack_directory(struct document *d, unsigned char *p, const struct packed *packed)
{
	uint32_t start = (uint32_t)(p - d->data);

	for (size_t i = 0; i < WORKBOOK_MEMBERS; i++) {
		size_t name_len = strlen(workbook[i].name);

		put(&p, 0x02014b50, 4);
		put(&p, 20, 2);
		put_facts(&p, d, &packed[i], name_len);
		put(&p, 0, 2); /* comment */
		put(&p, 0, 4); /* disk, attributes */
		put(&p, 0, 4);
		put(&p, packed[i].at, 4);
		memcpy(p, workbook[i].name, name_len);
		p += name_len;
	}
	uint32_t len = (uint32_t)(p - d->data) - start;
	put(&p, 0x06054b50, 4);
	put(&p, 0, 4);
	put(&p, WORKBOOK_MEMBERS, 2);
	put(&p, WORKBOOK_MEMBERS, 2);
	put(&p, len, 4);
	put(&p, start, 4);
	put(&p, 0, 2);
	d->len = (size_t)(p - d->data);
}

static void book_pack(struct document *d)
{
	static const char head[] =
		XML "<worksheet xmlns=\"" OFFICE "spreadsheetml/2006/main\"><sheetData>\n";
	static const char tail[] = "</sheetData></worksheet>";
	size_t head_len = strlen(head), len = head_len + d->text_len + strlen(tail);
	unsigned char *sheet = malloc(len), *p = d->data;
	struct packed packed[WORKBOOK_MEMBERS];
	char properties[512];

	if (!sheet)
		out_of_room();
	memcpy(sheet, head, head_len);
	memcpy(sheet + head_len, d->text, d->text_len);
	memcpy(sheet + head_len + d->text_len, tail, strlen(tail));
	sprintf(properties,
		XML "<cp:coreProperties xmlns:cp=\"" OFFICE
		    "package/2006/metadata/core-properties\" xmlns:"
		    "dcterms=\"http://purl.org/dc/terms/\"><cp:revision>%d</"
		    "cp:revision><dcterms:modified>2026-%02d-%02d"
		    "T10:00:00Z</dcterms:modified></cp:coreProperties>",
		d->version, 1 + d->version / 28 % 12, 1 + d->version % 28);
	for (size_t i = 0; i < WORKBOOK_MEMBERS; i++) {
		const char *body =
			workbook[i].body && !workbook[i].body[0] ? properties : workbook[i].body;

		pack_member(d, &p, workbook[i].name, body ? (const void *)body : sheet,
			    body ? strlen(body) : len, &packed[i]);
	}
	pack_directory(d, p, packed);
	free(sheet);
}

/* --- documents --- */

static bool is_book(int kind)
{
	return kinds[kind].shape == SHAPE_BOOK || kinds[kind].shape == SHAPE_LO;
}

static size_t data_room(int kind)
{
	size_t n = kinds[kind].bytes + kinds[kind].bytes / 4 + 65536;

	return is_book(kind) ? 2 * n : n;
}

static size_t text_room(int kind)
{
	return is_book(kind) ? kinds[kind].bytes * SHEETS_PER_BYTE + 65536 : 0;
}

size_t document_memory(int kind)
{
	return data_room(kind) + text_room(kind);
}

void document_use(struct document *d, int kind, int id, void *memory)
{
	*d = (struct document){ .kind = kind,
				.id = id,
				.room = data_room(kind),
				.text_room = text_room(kind),
				.data = memory };
	d->text = d->data + d->room;
}

void document_create(struct document *d, uint64_t seed)
{
	const struct kind *kind = &kinds[d->kind];
	struct rng r = rng_for(seed, d->id, 1);

	d->version = 1;
	d->len = d->text_len = 0;
	if (kind->shape == SHAPE_ZIP) {
		zip_create(d, &r);
		return;
	}
	if (is_book(d->kind)) {
		while (d->text_len < d->text_room - 65536)
			d->text_len += row(&r, SHAPE_BOOK, d->text + d->text_len);
		book_pack(d);
		return;
	}
	while (d->len < kind->bytes)
		d->len += row(&r, kind->shape, d->data + d->len);
}

void document_edit(struct document *d, uint64_t seed)
{
	struct rng r = rng_for(seed, d->id, ++d->version);

	if (kinds[d->kind].shape == SHAPE_ZIP) {
		zip_edit(d, &r);
	} else if (is_book(d->kind)) {
		text_edit(&r, SHAPE_BOOK, d->text, &d->text_len, d->text_room);
		book_pack(d);
	} else {
		text_edit(&r, kinds[d->kind].shape, d->data, &d->len, d->room);
	}
}
