#!/usr/bin/env bats
#
# conf/examples: each is carried out as far as a machine without systemd as its first process,
# without Docker, Kubernetes or GitHub can do it: in a root of the test's own, with the package
# installed, and with a real client whose ports are seen from outside. (testing/ is testing.bats'.)

bats_require_minimum_version 1.5.0
load lib/helpers
load lib/root

EXAMPLES=$BATS_TEST_DIRNAME/../conf/examples
# as Docker has it; where the stand-ins are found
SEARCH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
URL=http://127.0.0.1:8000/

setup_file() {
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "$BATS_TEST_DIRNAME/.." deb \
		BUILD="$BATS_FILE_TMPDIR/build" >"$BATS_FILE_TMPDIR/log" 2>&1 || {
		cat "$BATS_FILE_TMPDIR/log" >&2
		return 1
	}
	DEB=$(echo "$BATS_FILE_TMPDIR"/build/deb/portfence_*.deb)
	export DEB
}

# A root with the package in it.
root_with_portfence() {
	root_open
	cp "$DEB" new.deb
	in_root dpkg --no-triggers -i "$PWD/new.deb" >/dev/null
}

# A root where apt-get installs what is on this machine already, and says what is not.
root_with_apt() {
	local files
	root_open "$@"
	files=$(root_files)
	cat >"$files/usr/local/sbin/apt-get" <<-'END'
		#!/bin/bash
		set -e
		[ "$1" = install ] || exit 0
		for word in "${@:2}"; do
			case $word in
			-*) ;;
			*.deb) dpkg --no-triggers -i "$word" >/dev/null ;;
			*) [ "$(dpkg-query -W -f '${db:Status-Status}' "$word")" = installed ] ;;
			esac
		done
	END
	printf '#!/bin/sh\nexec "$@"\n' >"$files/usr/local/sbin/sudo"
	chmod 755 "$files/usr/local/sbin/apt-get" "$files/usr/local/sbin/sudo"
}

server_start() {
	mkdir -p served
	ns_background python3 -m http.server --bind 127.0.0.1 --directory served 8000
	wait_tcp 8000
	capture_start 'tcp dst port 8000'
}

# ports_seen LOW HIGH COUNT: the server was asked from so many ports, all of the range
ports_seen() {
	capture_stop
	ports_to 8000 | tee ports | all_within "$1" "$2"
	[ "$(wc -l <ports)" = "$3" ]
}

write_section() {
	printf '[erp]\nrange = 21000-21099\n' >"$(root_files)/etc/portfence.ini"
}

