# The house: which file may include which, what each folder may do, and how names tell where a thing lives.

bats_require_minimum_version 1.5.0
load lib/helpers

# Nothing runs here, so no namespace is needed.
setup() {
	cd "$ROOT/src" || return
}

teardown() {
	:
}

# Lowest first: a file of core may include itself and what stands before it.
CORE="reason timing text log_destination variables socket_calls addr sctp siphash arena signals fd gain netlink ownership range portmap preset order slices policy pool key lines conf_files conf state move diag
	source_addr engine_kernel engine_bind fence mptcp outcome assign translate summary logline record log handover settings"

# folder: which other folders it may include
may_include() {
	case $1 in
	core) echo none ;;
	shim | machine) echo core ;;
	supervisor) echo 'core|machine' ;;
	cli) echo 'core|machine|supervisor' ;;
	*) return 1 ;;
	esac
}

includes_of() {
	sed -nE 's/^#[ \t]*include[ \t]+"([^"]+)".*/\1/p' "$1"
}

@test "every folder of src has its rule, and every file of core its place in the table" {
	for folder in */; do
		case $folder in
		man/ | completion/ | debian/ | packaging/) ;;
		*) may_include "${folder%/}" ;;
		esac
	done
	diff <(xargs -n 1 <<<"$CORE" | sort) \
		<(cd core && printf '%s\n' ./*.[ch] | sed 's|^\./||; s/\.[ch]$//' | sort -u)
}

@test "a file of core includes only what stands before it in the table" {
	for file in core/*.[ch]; do
		name=${file#core/}
		for include in $(includes_of "$file"); do
			[ -e "core/$include" ]
			awk -v from="${name%.*}" -v to="${include%.h}" 'BEGIN { RS = "[ \t\n]+" }
				$0 == from { a = NR } $0 == to { b = NR }
				END { if (!a || !b || b > a) { print from " includes " to; exit 1 } }' <<<"$CORE"
		done
	done
}

@test "a folder includes only the folders that its rule names" {
	for file in */*.[ch]; do
		allowed=$(may_include "${file%%/*}")
		for include in $(includes_of "$file"); do
			case $include in
			../*) grep -qE "^\.\./($allowed)/[a-z_0-9]+\.h$" <<<"$include" || { echo "$file: $include"; return 1; } ;;
			*/*) echo "$file: $include"; return 1 ;;
			*) [ -e "${file%/*}/$include" ] ;;
			esac
		done
	done
}

@test "the supervisor uses nothing of machine but procfs" {
	run -1 bash -c "grep -nE '#[ \t]*include \"\.\./machine/' supervisor/*.[ch] | grep -v '\"\.\./machine/procfs\.h\"'"
}

# Core and shim may not use machine: they read what they need of their own process before the program has
# begun, or without a stream and memory.
@test "only procfs reads what /proc tells of a process" {
	run -1 bash -c "grep -nE '\"/proc/(self|%)' machine/*.c supervisor/*.c cli/*.c | grep -v '^machine/procfs\.c:'"
}

# A file and its header are one room.
@test "no circle: following includes never leads back to the file where one began" {
	for file in */*.[ch]; do
		for include in $(includes_of "$file"); do
			case $include in
			../*) include=${include#../} ;;
			*) include=${file%%/*}/$include ;;
			esac
			[ "${file%.*}" = "${include%.h}" ] || echo "${file%.*} ${include%.h}"
		done
	done | tsort >/dev/null
}

@test "only lines includes inih" {
	[ "$(grep -rlE '^#[ \t]*include.*\bini\.h' .)" = ./core/lines.c ]
}

# names that print or end the process
SPEAKS='printf|fprintf|vprintf|vfprintf|dprintf|puts|fputs|putchar|perror|exit|_exit|_Exit|abort|quick_exit|stderr|stdout|err|errx|warn|warnx'

# The shim's exported names, which are libc's: see test/shim.bats
hooked() {
	nm -D --defined-only "$LIBRARY" | awk '{ print $NF }' | sed 's/@.*//'
}

@test "core and machine neither print nor exit" {
	for source in core/*.c machine/*.c; do
		object=$BUILD/${source%.c}.o
		names=$(nm "$object" | awk '{ print $NF }' | grep -xE "$SPEAKS" || true)
		echo "$object $names"
		[ "$names" = "" ]
	done
}

@test "core defines and calls no hooked name by itself" {
	for source in core/*.c; do
		object=$BUILD/${source%.c}.o
		names=$(nm "$object" | awk '{ print $NF }' | grep -xE "$(hooked | paste -sd'|')" || true)
		echo "$object $names"
		[ "$names" = "" ]
	done
}

@test "a header guards itself with its path's name, and its first line says what the file is" {
	for header in */*.h; do
		name=${header##*/}
		head -n 1 "$header" | grep -qE "^/\\* ${name%.h}: .* \\*/\$"
		guard=PORTFENCE_$(tr 'a-z/.' 'A-Z__' <<<"$header")
		grep -qx "#ifndef $guard" "$header"
		grep -qx "#define $guard" "$header"
	done
}

# a verb's function is verb_NAME, listed in verbs.h; hooks bear libc's names
@test "a function that other files call bears the name of its file" {
	for object in "$BUILD"/{core,machine,supervisor,cli}/*.o; do
		name=${object##*/}
		name=${name%.o}
		nm --defined-only -g "$object" | awk '{ print $NF }' | while read -r symbol; do
			case $symbol in
			"$name" | "$name"_* | verb_* | main) ;;
			*) echo "$object: $symbol"; exit 1 ;;
			esac
		done
	done
}

# clang-format puts a function's braces, and no others, at the line's beginning
@test "no function is longer than 60 lines" {
	awk 'FNR == 1 { start = 0 }
		/^\{$/ { start = FNR; name = last }
		/^\}$/ && start {
			functions++
			if (FNR - start > 61) { print FILENAME ":" start ": " FNR - start - 1 " lines: " name; bad = 1 }
			start = 0
		}
		/^[^ \t{}\/]/ { last = $0 }
		END { if (functions < 1000) print "only " functions " functions were found"; exit bad || functions < 1000 }' ./*/*.c
}
