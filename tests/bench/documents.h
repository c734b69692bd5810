/* documents.h - office documents that are edited a little from save to save, the same on every
 * machine.
 *
 * A *kind* is a shape and a size.  csv: rows of text.  xml: a flat export, rows too.  zip: a cheap
 * model of a workbook, incompressible members of which an edit changes one from some place to its
 * end, as deflate does.  book: a real workbook, deflated by zlib in one go.  lo: one deflated as
 * LibreOffice does its larger members, in blocks of 128 KiB, each primed with the one before and
 * ended by a sync flush. A document's bytes depend on the seed, its id and its version alone. */
#ifndef BENCH_DOCUMENTS_H
#define BENCH_DOCUMENTS_H

#include <stddef.h>
#include <stdint.h>

/* X(name, extension, shape, KiB) */
#define KINDS(X) \
	X(csv20k, "csv", SHAPE_CSV, 20) \
	X(csv200k, "csv", SHAPE_CSV, 200) \
	X(csv2m, "csv", SHAPE_CSV, 2048) \
	X(flat200k, "fods", SHAPE_XML, 200) \
	X(flat2m, "fods", SHAPE_XML, 2048) \
	X(xlsx20k, "xlsx", SHAPE_ZIP, 20) \
	X(xlsx200k, "xlsx", SHAPE_ZIP, 200) \
	X(xlsx2m, "xlsx", SHAPE_ZIP, 2048) \
	X(xlsx20m, "xlsx", SHAPE_ZIP, 20480) \
	X(book200k, "xlsx", SHAPE_BOOK, 200) \
	X(book2m, "xlsx", SHAPE_BOOK, 2048) \
	X(lobook200k, "xlsx", SHAPE_LO, 200) \
	X(lobook2m, "xlsx", SHAPE_LO, 2048)

enum shape { SHAPE_CSV, SHAPE_XML, SHAPE_ZIP, SHAPE_BOOK, SHAPE_LO };

struct kind {
	const char *name, *extension;
	enum shape shape;
	size_t bytes;
};
extern const struct kind kinds[];
extern const int kind_count;

#define MEMBERS 7 /* of a zip shape */

struct document {
	int kind, id;
	int version;            /* 1 after document_create() */
	size_t len, room;       /* of data */
	unsigned char *data;    /* what a save writes */
	size_t member[MEMBERS]; /* lengths, zip shape */
	unsigned char *text;    /* a real workbook's sheet */
	size_t text_len, text_room;
};

/* How much memory document_use() wants for a kind. */
size_t document_memory(int kind);
/* Makes *d a document without a version, in memory that the caller owns. */
void document_use(struct document *d, int kind, int id, void *memory);
void document_create(struct document *d, uint64_t seed);
void document_edit(struct document *d, uint64_t seed); /* its next version */

#endif
