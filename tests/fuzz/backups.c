/* backups.c - lists in a directory of backups, which others may carry around: tools/backup.h.
 * Input: one byte, then the list of backup 1; with bit 0 of that byte its last line, the digest, is
 * made right, and with bit 1 its head. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "tools/backup.h"

#define HEAD "daybook backups 1\nshare 0123456789abcdef0123456789abcdef\n"

static char directory[256];

static void write_file(const char *name, struct view bytes)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd >= 0 && write(fd, bytes.data, bytes.len) == (ssize_t)bytes.len);
	close(fd);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *base = getenv("TMPDIR");
	char path[300];

	(void)argc, (void)argv;
	snprintf(directory, sizeof(directory), "%s/daybook-backups.XXXXXX", base ? base : "/tmp");
	must(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/files", directory);
	must(mkdir(path, 0700) == 0);
	write_file("backup", view_str(HEAD));
	return 0;
}

static void add_end(struct buf *text)
{
	struct digest all = digest_of(buf_view(text));
	char hex[2 * DIGEST_LEN + 1];

	hex_encode(hex, all.bytes, DIGEST_LEN);
	buf_printf(text, "end %s\n", hex);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_release) struct buf text = { 0 };
	struct input in = { data, size };
	uint8_t how = take_u8(&in);
	struct backups backups;
	struct backup backup;
	struct error e = { 0 };

	if (how & 2)
		buf_printf(&text, HEAD "change 5\ntime 6\ntaken 7\n");
	buf_append(&text, in.at, in.left);
	if (how & 1)
		add_end(&text);
	write_file("00000001.list", buf_view(&text));
	must(backups_open(directory, NULL, false, &backups, NULL) == 0 && backups.count == 1);
	int rc = backups_read(&backups, 1, &backup, &e);
	must(rc == 0 || (rc == e.code && rc == -E_CORRUPT));
	for (size_t i = 0; rc == 0 && i < backup.count; i++)
		must(backup.files[i].path[0] && backup.files[i].path[0] != '/' &&
		     !strstr(backup.files[i].path, ".."));
	if (rc == 0) {
		rc = backups_copy_out(&backups, &backup, NULL, NULL, NULL, NULL);
		must(rc < 0 || backup.count == 0); /* none of its files is there */
		backup_release(&backup);
	}
	backups_close(&backups);
	return 0;
}
