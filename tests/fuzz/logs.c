/* logs.c - RocksDB's write-ahead log and the seal, as a start finds them: store/wal.h,
 * store/seal.h. Input: one byte, then for odd ones a log whose records' checksums are made right
 * first, for even ones a log as it is; with bit 1 the first SEAL_LEN bytes of it are the seal, its
 * checksum made right. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "fuzz.h"
#include "store/format.h"
#include "store/seal.h"
#include "store/wal.h"

#define BLOCK 32768u
#define BOOT 7

static char directory[256];

static uint32_t masked_crc(const uint8_t *data, size_t n)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < n; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	crc = ~crc;
	return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void seal_records(uint8_t *log, size_t n)
{
	size_t at = 0;

	while (n - at >= 7) {
		size_t len = log[at + 4] | (size_t)log[at + 5] << 8;

		if (len > n - at - 7)
			return;
		uint32_t crc = masked_crc(log + at + 6, len + 1);
		memcpy(log + at, &crc, 4);
		at += 7 + len;
		if (BLOCK - at % BLOCK < 7)
			at += BLOCK - at % BLOCK;
		if (at > n)
			return;
	}
}

static void write_file(const char *name, const uint8_t *bytes, size_t n)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
	close(fd);
}

static void try_seal(uint8_t bytes[SEAL_LEN])
{
	struct seal_claim claim;
	struct error e = { 0 };
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t checksum = XXH3_64bits(bytes, SEAL_LEN - 8);

	for (int i = 0; i < 8; i++)
		bytes[SEAL_LEN - 1 - i] = (uint8_t)(checksum >> (8 * i));
	write_file("SEAL", bytes, SEAL_LEN);
	int rc = seal_check(fd, BOOT, &claim, &e);
	must(rc == 0 || (rc == -E_CORRUPT && e.code == rc));
	close(fd);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *base = getenv("TMPDIR");

	(void)argc, (void)argv;
	snprintf(directory, sizeof(directory), "%s/daybook-logs.XXXXXX", base ? base : "/tmp");
	must(mkdtemp(directory));
	write_file("CURRENT", (const uint8_t *)"MANIFEST-000005\n", 16);
	write_file("MANIFEST-000005", (const uint8_t *)"12345", 5);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_release) struct buf note = { 0 };
	struct input in = { data, size };
	uint8_t how = take_u8(&in);
	uint8_t *bytes = malloc(in.left + 1);
	struct error e = { 0 };
	uint64_t last = 0, again = 0;

	must(bytes);
	memcpy(bytes, in.at ? in.at : (const uint8_t *)"", in.left);
	if (how & 2 && in.left >= SEAL_LEN)
		try_seal(bytes);
	if (how & 1)
		seal_records(bytes, in.left);
	write_file("000004.log", bytes, in.left);
	int rc = wal_inspect(directory, BOOT, 0, &note, &last, &e);
	if (rc == 1)
		rc = wal_inspect(directory, BOOT, 1, &note, &last, &e);
	must(rc == 0 || (rc == -E_CORRUPT && e.code == rc));
	if (rc == 0) { /* what was cut off stays off, and nothing else goes */
		buf_clear(&note);
		must(wal_inspect(directory, BOOT, 0, &note, &again, &e) == 0);
		must(again == last && note.len == 0);
	}
	free(bytes);
	return 0;
}
