#!/bin/bash
# Large things are ordinary: a directory of 100,000 entries, a sparse file of 20 GiB, a dense one changed in place.
. "$(dirname "$0")/lib.sh"

make_users anna
new_share
cd "$MNT/dept" || bail "the directory is there"
took=$SECONDS

# lap WHAT: how long it took
lap()
{
	diag "$((SECONDS - took)) s: $1"
	took=$SECONDS
}

# --- many entries -------------------------------------------------------------------------------------------------

entries=${ENTRIES:-100000}
many()
{
	"$PYTHON" - "$1" "$entries" <<-'END'
		import os, sys
		top, count = sys.argv[1], int(sys.argv[2])
		os.mkdir(top)
		for n in range(count):
		    if n % 100 == 0:
		        with open(f"{top}/f{n:06d}", "w") as f:
		            f.write(f"{n}\n")
		    elif n % 10 == 0:
		        os.mkdir(f"{top}/d{n:06d}")
		    else:
		        os.close(os.open(f"{top}/f{n:06d}", os.O_WRONLY | os.O_CREAT, 0o644))
	END
}
check "$entries entries are made" many many
lap "$entries entries made"
is "all are listed" "$(ls -U many | wc -l)" "$entries"
is "each once" "$(ls -U many | sort -u | wc -l)" "$entries"
lap "listed twice"
echo 3 >/proc/sys/vm/drop_caches
is "each has attributes, asked from the store" "$(find many -mindepth 1 -printf '%y %s\n' | sort | uniq -c | wc -l)" 6
is "as many folders as were made" "$(find many -mindepth 1 -type d | wc -l)" $((entries / 10 - entries / 100))
lap "looked at twice"
is "one name is found" "$(cat many/f000100)" 100
refuses "and one that is not there is not" "No such file" cat many/nothing
change=$(daybook log --limit 1 --json . | sed 's/^{"change":\([0-9]*\).*/\1/')
pinned=$(ls -U ".history/at/change-$change/many" | wc -l)
is "the past lists as many" "$pinned" "$entries"
is "and by name" "$(cat ".history/at/change-$change/many/f000100")" 100
lap "listed in the past"

# Deleting while reading: who deletes what readdir gives misses nothing.
deleted()
{
	"$PYTHON" - "$1" <<-'END'
		import os, sys
		count = 0
		with os.scandir(sys.argv[1]) as entries:
		    for n, entry in enumerate(entries):
		        if entry.name.startswith("f") and n % 2:
		            os.unlink(entry.path)
		            count += 1
		left = len(os.listdir(sys.argv[1]))
		print(count + left)
	END
}
is "deleting while reading loses no entry and gives none twice" "$(deleted many)" "$entries"
lap "half deleted while reading"
check "rm -r" rm -r many
lap "rm -r"
is "nothing is left" "$(ls -A)" ""
is "the past still has all" "$(ls -U ".history/at/change-$change/many" | wc -l)" "$entries"
lap "listed in the past again"

# --- 20 GiB, sparse -----------------------------------------------------------------------------------------------

gib=$((1 << 30))

# mib FILE GIB: what is not zero in the MiB that begins there
mib()
{
	dd if="$1" bs=1M skip=$(($2 * 1024)) count=1 status=none | tr -d '\0'
}

check "a file of 20 GiB" truncate -s 20G huge.img
for at in 0 5 13 19; do
	printf 'here is %s' $at | dd of=huge.img bs=1M seek=$((at * 1024)) conv=notrunc status=none
done
printf end | dd of=huge.img bs=1 seek=$((20 * gib - 3)) conv=notrunc status=none
is "its size" "$(stat -c %s huge.img)" $((20 * gib))
for at in 5 13 19; do
	is "what was written at $at GiB" "$(mib huge.img $at)" "here is $at"
