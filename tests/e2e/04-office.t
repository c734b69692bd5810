#!/bin/bash
# How office programs save, replayed as system calls: one save is one version of the file that people see.
. "$(dirname "$0")/lib.sh"

make_users anna ben
new_share
cd "$MNT/dept" || bail "the directory is there"

# office USER CALL...: see office.c
office()
{
	as "$1" "$HELPERS/office" "${@:2}"
}

# play NAME USER CALL...: and it must go well
play()
{
	local out
	out=$(office "$2" "${@:3}" 2>&1) || { result 1 "$1: plays"; diag "$out"; }
}

seed()
{
	as_sh "$anna" 'printf "%s\n" "$2" > "$1"' "$1" "${2:-first}"
	was "$1"
}

was()
{
	was_document=$(fact "$1" document)
	was_version=$(fact "$1" version)
}

# saved NAME FILE USER [N]: since was(), N (1) more versions of the same document, the last by USER with what is there
saved()
{
	local n=${4:-1}
	is "$1: $n more, of the same document" "$(fact "$2" document)@$(fact "$2" version)" "$was_document@$((was_version + n))"
	is "$1: its author" "$(fact "$2" author)" "$3"
	same "$1: its bytes" "$2" "$(version "$2" $((was_version + n)))"
}

log_of()
{
	daybook log --json --limit 1000 "$@"
}

# --- Excel --------------------------------------------------------------------------------------------------------

open_workbook=('use 1' 'create ~$book.xlsx' 'fill 1' 'use 0' 'read book.xlsx')
leave_workbook=('use 1' close 'unlink ~$book.xlsx')
excel_rename=('create 4F3A91C0' 'fill 40' sync close 'rename book.xlsx book.xlsx~RF1c2f3a7.TMP'
	'rename 4F3A91C0 book.xlsx' 'unlink book.xlsx~RF1c2f3a7.TMP')
excel_rename_open=('create 0BADCAFE' 'fill 40' sync 'rename book.xlsx book.xlsx~RF1c2f3a8.TMP'
	'rename 0BADCAFE book.xlsx' close 'unlink book.xlsx~RF1c2f3a8.TMP')
excel_delete=('create 77E0D100' 'fill 40' sync close 'unlink book.xlsx' 'rename 77E0D100 book.xlsx')
excel_hex=('create A5D2F000' 'fill 40' sync close 'rename book.xlsx 9C31B0E4.tmp' 'rename A5D2F000 book.xlsx'
	'unlink 9C31B0E4.tmp')

seed book.xlsx
for dance in excel_rename excel_rename_open excel_delete excel_hex; do
	declare -n calls=$dance
	was book.xlsx
	play "$dance" "$ben" "${open_workbook[@]}" "${calls[@]}" "${leave_workbook[@]}"
	saved "$dance" book.xlsx "$ben"
	was book.xlsx
	play "$dance, twice in a session" "$anna" "${open_workbook[@]}" "${calls[@]}" 'read book.xlsx' "${calls[@]}" \
		"${leave_workbook[@]}"
	saved "$dance, twice in a session" book.xlsx "$anna" 2
done
is "Excel: nothing but the workbook is shown" "$(ls .history/files) $(ls .history/deleted)" "book.xlsx "

play "a new workbook" "$anna" 'create Book1.xlsx' close 'create D00DFEED' 'fill 30' sync close \
	'rename Book1.xlsx Book1.xlsx~RF99.TMP' 'rename D00DFEED Book1.xlsx' 'unlink Book1.xlsx~RF99.TMP'
is "a new workbook, made empty and saved over: its bytes" "$(stat -c %s Book1.xlsx)" 30720
was Book1.xlsx
play "and changed" "$ben" 'create D00DFEE1' 'fill 31' sync close 'rename Book1.xlsx Book1.xlsx~RF98.TMP' \
	'rename D00DFEE1 Book1.xlsx' 'unlink Book1.xlsx~RF98.TMP'
saved "a new workbook, changed by another" Book1.xlsx "$ben"
unlike "the saves of a workbook are not copies of each other" "$(fact Book1.xlsx from)" .

# --- Word ---------------------------------------------------------------------------------------------------------

word=('use 1' 'create ~$letter.docx' 'write anna' 'use 0' 'read letter.docx'
	'create ~WRD0001.tmp' 'fill 25' sync close 'rename letter.docx ~WRL0001.tmp' 'rename ~WRD0001.tmp letter.docx'
	'unlink ~WRL0001.tmp' 'use 1' close 'unlink ~$letter.docx')
