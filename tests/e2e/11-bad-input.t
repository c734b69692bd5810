#!/bin/bash
# Bad names, and stores that are damaged, foreign or busy: a clear sentence each, no crash, nothing lost that could
# be read.
. "$(dirname "$0")/lib.sh"

make_users anna ben
new_share
cd "$MNT/dept" || bail "the directory is there"

# --- names --------------------------------------------------------------------------------------------------------

long=$(printf 'x%.0s' $(seq 251)).txt
names=("$long" $'new\nline.txt' $'tab\tbell\a.txt' $'\xff\xfe not utf-8.txt' $'half \xc3' ' lead' \
	'trail ' 'dot.' '...' '-rf' '*?"<>|:' $'\x7f' 'a\b' 'CON' '%41' 'ünï' $'\u202ertl.txt' '#1' "quote'" '$(x)')
wrong=
for name in "${names[@]}"; do
	printf 'one\n' | as "$anna" tee "./$name" >/dev/null || wrong+=" save:$name"
	printf 'two\n' | as "$ben" sh -c 'cat >"$1"' sh "./$name" 2>/dev/null ||
		{ as "$anna" chmod 666 "./$name" && printf 'two\n' | as "$ben" tee "./$name" >/dev/null; } || wrong+=" again:$name"
done
is "odd names are saved" "$wrong" ""
shown=$(find .history/files -mindepth 1 -maxdepth 1 -type d -printf . | wc -c)
is "each is a folder in files/" "$shown" "${#names[@]}"
wrong=
for folder in .history/files/*; do
	versions=("$folder"/*.v1.*)
	[ "${#versions[@]}" -eq 1 ] && [ "$(cat "${versions[0]}")" = one ] || wrong+=" $folder"
	[ "${#versions[0]}" -lt 1000 ] && [ "$(basename "${versions[0]}" | wc -c)" -le 256 ] || wrong+=" long: $folder"
done
is "the first version of each can be read" "$wrong" ""
wrong=
for name in "${names[@]}"; do
	daybook restore --version 1 "./$name" >"$T/restore.out" 2>&1 || wrong+=" $name: $(cat "$T/restore.out")"
	[ "$(cat "./$name")" = one ] || wrong+=" $name"
done
is "each can be put back" "$wrong" ""
check "the log of them is JSON" sh -c 'daybook log --json . | "$1" -c "import json, sys
for line in sys.stdin: json.loads(line)"' sh "$PYTHON"
check "changes.csv of them is CSV" "$PYTHON" -c 'import csv
rows = list(csv.reader(open(".history/changes.csv", encoding="utf-8-sig", errors="surrogateescape", newline="")))
assert len(rows) > 60 and len({len(r) for r in rows}) == 1, {len(r) for r in rows}'
unlike "the log for people has no control characters" "$(daybook log .)" $'[\a\x7f]'
refuses "a name of 256 bytes" "name too long" touch "${long}x"
refuses "a file called .history" "is a directory|invalid argument" sh -c 'echo >.history'
refuses "a folder called .history" "invalid argument|exists" mkdir .history
refuses "a rename to .history" "invalid argument|not permitted|denied|cannot|read-only" mv -T "$long" .history
refuses "a link called .history" "invalid argument|exists" ln -sT x .history
refuses "an instant that is none" "no such file" ls .history/at/2026-13-45
refuses "a change that is none" "no such file" ls .history/at/change-99999999999999999999
refuses "a version that is none" "no such|no version" daybook restore --version 99 "#1"

# --- who may open a store -----------------------------------------------------------------------------------------

mkdir "$T/mnt2" "$T/empty"
refuses "a second daemon on the same store" "open|in use|process $DAEMON" daybookd -f "$STORE" "$T/mnt2" ${REPORTS:+-o unconfined}
refuses "a directory that is no store" "no store|not a .*store|init" daybookd -f "$T/empty" "$T/mnt2" ${REPORTS:+-o unconfined}
refuses "a store that does not exist" "no such|not exist" daybookd -f "$T/nowhere" "$T/mnt2" ${REPORTS:+-o unconfined}
refuses "a file as a store" "not a directory|not a .*store" daybookd -f "$LOG" "$T/mnt2" ${REPORTS:+-o unconfined}
refuses "a mount point that does not exist" "no such|not exist" daybookd -f "$STORE" "$T/nowhere"
refuses "init where something is" "not empty|already|exists" daybook init "$MNT/dept"
refuses "init on a store" "already|not empty|exists" daybook init "$STORE"
refuses "no arguments" "usage" daybookd
refuses "an option that is none" "nonsense" daybookd -o nonsense "$STORE" "$T/mnt2"
refuses "verify of nothing" "no such|not" daybook verify --store "$T/nowhere"

# --- damage -------------------------------------------------------------------------------------------------------

for n in $(seq 20); do head -c 400000 /dev/urandom >data$n.bin; done
echo plan >plan.txt
mkdir "$T/copies" && cp data*.bin plan.txt "$T/copies"
cd /
unmount_share
good=$T/good
mv "$STORE" "$good"

# A store that was killed: saves in the log, unsaved bytes in a journal.
cp -a "$good" "$STORE"
mount_share
for n in 1 2 3 4 5 6; do head -c 100000 /dev/urandom | tee "$T/copies/late$n.bin" >"$MNT/dept/late$n.bin"; done
sync "$MNT/dept/late6.bin"
"$PYTHON" -c 'import os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
for n in range(10):
    os.pwrite(fd, b"%d" % n * 5000, n * 5000)
open(sys.argv[2], "w").write("%d" % os.getpid())
time.sleep(600)' "$MNT/dept/unsaved.bin" "$T/writer" &
wait_for 20 test -s "$T/writer" || bail "a writer writes"
kill_daemon
kill "$(cat "$T/writer")"
wait
killed=$T/killed
mv "$STORE" "$killed"

# flip FILE [OFFSET]: another byte in the middle, or there
flip()
{
	"$PYTHON" -c 'import os, sys
with open(sys.argv[1], "r+b") as f:
    at = int(sys.argv[2]) if len(sys.argv) > 2 else os.path.getsize(sys.argv[1]) // 2
    f.seek(at)
    old = f.read(16)
    f.seek(at)
    f.write(bytes(b ^ 0x5a for b in old))' "$@"
}

largest()
{
	find "$STORE/$1" -name "$2" -printf '%s %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-
}

# damaged FROM NAME COMMAND...: a copy of a store, damaged by the command; then it starts (up=1) or is refused in a
# sentence, and ends by itself in any case
damaged()
{
	local from=$1 name=$2 status
	shift 2
	rm -rf "$STORE"
	cp -a "$from" "$STORE"
	"$@" || bail "$name: the damage is done"
	: >"$LOG"
	if start; then
		up=1
		result 0 "$name: starts"
		return
	fi
	up=
	wait "$DAEMON"
	status=$?
	DAEMON=
	[ "$status" -gt 0 ] && [ "$status" -lt 100 ]
	result $? "$name: refused, by no crash" || diag "exit $status"
	like "$name: in a sentence" "$(tail -n 1 "$LOG")" "^daybookd: .{30,}"
	diag "$(tail -n 1 "$LOG" | sed "s|$T/||g")"
}

# readable [LEAST]: how many of the saved files read as they were; the others fail, none has other bytes
readable()
{
	local file right=0 wrong=
	for file in "$T"/copies/*; do
		if cat "$MNT/dept/${file##*/}" >"$T/read.out" 2>/dev/null; then
			if cmp -s "$file" "$T/read.out"; then right=$((right + 1)); else wrong+=" ${file##*/}"; fi
		fi
	done
	echo "$right$wrong"
}

