#!/usr/bin/env bats
#
# conf/examples for clusters: pods on the node's network, Kyverno, Ansible, Nomad. No kubelet is needed for a pod: it is
# a root, a process namespace and the container engine's filter, beside other pods in one network namespace.
#
# shellcheck disable=SC2030,SC2031 # each test is a shell of its own

bats_require_minimum_version 1.5.0
load lib/helpers
load lib/root

EXAMPLES=$BATS_TEST_DIRNAME/../conf/examples
URL=http://127.0.0.1:8000/

# What src/packaging/Containerfile puts in the image's folder glibc. Only the link differs from what is built here.
setup_file() {
	image=$BATS_FILE_TMPDIR/image
	mkdir "$image" "$BATS_FILE_TMPDIR/build"
	cp -a "$BUILD"/{core,shim,machine,supervisor,cli,man,libdir} "$BATS_FILE_TMPDIR/build"
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "$BATS_TEST_DIRNAME/.." BUILD="$BATS_FILE_TMPDIR/build" \
		"$(sed -n 's/^RUN make -C \/src \(CLI_LIBS=.*\)/\1/p' "$BATS_TEST_DIRNAME/../src/packaging/Containerfile")" \
		>"$BATS_FILE_TMPDIR/log" 2>&1 || {
		cat "$BATS_FILE_TMPDIR/log" >&2
		return 1
	}
	cp "$BATS_FILE_TMPDIR"/build/{portfence,libportfence.so} "$image"
	export image
}

# pod EXPRESSION: of the manifest; `pod` and `maps` are what it can be made of
pod() {
	python3 -c '
import sys, yaml
documents = list(yaml.safe_load_all(open(sys.argv[1])))
pod = next(d for d in documents if d["kind"] == "Pod")["spec"]
maps = {d["metadata"]["name"]: d["data"] for d in documents if d["kind"] == "ConfigMap"}
value = eval(sys.argv[2])
print(*value, sep="\n") if isinstance(value, list) else print(value)' "$EXAMPLES/kubernetes-host-network.yaml" "$1"
}

# The lease file of the node, as the Ansible role makes it, and a server on the node's network.
node_open() {
	mkdir -p node
	touch node/leases
	chmod 666 node/leases
	mkdir -p served
	ns_background python3 -m http.server --bind 127.0.0.1 --directory served 8000
	wait_tcp 8000
}

# pod_open NAME: a root with the volumes that the manifest mounts, and a program that knows nothing of portfence
pod_open() {
	local files
	root_open "$1"
	files=$(root_files)
	mkdir -p "$files/portfence" "$files/etc/portfence" "$files/var/lib/portfence"
	# the first container's command, in an image whose folders these are
	[ "$(pod 'pod["initContainers"][0]["command"]' | xargs)" = 'cp -r /glibc /musl /portfence/' ]
	cp -r "$image" "$files/portfence/glibc"
	pod 'maps["portfence"]["portfence.ini"]' >"$files/etc/portfence/portfence.ini"
	[ ! -e node/leases ] || cp node/leases "$files/var/lib/portfence/leases"
	cat >"$files/usr/local/bin/erp" <<-END
		#!/bin/sh
		echo "\$PORTFENCE_RANGE" >/dev/shm/block.new
		for i in 1 2 3; do curl -fsS -o /dev/null $URL || exit 1; done
		mv /dev/shm/block.new /dev/shm/block
		until [ -e /dev/shm/enough ]; do sleep 0.05; done
	END
	chmod 755 "$files/usr/local/bin/erp"
	cp "$PROBES/sandbox" "$files/usr/local/bin"
	[ ! -e node/leases ] || nsenter -t "$root_pid" -m -- mount --bind "$PWD/node/leases" "$root/all/var/lib/portfence/leases"
	nsenter -t "$root_pid" -m -- mount -o remount,ro "$root/all"
}

# in_pod COMMAND...: as the container engine starts it, by the manifest's securityContext
in_pod() {
	local user
	user=$(pod 'pod["securityContext"]["runAsUser"]')
	[ "$(pod 'pod["securityContext"]["seccompProfile"]["type"]')" = RuntimeDefault ]
	[ "$(pod 'pod["containers"][0]["securityContext"]["capabilities"]["drop"]')" = ALL ]
	nsenter -t "$root_pid" -m -n -- unshare --mount --pid --fork --kill-child chroot "$root/all" \
		sh -c 'mount -t proc proc /proc && exec "$@"' sh \
		setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
		env -i PATH=/usr/local/bin:/usr/bin:/bin PORTFENCE_CONFIG=/etc/portfence/portfence.ini sandbox docker "$@"
}

begun_or_ended() {
	[ -e "${shm[$1]}/block" ] || ! kill -0 "${pods[$1]}" 2>/dev/null
}

# how many leases the node sees
held() {
	printf '[portfence]\nlease-file = %s\n' "$PWD/node/leases" >node.ini
	ns "$PORTFENCE" leases --config node.ini --json | jq '.leases | length'
}

