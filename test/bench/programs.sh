#!/bin/bash
# programs.sh: real programs from beginning to end, plain and fenced in every way, alternately. Programs that are
# not installed are left out. Run it in a network namespace of its own, with nothing else to do for the machine:
#
#   make bench-real                                  or
#   unshare -n test/bench/programs.sh [--cpu] [ROUNDS [ROW...]]
#
# With --cpu it counts processor time, not time, for a machine that has other work: that of the program, of all
# that it starts, and of the supervisor. Servers that are not fenced do not count.
#
# It prints the median time of the plain program, and the median over the rounds of fenced / plain:
#
#   curl, one process    1,000 requests, each with a connection of its own
#   curl, 100 processes  one request each, from a shell
#   nginx as proxy       2,000 requests by ab, which is not fenced; nginx connects for each
#   redis-benchmark      50,000 commands over 50 connections
#   git clone            this repository, from a git daemon
#   configure            100 tests in a shell, with sed, grep and expr, 20 of them compiled
#   make -j2             of portfence's library and command
set -eu

build=$(realpath "${BUILD:-build}")
root=$(realpath "$(dirname "$0")/../..")
timer=()
cpu=
if [ "${1:-}" = --cpu ]; then
	cpu=yes
	shift
fi
rounds=${1:-5}
ways=(plain preload both supervise)
work=$(mktemp -d)
# the outer make's own
unset MAKEFLAGS MFLAGS MAKELEVEL
export PORTFENCE_STATE=$work/state HOME=$work GIT_CONFIG_NOSYSTEM=1
mkdir -m 700 "$PORTFENCE_STATE"
[ -z "$cpu" ] || timer=("$build/test/bench/cputime" "$work/cpu")
background=()
trap 'for one in "${background[@]}"; do kill "$one" 2>/dev/null || true; done; wait; rm -rf "$work"' EXIT
ip link set lo up

# fenced WAY COMMAND...
fenced() {
	if [ "$1" = plain ]; then
		"${timer[@]}" "${@:2}"
	else
		"${timer[@]}" "$build/portfence" run --via "$1" --range 20000-29999 --log none -- "${@:2}"
	fi
}

wait_for_port() {
	until ss -Hltn "sport = :$1" | grep -q .; do :; done
}

has() {
	local one
	for one; do
		command -v "$one" >/dev/null || return 1
	done
}

# ---- servers ----

# nginx_config PORT LOCATION: an nginx in the foreground
nginx_config() {
	cat <<-END
		daemon off; pid $work/$1.pid; error_log /dev/null; worker_processes 1;
		events { worker_connections 512; }
		http { access_log off; keepalive_timeout 0; client_body_temp_path $work/body; proxy_temp_path $work/proxy;
		fastcgi_temp_path $work/f; uwsgi_temp_path $work/u; scgi_temp_path $work/s;
		server { listen 127.0.0.1:$1; location / { $2 } } }
	END
}

start_servers() {
	if has nginx; then
		nginx_config 8000 'return 200 "0123456789";' >"$work/origin"
		nginx_config 8001 'proxy_pass http://127.0.0.1:8000;' >"$work/proxy.conf"
		nginx -c "$work/origin" 2>/dev/null &
		background+=($!)
		wait_for_port 8000
	fi
	if has redis-server; then
		redis-server --port 6379 --bind 127.0.0.1 --save '' --dir "$work" >/dev/null &
		background+=($!)
		wait_for_port 6379
	fi
	if has git && git -C "$root" rev-parse --git-dir >/dev/null 2>&1; then
		git clone -q --bare "$root" "$work/served.git"
		touch "$work/served.git/git-daemon-export-ok"
		git daemon --reuseaddr --listen=127.0.0.1 --base-path="$work" 2>/dev/null &
		background+=($!)
		wait_for_port 9418
	fi
}

# ---- what is timed: prepare_ROW WAY, time_ROW WAY and finish_ROW; a row begins with what it needs ----

need_curl() { has curl nginx; }
time_curl() { fenced "$1" curl -s -o /dev/null 'http://127.0.0.1:8000/[1-1000]'; }

