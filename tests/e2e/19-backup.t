#!/bin/bash
# Backups of a share that is being used, a new store from one, and the way out: export.
. "$(dirname "$0")/lib.sh"

make_users anna ben
new_share
cd "$MNT" || bail "the share"
BACKUPS=$T/backups

# --- taken while four people save ---------------------------------------------------------------------------------

head -c 3000000 /dev/urandom >dept/large.bin
for i in 1 2 3 4; do
	as "$anna" "$PYTHON" -c 'import os, sys, random
me, stop, count = sys.argv[1], sys.argv[2], 0
while not os.path.exists(stop):
    count += 1
    name = "%s-%d.csv" % (me, random.randrange(20))
    with open(name + ".tmp", "w") as f:
        f.write("%s;%d\n" % (me, count) * random.randrange(1, 3000))
        f.flush()
        os.fsync(f.fileno())
    os.rename(name + ".tmp", name)
    if count % 7 == 0:
        os.unlink(name)
    if count % 11 == 0:
        os.makedirs("%s-dir/%d" % (me, count), exist_ok=True)' "dept/w$i" "$T/stop" &
done
sleep 1
for i in 1 2 3; do
	check "backup $i, under load" daybook backup "$BACKUPS" . --json
	cp "$T/out" "$T/said.$i" 2>/dev/null
	sleep 0.5
