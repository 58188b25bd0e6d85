#!/usr/bin/env bats
#
# src/packaging, `make static`, and that the same sources give the same files. (The Debian package is deb.bats'.)

bats_require_minimum_version 1.5.0
load lib/helpers

PACKAGING=$BATS_TEST_DIRNAME/../src/packaging

# copy_sources FOLDER
copy_sources() {
	mkdir -p "$1"
	cp -r "$ROOT/Makefile" "$ROOT/src" "$ROOT/conf" "$ROOT/test" "$ROOT/README.md" "$ROOT/LICENSE" "$1"
}

# make_quietly ARGUMENT...
make_quietly() {
	env -u BUILD -u MAKEFLAGS -u MAKELEVEL make -s -j "$(nproc)" "$@" >make.log 2>&1 || {
		cat make.log >&2
		return 1
	}
}

# ---- the same sources, the same files

# Sources with what `make` makes of them, for several tests.
built=$BATS_FILE_TMPDIR/built
build_sources() {
	[ ! -d "$built" ] || return 0
	copy_sources making
	make_quietly -C making all
	mv making "$built"
}

@test "two builds in different folders are identical" {
	build_sources
	copy_sources two/deeper
	find two -exec touch -d 2020-02-02 {} +
	(umask 077 && TZ=Asia/Tokyo make_quietly -C two/deeper BUILD="$PWD/elsewhere" all)
	for file in portfence libportfence.so man/portfence.1; do
		cmp "$built/build/$file" "elsewhere/$file"
	done
}

# ---- make static

# The command, kept for the next run: jansson's sources are fetched.
make_static() {
	skip_missing musl-gcc
	make_quietly -C "$ROOT" BUILD="$BUILD" static || {
		! grep -q 'cannot be fetched' make.log || skip "the mirror has no sources of jansson"
		return 1
	}
	static=$BUILD/static/portfence
}