@test "every example is used by a test here, and says first what it is for" {
	local file
	find "$EXAMPLES" -type f >files
	[ -s files ]
	while read -r file; do
		[[ "$file" = "$EXAMPLES"/testing/* ]] ||
			grep -q "^	.*EXAMPLES/${file#"$EXAMPLES/"}" "$BATS_TEST_FILENAME" "${BATS_TEST_FILENAME/examples/cluster}" || {
			echo "nobody uses $file"
			return 1
		}
		[[ "$(head -n 1 "$file")" =~ ^(#|//)' '[A-Z] ]]
		grep -qiE '^(#|//).*change ' "$file"
	done <files
}

@test "no example has a variable that portfence does not read" {
	local known
	known=$(sed -nE 's/^	X\(([A-Z]+), .*/PORTFENCE_\1/p' "$ROOT/src/core/variables.h")
	grep -rhoE 'PORTFENCE_[A-Z]+' "$EXAMPLES" | sort -u >named
	[ -s named ]
	run -1 grep -vxFf <(echo "$known") named
}

# drop_in_variables FILE: the environment that systemd makes of its Environment= lines
drop_in_variables() {
	sed -n 's/^Environment=//p' "$1" | sed 's|%S|/var/lib|'
}

# The drop-in as it is, then with all that stands in its comments.
drop_ins() {
	cp "$EXAMPLES/systemd-drop-in.conf" plain.conf
	sed 's/^#\([A-Za-z]*=\)/\1/' plain.conf >full.conf
	run -1 cmp -s plain.conf full.conf
}

@test "systemd finds nothing wrong in a unit with the drop-in, and no key of it unknown" {
	local which units
	skip_missing systemd-analyze
	drop_ins
	root_with_portfence
	write_section
	for which in plain full; do
		units=$(root_files)/etc/units-$which
		mkdir -p "$units/erp.service.d"
		printf '[Service]\nExecStart=/bin/true\n' >"$units/erp.service"
		cp $which.conf "$units/erp.service.d/portfence.conf"
		run -0 in_root env SYSTEMD_UNIT_PATH="/etc/units-$which:" \
			systemd-analyze verify --man=no --recursive-errors=no erp.service
		[ -z "$output" ]
	done
}

@test "the timer's service writes numbers, and each alert asks for some that are there" {
	local units
	skip_missing systemd-analyze
	root_with_portfence
	write_section
	units=$(root_files)/etc/systemd/system
	mkdir -p "$units" "$(root_files)/var/lib/prometheus/node-exporter"
	cp "$EXAMPLES/portfence-metrics.service" "$units"
	cp "$EXAMPLES/portfence-metrics.timer" "$units"
	run -0 in_root systemd-analyze verify --man=no --recursive-errors=no portfence-metrics.timer
	[ -z "$output" ]
	read -ra command < <(sed -n 's/^ExecStart=//p' "$units/portfence-metrics.service")
	in_root "${command[@]}"
	grep -E '^portfence_[a-z_]+\{' "$(root_files)${command[-1]}" | sed 's/{.*//' | sort -u >names
	[ "$(wc -l <names)" -ge 5 ]
	/usr/bin/python3 - "$EXAMPLES/prometheus-alerts.yml" <<-'END'
		import re, sys, yaml
		names = set(open("names").read().split())
		(group,) = yaml.safe_load(open(sys.argv[1]))["groups"]
		assert len(group["rules"]) == 4
		for rule in group["rules"]:
		    used = set(re.findall(r"portfence_\w+", rule["expr"]))
		    assert used and used <= names, (used, names)
	END
}

@test "systemd takes the drop-in that portfence writes, but for the key that it may not know yet" {
	local units
	skip_missing systemd-analyze
	root_with_portfence
	write_section
	echo 'bind = own' >>"$(root_files)/etc/portfence.ini"
	units=$(root_files)/etc/systemd/system
	mkdir -p "$units/erp.service.d"
	printf '[Service]\nExecStart=/bin/true\n' >"$units/erp.service"
	in_root /usr/bin/portfence rules --systemd erp erp >drop-in
	cp drop-in "$units/erp.service.d/portfence.conf"
	grep -qx 'ExecStart=/usr/bin/portfence run -- /bin/true' drop-in
	run in_root systemd-analyze verify --man=no --recursive-errors=no erp.service
	diff /dev/null <(echo -n "$output" | grep -v "Unknown key.*'NFTSet'")
}

@test "what that drop-in starts is fenced by the section" {
	local variables command
	root_with_portfence
	write_section
	server_start
	mkdir -p "$(root_files)/etc/systemd/system"
	printf '[Service]\nExecStart=/bin/curl -fsS -o /dev/null %s\n' "$URL" >"$(root_files)/etc/systemd/system/erp.service"
	in_root /usr/bin/portfence rules --systemd erp erp >drop-in
	mapfile -t variables < <(sed -nE 's/^Environment="(.*)"$/\1/p' drop-in)
	read -ra command < <(sed -n 's/^ExecStart=//p' drop-in | grep .)
	in_root env -i "${variables[@]}" "${command[@]}"
	ports_seen 21000 21099 1
}

@test "with the drop-in's environment a service talks from its section, and its check finds mistakes" {
	local which variables before
	drop_ins
	root_with_portfence
	write_section
	server_start
	for which in plain full; do
		mapfile -t variables < <(drop_in_variables $which.conf)
		in_root mkdir -p /var/lib/erp-ports
		in_root env -i "${variables[@]}" /bin/curl -fsS -o /dev/null "$URL"
	done
	ports_seen 21000 21099 2
	in_root test -e /dev/shm/portfence-0/erp.0
	in_root test -e /var/lib/erp-ports/erp.0

	before=$(sed -n 's/^ExecStartPre=//p' plain.conf)
	# shellcheck disable=SC2086 # words, as systemd splits them
	in_root env -i "${variables[@]}" $before
	echo 'rnage = 1' >>"$(root_files)/etc/portfence.ini"
	# shellcheck disable=SC2086
	run -125 in_root env -i "${variables[@]}" $before
}

# words JSON: its strings, one a line
words() {
	python3 -c 'import json, sys; print(*json.loads(sys.argv[1]), sep="\n")' "$1"
}

# docker_copy ARGUMENT...: COPY's
docker_copy() {
	local from=$BATS_TEST_TMPDIR/context to sources
	if [[ "$1" == --from=* ]]; then
		from=${stage[${1#--from=}]}
		shift
	fi
	to=$(root_files)${*: -1}
	sources=("${@:1:$#-1}")
	# shellcheck disable=SC2206 # COPY expands patterns
	sources=(${sources[@]/#/$from/})
	if [ -d "${sources[0]}" ]; then
		mkdir -p "$to"
		cp -r "${sources[0]}/." "$to"
	else
		[[ "$to" == */ ]] && mkdir -p "$to"
		cp "${sources[@]}" "$to"
	fi
}

# docker_build FILE: what of Docker's words the example uses. Leaves $user, $entrypoint and $command.
docker_build() {
	local word rest
	declare -gA stage=()
	user=root entrypoint=() command=()
	while read -r word rest; do
		case $word in
		FROM)
			root_with_apt "stage-${#stage[@]}"
			stage[${rest##* }]=$(root_files)
			;;
		RUN) in_root env -i PATH=$SEARCH HOME=/root sh -c "$rest" ;;
		COPY)
			# shellcheck disable=SC2086 # words
			docker_copy $rest
			;;
		USER) user=$rest ;;
		ENTRYPOINT) mapfile -t entrypoint < <(words "$rest") ;;
		CMD) mapfile -t command < <(words "$rest") ;;
		'') ;;
		*)
			echo "no such word in this test: $word"
			return 1
			;;
		esac
	done < <(sed -e '/^#/d' "$1" | sed -e ':a' -e '/\\$/ { N; s/\\\n//; ba }')
}

# docker_run [COMMAND...]
docker_run() {
	[ $# = 0 ] && set -- "${command[@]}"
	in_root setpriv --reuid "$user" --regid nogroup --clear-groups \
		env -i PATH=$SEARCH "${entrypoint[@]}" "$@"
}

# The last line that runs something when the image is built.
docker_run_line() {
	in_root env -i PATH=$SEARCH HOME=/root sh -c "$(sed -n 's/^RUN //p' "$EXAMPLES/Dockerfile" |
		tail -n 1)"
}

docker_context() {
	local name
	mkdir context
	for name in Makefile README.md LICENSE src conf test; do
		cp -r "$ROOT/$name" context
	done
}

@test "the Dockerfile builds, and what it makes talks from its range, as it stands and read-only" {
	docker_context
	docker_build "$EXAMPLES/Dockerfile"
	# a mistake would have ended the build
	in_root cp /etc/portfence.ini /etc/right.ini
	in_root sh -c 'echo "rnage = 1" >>/etc/portfence.ini'
	run -125 docker_run_line
	in_root mv /etc/right.ini /etc/portfence.ini
	docker_run_line

	server_start
	docker_run >help
	grep -q '^Usage: curl' help
	docker_run curl -fsS -o /dev/null "$URL"
	nsenter -t "$root_pid" -m -- mount -o remount,ro "$root/all"
	run -1 in_root touch /tmp/x
	docker_run curl -fsS -o /dev/null "$URL"
	ports_seen 20000 20999 2
	in_root test -e /dev/shm/portfence-65534/curl.65534
}

# pod EXPRESSION: of the manifest, as JSON; `pod` and `maps` are what it can be made of
pod() {
	python3 -c '
import json, sys, yaml
documents = list(yaml.safe_load_all(open(sys.argv[1])))
pod = next(d for d in documents if d["kind"] == "Pod")["spec"]
maps = {d["metadata"]["name"]: d["data"] for d in documents if d["kind"] == "ConfigMap"}
def mounts(of):
    return [m["name"] + " " + m["mountPath"] + (" ro" if m.get("readOnly") else " rw")
            for m in pod[of][0]["volumeMounts"]]
value = eval(sys.argv[2])
print(*value, sep="\n") if isinstance(value, list) else print(value)' \
		"$EXAMPLES/kubernetes-pod.yaml" "$1"
}

# pod_volumes: makes what the manifest names, as the kubelet does
pod_volumes() {
	local name kind files
	files=$(root_files)
	mkdir "$files/volumes"
	in_root mount -t tmpfs tmpfs /volumes
	while read -r name kind; do
		mkdir "$files/volumes/$name"
		chmod 777 "$files/volumes/$name"
		[ "$kind" = emptyDir ] || pod "maps['$kind']['portfence.ini']" \
			>"$files/volumes/$name/portfence.ini"
	done < <(pod '[v["name"] + " " + (v["configMap"]["name"] if "configMap" in v else "emptyDir")
		for v in pod["volumes"]]')
}

# pod_mounts CONTAINERS: the volumes where the first of these containers has them
pod_mounts() {
	local name path mode
	while read -r name path mode; do
		in_root mkdir -p "$path"
		in_root mount --bind "/volumes/$name" "$path"
		in_root mount -o "remount,bind,$mode" "$path"
	done < <(pod "mounts('$1')")
}

@test "the pod's manifest is whole: each mount has its volume, and root runs nothing" {
	pod '[v["name"] for v in pod["volumes"]]' | sort >volumes
	pod '[m["name"] for c in pod["initContainers"] + pod["containers"] for m in c["volumeMounts"]]' |
		sort -u | diff volumes -
	[ "$(pod 'pod["securityContext"]["runAsNonRoot"]')" = True ]
	[ "$(pod 'pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"]')" = True ]
}

@test "the pod's program talks from its section, read-only and with its state in the volume" {
	local user command variables
	root_with_portfence
	server_start
	user=$(pod 'pod["securityContext"]["runAsUser"]')
	[ "$(pod 'pod["containers"][0]["securityContext"]["allowPrivilegeEscalation"]')" = False ]
	pod_volumes
	pod_mounts initContainers
	mapfile -t command < <(pod 'pod["initContainers"][0]["command"]')
	in_root setpriv --reuid "$user" --regid "$user" --clear-groups "${command[@]}"
	in_root umount /portfence

	# the image of the program knows nothing of portfence
	in_root dpkg --no-triggers --purge portfence >/dev/null
	pod_mounts containers
	nsenter -t "$root_pid" -m -- mount -o remount,ro "$root/all"
	run -1 in_root touch /tmp/x
	mapfile -t variables < <(pod '[e["name"] + "=" + e["value"] for e in pod["containers"][0]["env"]]')
	run -0 --separate-stderr in_root setpriv --reuid "$user" --regid "$user" --clear-groups \
		--no-new-privs env -i "${variables[@]}" /bin/curl -fsS -o /dev/null "$URL"
	[ -z "$stderr" ]
	ports_seen 21000 21499 1
	[ "$(in_root find /run/portfence -name 'erp.*')" = "/run/portfence/state/erp.$user" ]
}

# job EXPRESSION: of the workflow
job() {
	python3 -c '
import sys, yaml
workflow = yaml.safe_load(open(sys.argv[1]))
job = workflow["jobs"]["test"]
value = eval(sys.argv[2])
print(*value, sep="\n") if isinstance(value, list) else print(value)' \
		"$EXAMPLES/github-actions.yml" "$1"
}

# step NUMBER RANGE: runs a step of the job as the runner does
step() {
	job "job['steps'][$1]['run']" >step.sh
	in_root env -i PATH=$SEARCH HOME=/root RUNNER_TEMP="$PWD/temp" RANGE="$2" \
		bash -e -c "cd $PWD/project; $(cat step.sh)"
}

@test "the CI job's steps run, and its tests talk from the range of their job, the same in each run" {
	local ranges range
	[ "$(job '[s.get("name", "checkout") for s in job["steps"]]')" = "$(printf '%s\n' checkout \
		checkout 'install portfence' test 'show which test had which port')" ]
	[ "$(job 'job["steps"][3]["env"]["RANGE"]')" = "\${{ matrix.range }}" ]
	mapfile -t ranges < <(job 'job["strategy"]["matrix"]["range"]')

	root_with_apt
	docker_context
	mkdir -p "$(root_files)$PWD/project" "$(root_files)$PWD/temp"
	cp -r context "$(root_files)$PWD/project/portfence"
	# the server closes first, so no port of the client is left in TIME_WAIT
	printf 'test:\n\t@bash -c "%s"\n' 'exec 3<>/dev/tcp/127.0.0.1/8000; echo GET / HTTP/1.0 >&3; \
		echo >&3; cat <&3' >"$(root_files)$PWD/project/Makefile"
	server_start
	step 2
	for range in "${ranges[@]}" "${ranges[0]}"; do
		step 3 "$range"
	done
	run -0 step 4
	[ "$(grep -vc ': info: ' <<<"$output")" = 3 ]

	ports_seen 20000 21999 2
	sed -n 1p ports | all_within 20000 20999
	sed -n 2p ports | all_within 21000 21999
}
