# What the tests of the Bats suite do: each starts a real server on a port of portlease.bash. Those whose numbers are
# in $VICTIMS are killed at any moment, perhaps while they take a port.
# shellcheck disable=SC2154 # portlease sets PORT

load portlease

setup_file() {
	portlease 30
	export OF_FILE=$PORT
}

setup() {
	number=$((BATS_TEST_NUMBER - 1))
	local ours=$BASHPID
	! is_dying || "$DIE_SOON" "$ours" 3>&- &
	case $((number % 3)) in
	0) PORT=$((OF_FILE + number)) ;;
	1) portlease ;;
	2) portlease 3 && PORT=$LAST_PORT ;;
	esac
}

is_dying() {
	[[ " $VICTIMS " = *" $number "* ]]
}

ask() {
	until { exec 5<>"/dev/tcp/127.0.0.1/$PORT"; } 2>/dev/null; do kill -0 $!; sleep 0.01; done
	printf '%s\r\n' "$@" >&5
	read -r said <&5
	exec 5>&-
}

serve() {
	local token=$BASHPID-$number kind
	[ $((number % 2)) = 0 ] && kind=nginx || kind=redis
	"$LEASED_SERVER" "$kind" "$PORT" "$token" 3>&- &
	if [ $kind = redis ]; then
		ask "AUTH $token"
		[[ "$said" = +OK* ]]
	else
		ask "GET /$token HTTP/1.0" ''
		[[ "$said" = *' 200 OK'* ]]
	fi
	# the server does not end before this process
	! is_dying || wait $!
	kill -KILL $!
	wait $! || [ $? = 137 ]
}