need_curls() { has curl nginx; }
time_curls() {
	# shellcheck disable=SC2016 # the inner shell expands it
	fenced "$1" sh -c 'for i in $(seq 100); do curl -s -o /dev/null http://127.0.0.1:8000/; done'
}

need_nginx() { has nginx ab; }
prepare_nginx() {
	fenced "$1" nginx -c "$work/proxy.conf" 2>/dev/null &
	proxy=$!
	wait_for_port 8001
}
time_nginx() { ab -q -n 2000 -c 4 http://127.0.0.1:8001/ >/dev/null; }
finish_nginx() {
	kill "$(cat "$work/8001.pid")"
	wait "$proxy" || true
}

need_redis() { has redis-server redis-benchmark; }
time_redis() { fenced "$1" redis-benchmark -q -t set,get -n 25000 -c 50 >/dev/null; }

need_clone() { [ -d "$work/served.git" ]; }
prepare_clone() { rm -rf "$work/clone"; }
time_clone() { fenced "$1" git clone -q git://127.0.0.1/served.git "$work/clone"; }

need_configure() { has gcc; }
time_configure() {
	# shellcheck disable=SC2016 # the inner shell expands it
	(cd "$work" && fenced "$1" sh -c '
		for i in $(seq 100); do
			name=$(echo "HAVE_test $i" | sed "s/[^A-Za-z0-9]/_/g")
			if expr $i % 5 >/dev/null; then
				uname -a | grep -q Linux && echo "#define $name 1"
			else
				echo "int main(void) { return $i; }" >conftest.c
				gcc -o conftest conftest.c && ./conftest || echo "$name $?"
			fi
			rm -f conftest conftest.c
		done' >config.h)
}

need_make() { has make gcc; }
prepare_make() { rm -rf "$work/made"; }
time_make() { fenced "$1" make -s -C "$root" -j2 BUILD="$work/made" "$work/made/libportfence.so" "$work/made/portfence" >/dev/null; }

declare -A titles=([curl]='curl, one process' [curls]='curl, 100 processes' [nginx]='nginx as proxy'
	[redis]=redis-benchmark [clone]='git clone' [configure]=configure [make]='make -j2')

# ---- measuring ----

# run_once ROW WAY: the time in microseconds is added to the file ROW.WAY
run_once() {
	local begin end
	rm -f "$work/cpu"
	! declare -F "prepare_$1" >/dev/null || "prepare_$1" "$2"
	begin=${EPOCHREALTIME/./}
	"time_$1" "$2"
	end=${EPOCHREALTIME/./}
	! declare -F "finish_$1" >/dev/null || "finish_$1"
	if [ "$cpu" ]; then
		cat "$work/cpu" >>"$work/$1.$2"
	else
		echo $((end - begin)) >>"$work/$1.$2"
	fi
}

median() {
	sort -n | awk '{ v[NR] = $1 } END { printf "%s", (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

# show ROW
show() {
	local way
	printf '%-20s %8.0f ms' "${titles[$1]}" "$(median <"$work/$1.plain" | awk '{ print $1 / 1000 }')"
	for way in "${ways[@]:1}"; do
		printf '  x %.3f' "$(paste "$work/$1.plain" "$work/$1.$way" | awk '{ print $2 / $1 }' | median)"
	done
	echo
}

measure() {
	local round i
	# the first time, programs and files come from the disk
	run_once "$1" plain
	rm "$work/$1.plain"
	for ((round = 0; round < rounds; round++)); do
		for i in 0 1 2 3; do
			run_once "$1" "${ways[(i + round) % 4]}"
		done
	done
	show "$1"
}

start_servers
printf '%-20s %11s  %7s  %7s  %7s\n' program plain preload both supervise
shift $(($# > 0))
[ $# -gt 0 ] || set -- curl curls nginx redis clone configure make
for row; do
	if "need_$row"; then
		measure "$row"
	else
		echo "${titles[$row]}: left out, as it is not installed"
	fi
done
