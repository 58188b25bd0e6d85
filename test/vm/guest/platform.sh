# platform.sh KERNEL: each program of test/platform ends as it does on newer kernels, with 0, unless
# /vm/differences says how else, and why.
. /vm/tap.sh

# is FACT STATUS
is() {
	/build/test/platform/"$1"
	status=$?
	echo "exited $status, expected $2"
	[ "$status" = "$2" ]
}

if [ "$1" = run ]; then
	shift
	"$@"
	exit
fi

kernel=$1
for program in /build/test/platform/*; do
	fact=${program##*/}
	status=0 title=$fact
	while read -r on name expected why; do
		[ "$on $name" != "$kernel $fact" ] || status=$expected title="$fact does not hold: $why"
	done </vm/differences
	try platform - "$title" is "$fact" "$status"
done

# a line that says nothing of this kernel's facts may be forgotten
while read -r on name _; do
	[ "$on" != "$kernel" ] || [ -x "/build/test/platform/$name" ] ||
		try platform - "the difference '$name' is a fact's name" false
done </vm/differences
plan
