#!/usr/bin/env bats
#
# make install and uninstall: what is copied works from where it was copied to, and all of it goes
# again, but nothing else, a configuration least of all.

bats_require_minimum_version 1.5.0
load lib/helpers

# Another LIBDIR makes another command, which must not be the one that other tests run.
setup() {
	common_setup
	mkdir own
	cp -a "$BUILD"/core "$BUILD"/shim "$BUILD"/cli "$BUILD"/man "$BUILD"/libdir "$BUILD"/libportfence.so \
		"$BUILD"/portfence own
}

# do_make TARGET VARIABLE=VALUE...
do_make() {
	make --no-print-directory -C "$ROOT" BUILD="$PWD/own" "$@" >make.log
}

# All that is no folder, without the folder $1
files() {
	(cd "$1" && find . ! -type d | sort)
}

@test "uninstall takes away all that install has copied, wherever that was" {
	for prefix in /usr /usr/local /opt/portfence; do
		destination="$PWD/de st$prefix"
		do_make install DESTDIR="$destination" PREFIX="$prefix"
		files "$destination" >installed
		for file in bin/portfence lib/libportfence.so share/bash-completion/completions/portfence \
			share/zsh/site-functions/_portfence share/fish/vendor_completions.d/portfence.fish \
			share/doc/portfence/examples/portfence.ini share/man/man1/portfence.1 \
			share/man/man5/portfence.ini.5 share/man/man7/portfence.7 share/man/man8/libportfence.8; do
			grep -qx ".$prefix/$file" installed
		done
		# nothing outside PREFIX
		run -1 grep -v "^\.$prefix/" installed
		do_make uninstall DESTDIR="$destination" PREFIX="$prefix"
		[ "$(files "$destination")" = "" ]
		[ "$(find "$destination$prefix" -mindepth 1 -name '*portfence*')" = "" ]
		# once more, where there is nothing left
		do_make uninstall DESTDIR="$destination" PREFIX="$prefix"
	done
}

@test "each folder may be named, and uninstall finds it by the same name" {
	folders=(PREFIX=/p BINDIR=/b LIBDIR=/l DOCDIR=/d BASHDIR=/bash ZSHDIR=/z FISHDIR=/f MANDIR=/m)
	do_make install DESTDIR="$PWD/to" "${folders[@]}"
	{
		find "$ROOT/conf/examples" -type f -printf './d/examples/%P\n'
		cat <<-END
			./b/portfence
			./bash/portfence
			./d/examples/portfence.ini
			./f/portfence.fish
			./l/libportfence.so
			./m/man1/portfence.1
			./m/man5/portfence.ini.5
			./m/man7/portfence.7
			./m/man8/libportfence.8
			./z/_portfence
		END
	} | sort | diff - <(files to)
	do_make uninstall DESTDIR="$PWD/to" "${folders[@]}"
	[ "$(files to)" = "" ]
}

@test "what others have put beside it stays" {
	mkdir -p to/usr/bin to/usr/share/doc/portfence/examples
	echo theirs | tee to/usr/bin/portfence-other to/usr/share/doc/portfence/examples/mine.ini
	files to >before
	do_make install DESTDIR="$PWD/to" PREFIX=/usr
	do_make uninstall DESTDIR="$PWD/to" PREFIX=/usr
	diff before <(files to)
}

@test "a configuration is neither written, nor overwritten, nor taken away" {
	mkdir -p to/etc
	for there in no yes; do
		[ "$there" = no ] || printf '; mine\n[curl]\nrange = iana\n' >to/etc/portfence.ini
		before=$(find to/etc -printf '%p %i %T@ %C@ %s\n')
		for target in install install uninstall; do
			do_make "$target" DESTDIR="$PWD/to" PREFIX=/usr
			[ "$(find to/etc -printf '%p %i %T@ %C@ %s\n')" = "$before" ]
		done
	done
	[ "$(cat to/etc/portfence.ini)" = $'; mine\n[curl]\nrange = iana' ]
}

@test "what was built for one place works where it is installed, for every user" {
	chmod a+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
	chmod 1777 "$PORTFENCE_STATE"
	cp "$PROBES/spawn" .
	umask 077
	do_make install PREFIX="$PWD/opt/fence"
	ns setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$PWD/opt/fence/bin/portfence" run --range 20000-20099 -- ./spawn child >said
	sed -n 's/^port //p' said | all_within 20000 20099
	grep -qx "variable LD_PRELOAD=$PWD/opt/fence/lib/libportfence.so" said
	[ "$(find opt -type d ! -perm 755)" = "" ]
	[ "$(find opt -type f ! -perm 644)" = opt/fence/bin/portfence ]
	[ "$(stat -c %a opt/fence/bin/portfence)" = 755 ]
	grep -q "$PWD/opt/fence/lib" opt/fence/share/man/man8/libportfence.8
	# and moved: the library of another PREFIX is not there
	mv opt/fence/lib/libportfence.so .
	run -125 --separate-stderr opt/fence/bin/portfence run --range iana -- true
	[ "$stderr" = "portfence: the library '$PWD/opt/fence/lib/libportfence.so' cannot be read: No such \
file or directory" ]
}

@test "what is installed of completion completes" {
	skip_missing fish
	do_make install PREFIX="$PWD/opt"
	PATH=$PWD/opt/bin:$PATH XDG_DATA_DIRS=$PWD/opt/share XDG_DATA_HOME=$PWD \
		fish -c 'complete -C "portfence prese"' | grep -q '^presets'
	# shellcheck disable=SC2016 # the inner shell expands it
	PATH=$PWD/opt/bin:$PATH XDG_DATA_DIRS=$PWD/opt/share bash -c '
		source /usr/share/bash-completion/bash_completion
		_completion_loader portfence
		complete -p portfence' | grep -q _portfence
}

@test "the example that is installed is a configuration as it stands" {
	do_make install DESTDIR="$PWD/to"
	run -0 --separate-stderr "$PORTFENCE" env curl \
		--config to/usr/local/share/doc/portfence/examples/portfence.ini
	[ -z "$stderr" ]
}