word_link=('create ~WRD0002.tmp' 'fill 26' sync close 'link letter.docx ~WRL0002.tmp' 'unlink letter.docx'
	'link ~WRD0002.tmp letter.docx' 'unlink ~WRD0002.tmp' 'unlink ~WRL0002.tmp')
seed letter.docx
play Word "$ben" "${word[@]}"
saved Word letter.docx "$ben"
was letter.docx
play "Word again" "$anna" "${word[@]}"
saved "Word again" letter.docx "$anna"
was letter.docx
play "Word, with links for renames" "$ben" "${word_link[@]}"
saved "Word, with links for renames" letter.docx "$ben"

# --- others -------------------------------------------------------------------------------------------------------

seed gio.ods
play GIO "$ben" 'create .goutputstream-X1Y2Z3' 'fill 10' 'rename .goutputstream-X1Y2Z3 gio.ods' 'fill 1' close
saved "GIO, a rename of a file that is still open" gio.ods "$ben"
is "GIO: all that was written" "$(stat -c %s gio.ods)" 11264
was gio.ods
play "GIO with a backup" "$anna" 'create .goutputstream-X1Y2Z4' 'fill 12' sync 'link gio.ods gio.ods~' \
	'rename .goutputstream-X1Y2Z4 gio.ods' close
saved "GIO with a backup" gio.ods "$anna"

seed removed.csv
play "delete and rename" "$ben" 'create removed.csv.new' 'write second' close 'unlink removed.csv' \
	'rename removed.csv.new removed.csv'
saved "delete and rename" removed.csv "$ben"
is "delete and rename: it is not deleted" "$(cd .history/deleted && echo removed*)" ""

seed kept.csv
play "backup and truncate" "$ben" 'create kept.csv.bak' 'write first' close 'truncate kept.csv' 'write second' close
saved "backup and truncate" kept.csv "$ben"
isnt "backup and truncate: the backup is another document" "$(fact kept.csv.bak document)" "$was_document"
was kept.csv
play "truncate without O_TRUNC" "$anna" 'open kept.csv' 'cut 0' 'write third' close
saved "truncate without O_TRUNC" kept.csv "$anna"

seed aside.csv
seed beside.csv other
beside=$was_document
was aside.csv
play exchange "$ben" 'exchange aside.csv beside.csv'
saved "exchange, the one" aside.csv "$ben"
is "exchange, the one: from" "$(fact aside.csv from)" "$beside@1"
is "exchange, the other" "$(fact beside.csv document)@$(fact beside.csv version) $(fact beside.csv from)" \
	"$beside@2 $was_document@1"

# two files saved by their dances at the same time
seed left.xlsx
left=$was_document
seed right.xlsx
right=$was_document
both=('create 00000001' 'fill 3' 'use 1' 'create 00000002' 'fill 4' 'use 0' close 'rename left.xlsx 00000003.tmp'
	'rename right.xlsx 00000004.tmp' 'rename 00000001 left.xlsx' 'use 1' close 'rename 00000002 right.xlsx'
	'unlink 00000003.tmp' 'unlink 00000004.tmp')
play "two at a time" "$ben" "${both[@]}"
is "two at a time" "$(fact left.xlsx document)@$(fact left.xlsx version) $(fact right.xlsx document)@$(fact right.xlsx version)" \
	"$left@2 $right@2"

# --- what goes wrong ----------------------------------------------------------------------------------------------

is "until now every save was whole" "$(log_of "$MNT" | grep -c incomplete)" 0

seed failed.xlsx
play "a save that fails" "$ben" 'read failed.xlsx' 'create 1A2B3C4D' 'fill 30' sync close
is "the file that a failed save left is there" "$(stat -c %s 1A2B3C4D)" 30720
same "and can be looked up in the history" 1A2B3C4D "$(version 1A2B3C4D 1)"
is "what it was to replace is intact" "$(cat failed.xlsx) $(fact failed.xlsx version)" "first 1"
play "a save that fails later" "$ben" 'create 1A2B3C4E' 'fill 30' close 'unlink failed.xlsx'
is "a save that fails after the delete: the last version is in deleted/" "$(cat .history/deleted/failed.*)" first
as "$ben" mv 1A2B3C4E failed.xlsx
saved "and when the rest is renamed by hand" failed.xlsx "$ben"