newer()
{
	sed -i 's/^\(format[^0-9]*\)[0-9]*/\199/' "$STORE/FORMAT"
}

damaged "$good" "a newer format" newer
like "a newer format: upgrade, it says" "$(cat "$LOG")" "newer|upgrade"
damaged "$good" "no FORMAT" rm "$T/store/FORMAT"
damaged "$good" "an empty FORMAT" truncate -s 0 "$T/store/FORMAT"
damaged "$good" "a damaged FORMAT" flip "$T/store/FORMAT" 5
damaged "$good" "a FORMAT of noise" dd if=/dev/urandom of="$T/store/FORMAT" bs=300 count=1 status=none
damaged "$good" "no db/" rm -r "$T/store/db"
is "no db/: none is made in its place" "$(ls "$STORE")" "$(cd "$STORE" && echo [!d]* | tr " " "\n")"
damaged "$good" "an empty CURRENT" truncate -s 0 "$T/store/db/CURRENT"
damaged "$good" "no CURRENT" rm "$T/store/db/CURRENT"

cut_manifest()
{
	local file
	file=$(largest db 'MANIFEST-*')
	truncate -s $(($(stat -c %s "$file") / 2)) "$file"
}

flip_largest()
{
	flip "$(largest "$@")"
}

lose_largest()
{
	rm "$(largest "$@")"
}

