#!/bin/bash
# P1 on a full disk: ENOSPC to the program, nothing that was saved is harmed, and saving goes on when space is freed.
. "$(dirname "$0")/lib.sh"

# The store stands on a small filesystem of its own, beside a ballast that can be taken away.
truncate -s 128M "$T/disk.img"
mkfs.ext4 -q -m 0 "$T/disk.img" && mkdir "$T/disk" && mount -o loop "$T/disk.img" "$T/disk" 2>"$T/mount.log" ||
	{ skip "a full disk" "no loop device: $(cat "$T/mount.log")"; done_testing; }
STORE=$T/disk/store
dd if=/dev/zero of="$T/disk/ballast" bs=1M count=24 status=none

make_users anna ben
new_share
cd "$MNT/dept" || bail "the directory is there"
mkdir "$T/copies"
head -c 2M /dev/urandom >"$T/noise"

# save NAME OFFSET: a file of noise, and what it must be
save()
{
	tail -c +"$2" "$T/noise" | head -c 300000 >"$T/copies/$1" && as "$anna" cp "$T/copies/$1" "$1"
}

# intact NAME: every saved file is what it was
intact()
{
	local file
	for file in "$T"/copies/*; do
		cmp "$file" "${file##*/}" || return 1
	done
}

for n in $(seq 1 12); do save "file$n.bin" $((n * 1000 + 1)) || bail "a file is saved"; done
as_sh "$anna" 'echo one >plan.txt && echo two >plan.txt'
check "what is saved is there" intact

# Filled by saves.
: >"$T/errors"
chmod 1777 "$T/copies" && chmod 666 "$T/errors"
as_sh "$ben" 'for n in $(seq 200); do
		head -c 1000000 /dev/urandom >"$1/big$n.bin"
		cp "$1/big$n.bin" "big$n.bin" 2>>"$2" || { rm "$1/big$n.bin"; exit; }
	done' "$T/copies" "$T/errors"
like "cp is told that the disk is full" "$(cat "$T/errors")" "No space left on device"
diag "after $(find . -name 'big*.bin' | wc -l) saves of 1 MB; $(stat -f -c '%a blocks of %S bytes are left' "$MNT")"
refuses "dd is told" "No space left on device" as "$ben" dd if=/dev/urandom of=last.bin bs=64k count=4000
refuses "the shell's commands are told" "No space left on device" \
	as_sh "$ben" 'head -c 30000000 /dev/urandom >fill.bin'
is "the daemon lives" "$(status_field restarts)" 0
check "everything that was saved is intact" intact
is "the past too" "$(cat "$(version plan.txt 1)")" one
is "statfs says that next to nothing is left" "$(($(stat -f -c '%a*%S' "$MNT") < 6000000))" 1
check "what is there can be listed" ls -lR .

# Space is freed: no restart is needed.
rm "$T/disk/ballast"
saves_again()
{
	as_sh "$anna" 'echo three >plan.txt' 2>/dev/null && [ "$(cat plan.txt)" = three ]
}
check "saving works again when space is freed" wait_for 15 saves_again
check "also of more" save more.bin 5000
check "everything is intact" intact
is "the versions of before are there" "$(cat "$(version plan.txt 1)") $(cat "$(version plan.txt 2)")" "one two"

# Filled by others, to the last block.
fill_disk()
{
	dd if=/dev/zero of="$T/disk/ballast" bs=64k status=none 2>/dev/null
	dd if=/dev/zero of="$T/disk/ballast2" bs=1k status=none 2>/dev/null
}

free_disk()
{
	rm "$T/disk/ballast" "$T/disk/ballast2"
}

fill_disk
refuses "nothing is free at all: a save is refused" "No space left" as "$anna" cp more.bin never.bin
check "what is there can be read" intact
is "and its past" "$(cat "$(version plan.txt 1)")" one
is "the daemon lives on" "$(status_field restarts)" 0
free_disk
check "saving works again" wait_for 15 saves_again
fill_disk
cd /
unmount_share
free_disk
verify_clean "stopped on a full disk, the store verifies"

# Full at the start: unsaved bytes are to become versions, and there is no room for them.
mount_share
cd "$MNT/dept" || bail "the directory is there"
"$PYTHON" -c 'import os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(fd, open(sys.argv[2], "rb").read(1500000))
open(sys.argv[3], "w").write("%d" % os.getpid())
time.sleep(600)' unsaved.bin "$T/noise" "$T/writer" &
wait_for 20 test -s "$T/writer" || bail "a writer writes"
kill_daemon
kill "$(cat "$T/writer")"
wait
cd /
fill_disk
if start; then
	result 0 "a start on a full disk works"
	is "with the unsaved bytes" "$(head -c 1500000 "$T/noise" | digest_of /dev/stdin)" "$(digest_of "$MNT/dept/unsaved.bin")"
	unmount_share
else
	wait "$DAEMON"
	status=$?
	DAEMON=
	check "a start on a full disk ends by itself" test "$status" -gt 0 -a "$status" -lt 100
	like "and says why" "$(tail -n 3 "$LOG")" "[Nn]o space|full"
	diag "$(tail -n 1 "$LOG")"
fi
start -o ro
result $? "reading only, it can be mounted"
is "and read" "$(cat "$MNT/dept/plan.txt")" three
unmount_share
free_disk
mount_share
cd "$MNT/dept" || bail "the directory is there"
head -c 1500000 "$T/noise" >"$T/unsaved"
same "with space again the unsaved bytes are there" unsaved.bin "$T/unsaved"
check "and all others" intact
cd /
unmount_share
verify_clean "the store verifies"
done_testing
