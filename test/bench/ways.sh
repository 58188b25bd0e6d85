#!/bin/sh
# ways.sh: what `ways` says, plain and fenced in every way. Run it in a network namespace of its own,
# with nothing else to do for the machine.
#
#   unshare -n test/bench/ways.sh [TIMES]
set -e
build=${BUILD:-build}
times=${1:-5000}
PORTFENCE_STATE=$(mktemp -d)
export PORTFENCE_STATE
ip link set lo up
"$build/test/probes/load" serve 7000 &
server=$!
trap 'kill $server; rm -r "$PORTFENCE_STATE"' EXIT
until ss -Hltn 'sport = :7000' | grep -q .; do :; done

# row NAME COMMAND...
row() {
	name=$1
	shift
	"$@" "$build/test/bench/ways" 7000 "$times" | tr '\n' ' ' | sed "s/^/$name: /"
	echo
}

row 'plain' env
# born: a supervisor that may look into nobody, with addresses that it can read and without
row 'born, addresses read' "$build/test/probes/sandbox" docker "$build/portfence" run --via supervise --range 20000-29999 --
row 'born, none read' "$build/test/probes/sandbox" yama "$build/portfence" run --via supervise --range 20000-29999 --
for range in 20000-29999 40000-49999; do
	for way in preload supervise both; do
		row "$way $range" "$build/portfence" run --via "$way" --range "$range" --
	done
done