damaged "$good" "a cut MANIFEST" cut_manifest
[ -z "$up" ] || { is "a cut MANIFEST: nothing is lost" "$(readable)" 21; unmount_share; }
damaged "$good" "a damaged MANIFEST" flip_largest db 'MANIFEST-*'
[ -z "$up" ] || { is "a damaged MANIFEST: nothing is lost" "$(readable)" 21; unmount_share; }
damaged "$good" "a lost table" lose_largest db '*.sst'
like "a lost table: it says which" "$(cat "$LOG")" "db/[0-9]+\.sst is missing"
[ -z "$up" ] || unmount_share

# One block of content is damaged: what does not need it is read on.
damaged "$good" "a damaged table" flip_largest db '*.sst'
if [ -n "$up" ]; then
	readable=$(readable)
	like "a damaged table: only what it held fails, nothing reads wrong" "$readable" "^(1[5-9]|20)\$"
	out=$(cat "$MNT/dept/"data*.bin 2>&1 >/dev/null)
	like "a damaged table: EIO" "$out" "Input/output error"
	check "a damaged table: saving goes on" sh -c 'echo more >"$1"' sh "$MNT/dept/more.txt"
	refuses "a damaged table: verify names the file" "damaged: .*data[0-9]+\.bin" daybook verify "$MNT"
	is "a damaged table: the daemon lives" "$(status_field restarts)" 0
	unmount_share
	refuses "a damaged table: verify without a daemon names it too" "damaged: .*data[0-9]+\.bin" \
		daybook verify --store "$STORE"
fi

damaged "$killed" "killed, not damaged" true
is "killed: starts with all" "${up:-refused} $(find "$MNT/dept" -name "unsaved*" | wc -l) $(readable)" "1 1 27"
[ -z "$up" ] || unmount_share
damaged "$killed" "a damaged log" flip_largest db '*.log'
[ -z "$up" ] || { is "a damaged log: nothing is lost" "$(readable)" 27; unmount_share; }

cut_log()
{
	truncate -s -7 "$(largest db '*.log')"
}

damaged "$killed" "a log with a torn end" cut_log
[ -z "$up" ] || { like "a log with a torn end: what was synced is there" "$(readable)" "^27\$"; unmount_share; }

journal()
{
	find "$STORE/staging" -type f | head -n 1
}

flip_journal()
{
	flip "$(journal)" "$1"
}

cut_journal()
{
	truncate -s "$1" "$(journal)"
}

for at in 0 8 30 100 20000; do
	damaged "$killed" "a journal damaged at byte $at" flip_journal $at
	is "a journal damaged at byte $at: all that was saved is there" "${up:+$(readable)}" 27
	like "a journal damaged at byte $at: the start says so" "$(cat "$LOG")" "staging|unsaved"
	[ -n "$(find "$STORE/staging" -name 'lost-*')" ] || [ -s "$MNT/dept/unsaved.bin" ]
	result $? "a journal damaged at byte $at: its bytes are kept"
	[ -z "$up" ] || unmount_share
done
for size in 0 5 60 20000; do
	damaged "$killed" "a journal cut to $size bytes" cut_journal $size
	is "a journal cut to $size bytes: all that was saved is there" "${up:+$(readable)}" 27
	[ -z "$up" ] || unmount_share
done
damaged "$killed" "something foreign in staging/" touch "$T/store/staging/README"
is "something foreign in staging/: starts" "${up:+$(readable)}" 27
[ -z "$up" ] || unmount_share
verify_clean "the last of them verifies"
done_testing
