#!/bin/bash
# Samba, first contact: Debian's smbd shares the mount by the section that README.md gives; two people save over it.
. "$(dirname "$0")/lib.sh"

make_users anna ben
new_share
S=$T/samba
mkdir -p "$S"/{private,lock,state,cache,pid,ncalrpc,log}
chmod 755 "$S" "$S"/{lock,state,cache,pid}
port=$((20000 + $$ % 20000))

# the first ```ini block of README.md, its path and group replaced
section()
{
	awk '/^```ini$/ && !done { inside = 1; next } /^```$/ && inside { inside = 0; done = 1 } inside' "$ROOT/README.md" |
		sed -E "s|^([[:space:]]*path =).*|\1 $MNT|; s|^([[:space:]]*force group =).*|\1 $GROUP|"
}

section >"$S/section"
share=$(sed -n 's/^\[\(.*\)\]$/\1/p' "$S/section")
isnt "README.md has a section for smb.conf" "$share" ""
for line in 'vfs objects = shadow_copy2' 'shadow:snapdir = \.history/at' 'shadow:format = %Y-%m-%d_%H\.%M\.%SZ' \
	'shadow:snapdirseverywhere = yes' 'shadow:sort = desc' 'kernel oplocks = no' 'posix locking = yes' \
	'store dos attributes = yes' 'force group = '; do
	like "it says: ${line//\\/}" "$(cat "$S/section")" "^[[:space:]]*$line"
done
unlike "it does not hide who saved" "$(cat "$S/section")" '^[[:space:]]*force user'

cat >"$S/smb.conf" - "$S/section" <<END
[global]
	interfaces = lo
	bind interfaces only = yes
	smb ports = $port
	disable netbios = yes
	server role = standalone
	map to guest = never
	load printers = no
	disable spoolss = yes
	passdb backend = tdbsam:$S/private/passdb.tdb
	private dir = $S/private
	lock directory = $S/lock
	state directory = $S/state
	cache directory = $S/cache
	pid directory = $S/pid
	ncalrpc dir = $S/ncalrpc
	log file = $S/log/smbd
	max log size = 0
END
check "the configuration is sound" testparm -s "$S/smb.conf"

for user in "$anna" "$ben"; do
	check "a Samba user for $user" sh -c 'printf "secret\nsecret\n" | smbpasswd -c "$1" -s -a "$2"' sh "$S/smb.conf" "$user"
done
smbd -F -s "$S/smb.conf" >"$S/log/stdout" 2>&1 </dev/null &
SMBD=$!
at_exit 'stop_smbd'

stop_smbd()
{
	[ -n "$SMBD" ] || return 0
	kill "$SMBD" 2>/dev/null
	wait_for 10 gone "$SMBD" || kill -KILL "$SMBD"
	wait "$SMBD" 2>/dev/null
	SMBD=
}

# smb USER COMMANDS: what smbclient says
smb()
{
	timeout 60 smbclient -s "$S/smb.conf" -p "$port" "//127.0.0.1/$share" -U "$1%secret" -c "$2" 2>&1
}

answers()
{
	smb "$anna" 'ls' >"$S/log/first"
}
wait_for 20 answers || { diag "$(cat "$S/log/first" "$S/log/stdout")"; bail "smbd answers"; }
result 0 "smbd answers"
cd "$S" || bail "a directory"

# --- saving -------------------------------------------------------------------------------------------------------

seq 1 2000 | sed 's/$/,100/' >first.csv
seq 1 2000 | sed 's/$/,95/' >second.csv
check "anna saves" smb "$anna" 'cd dept; put first.csv budget.csv'
same "it is there" first.csv "$MNT/dept/budget.csv"
is "it belongs to her" "$(stat -c %U:%G "$MNT/dept/budget.csv")" "$anna:$GROUP"
document=$(fact "$MNT/dept/budget.csv" document)
between=$(instant)
next_second
check "ben saves over it" smb "$ben" 'cd dept; put second.csv budget.csv'
same "his bytes are there" second.csv "$MNT/dept/budget.csv"
is "two saves, two versions with their names" "$(authors "$MNT/dept/budget.csv")" "$anna $ben"
is "of one document" "$(fact "$MNT/dept/budget.csv" document)@$(fact "$MNT/dept/budget.csv" version)" "$document@2"
same "the first is as it was" first.csv "$(version "$MNT/dept/budget.csv" 1)"
is "the log knows both, and no save that did not finish" \
	"$(daybook log --json --reverse "$MNT/dept/budget.csv" | grep '"operation":"save"' |
		sed -E 's/.*"author":"([^"]*)".*"flags":("[^"]*"|null).*/\1 \2/' | paste -sd ' ')" "$anna null $ben null"
unlike "what smbd does as root for ben is ben's" "$(daybook log --json "$MNT/dept/budget.csv")" '"author":"root"'
check "anna reads it" smb "$anna" 'cd dept; get budget.csv read.csv'
same "as ben left it" second.csv read.csv

# an editor on a client saves by a temporary file
seq 1 2000 | sed 's/$/,90/' >third.csv
check "anna saves by a temporary file and renames" smb "$anna" \
	'cd dept; put third.csv A1B2C3D4; rename budget.csv budget.csv~RF123.TMP; rename A1B2C3D4 budget.csv; rm budget.csv~RF123.TMP'