done
touch "$T/stop"
wait $(jobs -p | grep -v "^$DAEMON$")
field() { "$PYTHON" -c 'import json, sys
print(json.loads([l for l in sys.stdin][int(sys.argv[1])])[sys.argv[2]])' "$@"; }
daybook backup --list "$BACKUPS" --json >"$T/list"
is "there are three" "$(wc -l <"$T/list")" 3
check "and all of their bytes are as they were" daybook backup --check "$BACKUPS"
is "what was made for them is gone" "$(ls "$STORE" | grep -c checkpoint)" 0
small=$(du -s --apparent-size -B1 "$BACKUPS/files" | cut -f 1)
sum=$(( $(field 0 bytes <"$T/list") + $(field 1 bytes <"$T/list") + $(field 2 bytes <"$T/list") ))
check "three take less than three times the room ($small of $sum)" test "$small" -lt "$sum"

# compare NUMBER: the restored store is the share at the backup's instant
compare()
{
	local change
	change=$(field $(($1 - 1)) change <"$T/list")
	rm -rf "$T/again"
	check "restore-store, backup $1" daybook restore-store "$BACKUPS" "$T/again" --backup "$1"
	check "backup $1: the store verifies" daybook verify "$T/again"
	mkdir -p "$T/mnt2"
	daybookd "$T/again" "$T/mnt2" ${REPORTS:+-o unconfined}
	(cd "$T/mnt2/.history/at/change-$change" && find . -type f -exec b2sum -l 256 {} + | sort -k 2) >"$T/a"
	(cd "$MNT/.history/at/change-$change" && find . -type f -exec b2sum -l 256 {} + | sort -k 2) >"$T/b"
	check "backup $1: there are files" test -s "$T/a"
	same "backup $1: equals the share at its instant" "$T/a" "$T/b"
	# a directory's times within one second are kept once
	is "backup $1: and the names and rights" \
		"$(cd "$T/mnt2/.history/at/change-$change" && find . ! -type d -printf '%P %y %m %u %s %T@\n' -o -printf '%P %m %u\n' | sort)" \
		"$(cd "$MNT/.history/at/change-$change" && find . ! -type d -printf '%P %y %m %u %s %T@\n' -o -printf '%P %m %u\n' | sort)"
	like "backup $1: the log goes on, and says from what" "$(daybook log --json --limit 1 "$T/mnt2")" \
		"restore-store.*backup $1 of "
	umount "$T/mnt2"
	wait_for 20 sh -c '! pgrep -f "$1" >/dev/null' sh "$T/again"
}
compare 1
compare 3

# --- unsaved bytes ------------------------------------------------------------------------------------------------

mkfifo "$T/go"
as "$ben" "$PYTHON" -c 'import os, sys
f = os.open("dept/unsaved.txt", os.O_WRONLY | os.O_CREAT)
os.write(f, b"written, not saved")
open(sys.argv[2], "w").close()
open(sys.argv[1]).read()' "$T/go" "$T/home/ben/ready" &
wait_for 10 test -e "$T/home/ben/ready"
daybook backup "$BACKUPS" . >"$T/out"
echo >"$T/go"
wait $!
daybook backup --list "$BACKUPS" --json >"$T/list"
rm -rf "$T/again"
daybook restore-store "$BACKUPS" "$T/again" >"$T/out" 2>&1
like "unsaved bytes are in the backup, and say what they are" "$(daybook history --json --store "$T/again" dept/unsaved.txt)" \
	'"author": *"'"$ben"'.*incomplete'

# --- interrupted --------------------------------------------------------------------------------------------------

head -c 60000000 /dev/urandom >dept/huge.bin
daybook backup "$BACKUPS" . >"$T/out" 2>&1 &
tool=$!
wait_for 20 test -e "$BACKUPS/files/new"
kill -KILL "$tool"
wait "$tool" 2>/dev/null
is "a backup that is killed leaves those before" "$(daybook backup --list "$BACKUPS" --json | wc -l)" 4
check "whole" daybook backup --check "$BACKUPS"
check "the next one is made" daybook backup "$BACKUPS" . --keep 2
is "--keep keeps that many" "$(daybook backup --list "$BACKUPS" --json | wc -l)" 2
check "whole" daybook backup --check "$BACKUPS"

# --- what is refused ----------------------------------------------------------------------------------------------

refuses "somebody who is not root" "only root|permission|denied" as "$anna" "$(command -v daybook)" backup "$T/home/anna/b" "$MNT"
refuses "a directory with other things in it" "other things|holds" daybook backup "$MNT/dept" .
daybook init "$T/other" >"$T/out"
refuses "another share's backups" "another share" daybook backup "$BACKUPS" --store "$T/other"
refuses "a store that is there" "already|is there" daybook restore-store "$BACKUPS" "$T/other"
check "which is as it was" daybook verify "$T/other"
refuses "a backup that is none" "no backup 99" daybook restore-store "$BACKUPS" "$T/none" --backup 99
refuses "a directory without backups" "no backups" daybook restore-store "$T/other" "$T/none"
victim=$(find "$BACKUPS/files" -type f -printf '%s %p\n' | sort -n | tail -n 1 | cut -d" " -f 2-)
printf 'x' | dd of="$victim" bs=1 seek=1000000 conv=notrunc 2>/dev/null
refuses "a damaged file of a backup: --check" "damaged" daybook backup --check "$BACKUPS"
refuses "a damaged file of a backup: restore-store" "damaged" daybook restore-store "$BACKUPS" "$T/none"
check "leaves nothing behind" test ! -e "$T/none"

# --- export -------------------------------------------------------------------------------------------------------

mkdir dept/plan && chown "$anna:$GROUP" dept/plan
as_sh "$anna" 'cd dept/plan && echo first >a.txt && ln -s a.txt link && ln a.txt twin && truncate -s 5M sparse && mkdir d &&
	chmod 640 a.txt && touch -d "2001-02-03 04:05:06.789012345" d/old.txt && setfattr -n user.colour -v red a.txt &&
	setfacl -m u:'"$ben"':r a.txt'
cp -a dept/plan "$T/then"
sleep 1.1
when=$(date -u +%Y-%m-%d_%H.%M.%SZ)
sleep 1.1
as_sh "$anna" 'cd dept/plan && echo second >a.txt && rm link && echo x >new'
check "export, now" daybook export dept/plan "$T/now"
check "is what is there" diff -r --no-dereference dept/plan "$T/now"
check "export, as it was" daybook export --at "$when" dept/plan "$T/as-then"
listing() { (cd "$1" && find . -printf '%P %y %m %u %g %T@ %s %l\n' | grep -v '^ d\|^d d' | sort && getfattr -Rd . && getfacl -R .) 2>&1; }
is "is what was there, times, owners, ACLs and all" "$(listing "$T/as-then")" "$(listing "$T/then")"
check "with its holes" test "$(stat -c %b "$T/as-then/sparse")" -lt 1000
check "export to a tar" daybook export --at "$when" dept/plan "$T/then.tar"
mkdir "$T/untarred"
tar -C "$T/untarred" --acls --xattrs -xpf "$T/then.tar"
is "gives the same" "$(listing "$T/untarred")" "$(listing "$T/then")"
refuses "a target that is there" "is there already" daybook export dept/plan "$T/now"
refuses "a time that is none" "time" daybook export --at someday dept/plan "$T/x"
mkdir -m 755 "$T/for-ben" && chown "$ben" "$T/for-ben"
chmod 600 dept/large.bin
as "$ben" "$(command -v daybook)" export dept "$T/for-ben/out" >"$T/out" 2>&1
check "who may not read a file does not get it" test ! -s "$T/for-ben/out/large.bin"
check "and gets the rest" test -e "$T/for-ben/out/plan/new"

# --- export of the whole past ---------------------------------------------------------------------------------------

as_sh "$anna" 'mkdir dept/going && cd dept/going && echo 1 >f && echo 2 >f && mv f g && cd .. && rm -r going
head -c 70000000 /dev/zero >long && echo end >>long && rm long'
refuses "not of a folder" "as a whole" daybook export --history dept "$T/past"
before=$(ls "$STORE")
check "export --history, mounted" daybook export --history . "$T/past"
is "nothing is left in the store" "$(ls "$STORE")" "$before"
# complete PAST: every file has its digest, every version its file, every name in .history/files its version
complete()
{
	"$PYTHON" - "$1" <<'END'
import csv, hashlib, os, sys
past = sys.argv[1]
def digest(path):
    with open(path, 'rb') as f:
        return hashlib.blake2b(f.read(), digest_size=32).hexdigest()
rows = list(csv.DictReader(open(past + '/versions.csv', newline=''), strict=True))
listed = {r['file'] for r in rows}
there = {os.path.relpath(os.path.join(d, f), past) for d, _, fs in os.walk(past + '/versions') for f in fs}
assert listed == there and len(listed) == len(rows) > 100, (len(listed), len(there), len(rows))
for r in rows:
    path = os.path.join(past, r['file'])
    assert os.path.getsize(path) == int(r['size']), r
    assert int(r['size']) > 64 << 20 or digest(path) == r['digest'], r
shown = 0
for d, names, _ in os.walk('.'):
    files = os.path.join(d, '.history/files')
    for name in os.listdir(files):
        for f in os.listdir(os.path.join(files, name)):
            if f == 'changes.csv':
                continue
            shown += 1
            ours = os.path.join(past, 'versions', d, name, f)
            assert digest(ours) == digest(os.path.join(files, name, f)), ours
assert shown > 100 and not os.path.exists(past + '/versions/no longer named'), shown
print(len({(r['document'], r['version']) for r in rows}), sum(1 for _ in csv.DictReader(open(past + '/changes.csv', newline=''))))
END
}
complete "$T/past" >"$T/counts" 2>"$T/err"
result $? "every version is there with its bytes, and every name of .history/files" || diag "$(tail -n 3 "$T/err")"
counts=$(daybook verify --json . | "$PYTHON" -c 'import json, sys
row = json.loads(list(sys.stdin)[-1])
print(row["versions"], row["changes"])')
is "as many versions and changes as the store has" "$(cat "$T/counts")" "$counts"
check "also of what was in a deleted folder" test "$(cat "$T"/past/versions/dept/going/f/f.*.v1.*)" = 1
check "the tree is beside it" diff -r --no-dereference dept/plan "$T/past/tree/dept/plan"
check "export --history to a tar" daybook export --history . "$T/past.tar"
mkdir "$T/past2"
tar -C "$T/past2" -xpf "$T/past.tar"
check "has the same" diff -r "$T/past/versions" "$T/past2/versions"
is "and leaves nothing beside it" "$(find "$T" -maxdepth 1 -name '*daybook-export*')" ""

cd /
unmount_share
check "export of a store that is not mounted" daybook export --at "$when" --store "$STORE" dept/plan "$T/unmounted"
is "gives the same" "$(listing "$T/unmounted")" "$(listing "$T/then")"
is "and leaves no mount" "$(find /tmp -maxdepth 1 -name 'daybook-export.*')" ""
check "export --history of a store that is not mounted" daybook export --history "$STORE" "$T/past3"
check "is the same" diff -r "$T/past/versions" "$T/past3/versions"
rm -rf "$T"/past*
check "a backup of a store that is not mounted" daybook backup "$BACKUPS" --store "$STORE"
verify_clean "the store verifies"
done_testing