# each line is a block, FIRST-LAST
meet() {
	sort -n | awk -F- 'NR > 1 && $1 <= last { exit 1 } { last = $2 } END { exit !NR }'
}

@test "three pods of a node hold three blocks at once, and each talks from its own" {
	local i command
	node_open
	capture_start 'tcp dst port 8000'
	mapfile -t command < <(pod 'pod["containers"][0]["command"]')
	for i in 1 2 3; do
		pod_open "pod$i"
		in_pod "${command[@]}" >"said$i" 2>&1 3>&- &
		pods[i]=$!
		shm[i]=$(root_files)/dev/shm
	done
	for i in 1 2 3; do
		wait_until begun_or_ended "$i"
		[ -e "${shm[i]}/block" ] || { cat "said$i"; return 1; }
	done
	# all are held now, as the node's administrator sees it
	[ "$(held)" = 3 ]
	cat "${shm[1]}/block" "${shm[2]}/block" "${shm[3]}/block" >blocks
	touch "${shm[1]}/enough" "${shm[2]}/enough" "${shm[3]}/enough"
	for i in 1 2 3; do
		wait "${pods[i]}"
		[ ! -s "said$i" ]
	done
	capture_stop
	meet <blocks
	ports_to 8000 >ports
	[ "$(wc -l <ports)" = 9 ]
	while IFS=- read -r first last; do
		[ "$((last - first))" = 199 ]
		[ "$first" -ge 24000 ] && [ "$last" -le 27999 ]
		[ "$(awk -v first="$first" -v last="$last" '$1 >= first && $1 <= last' ports | wc -l)" = 3 ]
	done <blocks
	# what has ended gave its block back
	[ "$(held)" = 0 ]
}

@test "a pod without the lease file, or with one that it cannot write to, ends and says why" {
	local command
	mapfile -t command < <(pod 'pod["containers"][0]["command"]')
	pod_open none
	run -125 in_pod "${command[@]}"
	echo "$output"
	[[ "$output" = "portfence: the lease file '/var/lib/portfence/leases' is not there;"* ]]
	node_open
	chmod 644 node/leases
	pod_open foreign
	run -125 in_pod "${command[@]}"
	echo "$output"
	[[ "$output" = "portfence: the lease file '/var/lib/portfence/leases' "*'Permission denied'* ]]
	chmod 666 node/leases
	pod_open ro
	nsenter -t "$root_pid" -m -- mount -o remount,bind,ro "$root/all/var/lib/portfence/leases"
	run -125 in_pod "${command[@]}"
	echo "$output"
	[[ "$output" = "portfence: the lease file '/var/lib/portfence/leases' "*'Read-only file system'* ]]
}

@test "the manifest is whole: each mount has its volume, and root runs nothing" {
	pod '[v["name"] for v in pod["volumes"]]' | sort >volumes
	pod '[m["name"] for c in pod["initContainers"] + pod["containers"] for m in c["volumeMounts"]]' | sort -u |
		diff volumes -
	[ "$(pod 'pod["securityContext"]["runAsNonRoot"]')" = True ]
	[ "$(pod '[str(c["securityContext"][k]) for c in pod["initContainers"] + pod["containers"]
		for k in ("allowPrivilegeEscalation", "readOnlyRootFilesystem")]' | xargs)" = 'False True False True' ]
	[ "$(pod '[v["hostPath"]["type"] for v in pod["volumes"] if "hostPath" in v]')" = File ]
}

# kyverno POD: what the policy makes of it, by the rules for a strategic merge and for JSON patches
kyverno() {
	/usr/bin/python3 - "$EXAMPLES/kyverno-policy.yaml" "$1" <<-'END'
		import json, sys, yaml

		def merge(to, patch):
		    """Lists of named things are merged by their names, others are replaced."""
		    if isinstance(patch, list) and patch and isinstance(patch[0], dict):
		        for one in patch:
		            same = [i for i in to or [] if i["name"] == one["name"]]
		            if same:
		                same[0].update(merge(same[0], one))
		            else:
		                to = (to or []) + [one]
		        return to
		    if isinstance(patch, dict):
		        to = dict(to or {})
		        for key, value in patch.items():
		            to[key] = merge(to.get(key), value)
		        return to
		    return patch

		def fill(text, index, element):
		    for old, new in ("{{ elementIndex }}", str(index)), ("{{ element.name }}", element["name"]):
		        text = text.replace(old, new)
		    assert "{{" not in text, text
		    return yaml.safe_load(text)

		policy = yaml.safe_load(open(sys.argv[1]))
		pod = yaml.safe_load(open(sys.argv[2]))
		wanted = policy["spec"]["rules"][0]["match"]["any"][0]["resources"]["annotations"]
		assert wanted.items() <= pod["metadata"]["annotations"].items()
		for rule in policy["spec"]["rules"]:
		    mutate = rule.get("mutate", {})
		    if "patchStrategicMerge" in mutate:
		        pod = merge(pod, mutate["patchStrategicMerge"])
		    for each in mutate.get("foreach", []):
		        for index, element in enumerate(pod["spec"]["containers"]):
		            if "patchStrategicMerge" in each:
		                pod = merge(pod, fill(yaml.safe_dump(each["patchStrategicMerge"]), index, element))
		                continue
		            for patch in fill(each["patchesJson6902"], index, element):
		                *path, place = patch["path"].strip("/").split("/")
		                at = pod
		                for step in path:
		                    at = at[int(step) if isinstance(at, list) else step]
		                assert patch["op"] == "add"
		                at.insert(int(place), patch["value"])
		print(json.dumps(pod["spec"], sort_keys=True, indent=1))
	END
}

