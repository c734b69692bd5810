#!/bin/bash
# A store whose bytes are damaged: verify and repair say what is lost, everything else stays bit for bit, and the share is
# used on.
. "$(dirname "$0")/lib.sh"

make_users anna ben
new_share
cd "$MNT/dept" || bail "the directory is there"

mkdir "$T/copies"
for n in 1 2 3 4 5 6; do
	head -c 300000 /dev/urandom >"data$n.bin"
	cp "data$n.bin" "$T/copies/data$n.bin.v1"
	head -c 300000 /dev/urandom >"data$n.bin"
	cp "data$n.bin" "$T/copies/data$n.bin.v2"
done
as_sh "$anna" 'echo plan >plan.txt; echo old >old.txt; mv old.txt new.txt; ln plan.txt twin.txt; echo x >gone.txt; rm gone.txt'
daybook log --json . >"$T/log"
find . | sort >"$T/names"
cd /
unmount_share
good=$T/good
mv "$STORE" "$good"

# spoil FILE [N]: flips 16 bytes in the middle, or at N eighths of it
spoil()
{
	"$PYTHON" -c 'import os, sys
with open(sys.argv[1], "r+b") as f:
    at = os.path.getsize(sys.argv[1]) * int(sys.argv[2]) // 8
    f.seek(at)
    old = f.read(16)
    f.seek(at)
    f.write(bytes(b ^ 0x5a for b in old))' "$1" "${2:-4}"
}

# versions: which versions of the files of noise read as they were; "wrong" when one has other bytes
versions()
{
	local copy name number out
	for copy in "$T"/copies/*; do
		name=${copy##*/} number=${copy##*.v} name=${name%.v*}
		out=$(echo "$MNT/dept/.history/files/$name/"*".v$number"[.-]*)
		if cat "$out" >"$T/read" 2>/dev/null; then
			cmp -s "$copy" "$T/read" && echo "$name version $number" || echo "wrong $name $number"
		fi
	done
}

# lost FILE: the versions that the answer names, in the words of versions()
lost()
{
	grep -oE 'dept/data[0-9]+\.bin, version [0-9]+' "$1" | sed 's|dept/||; s|,||' | sort -u
}

cp -a "$good" "$STORE"
check "a whole store: repair --check" daybook repair --check "$STORE"
daybook repair "$STORE" >"$T/out" 2>&1
like "a whole store: repair" "$(cat "$T/out")" "nothing is lost"

rm -rf "$STORE"
cp -a "$good" "$STORE"
spoil "$(find "$STORE/db" -name '*.sst' -printf '%s %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-)"
daybook verify "$STORE" >"$T/verified" 2>&1
is "a damaged table: verify's exit status" $? 1
daybook repair "$STORE" >"$T/repaired" 2>&1
is "repair's" $? 1
like "it says where the damaged database is" "$(cat "$T/repaired")" "db\.damaged-"
check "there it is" test -d "$(echo "$STORE"/db.damaged-*)"
daybook repair --json "$STORE" >"$T/again" 2>/dev/null
is "a second repair has nothing to do" $? 0
"$PYTHON" -c 'import json, sys
for line in sys.stdin:
    row = json.loads(line)
    assert set(row) <= {"repaired", "added", "removed", "lost"}, row
    print(row.get("lost") or "")' <"$T/again" >"$T/json"
check "verify is content: what is lost is known" daybook verify "$STORE"
lost "$T/verified" >"$T/lost"
check "some version is lost" test -s "$T/lost"
check "and not all" test "$(wc -l <"$T/lost")" -lt 12
is "repair names the same" "$(lost "$T/repaired")" "$(cat "$T/lost")"
is "in JSON too" "$(lost "$T/json")" "$(cat "$T/lost")"
mount_share
gone=$(head -n 1 "$T/lost")
file=${gone%% *} number=${gone##* }
like "history calls it lost" "$(daybook history --json "$MNT/dept/$file" | sed -n "$((3 - number))p")" '"flags":"lost"'
like "so does its name in .history" "$(ls "$MNT/dept/.history/files/$file")" "v$number-lost"
refuses "to read it fails" "input/output error" cat "$(echo "$MNT/dept/.history/files/$file/"*".v$number-lost."*)"
like "and the daemon says why" "$(cat "$LOG")" "were lost when the store was damaged"
# cp asks with copy_file_range whether the share can do it by itself.
refuses "to copy it within the share fails" "input/output error" \
	cp "$(echo "$MNT/dept/.history/files/$file/"*".v$number-lost."*)" "$MNT/copied"
unlike "and no version claims to have its bytes" "$(daybook history --json "$MNT/copied")" '"from":"'
rm -f "$MNT/copied"
versions >"$T/read-well"
is "exactly the others read as they were" "$(sort "$T/read-well" "$T/lost")" \
	"$(for n in 1 2 3 4 5 6; do echo "data$n.bin version 1"; echo "data$n.bin version 2"; done)"
cd "$MNT/dept" || bail "the directory is there"
is "all names are there" "$(find . | sort)" "$(cat "$T/names")"
daybook log --json . | grep -v '"operation":"repair"' >"$T/log.after"
is "the log is as it was" "$(tail -n "$(wc -l <"$T/log")" "$T/log.after")" "$(cat "$T/log")"
lines=$(for n in 1 2 3 4 5 6; do daybook history --json "data$n.bin"; done | wc -l)
is "history lists every version" "$lines" 12
is "what was deleted is in the past" "$(cat .history/files/gone.txt/*.v1.*)" x
is "other files read on" "$(cat plan.txt twin.txt new.txt)" "$(printf 'plan\nplan\nold')"
check "a lost file is saved again" cp "$T/copies/data1.bin.v1" data1.bin
same "and reads" "$T/copies/data1.bin.v1" data1.bin
check "an intact version is put back" daybook restore --version "$(head -n 1 "$T/read-well" | grep -oE '[0-9]+$')" \
	"$(head -n 1 "$T/read-well" | cut -d ' ' -f 1)"
cd /
unmount_share
daybook verify "$STORE" >"$T/verified" 2>&1
is "nothing more is lost afterwards" "$(lost "$T/verified" | comm -23 - "$T/lost")" ""
# Any file of the database, anywhere: it is a store again, and all that is not told to be lost is what it was.
wrong=
for file in $(cd "$good/db" && ls -- *.sst CURRENT MANIFEST-*); do
	for how in spoil remove; do
		rm -rf "$STORE"
		cp -a "$good" "$STORE"
		if [ $how = spoil ]; then spoil "$STORE/db/$file"; else rm "$STORE/db/$file"; fi
		daybook repair "$STORE" >"$T/repaired" 2>&1
		status=$?
		[ $status -le 1 ] || wrong+=" $how $file: $(tail -n 1 "$T/repaired")"
		daybook verify "$STORE" >"$T/verified" 2>&1 || wrong+=" $how $file, afterwards: $(tail -n 3 "$T/verified")"
		case $file in *.sst) ;; *) [ $status -eq 0 ] || wrong+=" $how $file: something was lost" ;; esac
		mount_share
		versions >"$T/read"
		unmount_share
		grep wrong "$T/read" && wrong+=" $how $file: $(cat "$T/read")"
	done
done
is "any file of the database may be damaged, or gone" "$wrong" ""
refuses "repair of a directory that is none" "not a .*store|no such" daybook repair "$T/copies"
done_testing