seed killed.csv "complete and well"
office "$ben" 'open killed.csv' 'write half' kill 2>/dev/null
saved "a writer that is killed" killed.csv "$ben"
like "it is called incomplete" "$(log_of killed.csv | head -n 1)" '"flags":"incomplete"'
like "in the history of the file too" "$(daybook history killed.csv)" "2 .* $ben .*incomplete"
is "the version before is intact" "$(cat "$(version killed.csv 1)")" "complete and well"
was killed.csv
office "$ben" 'truncate killed.csv' 'write h' sync 'write a' kill 2>/dev/null
is "killed after emptying it: one version, incomplete" \
	"$(fact killed.csv document)@$(fact killed.csv version) $(log_of killed.csv | head -n 1 | grep -o incomplete)" \
	"$was_document@$((was_version + 1)) incomplete"
was killed.csv
play "a whole save after it" "$anna" 'truncate killed.csv' 'write whole' close
saved "a whole save after it" killed.csv "$anna"
unlike "is not incomplete" "$(log_of killed.csv | head -n 1)" incomplete

seed emptied.csv "not empty"
play "emptied and closed" "$ben" 'truncate emptied.csv' close
wait_for 5 test "$(fact emptied.csv version)" = 2
saved "emptied and closed with nothing written" emptied.csv "$ben"
like "it is called incomplete" "$(log_of emptied.csv | head -n 1)" '"flags":"incomplete"'
is "the version before is there" "$(cat "$(version emptied.csv 1)")" "not empty"

# --- two at one file ----------------------------------------------------------------------------------------------

# both_save FILE CALL...: anna reads her version, ben saves, anna saves by these calls in the process that read
both_save()
{
	local file=$1 go=$T/home/anna/$1
	shift
	office "$anna" "read $file" "signal $go.read" "wait $go.go" "$@" &
	wait_for 20 test -e "$go.read"
	play "ben saves" "$ben" "read $file" "truncate $file" 'write ben' close
	touch "$go.go"
	wait $!
}

seed both.csv
both_save both.csv 'truncate both.csv' 'write anna' close
saved "a conflict in place: both saves are accepted" both.csv "$anna" 2
like "the log says so" "$(log_of both.csv | head -n 1)" '"flags":"conflict"'
is "both contents are in conflicts/" \
	"$(cat ".history/conflicts/$(basename "$(version both.csv 2)")") $(cat ".history/conflicts/$(basename "$(version both.csv 3)")")" \
	"ben anna"
like "daybook conflicts tells what was not read" "$(daybook conflicts --json "$MNT")" \
	"\"author\":\"$anna\",\"path\":\"dept/both.csv\".*\"version\":3,\"over\":2,\"read\":1"
check "and one copy away" as_sh "$anna" 'cp "$1" both-ben.csv' "$(version both.csv 2)"

seed both.xlsx
both_save both.xlsx 'create B07B07B0' 'fill 3' sync close 'rename both.xlsx both.xlsx~RF1.TMP' \
	'rename B07B07B0 both.xlsx' 'unlink both.xlsx~RF1.TMP'
saved "a conflict by Excel's dance: both saves are accepted" both.xlsx "$anna" 2
is "and both are in conflicts/" "$(ls .history/conflicts | grep -c '^both\..*\.xlsx$')" 2

seed both.ods
both_save both.ods 'create .goutputstream-B' 'fill 3' 'rename .goutputstream-B both.ods' close
saved "a conflict by GIO's: both saves are accepted" both.ods "$anna" 2
is "and both are in conflicts/" "$(ls .history/conflicts | grep -c '^both\..*\.ods$')" 2

conflicts=$(daybook conflicts --json "$MNT" | wc -l)
was both.csv
play "who reads what is there and saves" "$ben" 'read both.csv' 'truncate both.csv' 'write after' close
saved "who reads first what is there is in nobody's way" both.csv "$ben"
is "no further conflict" "$(daybook conflicts --json "$MNT" | wc -l)" "$conflicts"

# --- what is left -------------------------------------------------------------------------------------------------

unlike "no temporary file is shown in files/" "$(ls .history/files)" '^[0-9A-F]{8}$|\.TMP$|\.tmp$|~|^\.gout'
unlike "nor in deleted/" "$(ls .history/deleted)" '^[0-9A-F]{8}\.|\.TMP\.|\.tmp|~|^\.gout'
cd /
unmount_share
verify_clean "the store verifies"
done_testing