same "the third is there" third.csv "$MNT/dept/budget.csv"
is "as the third version of the document, hers" \
	"$(fact "$MNT/dept/budget.csv" document)@$(fact "$MNT/dept/budget.csv" version) $(fact "$MNT/dept/budget.csv" author)" \
	"$document@3 $anna"

# --- Previous Versions --------------------------------------------------------------------------------------------

smb "$anna" 'cd dept; allinfo budget.csv' >info
tokens=$(sed -n 's/^\(@GMT-[0-9.-]*\)$/\1/p' info)
is "allinfo lists the instants of the directory" "$(wc -w <<<"$tokens")" "$(ls "$MNT/dept/.history/at" | wc -l)" || diag "$(cat info)"
token=$(date -u -d "$(sed -E 's/_/ /; s/\.([0-9]+)\./:\1:/; s/Z//' <<<"$between")" +@GMT-%Y.%m.%d-%H.%M.%S)
saved=$(date -u -d "@$(stat -c %Y "$(version "$MNT/dept/budget.csv" 1)")" +@GMT-%Y.%m.%d-%H.%M.%S)
like "the second of the first save is one of them" "$tokens" "^$saved\$"
check "an old one is read through SMB" smb "$ben" "get $saved\\dept\\budget.csv old.csv"
same "byte for byte" first.csv old.csv
check "any second between answers, listed or not" smb "$ben" "get $token\\dept\\budget.csv between.csv"
same "byte for byte too" first.csv between.csv
newest=$(head -n 1 <<<"$tokens")
check "the newest instant" smb "$ben" "get $newest\\dept\\budget.csv newest.csv"
same "is the present" third.csv newest.csv
like "a directory as of an instant is listed" "$(smb "$anna" "ls $saved\\dept\\*")" " budget\.csv .* $(stat -c %s first.csv) "
smb "$ben" "put second.csv $saved\\dept\\budget.csv" >out
smb "$ben" "get $saved\\dept\\budget.csv again.csv" >out
same "the past cannot be written through SMB" first.csv again.csv
is "and nothing was saved by trying" "$(fact "$MNT/dept/budget.csv" version)" 3

# --- .history as a folder -----------------------------------------------------------------------------------------

unlike ".history is not listed" "$(smb "$anna" 'ls dept\*')" '\.history'
like "but opens" "$(smb "$anna" 'ls dept\.history\*')" ' files '
v1=$(basename "$(version "$MNT/dept/budget.csv" 1)")
like "files/ of a name lists its versions" "$(smb "$anna" 'ls dept\.history\files\budget.csv\*')" " ${v1//./\\.} "
check "a version is read by its name" smb "$anna" "get dept\\.history\\files\\budget.csv\\$v1 by-name.csv"
same "byte for byte, by its name" first.csv by-name.csv
check "and is put back by copying it" smb "$ben" 'cd dept; put by-name.csv budget.csv'
is "as a fourth version, that says from where" \
	"$(fact "$MNT/dept/budget.csv" version) $(fact "$MNT/dept/budget.csv" author) $(fact "$MNT/dept/budget.csv" from)" \
	"4 $ben $document@1"
check "changes.csv is read" smb "$anna" 'get dept\.history\changes.csv changes.csv'
like "and names who saved" "$(cat changes.csv)" "$ben"

# --- names --------------------------------------------------------------------------------------------------------

check "names are found whatever their case" smb "$anna" 'get DEPT\Budget.CSV case.csv'
same "the same file" first.csv case.csv
check "and saved to" smb "$anna" 'put second.csv DEPT\BUDGET.csv'
is "as a version of the same document" "$(fact "$MNT/dept/budget.csv" document)@$(fact "$MNT/dept/budget.csv" version)" "$document@5"
is "under the name that it has" "$(ls "$MNT/dept")" budget.csv
check "in the past too" smb "$anna" "get $saved\\Dept\\BUDGET.csv case.csv"
same "the file of then" first.csv case.csv

# --- what is not allowed ------------------------------------------------------------------------------------------

as_sh "$anna" 'umask 077; echo private > "$1/private.txt"' "$MNT/dept"
like "ben may not read what is anna's alone" "$(smb "$ben" 'get dept\private.txt private.txt')" ACCESS_DENIED
smb "$ben" 'ls dept\.history\files\*' >out
unlike "its name is not in his files/" "$(cat out)" private
smb "$anna" 'ls dept\.history\files\*' >out
like "but in hers" "$(cat out)" private

# --- a client that dies -------------------------------------------------------------------------------------------

mkfifo slow
was=$(fact "$MNT/dept/budget.csv" version)
smbclient -s "$S/smb.conf" -p "$port" "//127.0.0.1/$share" -U "$ben%secret" \
	-c 'cd dept; put slow budget.csv' >out 2>&1 &
client=$!
exec 9>slow
seq 1 600000 >&9 &
cut_short()
{
	[ "$(stat -c %s "$MNT/dept/budget.csv")" -gt 100000 ]
}
wait_for 20 cut_short
kill -KILL "$client"
exec 9>&-
wait "$client" 2>/dev/null
is_incomplete()
{
	daybook log --json --limit 1 "$MNT/dept/budget.csv" | grep -q '"flags":"incomplete"'
}
check "a save whose client dies is called incomplete" wait_for 10 is_incomplete
is "by its author" "$(fact "$MNT/dept/budget.csv" author)" "$ben"
same "the version before is intact" second.csv "$(version "$MNT/dept/budget.csv" "$was")"
stop_smbd
cd /
unmount_share
verify_clean "the store verifies"
done_testing