done
is "its end" "$(tail -c 3 huge.img)" end
is "between there is nothing" "$(dd if=huge.img bs=1M skip=9000 count=64 status=none | tr -d '\0' | wc -c)" 0
check "du: it takes little" test "$(du -k huge.img | cut -f 1)" -lt 2048
holes=$("$PYTHON" -c 'import os
fd = os.open("huge.img", os.O_RDONLY)
at, found = 0, []
while True:
    try:
        at = os.lseek(fd, at, os.SEEK_DATA)
    except OSError:
        break
    found.append(at >> 30)
    at = os.lseek(fd, at, os.SEEK_HOLE)
print(*found)')
is "SEEK_DATA finds what was written" "$holes" "0 5 13 19 19"
printf 'changed' | dd of=huge.img bs=1M seek=$((13 * 1024)) conv=notrunc status=none
first=$(version huge.img "$(($(version_count huge.img) - 1))")
is "the version before still has the old bytes" "$(mib "$first" 13)" "here is 13"
is "and its size" "$(stat -c %s "$first")" $((20 * gib))
check "a copy of it out of the history" timeout 60 cp "$first" back.img
is "has its size" "$(stat -c %s back.img)" $((20 * gib))
is "and its bytes" "$(mib back.img 13)" "here is 13"
check "a cut of the end" truncate -s 6G huge.img
is "leaves the beginning" "$(mib huge.img 5)" "here is 5"
rm huge.img back.img
lap "20 GiB, sparse"

# --- 300 MB, dense ------------------------------------------------------------------------------------------------

used()
{
	du -sk "$STORE" | cut -f 1
}

# noise BYTES SEED: the same noise each time
noise()
{
	"$PYTHON" -c 'import random, sys
rng = random.Random(int(sys.argv[2]))
for at in range(0, int(sys.argv[1]), 1 << 20):
    sys.stdout.buffer.write(rng.randbytes(min(int(sys.argv[1]) - at, 1 << 20)))' "$1" "$2"
}

noise 300000000 1 >"$T/dense"
lap "300 MB of noise"
check "300 MB are written" cp "$T/dense" dense.bin
lap "300 MB written"
before=$(used)
sync dense.bin
echo 3 >/proc/sys/vm/drop_caches
same "and read" dense.bin "$T/dense"
lap "300 MB read"
noise 100000 2 | dd of=dense.bin bs=100000 seek=1500 conv=notrunc status=none
lap "100 kB of it changed in place"
grown=$(($(used) - before))
diag "the store grew by $grown KiB for a change of 98 KiB, from $before KiB"
check "the second version takes a fraction of the file (tables being merged counted)" test "$grown" -lt 100000
is "two versions" "$(version_count dense.bin)" 2
same "the first is as it was" "$(version dense.bin 1)" "$T/dense"
noise 100000 2 | dd of="$T/dense" bs=100000 seek=1500 conv=notrunc status=none
same "the second is what it became" dense.bin "$T/dense"
lap "both versions compared"
# --- written in order, with deaths --------------------------------------------------------------------------------

# write_slowly FILE: $T/dense through one handle, which waits at 150 and 250 MiB for $T/go-150 and $T/go-250 and then
# writes something again that is there already
write_slowly()
{
	"$PYTHON" -c 'import os, sys, time
path, of, room = sys.argv[1:]
fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
with open(of, "rb") as f:
    while piece := f.read(1 << 20):
        os.write(fd, piece)
        at = f.tell() >> 20
        if at in (150, 250):
            open(f"{room}/at-{at}", "w").close()
            while not os.path.exists(f"{room}/go-{at}"):
                time.sleep(0.01)
            os.pwrite(fd, os.pread(f.fileno(), 70000, 100 << 20), 100 << 20)
os.close(fd)' "$1" "$T/dense" "$T"
}

write_slowly slow.bin &
writer=$!
for at in 150 250; do
	check "$at MiB are written" wait_for 60 test -e "$T/at-$at"
	kill_worker
	touch "$T/go-$at"
done
wait "$writer"
is "the process that serves was killed twice, and the writer noticed nothing" $? 0
same "it is what was written" slow.bin "$T/dense"
echo 3 >/proc/sys/vm/drop_caches
same "and what was kept" slow.bin "$T/dense"
is "it is one save" "$(version_count slow.bin)" 1
lap "300 MB written while the process that serves was killed twice"
rm "$T"/go-* "$T"/at-*
write_slowly cut.bin 2>/dev/null &
writer=$!
check "150 MiB are written" wait_for 60 test -e "$T/at-150"
kill_daemon
touch "$T/go-150"
wait "$writer"
cd /
mount_share
cd "$MNT/dept" || bail "the directory is there again"
is "all of them were kept when the daemon was killed" "$(stat -c %s cut.bin)" $((150 << 20))
check "as they were written" cmp -n $((150 << 20)) cut.bin "$T/dense"
like "as an incomplete save" "$(daybook history --json cut.bin)" '"flags":"incomplete recovered"'
lap "150 MiB kept when the daemon was killed"
cd /
unmount_share
lap "unmounted"
verify_clean "the store verifies"
lap "verified"
done_testing