# A root with busybox and the static command alone, in the test's network namespace. $in_busybox enters it.
busybox_root() {
	make_static
	mkdir -p root/bin root/etc root/proc root/dev root/tmp
	cp "$(command -v busybox)" "$static" root/bin
	for name in sh sleep nc cat mkdir; do
		ln -s busybox "root/bin/$name"
	done
	# shellcheck disable=SC2016 # the inner shell expands it
	in_busybox=(ns unshare -m sh -c 'mount -t proc proc root/proc && mount --rbind /dev root/dev &&
		mount -t tmpfs -o mode=1777 tmpfs root/dev/shm && exec chroot root /bin/busybox env -i PATH=/bin "$@"' sh)
}

@test "the static command needs no library, and works in a root that has busybox alone" {
	busybox_root
	run -1 bash -c "readelf -lW '$static' | grep -E 'INTERP|DYNAMIC'"
	[ -z "$(find root -name '*.so*')" ]
	run -0 "${in_busybox[@]}" portfence --help
	[[ "$output" = 'usage: portfence VERB'* ]]
	printf '[nc]\nrange = 20000-20099\n' >root/etc/portfence.ini
	run -0 "${in_busybox[@]}" portfence check
	[[ "$output" = *'1 application, 0 errors, 0 warnings' ]]
	echo 'rnage = 1' >>root/etc/portfence.ini
	run -1 "${in_busybox[@]}" portfence check
}

@test "the static command fences a static program by supervisor, and without '--via supervise' misses its library" {
	busybox_root
	printf '[nc]\nrange = 20000-20099\n' >root/etc/portfence.ini
	ns_background python3 -m http.server --bind 127.0.0.1 8000
	wait_tcp 8000
	capture_start 'tcp dst port 8000'
	"${in_busybox[@]}" portfence run --via supervise -- \
		nc 127.0.0.1 8000 < <(printf 'GET / HTTP/1.0\r\n\r\n') | grep -q '^HTTP/1.0 200'
	"${in_busybox[@]}" portfence run --via supervise --lease 10 --pool 21000-21099 -- \
		nc 127.0.0.1 8000 < <(printf 'GET / HTTP/1.0\r\n\r\n') | grep -q '^HTTP/1.0 200'
	run -125 "${in_busybox[@]}" portfence run -- nc 127.0.0.1 8000
	[[ "$output" = "portfence: the library '"*"/libportfence.so' cannot be read: No such file or directory" ]]
	capture_stop
	ports_to 8000 >ports
	[ "$(wc -l <ports)" = 2 ]
	sed -n 1p ports | all_within 20000 20099
	sed -n 2p ports | all_within 21000 21009
}

@test "an inih that calls what musl may not have is refused" {
	skip_missing musl-gcc
	mkdir bin
	printf 'int printf(const char *, ...); int f(void) { return printf("x"); }' >other.c
	gcc -c -fno-builtin other.c && ar rcs other.a other.o
	# shellcheck disable=SC2016 # the script expands it
	printf '#!/bin/sh\ncase $1 in -print-file-name=*) echo "%s" ;; *) exec %s "$@" ;; esac\n' \
		"$PWD/other.a" "$(command -v gcc)" >bin/gcc
	chmod 755 bin/gcc
	run -1 env PATH="$PWD/bin:$PATH" CC=musl-gcc "$PACKAGING/musl-libraries" libraries
	[ "$output" = "musl-libraries: '$PWD/other.a' calls what musl may not have: printf" ]
	[ ! -e libraries/libinih.a ]
}

# ---- recipes

version() {
	sed -n 's/^VERSION := //p' "$ROOT/Makefile"
}

@test "each recipe says first how far it was tried, and has the version of the sources" {
	local file
	for file in portfence.spec APKBUILD PKGBUILD default.nix; do
		grep -qE "^ *(Version:|pkgver|version) *=? *\"?$(version)\"?;?\$" "$PACKAGING/$file"
	done
	for file in portfence.spec APKBUILD PKGBUILD default.nix Containerfile; do
		[[ "$(head -n 1 "$PACKAGING/$file")" =~ ^'# '.*[Nn]ever.* ]]
	done
}

# fences ROOT LIBRARY: what was installed there fences curl, with the library from there
fences() {
	local command=$1/usr/bin/portfence
	[ "$("$command" --version)" = "portfence $(version)" ]
	# the command looks beside itself first
	cp "$1/$2" "$1/usr/bin"
	ns_background python3 -m http.server --bind 127.0.0.1 8000
	wait_tcp 8000
	capture_start 'tcp dst port 8000'
	ns "$command" run --range 20000-20099 -- curl -fsS -o /dev/null http://127.0.0.1:8000/
	ns "$command" run --via preload --range 21000-21099 -- curl -fsS -o /dev/null http://127.0.0.1:8000/
	capture_stop
	ports_to 8000 >ports
	[ "$(wc -l <ports)" = 2 ]
	sed -n 1p ports | all_within 20000 20099
	sed -n 2p ports | all_within 21000 21099
}

@test "the RPM is built from the spec, has all that is installed, and what is in it fences curl" {
	skip_missing rpmbuild cpio
	copy_sources "portfence-$(version)"
	mkdir -p rpm/SOURCES
	tar -czf "rpm/SOURCES/portfence-$(version).tar.gz" "portfence-$(version)"
	# Debian's packages are none of rpm's, so it does not find what the build needs
	env -u BUILD -u MAKEFLAGS -u MAKELEVEL rpmbuild -bb --nodeps --define "_topdir $PWD/rpm" \
		--define "_tmppath $PWD" "$PACKAGING/portfence.spec" >log 2>&1 || { cat log; return 1; }
	set -- rpm/RPMS/*/*.rpm
	[ $# = 1 ]
	run -1 bash -c "rpm -qp --provides '$1' | grep libportfence"
	rpm -qpl "$1" | grep -qx /usr/share/man/man1/portfence.1
	mkdir unpacked
	rpm2cpio "$1" | (cd unpacked && cpio -idm --quiet)
	diff -r "$ROOT/conf/examples" unpacked/usr/share/doc/portfence/examples |
		grep -v '^Only in unpacked.*: portfence.ini$' >differences || true
	[ ! -s differences ]
	fences unpacked "$(cd unpacked && find . -name libportfence.so)"
}

# carry_out SHELL RECIPE: its build() and package(), in sources that were built already but for what the recipe's own
# variables change
carry_out() {
	build_sources
	mkdir srcdir
	cp -a "$built" "srcdir/portfence-$(version)"
	rm "srcdir/portfence-$(version)/build/"{portfence,libportfence.so}
	# shellcheck disable=SC2016 # the inner shell expands it
	env -u BUILD -u MAKEFLAGS -u MAKELEVEL "$1" -euc 'srcdir=$PWD/srcdir pkgdir=$PWD/pkgdir; . "$1"
		cd "${builddir:-$srcdir}"; build; cd "${builddir:-$srcdir}"; package' "$1" "$2" >log 2>&1 || { cat log; return 1; }
	[ -s pkgdir/usr/share/licenses/portfence/LICENSE ]
	fences pkgdir usr/lib/portfence/libportfence.so
}

@test "Arch's recipe, carried out, installs what fences curl, with the shared inih" {
	carry_out bash "$PACKAGING/PKGBUILD"
	readelf -d pkgdir/usr/lib/portfence/libportfence.so | grep -q 'NEEDED.*libinih'
}

@test "Alpine's recipe, carried out, installs what fences curl" {
	carry_out sh "$PACKAGING/APKBUILD"
	run -1 bash -c 'readelf -d pkgdir/usr/lib/portfence/libportfence.so | grep inih'
}
