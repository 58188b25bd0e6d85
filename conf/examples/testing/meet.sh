# How copies of a smoke test meet, so that all of them are up while each is asked. A test that does not
# care for others needs none of this: change it by taking out the lines with "meet".

server=$1 copy=$2 copies=$3

# meet PLACE: goes on when all copies have come there
meet() {
	: >"met/$server-$1-$copy"
	tries=0
	until [ "$(find met -name "$server-$1-*" | wc -l)" = "$copies" ]; do
		tries=$((tries + 1))
		if [ $tries = 600 ]; then
			echo "$server-$copy: where are the others? (make -j$copies, at least)" >&2
			exit 1
		fi
		sleep 0.1
	done
}
