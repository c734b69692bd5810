#!/bin/bash
# A quota that statfs does not show: saves are refused with an error, nothing that was saved is harmed, and saving goes on
# by itself when there is room again.  LONG=SECONDS: how long the quota stays full.
. "$(dirname "$0")/lib.sh"

# A subvolume with a limit: the file system has room, and says so, but who writes gets EDQUOT.
truncate -s 400M "$T/disk.img"
mkdir "$T/disk"
{ mkfs.btrfs -q -m single "$T/disk.img" && mount -o loop "$T/disk.img" "$T/disk" && btrfs -q subvolume create "$T/disk/share" &&
	btrfs -q quota enable "$T/disk"; } >"$T/mount.log" 2>&1 ||
	{ skip "a quota" "no quota here: $(tail -n 1 "$T/mount.log")"; done_testing; }

limit()
{
	btrfs -q qgroup limit "$1" "$T/disk/share" && sync -f "$T/disk"
}

STORE=$T/disk/share/store
make_users anna ben
new_share
cd "$MNT/dept" || bail "the directory is there"
head -c 3M /dev/urandom >"$T/noise"
for n in $(seq 1 8); do
	tail -c +"$((n * 1000))" "$T/noise" | head -c 300000 >"$T/copy$n"
	as "$anna" cp "$T/copy$n" "file$n.bin" || bail "a file is saved"
done
as_sh "$anna" 'echo one >plan.txt && echo two >plan.txt'

# intact: every file is what was saved
intact()
{
	for n in $(seq 1 8); do cmp "$T/copy$n" "$MNT/dept/file$n.bin" || return 1; done
	[ "$(cat "$MNT/dept/plan.txt")" = "$1" ]
}

# Somebody else's file takes all that is left.
fill()
{
	limit 60M
	dd if=/dev/zero of="$T/disk/share/ballast" bs=64k status=none 2>"$T/ballast.log"
	dd if=/dev/zero of="$T/disk/share/ballast2" bs=4k status=none 2>>"$T/ballast.log"
	sync -f "$T/disk"
}

fill
like "the quota is full" "$(cat "$T/ballast.log")" "quota exceeded"
is "and the disk is not" "$(($(stat -f -c '%a*%S' "$T/disk") > 100000000))" 1

# Until something gets through to the disk it may be kept in memory: so much as does not.
: >"$T/errors"
chmod 666 "$T/errors"
saves=0
try_saves()
{
	saves=$((saves + 1))
	as_sh "$ben" 'head -c 400000 /dev/urandom >"more$1.bin" && sync "more$1.bin"' "$saves" 2>>"$T/errors"
}
refused()
{
	! try_saves
}
check "a save over the quota is refused" wait_for 60 refused
like "with an error that says why" "$(cat "$T/errors")" "[Dd]isk quota exceeded|No space left on device"
check "what was saved is intact" intact two
is "the past too" "$(cat "$(version plan.txt 1)")" one

# It stays full.
lines=$(wc -l <"$LOG") refusals=0
until=$(($(date +%s) + ${LONG:-15}))
while [ "$(date +%s)" -lt "$until" ]; do
	as_sh "$anna" 'echo never >plan.txt && sync plan.txt' 2>/dev/null || refusals=$((refusals + 1))
	intact two >/dev/null 2>&1 || cat plan.txt >"$T/plan.now"
	sleep 1
done
diag "$refusals saves refused in ${LONG:-15} s; $(($(wc -l <"$LOG") - lines)) lines in the log; $(status_field restarts) restarts"
check "the daemon lives while it stays full" test -n "$(status_field changes)"
check "the other files are intact" cmp "$T/copy1" file1.bin
is "it is not restarted in vain" "$(status_field restarts)" 0

# There is room again.
rm -f "$T/disk/share/ballast" "$T/disk/share/ballast2"
limit 300M
saves_again()
{
	as_sh "$anna" 'echo three >plan.txt && sync plan.txt' 2>/dev/null && [ "$(cat plan.txt)" = three ]
}
check "with room again saving goes on by itself" wait_for 60 saves_again
diag "$(status_field restarts) restarts"
check "everything is intact" intact three
cd /
unmount_share
verify_clean "the store verifies"

# Full at the start.
fill
if start; then
	result 0 "a start on a full quota works"
	unmount_share
else
	wait "$DAEMON"
	status=$?
	DAEMON=
	check "a start on a full quota ends by itself" test "$status" -gt 0 -a "$status" -lt 100
	like "and says why" "$(tail -n 3 "$LOG")" "full"
	diag "$(tail -n 1 "$LOG")"
fi
start -o ro
result $? "reading only, it can be mounted"
check "and read" intact three
unmount_share
limit none
mount_share
check "with room it starts" intact three
check "and takes saves" as_sh "$anna" "echo four >'$MNT/dept/plan.txt' && sync '$MNT/dept/plan.txt'"
unmount_share
verify_clean "the store verifies"
done_testing
