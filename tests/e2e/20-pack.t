#!/bin/bash
# Older versions of a workbook are packed, with the daemon killed meanwhile, and are what was saved.
. "$(dirname "$0")/lib.sh"

new_share -o pack=off
cd "$MNT" || bail "the directory"

# --- 20 one-cell edits ----------------------------------------------------------------------------------------------

mkdir "$T/saved"
cat >"$T/edit.py" <<'PY'
import os, random, shutil, sys, openpyxl
random.seed(5)
book = openpyxl.Workbook()
sheet = book.active
for row in range(1500):
    sheet.append([random.randint(0, 10**6), "name %d" % random.randint(0, 500), random.random(), row * 3])
for n in range(1, 22):
    sheet.cell(row=random.randint(1, 1500), column=1).value = random.randint(0, 10**6)
    book.save("%s/%d" % (sys.argv[1], n))
    shutil.copyfile("%s/%d" % (sys.argv[1], n), "new.tmp")
    os.rename("new.tmp", "book.xlsx")
PY
check "a workbook is saved 21 times" /usr/bin/python3 "$T/edit.py" "$T/saved"

# all_same NAME: the versions have the bytes that were saved, all of them
all_same()
{
	is "$1" "$(md5sum "$MNT"/.history/files/book.xlsx/book.*.v*.xlsx | cut -c1-32 | sort -u)" \
		"$(md5sum "$T"/saved/* | cut -c1-32 | sort -u)"
}

all_same "every version is there"

# --- the daemon dies while it packs ---------------------------------------------------------------------------------

for delay in 0.05 0.4; do
	daybook pack --now "$MNT" >"$T/said" 2>&1 &
	sleep "$delay"
	cd /
	kill_daemon
	wait $!
	remount
	cd "$MNT" || bail "the directory"
done
all_same "every version is what it was after the daemon died"

# --- packed ---------------------------------------------------------------------------------------------------------

check "the rest is packed" daybook pack --now "$MNT"
like "status tells what packing gained" "$(daybook status "$MNT")" 'packed .* contents of older versions, .* in '
like "and what history saves" "$(daybook status "$MNT")" 'versions .* saves, .* save [0-9.]* %'
like "nothing is left to pack" "$(daybook pack --now --json "$MNT")" '"packed":0,'
all_same "every version is what was saved"

# --- whoever deflated them ------------------------------------------------------------------------------------------

# of PACKED WHAT: a number in what `daybook pack` reported, or made of it
of()
{
	"$PYTHON" -c 'import json, sys; r = json.loads(sys.argv[1]); print(eval(sys.argv[2], r))' "$1" "$2"
}

# books WAY MOST: of a workbook of 2 MB that is deflated in this way the versions before the newest take at most MOST
# parts of a million of their size, and are what was saved
books()
{
	local way=$1 most=$2 packed n
	mkdir "$T/$way"
	"$PYTHON" "$BUILD/workbook.py" "$T/$way" "$way" 6 33000 || bail "workbooks"
	for n in 1 2 3 4 5 6; do
		cp "$T/$way/$n" "$way.tmp" && mv "$way.tmp" "$way.xlsx" || bail "a save"
	done
	packed=$(daybook pack --now --json "$MNT")
	is "$way: five versions are packed" "$(of "$packed" packed)" 5
	n=$(of "$packed" 'bytes_after * 1000000 // bytes')
	diag "$way: a one-cell edit takes $n / 1000000 of a workbook of $(stat -c %s "$way.xlsx") bytes"
	check "$way: a one-cell edit takes at most $most / 1000000 of the workbook" [ "$n" -le "$most" ]
	is "$way: every version is what was saved" \
		"$(md5sum "$MNT"/.history/files/"$way".xlsx/*.v*.xlsx | cut -c1-32 | sort -u)" \
		"$(md5sum "$T/$way"/* | cut -c1-32 | sort -u)"
}

books excel 1000
books parted 1000
books other 4000
cd /
unmount_share
verify_clean "the store is whole"
done_testing
