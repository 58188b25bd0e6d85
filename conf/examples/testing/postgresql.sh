# A smoke test of PostgreSQL, on its usual port. Change it to one of your own server: this one knows
# nothing of portfence.

. ./meet.sh
folder=$(mktemp -d)
as=
if [ "$(id -u)" = 0 ]; then
	# PostgreSQL does not run as root
	as='setpriv --reuid=postgres --regid=postgres --init-groups'
	chown postgres "$folder"
fi
programs=$(echo /usr/lib/postgresql/*/bin)

ask() {
	psql -h localhost -U postgres -qAt -c "$1"
}

$as "$programs/initdb" -D "$folder/data" -A trust -U postgres --no-sync >"$folder/initdb"
$as "$programs/postgres" -D "$folder/data" -k "$folder" -F 2>"$folder/log" &
trap 'kill $!; wait; rm -r "$folder"' EXIT
until ask 'SELECT 1' >"$folder/ready" 2>&1; do kill -0 $!; sleep 0.1; done
ask "CREATE TABLE tokens AS SELECT 'none' AS token"

meet up
for round in $(seq 10); do
	ask "UPDATE tokens SET token = '$copy-$round'"
	[ "$(ask 'SELECT token FROM tokens')" = "$copy-$round" ]
done
meet asked
