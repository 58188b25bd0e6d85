#!/usr/bin/env bats
#
# What each verb prints with --json is what portfence(1) promises in MACHINE OUTPUT: each member and
# its type, nothing that is not told there, and nothing told there that is never printed.

bats_require_minimum_version 1.5.0
load lib/helpers
load lib/hold

setup() {
	hold_setup
	cat >check.py <<-'END'
		import json, re, sys

		def described(page):
		    """The schema of the page: for each verb a list of (object, member, type)"""
		    verb, verbs = None, {}
		    block = page.split('.\\" schema\n.EX\n')[1].split("\n.EE")[0]
		    for line in block.splitlines():
		        if line[0] != " ":
		            verb = verbs.setdefault(line, [("", "format", "integer")])
		            continue
		        names, kind = line.strip().split(": ")
		        names = names.split(" ")
		        place = names.pop(0) if names[0].endswith(".") else ""
		        verb += [(place, name, kind) for name in names]
		    return verbs

		def fits(pattern, path):
		    parts = pattern.split("."), path.split(".")
		    return len(parts[0]) == len(parts[1]) and all(
		        p == q or p == "*[]" and q.endswith("[]") or p == "{}" or q in p.split("|")
		        for p, q in zip(*parts))

		TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict}

		def check_value(value, kind, where):
		    optional = "?" in kind
		    kind = TYPES[kind.rstrip("?+")]
		    if value is None:
		        assert optional, where + " is null"
		    else:
		        assert isinstance(value, kind) and (kind is bool or not isinstance(value, bool)), \
		            "%s is %r" % (where, value)

		def check(value, path, schema, seen):
		    rows = [row for row in schema if fits(row[0], path)]
		    names = {name.removesuffix("[]") for _, name, _ in rows}
		    for row in rows:
		        name = row[1].removesuffix("[]")
		        assert name in value or name == "{}" or "+" in row[2], "%s%s is missing" % (path, name)
		    for name, member in value.items():
		        row = [row for row in rows if row[1].removesuffix("[]") in (name, "{}")]
		        assert row, "%s%s is not described" % (path, name)
		        row = row[0]
		        is_list = row[1].endswith("[]")
		        assert isinstance(member, list) == is_list, path + name
		        if is_list:
		            name += "[]"
		        for one in member if is_list else [member]:
		            check_value(one, row[2], path + name)
		            if one is not None:
		                seen.add(row)
		            if isinstance(one, dict):
		                check(one, path + name + ".", schema, seen)

		verbs = described(open(sys.argv[1]).read())
		assert set(verbs) == set(sys.argv[2].split()), (sorted(verbs), sys.argv[2])
		for verb, schema in verbs.items():
		    seen = set()
		    for line in open(verb + ".json"):
		        value = json.loads(line)
		        assert value["format"] == 1 and next(iter(value)) == "format", value
		        check(value, "", schema, seen)
		    never = [row for row in schema if row not in seen]
		    assert not never, "%s never prints %s" % (verb, never)
		print("ok")
	END
}

# say VERB ARGUMENT...: adds what it prints to VERB.json, as one line
say() {
	ns "$PORTFENCE" "$1" --json "${@:2}" | python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)))' >>"$1.json"
}

# What --json has to tell of: sections, sockets, escapes, leases, mistakes
make_things() {
	cat >sections.ini <<-END
		[app]
		match = $HOLDER
		range = 20000-20099
		map = 8080
		seed = 1
		[other]
		match = nothing
		bind = own
		range = 20050-20149
		[inside]
		match = nothing
		range = 49990-49999
		[l]
		range = lease 10
	END
	ns sysctl -qw net.ipv4.ip_local_port_range='40000 49999'
	printf '[app]\nrange = 23000-\n' >wrong.ini
	cp sections.ini gone.ini
	export PORTFENCE_CONFIG=$PWD/sections.ini
	hold serve 9000
	hold udp 20001
	# from outside, and a socket that another process has as well
	hold_fenced -- raw-connect 9000 connect 9000 listen 8000
	hold listen 8001 start "$PORTFENCE" run --via preload -- "$HOLDER" connect 9000
	# one that cannot be judged
	hold_fenced --config "$PWD/gone.ini" -- connect 9000
	rm gone.ini
	mkfifo hold
	exec 7<>hold
	ns_background "$PORTFENCE" run --app l --map 9090 -- sh -c 'echo ready; cat <hold; true' >lease.out 2>&1 7>&-
	wait_until grep -q ready lease.out
	# of another lease the command is over, and one that it has left behind goes on
	ns "$PORTFENCE" run --lease 5 --name web -- sh -c 'cat <hold >/dev/null 2>&1 7>&- 3>&- &'
}

@test "each member and type that --json prints is that of the manual" {
	needs_suid
	make_things
	say audit
	say status
	say status --range 20000-20999
	say leases
	# its input has ended
	: | say lease
	: | say lease --name web
	say presets
	say rules --user nobody --mark 1 app other
	say which --app app -- "$HOLDER"
	say which -- true
	say which --app other --via preload -- true
	# static, so no preload reaches it
	say which --app l -- busybox
	install -o nobody -m 4755 /bin/true suid
	say which --app l -- ./suid
	say check
	say check wrong.ini
	exec 7>&-
	python3 check.py <(sed 's/\\-/-/g' "$ROOT/src/man/portfence.1") "$(for verb in $(verbs); do
		"$PORTFENCE" "$verb" --help | grep -q '^  --json' && echo "$verb"
	done)"
}
