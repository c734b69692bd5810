/* boot.c - for programs linked with --wrap=wal_boot: the machine's boot is CRASH_BOOT's when that
 * is set, as though it had been started anew. */
#include <stdint.h>
#include <stdlib.h>

uint64_t __real_wal_boot(void);
uint64_t __wrap_wal_boot(void);

uint64_t __wrap_wal_boot(void)
{
	const char *boot = getenv("CRASH_BOOT");

	return boot ? strtoull(boot, NULL, 10) : __real_wal_boot();
}