@test "Kyverno's policy makes the same pod of one that knows nothing of portfence" {
	cat >plain.yaml <<-'END'
		apiVersion: v1
		kind: Pod
		metadata:
		  name: erp
		  annotations:
		    portfence: inject
		spec:
		  securityContext:
		    runAsNonRoot: true
		    runAsUser: 10001
		    runAsGroup: 10001
		  containers:
		    - name: erp
		      image: registry.example.org/erp
		      command: [erp]
	END
	kyverno plain.yaml >made
	/usr/bin/python3 -c 'import json, sys, yaml
print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))[1]["spec"], sort_keys=True, indent=1))' \
		"$EXAMPLES/kubernetes-host-network.yaml" | diff - made
	# two containers are fenced, each by its own command
	sed 's/^    - name: erp/    - name: side\n      command: [side, --flag]\n&/' plain.yaml >two.yaml
	kyverno two.yaml >made
	[ "$(jq -c '[.containers[].command | del(.[:3])]' made)" = '[["side","--flag"],["erp"]]' ]
	[ "$(jq -c '[.containers[].volumeMounts | length]' made)" = '[3,3]' ]
}

# play HOST=INDEX...: the role on this machine, with an inventory of these hosts; in a root of its own
play() {
	local files here host
	files=$(root_files)
	here=$(uname -n)
	install -D -m 644 "$EXAMPLES/ansible-role/tasks/main.yml" "$files/play/roles/portfence/tasks/main.yml"
	for host; do
		echo "${host%=*} portfence_index=${host#*=}"
	done >"$files/play/hosts"
	echo other >>"$files/play/hosts"
	printf -- '- hosts: all\n  gather_facts: false\n  roles: [portfence]\n' >"$files/play/play.yml"
	in_root env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/root LC_ALL=C.UTF-8 sh -c "cd /play && ansible-playbook \
		-i hosts -l $here -c local -e ansible_python_interpreter=/usr/bin/python3 play.yml"
}

@test "Ansible's role writes a slice for each host, and a lease file that stays the same; a mistake leaves the old file" {
	local files before
	skip_missing ansible-playbook
	root_open
	files=$(root_files)
	# as installed
	cp "$PORTFENCE" "$LIBRARY" "$files/usr/local/bin"
	mkdir -p "$files/var/lib"
	play "$(uname -n)=1" web-7=0
	grep -q "^$(uname -n) = 1$" "$files/etc/portfence.ini"
	grep -q '^web-7 = 0$' "$files/etc/portfence.ini"
	[ "$(in_root portfence which --json --app erp true | jq -r .section.calls.tcp.range)" = 22048-24095 ]
	[ "$(stat -c '%a %F' "$files/var/lib/portfence/leases")" = '666 regular empty file' ]

	before=$(stat -c %i "$files/var/lib/portfence/leases")
	run -0 play "$(uname -n)=1" web-7=0
	grep -q 'changed=0' <<<"$output"
	[ "$(stat -c %i "$files/var/lib/portfence/leases")" = "$before" ]

	cp "$files/etc/portfence.ini" old.ini
	run play "$(uname -n)=1" web-7=1
	[ "$status" != 0 ]
	[[ "$output" = *'failed to validate'* ]]
	cmp old.ini "$files/etc/portfence.ini"
}

@test "the command in Nomad's example prints its ports from the sections" {
	local command
	skip_missing jq
	printf '[erp]\nrange = 21000-21499\nudp.range = 21500-21999\nsctp.range = 21000-21499\n' >portfence.ini
	command=$(sed -n 's/^# *\(portfence rules .*\)/\1/p' "$EXAMPLES/nomad-client.hcl")
	mkdir bin
	printf '#!/bin/sh\nexec "%s" "$@" --config "%s"\n' "$PORTFENCE" "$PWD/portfence.ini" >bin/portfence
	chmod 755 bin/portfence
	run -0 env PATH="$PWD/bin:$PATH" sh -c "$command"
	grep -qxF "    reserved_ports = \"$output\"" "$EXAMPLES/nomad-client.hcl"
}
