#!/bin/bash
# 16-tools.t - daybook: asked of the daemon, of the store itself, by whom, and in which form.
. "$(dirname "$0")/lib.sh"

make_users anna ben
new_share
D=$MNT/dept

daybook_as()
{
	local user=$1
	shift
	as "$user" "$BUILD/daybook" "$@"
}

stranger()
{
	setpriv --reuid nobody --regid nogroup --clear-groups "$BUILD/daybook" "$@"
}

# rows COMMAND...: how many rows of JSON
rows()
{
	"$@" --json | grep -c '^{'
}

# field NAME COMMAND...: the values of a field, one a line
field()
{
	local name=$1
	shift
	"$@" --json | $PYTHON -c 'import json, sys
print("\n".join(str(json.loads(line)[sys.argv[1]]) for line in sys.stdin))' "$name" 2>/dev/null
}

# --- log and history ----------------------------------------------------------------------------------------------

as_sh "$anna" 'echo one >"$1"' "$D/budget.csv"
next_second
between=$(instant)
next_second
as_sh "$ben" 'echo "two," >"$1"' "$D/budget.csv"
is "history lists both versions" "$(field version daybook history "$D/budget.csv" | paste -sd ' ')" "2 1"
is "with their authors" "$(field author daybook history "$D/budget.csv" | paste -sd ' ')" "$ben $anna"
is "with their digests" "$(field digest daybook history "$D/budget.csv" | head -n 1)" "$(digest_of "$D/budget.csv")"
is "a symbolic link leads to its file" "$(ln -s "$D/budget.csv" "$T/link" && rows daybook history "$T/link")" 2
is "a relative path does, too" "$(cd "$D" && rows daybook history budget.csv)" 2
is "log --by" "$(field author daybook log --by "$ben" "$D" | sort -u)" "$ben"
is "log --since and --until" "$(field author daybook log --until "$between" "$D/budget.csv" | sort -u)" "$anna"
is "log --limit --reverse" "$(field change daybook log --limit 2 --reverse "$MNT" | paste -sd ' ')" "1 2"
is "log --csv has the documented columns" "$(daybook log --csv -n 1 "$MNT" | head -n 1)" \
	"$($PYTHON -c 'import json, sys; print(",".join(json.loads(sys.argv[1])))' "$(daybook log --json -n 1 "$MNT")")"
as "$anna" touch "$D/=1+1,x.csv" "$D/$(printf 'new\nline\377')"
check "CSV and JSON can be read back, whatever the names" $PYTHON - "$BUILD/daybook" "$D" <<'PY'
import csv, json, subprocess, sys
daybook, directory = sys.argv[1:]
text = subprocess.run([daybook, "log", "--csv", directory], stdout=subprocess.PIPE, check=True).stdout
rows = list(csv.DictReader(text.decode("utf-8", "surrogateescape").splitlines(keepends=True)))
lines = subprocess.run([daybook, "log", "--json", directory], stdout=subprocess.PIPE, check=True).stdout.splitlines()
objects = [json.loads(line) for line in lines]
assert len(rows) == len(objects) > 4, (len(rows), len(objects))
for row, entry in zip(rows, objects):
    path = row["path"][1:] if row["path"].startswith("'") else row["path"]
    assert path == entry["path"], (row, entry)
names = {entry["path"] for entry in objects}
assert "dept/=1+1,x.csv" in names and "dept/new\nline\udcff" in names, names
PY

# --- restore ------------------------------------------------------------------------------------------------------

check "a version is put back" daybook_as "$anna" restore "$D/budget.csv" --version 1
is "its content is live at once" "$(cat "$D/budget.csv")" one
is "as a third version" "$(field version daybook history "$D/budget.csv" | head -n 1)" 3
is "that says where it came from" "$(field from_version daybook history "$D/budget.csv" | head -n 1)" 1
is "by who asked" "$(field author daybook history "$D/budget.csv" | head -n 1)" "$anna"
check "--at a time, --to another name" daybook_as "$ben" restore "$D/budget.csv" --at "$between" --to "$D/old.csv"
is "the other name has it" "$(cat "$D/old.csv")" one
is "and who asked owns it" "$(stat -c %U "$D/old.csv")" "$ben"
as "$anna" rm "$D/old.csv"
check "a deleted file comes back" daybook_as "$anna" restore "$D/old.csv" --at now
is "with its content" "$(cat "$D/old.csv")" one
exec 7<>"$D/budget.csv"
echo three >&7
daybook restore "$D/budget.csv" --version 2 >/dev/null
is "unsaved bytes of an open file become a version before a restore" \
	"$(daybook restore "$D/budget.csv" --version 4 --to "$D/saved" >/dev/null && cat "$D/saved")" three
echo four >&7
exec 7>&-
is "and what is written after it another one" "$(field version daybook history "$D/budget.csv" | paste -sd ' ')" "6 5 4 3 2 1"
is "the restored version is as it was" \
	"$(daybook restore "$D/budget.csv" --version 5 --to "$D/five" >/dev/null && cat "$D/five")" "two,"

# --- rights -------------------------------------------------------------------------------------------------------

as "$anna" mkdir -m 700 "$D/private"
as_sh "$anna" 'echo secret >"$1"' "$D/private/plan"
chmod 600 "$D/saved"
refuses "others cannot ask for the history of what they cannot reach" 'permission denied' \
	daybook_as "$ben" history "$D/private/plan"
