# A smoke test of redis, on its usual port. Change it to one of your own server: this one knows nothing
# of portfence.

. ./meet.sh
folder=$(mktemp -d)
redis-server --dir "$folder" --save '' >"$folder/log" &
trap 'kill $!; wait; rm -r "$folder"' EXIT
until redis-cli ping >"$folder/ping" 2>&1; do kill -0 $!; sleep 0.1; done

meet up
for round in $(seq 20); do
	redis-cli set token "$copy-$round" >"$folder/set"
	[ "$(redis-cli get token)" = "$copy-$round" ]
done
meet asked
