#!/usr/bin/env bats
#
# What portfence fences where: the table of portfence(7). Each yes and no of it is found by runs as a user
# without rights, judged from the wire. The sandboxes are those of probes/sandbox.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034 # inner shells expand it; each cell is a process of its own
bats_require_minimum_version 1.5.0
load lib/helpers
load lib/supervise

setup_file() {
	build_static raw
	GOCACHE=$BATS_FILE_TMPDIR/go GO111MODULE=off CGO_ENABLED=0 \
		go build -o "$BATS_FILE_TMPDIR/talk" "$BATS_TEST_DIRNAME/programs/talk.go"
}

setup() {
	supervise_setup
	chmod 1777 "$BATS_TEST_TMPDIR" "$PORTFENCE_STATE"
	static=$BATS_FILE_TMPDIR/raw-static
	VIA[auto]=auto
	RANGES[auto]=20000-20999
	printf '#!/bin/sh\nexec nc -N "$@"\n' >"$install/listen"
	printf '#!/bin/sh\nexec busybox nc "$@"\n' >"$install/busybox-nc"
	chmod +x "$install"/{listen,busybox-nc}
	MAP_VIA=auto
}

COLUMNS="dynamic DNS static Go lease fresh map static-map inside"
HEAD="where|dyn.|DNS|static|Go|lease|fresh|map|map+|in"
# A name of probes/sandbox, or `run` for a run inside a run, and what the table calls it
PLACES="none:Linux 5.19+
old:Linux 5.9 to 5.18
run:a run inside a run
podman:Podman, CRI-O
docker:Docker/Kubernetes
systemd:@system-service
yama:ptrace_scope 2, 3
docker-old:Docker until 2020
systemd-old:systemd until 251
gvisor:gVisor
wsl:WSL, mirrored"

# sent FIRST LAST RUN...: all that it sends to port 7000 comes from these ports, and so does what it tells of
sent() {
	anew
	serve
	capture_start
	as_nobody "${SANDBOX[@]}" "$PORTFENCE" "${@:3}" </dev/null >said
	capture_stop
	ports_to 7000 | all_within "$1" "$2"
	grep -oE '\<[0-9]{5}\>' said | all_within "$1" "$2"
}

cell_dynamic() { sent 20000 20999 run -q --range 20000-20999 -- "$install/matrix" tcp 4 7000; }
cell_static() { sent 20000 20999 run -q --range 20000-20999 -- "$static" native 7000; }
cell_lease() { sent 20000 20099 run -q --lease 100 --pool 20000-20099 -- "$install/matrix" tcp 4 7000; }
cell_inside() { sent 21000 21099 run -q --range 20000-20999 -- "$PORTFENCE" run -q --range 21000-21099 -- "$static" native 7000; }

cell_Go() {
	sent 20000 20999 run -q --range 20000-20999 -- "$BATS_FILE_TMPDIR/talk" 7000
}

cell_DNS() {
	resolves auto getent ahosts portfence.test
	within auto <wire_ports
}

cell_fresh() {
	local i
	for i in 1 2; do
		sent 20000 20999 run -q --fresh --range 20000-20999 -- "$install/matrix" tcp 4 7000
		mv said "said.$i"
	done
	diff said.1 said.2
}

# mapped SERVER...: what listens at port 7777 is reached by it inside, and is at port 20999; in the way $MAP_VIA
mapped() {
	anew
	# not from a pipe: the server sends nothing, so its end may be seen before a word that comes later
	echo word >word
	as_nobody "${SANDBOX[@]}" "$PORTFENCE" run -q --via "$MAP_VIA" --range 20000-20999 --map 7777 -- sh -c '"$@" >heard & server=$!
		until ss -Hltn | grep -q :; do kill -0 $server || exit; done
		ss -Hltn | grep -q ":20999 " || { kill $server; exit 1; }
		"$1" 127.0.0.1 7777 <word; wait' - "$@"
	[ "$(cat heard)" = word ]
}

cell_map() { mapped "$install/listen" -l 7777; }

cell_static-map() {
	mapped "$install/busybox-nc" -l -p 7777
}

# yes or no, and in the log why
cell() {
	local status
	set +eET
	(
		set -eET
		trap - ERR
		# its servers are known to this shell alone
		trap ns_close EXIT
		"cell_$1"
	) >"log.$place.$1" 2>&1
	status=$?
	set -eET
	[ "$status" = 0 ] && echo yes || echo no
}

@test "what is fenced where is what the table of portfence(7) says" {
	local place column row
	echo "$HEAD" >table
	while IFS=: read -r place row; do
		case $place in
		none) SANDBOX=() ;;
		run) SANDBOX=("$PORTFENCE" run -q --range 30000-30999 --) ;;
		*) sandboxed "$place" ;;
		esac
		for column in $COLUMNS; do
			row+="|$(cell "$column")"
		done
		echo "$row" | tee -a table
	done <<<"$PLACES"
	# why each "no" is one, if the table has another word there
	tail -v -n 6 log.*
	diff table <(sed -n '/^\.SS Where what is fenced$/,/^\.TE$/p' "$ROOT/src/man/portfence.7" | grep '|.*|')
}

@test "before Linux 5.19, '--via both' fences a map with a static program, too" {
	sandboxed old
	MAP_VIA=both
	cell_static-map
}
