# Daybook: a shared drive that forgets nothing.
# make | check [T=name] | e2e [T=name] | crash [POINTS=n SEED=n] | sanitize | asan [T=name] | tsan [T=name] | fuzz [T=name] [SECONDS=n] | bench [ARGS=--quick] | lint | layers | install | uninstall | clean

CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
UNITS ?= $(PREFIX)/lib/systemd/system
BUILD ?= build
WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wno-format-zero-length $(if $(CI),-Werror)

STORE_PKGS = rocksdb libxxhash libzstd libsodium
FS_PKGS = fuse3 libseccomp
# RocksDB's pkg-config file names what a static link needs; the shared library needs only itself.
# zlib statically: packed contents count on the very streams that this zlib makes (store/recode.h).
STORE_LIBS = -lrocksdb $(shell pkg-config --libs libxxhash libzstd libsodium) -l:libz.a -pthread
FS_LIBS = $(shell pkg-config --libs $(FS_PKGS))
CHECK_LIBS = $(shell pkg-config --libs check)

ALL_CFLAGS = -std=gnu11 $(CFLAGS) $(WARNINGS) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I. -MMD -MP -pthread $(SANITIZE)
FS_CFLAGS = $(shell pkg-config --cflags $(FS_PKGS))

STORE_OBJ = $(patsubst %.c,$(BUILD)/%.o,$(wildcard store/*.c))
FS_OBJ = $(patsubst %.c,$(BUILD)/%.o,$(wildcard fs/*.c))
TOOLS_OBJ = $(patsubst %.c,$(BUILD)/%.o,$(wildcard tools/*.c))
UNIT_SRC = $(wildcard tests/unit/test_*.c)
UNIT_BIN = $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT_SRC))
HELPER_BIN = $(patsubst tests/e2e/%.c,$(BUILD)/tests/e2e/%,$(wildcard tests/e2e/*.c))

all: $(BUILD)/daybookd $(BUILD)/daybook

$(BUILD)/daybookd: $(FS_OBJ) $(BUILD)/libstore.a
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(FS_LIBS) $(STORE_LIBS)

$(BUILD)/daybook: $(TOOLS_OBJ) $(BUILD)/libstore.a
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(STORE_LIBS)

$(BUILD)/libstore.a: $(STORE_OBJ)
	rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/fs/%.o: fs/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(FS_CFLAGS) -c -o $@ $<

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

# One program per unit test; one that uses objects of fs/, which must need no libfuse, names them here.
$(BUILD)/tests/unit/test_history: $(patsubst %.c,$(BUILD)/%.o,$(wildcard fs/history*.c))
$(BUILD)/tests/unit/test_control: $(addprefix $(BUILD)/fs/,socket.o proc.o)
$(BUILD)/tests/unit/test_handle: $(BUILD)/fs/handle.o $(BUILD)/fs/region.o
$(BUILD)/tests/unit/test_waiters: $(BUILD)/fs/waiters.o
$(BUILD)/tests/unit/test_file: $(addprefix $(BUILD)/fs/,file.o file_read.o drain.o bases.o handle.o identity.o proc.o orphans.o inode_set.o log.o)
$(BUILD)/tests/unit/test_pace: $(BUILD)/fs/pace.o
$(BUILD)/tests/unit/test_confine: $(BUILD)/fs/confine.o
$(BUILD)/tests/unit/test_confine: UNIT_LIBS = $(shell pkg-config --libs libseccomp)

# One that starts the machine anew, as it were, asks for the boot's number from tests/crash/boot.c.
WRAP_BOOT = $(if $(filter %/boot.o,$^),-Wl$(comma)--wrap=wal_boot)
comma = ,
$(addprefix $(BUILD)/tests/unit/,test_current test_recovery): $(BUILD)/tests/crash/boot.o

# One that makes operations of a store fail, and one whose allocations fail besides (tests/crash/memory.h).
OPERATIONS_OBJ = $(BUILD)/tests/crash/operations.o $(BUILD)/tools/backup.o $(patsubst %.c,$(BUILD)/%.o,$(wildcard fs/history*.c))
MEMORY_WRAPS = malloc calloc realloc reallocarray strdup realpath opendir fdopendir fopen nftw scandirat \
	ZSTD_createCCtx ZSTD_createDCtx ZSTD_compressCCtx ZSTD_compress2 ZSTD_decompressDCtx
WRAP_MEMORY = $(if $(filter %/memory.o,$^),$(addprefix -Wl$(comma)--wrap=,$(MEMORY_WRAPS)))
$(BUILD)/tests/unit/test_memory: $(BUILD)/tests/crash/memory.o $(OPERATIONS_OBJ)
$(BUILD)/tests/unit/test_plain: $(BUILD)/tests/crash/memory.o

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libstore.a
	$(CC) $(SANITIZE) $(LDFLAGS) $(WRAP_BOOT) $(WRAP_MEMORY) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(CHECK_LIBS) $(UNIT_LIBS) $(STORE_LIBS)

# Small programs that play system calls for the end-to-end tests; they know nothing of Daybook.
$(BUILD)/tests/e2e/%: tests/e2e/%.c tests/e2e/posix.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(CFLAGS) $(WARNINGS) -D_GNU_SOURCE -o $@ $< -pthread

# What is preloaded into the daemon.
$(BUILD)/tests/e2e/%.so: tests/e2e/preload/%.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(CFLAGS) $(WARNINGS) -D_GNU_SOURCE -shared -fPIC -o $@ $< -ldl

helpers: $(HELPER_BIN) $(addprefix $(BUILD)/tests/e2e/,probe.so conditions.so memory.so) $(BUILD)/tests/bench/bigstore

# Crash tests: a recorder to preload, programs to be recorded, and what cuts and checks (tests/crash/run).
CRASH_OUT = $(BUILD)/tests/crash
CRASH_BIN = $(addprefix $(CRASH_OUT)/,record.so crash workload saver faults)

$(CRASH_OUT)/record.so: tests/crash/record.c tests/crash/trace.h tests/crash/fault.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(CFLAGS) $(WARNINGS) -D_GNU_SOURCE -I. -shared -fPIC -o $@ $< -ldl -pthread

$(CRASH_OUT)/crash: $(addprefix $(CRASH_OUT)/,check.o disk.o boot.o)
$(CRASH_OUT)/workload $(CRASH_OUT)/faults: $(CRASH_OUT)/boot.o
$(CRASH_OUT)/workload: $(CRASH_OUT)/packing.o
$(CRASH_OUT)/faults: $(OPERATIONS_OBJ)

$(CRASH_OUT)/%: $(CRASH_OUT)/%.o $(BUILD)/libstore.a
	$(CC) $(SANITIZE) $(LDFLAGS) $(WRAP_BOOT) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(CHECK_LIBS) $(STORE_LIBS)



crash-programs: all $(CRASH_BIN)

crash: crash-programs
	tests/crash/run library
	tests/crash/run faults
	POINTS=$${POINTS_MOUNT:-400} tests/crash/run mount
	tests/crash/power

check: $(if $(T),$(BUILD)/tests/unit/test_$(T),$(UNIT_BIN))
	CK_TAP_LOG_FILE_NAME=- CK_VERBOSITY=silent prove --timer -e '' $^

units: $(UNIT_BIN)

e2e: all helpers
	tests/e2e/run $(T)

# With sanitizers the compiler sees less and warns of lengths that cannot be.
SANITIZED = BUILD=$(BUILD)/sanitize CFLAGS='-O1 -g -Wno-format-truncation' \
	SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer'

sanitize:
	$(MAKE) $(SANITIZED) check

sanitize-units:
	$(MAKE) $(SANITIZED) units

# The daemon and the tools under AddressSanitizer or ThreadSanitizer, for the end-to-end tests.
TSAN = BUILD=$(BUILD)/tsan CFLAGS='-O1 -g -Wno-format-truncation -Wno-tsan' SANITIZE='-fsanitize=thread -fno-omit-frame-pointer'

asan-programs:
	$(MAKE) $(SANITIZED) all helpers

tsan-programs:
	$(MAKE) $(TSAN) all helpers

asan: asan-programs
	BUILD=$(BUILD)/sanitize tests/e2e/run $(T)

# Without address space randomisation: this compiler's ThreadSanitizer does not find its way on newer kernels else.
tsan: tsan-programs
	BUILD=$(BUILD)/tsan setarch -R tests/e2e/run $(T)

.PHONY: asan-programs tsan-programs asan tsan

# Fuzz targets, with clang's libFuzzer: tests/fuzz/NAME.c each.  What they need of fs/ and tools/ comes from archives.
# pointer-overflow: clang 14 reports NULL + 0, which empty views come to, and which C2y defines.
FUZZ_BUILD = $(BUILD)/fuzz
FUZZED = BUILD=$(FUZZ_BUILD) CC=clang CI= CFLAGS='-O1 -g' \
	SANITIZE='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=pointer-overflow \
	-fno-sanitize-recover=undefined -fno-omit-frame-pointer'
FUZZ_BIN = $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(wildcard tests/fuzz/*.c))

$(BUILD)/libfs.a: $(filter-out $(BUILD)/fs/main.o,$(FS_OBJ))
	rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/libtools.a: $(filter-out $(BUILD)/tools/main.o,$(TOOLS_OBJ))
	rm -f $@ && $(AR) rcs $@ $^

# Targets that keep a store keep it in memory.
$(addprefix $(BUILD)/tests/fuzz/,commands database history journal packed requests): $(BUILD)/tests/fuzz/memory/kv.o

$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/libfs.a $(BUILD)/libtools.a $(BUILD)/libstore.a
	$(CC) -fsanitize=fuzzer $(SANITIZE) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(FS_LIBS) $(STORE_LIBS)

$(BUILD)/tests/fuzz/%.o: tests/fuzz/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(FS_CFLAGS) -c -o $@ $<

fuzz-targets-here: $(FUZZ_BIN)

fuzz-targets:
	$(MAKE) $(FUZZED) fuzz-targets-here

fuzz: fuzz-targets
	tests/fuzz/run --keep $(FUZZ_BUILD)/tests/fuzz $(or $(SECONDS),60) $(T)

.PHONY: fuzz fuzz-targets fuzz-targets-here

# What plays work for the benchmark; bigstore makes large stores with the store's own functions.
$(BUILD)/tests/bench/savebench: $(BUILD)/tests/bench/savebench.o $(BUILD)/tests/bench/documents.o
	$(CC) -o $@ $^ -lz -pthread

$(BUILD)/tests/bench/opbench: $(BUILD)/tests/bench/opbench.o
	$(CC) -o $@ $^

$(BUILD)/tests/bench/bigstore: $(BUILD)/tests/bench/bigstore.o $(BUILD)/libstore.a
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(STORE_LIBS)

bench-packages:
	sh tools/setup --install zlib1g-dev bindfs btrfs-progs e2fsprogs python3 git

bench: all bench-packages
	$(MAKE) $(addprefix $(BUILD)/tests/bench/,savebench opbench bigstore)
	/usr/bin/python3 tests/bench/bench.py $(BUILD) tests/bench/RESULTS.md $(ARGS)

layers:
	tests/layers

lint:
	tests/lint

install: all
	install -D -m 755 $(BUILD)/daybook $(DESTDIR)$(PREFIX)/bin/daybook
	install -D -m 755 $(BUILD)/daybookd $(DESTDIR)$(PREFIX)/sbin/daybookd
	mkdir -p $(DESTDIR)$(UNITS)
	sed 's|@PREFIX@|$(PREFIX)|' fs/daybook@.service.in > $(DESTDIR)$(UNITS)/daybook@.service
	for page in $(wildcard man/*.[1-8]); do \
		install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit 1; done

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/daybook $(DESTDIR)$(PREFIX)/sbin/daybookd $(DESTDIR)$(UNITS)/daybook@.service
	for page in $(wildcard man/*.[1-8]); do \
		rm -f $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; done

clean:
	rm -rf $(BUILD)

.PHONY: all bench bench-packages check units e2e sanitize sanitize-units layers lint install uninstall clean helpers
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
