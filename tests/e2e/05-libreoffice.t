#!/bin/bash
# LibreOffice makes, edits and saves a workbook and a CSV file on the share, as two people.
. "$(dirname "$0")/lib.sh"

command -v soffice >/dev/null || bail "LibreOffice is installed"
make_users anna ben
new_share
cd "$MNT/dept" || bail "the directory is there"

# --- macros, in each one's own profile --------------------------------------------------------------------------------

# LibreOffice makes a profile when it starts first and overwrites the libraries that it finds in it.
soffice_in()
{
	timeout -k 5 90 soffice "-env:UserInstallation=file://$1" --headless --norestore --nologo "${@:2}" \
		>"$T/office.out" 2>&1 </dev/null
}

check "LibreOffice starts" soffice_in "$T/profile" --terminate_after_init
basic=$T/profile/user/basic/Standard
[ -e "$basic/script.xlb" ] || { diag "$(cat "$T/office.out")"; bail "it makes a profile"; }
sed -i 's|</library:library>|<library:element library:name="Saving"/>&|' "$basic/script.xlb"
{
	cat <<'END'
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE script:module PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" "module.dtd">
<script:module xmlns:script="http://openoffice.org/2000/script" script:name="Saving" script:language="StarBasic">
END
	sed 's/&/\&amp;/g; s/"/\&quot;/g' <<'END'
Function Setting(title, content)
	Dim p As New com.sun.star.beans.PropertyValue
	p.Name = title
	p.Value = content
	Setting = p
End Function

Sub Fill(book, text)
	page = book.Sheets.getByIndex(0)
	page.getCellByPosition(0, 0).String = text
	For row = 1 To 300
		page.getCellByPosition(0, row).Value = row
		page.getCellByPosition(1, row).Formula = "=A" & (row + 1) & "*2"
	Next
End Sub

Sub Make(path, filter, options, text)
	book = StarDesktop.loadComponentFromURL("private:factory/scalc", "_blank", 0, Array(Setting("Hidden", True)))
	Fill(book, text)
	book.storeAsURL(ConvertToURL(path), Array(Setting("FilterName", filter), Setting("FilterOptions", options)))
	book.close(True)
	StarDesktop.terminate()
End Sub

Sub Edit(path, filter, options, text, saves)
	how = Array(Setting("Hidden", True), Setting("FilterName", filter), Setting("FilterOptions", options))
	book = StarDesktop.loadComponentFromURL(ConvertToURL(path), "_blank", 0, how)
	For n = 1 To saves
		book.Sheets.getByIndex(0).getCellByPosition(2, n).String = text & n
		book.store()
	Next
	book.close(True)
	StarDesktop.terminate()
End Sub
END
	echo '</script:module>'
} >"$basic/Saving.xba"
for user in "$anna" "$ben"; do
	home=$T/home/${user%%[0-9]*}
	cp -r "$T/profile" "$home/office" && chown -R "$user:" "$home/office"
done

# office USER ARGUMENT...: as that user, with nothing on a screen
office()
{
	as "$1" timeout -k 5 90 soffice "-env:UserInstallation=file://$T/home/${1%%[0-9]*}/office" \
		--headless --norestore --nologo "${@:2}" >"$T/office.out" 2>&1 </dev/null
}

xlsx='"Calc MS Excel 2007 XML",""'
csv='"Text - txt - csv (StarCalc)","44,34,76,1"'

# text_of FILE: what LibreOffice itself reads in it, as CSV
text_of()
{
	rm -rf "$T/text" && mkdir -m 777 "$T/text" && cp "$1" "$T/text/in.${1##*.}" || return
	office "$anna" --convert-to "csv:Text - txt - csv (StarCalc):44,34,76,1" --outdir "$T/text/out" "$T/text/in.${1##*.}"
	cat "$T/text/out/in.csv"
}

# --- two people, two files ----------------------------------------------------------------------------------------

for file in budget.xlsx budget.csv; do
	[ "$file" = budget.xlsx ] && how=$xlsx || how=$csv
	check "$file: anna makes it" office "$anna" "macro:///Standard.Saving.Make(\"$PWD/$file\",$how,\"first\")"
	[ -s "$file" ] || { diag "$(cat "$T/office.out")"; bail "$file is there"; }
	document=$(fact "$file" document)
	cp "$file" "$T/first.$file"
	is "$file: one version" "$(authors "$file")" "$anna"
	between=$(instant)
	next_second
	check "$file: ben edits and saves it" office "$ben" "macro:///Standard.Saving.Edit(\"$PWD/$file\",$how,\"second\",1)"
	cp "$file" "$T/second.$file"
	is "$file: exactly two versions, theirs" "$(authors "$file")" "$anna $ben"
	is "$file: of one document" "$(fact "$file" document)@$(fact "$file" version)" "$document@2"
	same "$file: the first from files/" "$T/first.$file" "$(version "$file" 1)"
	same "$file: the second from files/" "$T/second.$file" "$(version "$file" 2)"
	same "$file: a second between shows the first" "$T/first.$file" ".history/at/$between/$file"
	like "$file: ben's edit is in the second" "$(text_of "$(version "$file" 2)")" second1
	unlike "$file: and not in the first" "$(text_of "$(version "$file" 1)")" second1
	check "$file: anna copies the first back" as "$anna" cp "$(version "$file" 1)" "$file"
	is "$file: a third version, from the first" \
		"$(authors "$file"), $(fact "$file" version) from $(fact "$file" from)" "$anna $ben $anna, 3 from $document@1"
	same "$file: with the first's bytes" "$T/first.$file" "$file"
	check "$file: ben saves twice in one session" office "$ben" "macro:///Standard.Saving.Edit(\"$PWD/$file\",$how,\"again\",2)"
	is "$file: two versions more" "$(authors "$file")" "$anna $ben $anna $ben $ben"
	like "$file: with both edits" "$(text_of "$file" | grep -o 'again[12]' | paste -sd ' ')" "again1 again2"
done

unlike "lock files and temporary files are not shown in files/" "$(ls .history/files)" '^\.~lock|^lu|\.tmp$'
is "only the two are" "$(ls .history/files | paste -sd ' ')" "budget.csv budget.xlsx"
is "nothing is called deleted" "$(ls .history/deleted)" ""
is "every save was whole" "$(daybook log --json --limit 100000 "$MNT" | grep -c '"flags":"[^"]*incomplete')" 0
is "nobody was in anybody's way" "$(daybook conflicts --json "$MNT")" ""
cd /
unmount_share
verify_clean "the store verifies"
done_testing
