#!/usr/bin/env bats
#
# The Debian package: that it is built, and twice the same; what lintian says of it; that it
# installs, works and leaves nothing behind when it is purged.

bats_require_minimum_version 1.5.0
load lib/helpers
load lib/root

# make_deb SOURCES BUILD: the path of the package
make_deb() {
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "$1" deb BUILD="$2" >"$2.log" 2>&1 || {
		cat "$2.log" >&2
		return 1
	}
	echo "$2"/deb/portfence_*.deb
}

setup_file() {
	local sources
	sources=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	DEB=$(make_deb "$sources" "$BATS_FILE_TMPDIR/build")
	export DEB
}

setup() {
	skip_missing dpkg-deb lintian
	common_setup
}

unpack() {
	dpkg-deb -x "$DEB" unpacked
}

@test "the package is for this machine and has the version of the sources" {
	unpack
	[ "$(dpkg-deb -f "$DEB" Architecture)" = "$(dpkg --print-architecture)" ]
	[[ "$(dpkg-deb -f "$DEB" Version)" == "$(sed -n 's/^VERSION := //p' "$ROOT/Makefile")"-* ]]
	[ "$(unpacked/usr/bin/portfence --version)" = "portfence $(dpkg-deb -f "$DEB" Version |
		sed 's/-[^-]*$//')" ]
}

@test "the package depends on the libraries that its files need" {
	run -0 dpkg-deb -f "$DEB" Depends
	[[ "$output" == *'libc6 (>= '* ]]
}

@test "lintian finds neither error nor warning" {
	run -0 lintian --allow-root --fail-on error,warning "$DEB"
	[ -z "$output" ]
}

@test "each override of lintian has its reason beside it" {
	run -0 awk '/^#/ { reason = 1; next } !reason { print } { reason = 0 }' \
		"$ROOT/src/debian/lintian-overrides"
	[ -z "$output" ]
}

@test "the same sources make the same package, wherever they are and whoever builds it" {
	mkdir elsewhere
	cp -r "$ROOT/Makefile" "$ROOT/src" "$ROOT/conf" "$ROOT/test" "$ROOT/README.md" "$ROOT/LICENSE" \
		elsewhere
	find elsewhere -exec touch -d 2020-02-02 {} +
	umask 077
	again=$(TZ=Asia/Tokyo make_deb "$PWD/elsewhere" "$PWD/again")
	cmp "$DEB" "$again"
}

@test "nothing is configured by the package: no file in /etc, no script" {
	run -0 dpkg-deb -c "$DEB"
	[[ "$output" != *' ./etc'* ]]
	dpkg-deb --ctrl-tarfile "$DEB" | tar -t | sort >control
	[ "$(cat control)" = "$(printf '%s\n' ./ ./control ./md5sums)" ]
}

@test "the configuration and the examples are in it as they are in the sources" {
	unpack
	diff -r "$ROOT/conf/examples" unpacked/usr/share/doc/portfence/examples |
		grep -v '^Only in unpacked.*: portfence.ini$' >differences || true
	[ ! -s differences ]
	cmp "$ROOT/conf/portfence.ini" unpacked/usr/share/doc/portfence/examples/portfence.ini
}

@test "the manual names the paths of the package" {
	unpack
	library=$(find unpacked -name libportfence.so)
	run -0 zcat unpacked/usr/share/man/man8/libportfence.8.gz
	[[ "$output" == *"LD_PRELOAD=${library#unpacked}"* ]]
}

@test "it installs, fences curl, and is gone without a trace when it is purged" {
	root_open
	in_root dpkg-query -W portfence 2>/dev/null && skip "portfence is installed here"
	root_changes | grep -vx "$PWD/.*" >before || true
	cp "$DEB" new.deb
	in_root dpkg -i "$PWD/new.deb"

	ns_background python3 -m http.server --bind 127.0.0.1 8000
	wait_tcp 8000
	capture_start 'tcp dst port 8000'
	in_root portfence run --range 20000-20099 -- curl -fsS -o /dev/null http://127.0.0.1:8000/
	# by the dynamic linker's own name for the folder, as in a file for several word sizes
	# shellcheck disable=SC2016 # ld.so expands it
	in_root env LD_PRELOAD='/usr/$LIB/portfence/libportfence.so' PORTFENCE_RANGE=20000-20099 \
		curl -fsS -o /dev/null http://127.0.0.1:8000/
	capture_stop
	ports_to 8000 | tee ports | all_within 20000 20099
	[ "$(wc -l <ports)" = 2 ]

	run -0 in_root dpkg --verify portfence
	[ -z "$output" ]
	in_root man -w portfence libportfence portfence.ini
	in_root dpkg --purge portfence
	# what dpkg and man note about what they did
	root_changes | grep -vxE "$PWD/.*|/var/(lib/dpkg|cache/man|log)/.*" >left || true
	diff before left
	run -1 in_root grep -rl portfence /var/lib/dpkg/info /var/lib/dpkg/status
}