unlike "nor see its name in the log" "$(daybook_as "$ben" log --json "$MNT")" plan
like "its owner does" "$(daybook_as "$anna" log --json "$MNT")" plan
refuses "who may not write may not restore" 'permission denied' stranger restore "$D/budget.csv" --version 1
refuses "nor make a file" 'permission denied' \
	stranger restore "$D/budget.csv" --version 1 --to "$MNT/budget.csv"
refuses "verify is not for everybody" 'permission denied' daybook_as "$ben" verify "$MNT"
check "rights by a supplementary group count" daybook_as "$ben" restore "$D/budget.csv" --version 2
refuses "another's private name cannot be overwritten" 'permission denied' \
	daybook_as "$ben" restore "$D/budget.csv" --version 1 --to "$D/saved"

# --- others -------------------------------------------------------------------------------------------------------

mkdir "$D/.history/tags/Q1 close"
is "tags are listed" "$(field tag daybook tags "$MNT")" "Q1 close"
is "status tells the mountpoint" "$(field mountpoint daybook status "$MNT")" "$MNT"
is "and the newest change" "$(field changes daybook status "$MNT")" "$(field change daybook log -n 1 "$MNT")"
check "verify finds nothing" daybook verify "$MNT"
check "verify --quick, too" daybook verify --quick "$MNT"
check "verify --resume with nothing to go on with" daybook verify --resume "$MNT"
check "verify --rate" daybook verify --rate 1000 "$MNT"
refuses "verify --resume --quick" "nothing to resume" daybook verify --resume --quick "$MNT"
refuses "verify --rate of no number" "number" daybook verify --rate fast "$MNT"
is "a verification that ended leaves nothing" "$(ls "$STORE" | grep -c VERIFY)" 0
is "--store asks the daemon while it runs" "$(field mountpoint daybook status --store "$STORE")" "$MNT"
mkdir "$T/bound"
mount --bind "$D" "$T/bound"
is "a bind mount of a part leads to the right file" "$(rows daybook history "$T/bound/budget.csv")" \
	"$(rows daybook history "$D/budget.csv")"
umount "$T/bound"

# --- wrong use ----------------------------------------------------------------------------------------------------

# status_of COMMAND...: its exit status
status_of()
{
	"$@" >/dev/null 2>&1
	echo $?
}
is "no command: 2" "$(status_of daybook)" 2
is "an unknown command: 2" "$(status_of daybook frobnicate)" 2
is "an unknown option: 2" "$(status_of daybook log --frobnicate)" 2
is "a bad time: 2" "$(status_of daybook log --since never "$MNT")" 2
is "both formats: 2" "$(status_of daybook log --json --csv "$MNT")" 2
is "a file that never was: 1" "$(status_of daybook history "$D/nothing")" 1
is "--version says which" "$(daybook --version) $(daybook -V)" "$(daybookd --version | head -n 1 | sed 's/d / /') $(daybook --version)"
refuses "a path that is on no share" 'not on a mounted|is on no mount' daybook log /
refuses "a path in the past" 'name the file' daybook history "$D/.history/README.txt"
refuses "a directory has no versions" 'is a directory' daybook history "$D"
for command in init mount log history restore status restart verify repair backup restore-store export tags conflicts; do
	like "$command --help" "$(daybook "$command" --help)" "^usage: daybook $command "
done

# --- clients that misbehave, and many ------------------------------------------------------------------------------

check "clients that say nothing, or garbage, keep nobody from asking" $PYTHON - "$STORE/socket" "$BUILD/daybook" "$MNT" <<'PY'
import os, socket, subprocess, sys
path, daybook, mnt = sys.argv[1:]
idle = []
for i in range(8):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    idle.append(s)
    g = socket.socket(socket.AF_UNIX)
    g.connect(path)
    try:
        g.sendall(os.urandom(300))
        g.shutdown(socket.SHUT_WR)
        while g.recv(4096):
            pass
    except ConnectionError:
        pass
    g.close()
subprocess.run([daybook, "status", mnt], check=True, stdout=subprocess.DEVNULL, timeout=20)
PY
check "a reader that stops in the middle harms nothing" sh -c "daybook log --json '$MNT' | head -n 1 >/dev/null"
many=
for i in 1 2 3 4 5 6 7 8; do
	daybook verify "$MNT" >"$T/verify.$i" 2>&1 &
	many="$many $!"
done
ok=0
for pid in $many; do wait "$pid" || ok=1; done
result $ok "eight verifications at once end well" || diag "$(cat "$T"/verify.*)"

# --- without a daemon ----------------------------------------------------------------------------------------------

remount -o ro
refuses "nothing is restored in a share mounted read-only" 'read-only' daybook restore "$D/budget.csv" --version 1
kill_daemon
is "--store works beside a dead daemon's socket" "$(field mountpoint daybook status --store "$STORE")" None
is "history from the store itself" "$(rows daybook history --store "$STORE" dept/budget.csv)" 7
is "and the store named as a path" "$(rows daybook log "$STORE")" "$(rows daybook log --store "$STORE")"
check "restore into the store itself" daybook restore --store "$STORE" /dept/budget.csv --version 1
verify_clean "the store is whole"
mount_share
is "and the mount shows it" "$(cat "$D/budget.csv")" one

done_testing
