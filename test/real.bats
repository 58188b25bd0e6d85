#!/usr/bin/env bats
#
# Real programs, each in every way: plain as the measure, `portfence run`, `--via preload`, `--via supervise`, and the
# library in LD_PRELOAD alone. Each has to do its work, and a capture judges its ports.

# shellcheck disable=SC2016 # what an inner shell or Perl expands
# shellcheck disable=SC2030,SC2031 # each test is a process of its own, and what it sets is its own
# shellcheck disable=SC2154 # the variables that the helpers set
# shellcheck disable=SC2317 # the functions that the helpers call
bats_require_minimum_version 1.5.0
load lib/helpers
load programs/fences
load programs/ways

# needs_module NAME: of Debian's Python
needs_module() {
	"$PYTHON" -c "import $1" 2>/dev/null || not_installed "$PYTHON has no $1"
}

# needs_unpacked PROGRAM...: installed, or as test/lib/unpack has it
needs_unpacked() {
	local folder
	for folder in "$BUILD"/unpacked/*/usr/sbin "$BUILD"/unpacked/*/sbin; do PATH=$PATH:$folder; done
	skip_missing "$@"
}

# ---- many processes that work together ----

# MPICH is left out: as Debian has it, over TCP, some of its runs hang at their end, without a fence, too.

# Its own listening ports are numbers from 1024 on that it names. Its topology library would look for X servers.
@test "Open MPI: three ranks add up their numbers over TCP" {
	skip_missing mpirun.openmpi
	export HWLOC_COMPONENTS=-gl
	sum() {
		under mpirun.openmpi --allow-run-as-root --oversubscribe -np 3 --mca btl tcp,self \
			--mca btl_tcp_if_include 127.0.0.0/8 --mca oob_tcp_if_include 127.0.0.0/8 \
			"$PYTHON" "$PROGRAMS/mpi-sum" >out
		# their lines may mix
		[ "$(tr -cd 6 <out)" = 666 ]
	}
	in_ways sum 1024-1100
}

@test "JMX: a JVM is asked for its threads over RMI" {
	skip_missing java
	java -m jdk.compiler/com.sun.tools.javac.Main -d . "$PROGRAMS/Jmx.java"
	ask() {
		local jmx=-Dcom.sun.management.jmxremote
		under_background java "$jmx.port=7091" "$jmx.authenticate=false" "$jmx.ssl=false" "$jmx.host=127.0.0.1" \
			-Djava.rmi.server.hostname=127.0.0.1 -cp . Jmx serve
		wait_tcp 7091
		[ "$(under java -cp . Jmx ask 7091)" = threads ]
	}
	in_ways ask 7091
}

@test "Erlang: a node calls another, found by way of epmd, as an ordinary user" {
	skip_missing erl epmd
	as_user
	call() {
		under_background epmd
		wait_tcp 4369
		under_background erl -noinput -sname one@localhost -setcookie test
		local asked
		asked='{ok, Names} = net_adm:names(localhost), Names =/= [], pong = net_adm:ping(one@localhost),'
		asked+='io:format("~p~n", [erpc:call(one@localhost, erlang, length, [[a, b, c]])]), halt().'
		until under erl -noinput -sname two@localhost -setcookie test -eval "$asked" >out; do :; done
		[ "$(cat out)" = 3 ]
	}
	in_ways call 4369
}

@test "gRPC: servers share a port of the system's choice (SO_REUSEPORT)" {
	needs_module grpc
	ask() { [ "$(under "$PYTHON" "$PROGRAMS/grpc-echo" 0)" = '8 answers' ]; }
	in_ways ask
}

@test "uvloop speaks TCP and UDP" {
	needs_module uvloop
	ask() {
		serve_echo
		under "$PYTHON" -c 'import runpy, sys, uvloop
uvloop.install()
sys.argv[0:] = sys.argv[1:]
runpy.run_path(sys.argv[0])' "$PROGRAMS/asyncio-client" 127.0.0.1 7000
	}
	in_ways ask 7000
}

@test "Dask: a scheduler and its workers compute, as an ordinary user" {
	needs_module distributed
	as_user
	sum() { [ "$(under "$PYTHON" "$PROGRAMS/dask-sum")" = 285 ]; }
	in_ways sum
}

@test "a Redis cluster of three, each of which names two ports, runs on ports of the range under a map" {
	skip_missing redis-server redis-cli
	cat >cluster <<-'END'
		for port in 7001 7002 7003; do
			mkdir "$1/$port"
			redis-server --port $port --bind 127.0.0.1 --cluster-enabled yes --dir "$1/$port" --save '' >"$1/$port/log" &
		done
		until redis-cli -p 7001 ping && redis-cli -p 7002 ping && redis-cli -p 7003 ping; do :; done >/dev/null 2>&1
		redis-cli --cluster create 127.0.0.1:7001 127.0.0.1:7002 127.0.0.1:7003 --cluster-yes >"$1/created" || exit
		for port in 7001 7002 7003; do until redis-cli -p $port cluster info | grep -q cluster_state:ok; do :; done; done
		for word in one two three four; do redis-cli -c -p 7001 set $word $word; done
		for word in one two three four; do redis-cli -c -p 7003 get $word; done
		redis-cli -p 7001 shutdown; redis-cli -p 7002 shutdown; redis-cli -p 7003 shutdown
		wait
	END
	cluster() {
		mkdir "$way"
		under sh cluster "$PWD/$way" >out
		[ "$(cat out)" = $'OK\nOK\nOK\nOK\none\ntwo\nthree\nfour' ]
	}
	configured map=7001,7002,7003,17001,17002,17003
	in_ways cluster
}

# ---- servers ----

bird_conf() {
	cat >"$1.conf" <<-END
		router id $2;
		protocol device {}
		protocol static { ipv4; route 10.0.$3.0/24 blackhole; }
		protocol bgp peer { local $2 port 1790 as 6500$3; neighbor $4 port 1790 as $5; multihop; strict bind yes;
			connect delay time 1; ipv4 { import all; export all; }; }
	END
}

@test "BIRD: two routers exchange their routes, from ports of IANA's range" {
	skip_missing bird birdc
	ranged 49152-65535
	bird_conf one 127.0.0.1 1 127.0.0.2 65002
	bird_conf two 127.0.0.2 2 127.0.0.1 65001
	exchange() {
		under_background bird -f -c one.conf -s one.ctl -P one.pid
		under_background bird -f -c two.conf -s two.ctl -P two.pid
		wait_until learned one 10.0.2.0/24
		wait_until learned two 10.0.1.0/24
	}
	learned() { birdc -s "$1.ctl" show route 2>/dev/null | grep -qF "$2"; }
	in_ways exchange 1790
}

@test "MariaDB: a client's rows come back, as an ordinary user" {
	skip_missing mariadbd mariadb-install-db mariadb
	as_user
	mkdir data
	chown nobody data
	"${AS[@]}" mariadb-install-db --no-defaults --datadir="$PWD/data" --skip-test-db --auth-root-authentication-method=normal >installed
	rows() {
		under_background mariadbd --no-defaults --datadir="$PWD/data" --socket="$PWD/sock" --port=3306 \
			--bind-address=127.0.0.1 --pid-file="$PWD/pid" --skip-grant-tables --innodb-buffer-pool-size=8M
		wait_tcp 3306
		under mariadb --no-defaults --protocol=tcp -h 127.0.0.1 -P 3306 -N \
			-e 'create database d; create table d.t (n int); insert into d.t values (1), (2); select sum(n) from d.t; drop database d' >out
		[ "$(cat out)" = 3 ]
		end_server "$pid"
	}
	in_ways rows 3306
}

@test "rsyslog forwards over TCP and UDP" {
	skip_missing rsyslogd logger
	printf '%s\n' 'module(load="imudp")' 'module(load="imtcp")' 'input(type="imudp" port="5140" address="127.0.0.1")' \
		'input(type="imtcp" port="5140" address="127.0.0.1")' \
		"action(type=\"omfile\" file=\"$PWD/received\")" >to.conf
	printf '%s\n' 'module(load="imuxsock" SysSock.Use="off")' "input(type=\"imuxsock\" Socket=\"$PWD/log.sock\")" \
		'action(type="omfwd" target="127.0.0.1" port="5140" protocol="tcp")' \
		'action(type="omfwd" target="127.0.0.1" port="5140" protocol="udp")' >from.conf
	forward() {
		rm -f received
		under_background rsyslogd -n -i "$PWD/to.pid" -f to.conf
		wait_tcp 5140
		wait_udp 5140
		under_background rsyslogd -n -i "$PWD/from.pid" -f from.conf
		wait_until test -S log.sock
		logger -u log.sock hello
		wait_until received_twice
		rm log.sock
	}
	received_twice() { [ "$(grep -c hello received 2>/dev/null)" = 2 ]; }
	in_ways forward 5140
}

# samba_conf LINE...: a server that knows nobody, all of whose files are in the folder samba
samba_conf() {
	local folder
	printf '%s\n' '[global]' 'map to guest = bad user' 'guest account = root' 'server role = standalone' 'smb ports = 4450' \
		'interfaces = 127.0.0.1' 'bind interfaces only = yes' 'disable netbios = yes' 'load printers = no' 'printing = bsd' \
		"log file = $PWD/samba.log" "ncalrpc dir = $PWD/samba/ncalrpc" "private dir = $PWD/samba" "$@" >smb.conf
	for folder in lock state cache pid; do echo "$folder directory = $PWD/samba"; done >>smb.conf
}

@test "Samba: smbclient fetches a file from smbd" {
	skip_missing smbd smbclient
	mkdir share
	echo hello >share/hello
	chmod 755 share
	samba_conf
	printf '%s\n' '[share]' "path = $PWD/share" 'guest ok = yes' >>smb.conf
	fetch() {
		rm -rf samba fetched
		mkdir samba
		# it makes a session of its own, and ends that with itself
		under_background smbd -F -s smb.conf
		wait_tcp 4450
		under smbclient -s smb.conf -p 4450 -N //127.0.0.1/share -c 'get hello fetched' >out 2>&1 || { cat out; return 1; }
		[ "$(cat fetched)" = hello ]
	}
	in_ways fetch 4450
}

@test "php-fpm: a script behind nginx fetches a page" {
	skip_missing nginx curl
	local fpm
	fpm=$(compgen -c php-fpm | sort | tail -n 1)
	[ -n "$fpm" ] || not_installed 'php-fpm is not installed'
	printf '%s\n' '[global]' 'error_log = /dev/stderr' '[www]' 'listen = 127.0.0.1:9000' 'pm = static' 'pm.max_children = 2' \
		'user = nobody' 'group = nogroup' >fpm.conf
	echo '<?php echo file_get_contents("http://127.0.0.1:8080/hello");' >page.php
	chmod a+rx . 
	printf '%s\n' 'daemon off; pid nginx.pid; error_log stderr; events {}' "http { access_log off; client_body_temp_path $PWD/t1; proxy_temp_path $PWD/t2; fastcgi_temp_path $PWD/t3; uwsgi_temp_path $PWD/t4; scgi_temp_path $PWD/t5;" \
		"server { listen 127.0.0.1:8081; location / { fastcgi_pass 127.0.0.1:9000; fastcgi_param SCRIPT_FILENAME $PWD/page.php; fastcgi_param REQUEST_METHOD GET; } } }" >nginx.conf
	fetch() {
		serve_http
		under_background "$fpm" -F -y "$PWD/fpm.conf"
		under_background nginx -p "$PWD" -c nginx.conf
		wait_tcp 9000
		wait_tcp 8081
		[ "$(under curl -sS http://127.0.0.1:8081/)" = hello ]
	}
	in_ways fetch 9000 8080 8081
}

@test "gunicorn: its workers fetch a page, as an ordinary user" {
	skip_missing gunicorn curl
	needs_module gunicorn
	as_user
	cat >app.py <<-'END'
		import urllib.request
		def app(environ, start_response):
		    start_response("200 OK", [])
		    return [urllib.request.urlopen("http://127.0.0.1:8080/hello").read()]
	END
	fetch() {
		serve_http
		under_background "$PYTHON" -m gunicorn -w 2 -b 127.0.0.1:8000 --chdir "$PWD" --worker-tmp-dir "$PWD" app:app
		wait_tcp 8000
		[ "$(under curl -sS 'http://127.0.0.1:8000/?[1-4]')" = $'hello\nhello\nhello\nhello' ]
	}
	in_ways fetch 8000 8080
}

@test "Postfix takes mail and hands it on" {
	skip_missing postfix smtp-source smtp-sink
	mkdir conf
	printf '%s\n' 'compatibility_level = 3.6' "queue_directory = $PWD/spool" "data_directory = $PWD/data" 'mydestination =' \
		'inet_interfaces = 127.0.0.1' 'inet_protocols = ipv4' 'mynetworks = 127.0.0.0/8' 'relayhost = [127.0.0.1]:2526' \
		'smtpd_relay_restrictions = permit_mynetworks, reject' 'smtp_dns_support_level = disabled' 'myhostname = test.example.org' \
		"maillog_file_prefixes = $PWD" "maillog_file = $PWD/maillog" >conf/main.cf
	printf '%s\n' '2525 inet n - n - - smtpd' 'cleanup unix n - n - 0 cleanup' 'qmgr unix n - n 300 1 qmgr' \
		'rewrite unix - - n - - trivial-rewrite' 'bounce unix - - n - 0 bounce' 'defer unix - - n - 0 bounce' \
		'smtp unix - - n - - smtp' 'relay unix - - n - - smtp' 'error unix - - n - - error' 'retry unix - - n - - error' \
		'proxymap unix - - n - - proxymap' 'anvil unix - - n - 1 anvil' 'postlog unix-dgram n - n - 1 postlogd' >conf/master.cf
	deliver() {
		rm -rf spool data maillog sink
		mkdir sink spool
		chmod 777 sink
		chown postfix data 2>/dev/null || install -d -o postfix data
		ns_background smtp-sink -u nobody -R "$PWD/sink" -d %M. 127.0.0.1:2526 10
		under_background postfix -c "$PWD/conf" start-fg
		wait_tcp 2526
		wait_tcp 2525
		under smtp-source -m 4 -s 2 -f one@example.org -t two@example.org 127.0.0.1:2525
		wait_until delivered 4
		under postfix -c "$PWD/conf" stop >/dev/null 2>&1
	}
	delivered() { [ "$(find sink -type f | wc -l)" = "$1" ]; }
	in_ways deliver 2525 2526
}

@test "chronyd asks another for the time" {
	needs_unpacked chronyd
	printf '%s\n' 'local stratum 3' 'port 11123' 'allow 127.0.0.1' 'cmdport 0' "pidfile $PWD/server.pid" 'bindcmdaddress /' >server.conf
	printf '%s\n' 'server 127.0.0.1 port 11123 iburst maxsamples 1' 'port 0' 'cmdport 0' "pidfile $PWD/client.pid" 'bindcmdaddress /' >client.conf
	ask() {
		under_background chronyd -n -x -u root -f "$PWD/server.conf"
		wait_udp 11123
		under chronyd -Q -u root -f "$PWD/client.conf" >out 2>&1
		grep -q 'System clock wrong by' out
	}
	in_ways ask 11123
}

@test "mountd, on ports of the system's choice, tells showmount what it exports" {
	needs_unpacked rpcbind rpc.mountd showmount
	printf '/srv/share\t127.0.0.1(ro,sync)\n' >etab
	export_it() {
		# both are asked by sockets and files in /run and /var/lib
		ns_background unshare -m sh -c 'mount -t tmpfs none /run && mount -t tmpfs none /var/lib && mkdir /var/lib/nfs &&
			touch /var/lib/nfs/rmtab && cp etab /var/lib/nfs && exec rpcbind -f'
		wait_tcp 111
		ns_background nsenter -t "$pid" -m "${UNDER[@]}" "$(command -v rpc.mountd)" -F -N 4
		until under showmount -e 127.0.0.1 >out 2>&1; do :; done
		grep -q '/srv/share 127.0.0.1' out
	}
	# to speak to rpcbind, libtirpc draws reserved ports itself
	in_ways export_it 111 512-1023
}

# ---- what runs other programs ----

# fetches COMMAND...: by way of COMMAND, curl fetches a page; the ways in which all its connections asked for MPTCP are
# in $capable
fetches() {
	skip_missing curl
	through=("$@")
	capable=
	through_it() {
		serve_http
		under "${through[@]}" curl -sS -H 'Connection: close' 'http://127.0.0.1:8080/hello?[1-3]' >out
		[ "$(grep -c hello out)" = 3 ]
		! ns nstat -asz MPTcpExtMPCapableSYNTX | grep -q ' 3 ' || capable+="${capable:+ }$way"
	}
	in_ways through_it 8080
}

# The kernel keeps further subflows in a range that is inside its own.
@test "mptcpize has curl speak MPTCP where the kernel keeps its subflows in the range, else TCP" {
	skip_missing mptcpize
	needs_mptcp
	fetches mptcpize run
	[ "$capable" = 'plain preload' ]
}

@test "curl in gdb" {
	skip_missing gdb
	fetches gdb -nx -q -batch -ex 'set debuginfod enabled off' -ex run --args
}

@test "curl in strace, as an ordinary user" {
	skip_missing strace
	as_user
	fetches strace -f -o trace
}

@test "curl in fakeroot, whose helper is asked over TCP, as an ordinary user" {
	skip_missing fakeroot-tcp
	as_user
	fetches fakeroot-tcp
}

@test "curl in firejail" {
	skip_missing firejail
	fetches firejail --quiet --noprofile
}

@test "curl in bubblewrap" {
	skip_missing bwrap
	fetches bwrap --dev-bind / / --unshare-pid --unshare-ipc --die-with-parent
}

# ---- programs that name their ports ----

@test "R: a cluster, whose workers are told the number of a port, runs on a port of the range under a map" {
	skip_missing Rscript
	export R_PARALLEL_PORT=11500
	cat >cluster.R <<-'END'
		cluster <- parallel::makePSOCKcluster(2)
		writeLines(format(sum(unlist(parallel::parLapply(cluster, 1:4, function(n) n * n)))))
		parallel::stopCluster(cluster)
	END
	sum() {
		under Rscript cluster.R >out
		[ "$(cat out)" = 30 ]
	}
	configured map=11500
	in_ways sum
}

@test "HAProxy: with bind = move, the source ports that it draws are of the range" {
	skip_missing haproxy curl
	printf '%s\n' defaults 'mode http' 'timeout connect 10s' 'timeout client 10s' 'timeout server 10s' \
		'listen front' 'bind 127.0.0.1:8081' 'server back 127.0.0.1:8080 source 127.0.0.1:10000-10100' >haproxy.cfg
	fetch() {
		serve_http
		under_background haproxy -db -f haproxy.cfg
		wait_tcp 8081
		[ "$(under curl -sS -H 'Connection: close' 'http://127.0.0.1:8081/hello?[1-4]' | grep -c hello)" = 4 ]
	}
	configured bind=move move=10000-10100
	in_ways fetch 8080 8081
}

# baresip_home NAME PORT: what it reads at its start
baresip_home() {
	mkdir "$1"
	printf '%s\n' "sip_listen 192.0.2.1:$2" 'rtp_ports 20900-21189' "module_path $(dirname "$(find /usr/lib -name g711.so)")" \
		'module g711.so' 'module aufile.so' 'module_app account.so' 'module_app menu.so' 'module stdio.so' \
		"audio_source aufile,$PWD/silence.wav" >"$1/config"
	echo "<sip:$1@192.0.2.1:$2>;regint=0;answermode=auto" >"$1/accounts"
}

# It tells its peer the port that it names, so with bind = move its peer would be told a wrong one.
@test "baresip: with bind = own, the pairs of ports that it draws for RTP are drawn until they are of the range" {
	skip_missing baresip
	baresip_home one 21190
	baresip_home two 21194
	"$PYTHON" -c 'import wave
with wave.open("silence.wav", "wb") as silence:
    silence.setparams((1, 2, 8000, 0, "NONE", ""))
    silence.writeframes(bytes(16000 * 600))'
	mkfifo keys
	exec 9<>keys
	call() {
		# it takes no address of the loopback's
		ns ip address add 192.0.2.1/24 dev lo
		ns ip route add default dev lo
		under_background baresip -4 -n lo -f one <keys >one/log 2>&1
		wait_udp 21190
		under_background baresip -4 -n lo -f two -e '/dial sip:one@192.0.2.1:21190' <keys >two/log 2>&1
		wait_until grep -q "incoming rtp for 'audio' established" one/log
		wait_until grep -q "incoming rtp for 'audio' established" two/log
		sed -n "s/.*incoming rtp for 'audio' established, receiving from 192.0.2.1://p" one/log two/log >senders
		while read -r port; do
			((port % 2 == 0))
			has_udp "$port"
			has_udp "$((port + 1))"
		done <senders
	}
	ranged 21000-21199
	# sequential, so that no port that is none of its own choice is that of SIP
	configured bind=own order=sequential
	in_ways call
}

# It tells its clients the port that it names, so with bind = move they would be told a wrong one.
@test "Samba's RPC: with bind = own, its servers try ports until one is of the range" {
	skip_missing rpcclient
	[ -x /usr/libexec/samba/samba-dcerpcd ] || not_installed 'samba-dcerpcd is not installed'
	samba_conf 'rpc start on demand helpers = no' 'rpc server dynamic port range = 20950-21050'
	ask() {
		rm -rf samba
		mkdir samba
		under_background /usr/libexec/samba/samba-dcerpcd --libexec-rpcds -F -s "$PWD/smb.conf"
		wait_tcp 135
		until under rpcclient -s smb.conf -N -U% ncacn_ip_tcp:127.0.0.1 -c srvinfo >out 2>&1; do :; done
		grep -q 'platform_id' out
	}
	ranged 135,21000-21099
	configured bind=own
	# it takes no EINTR of a bind, and a signal may end one so where the library is not loaded (portfence(1), WAYS)
	never_in supervise
	in_ways ask
}

# ---- programs whose sockets another process makes ----

# An ssh server that lets root in by a key.
serve_ssh() {
	skip_missing sshd ssh ssh-keygen
	ssh-keygen -q -t ed25519 -N '' -f host_key
	ssh-keygen -q -t ed25519 -N '' -f user_key
	printf '%s\n' 'ListenAddress 127.0.0.1:2222' "HostKey $PWD/host_key" "AuthorizedKeysFile $PWD/user_key.pub" 'UsePAM no' \
		'StrictModes no' 'PidFile none' 'PermitRootLogin yes' >sshd.conf
	printf '%s\n' 'Host there' 'HostName 127.0.0.1' 'Port 2222' 'User root' "IdentityFile $PWD/user_key" \
		'StrictHostKeyChecking no' 'UserKnownHostsFile /dev/null' 'LogLevel ERROR' "ControlPath $PWD/mux" >ssh.conf
	ns_background unshare -m sh -c 'mount -t tmpfs none /run && mkdir /run/sshd && exec "$1" -D -f sshd.conf' _ "$(command -v sshd)"
	wait_tcp 2222
}

@test "ssh: its own connection is of the range, and one that a master outside has is warned of" {
	serve_ssh
	fetch() { [ "$(under ssh -F ssh.conf "$@" there echo hello)" = hello ]; }
	enter_way auto
	capture_start
	fetch
	capture_stop
	ports_to 2222 | all_within 20000 20999
	# one that serves nobody else is none
	mkfifo hold
	exec 9<>hold
	ns_background ssh -F ssh.conf there cat <hold
	wait_until is_connected "$pid"
	fetch 2>told
	run ! grep "pid $pid" told
	stop "$pid"
	ns ssh -F ssh.conf -o ControlMaster=yes -o ControlPersist=yes -N -f there
	capture_start
	fetch 2>told
	grep -qE "'ssh' may leave its sockets to 'ssh' \(pid [0-9]+\), which runs already and is not fenced" told
	grep -qF "connect without it, with '-o ControlPath=none'" told
	capture_stop
	run ! all_within 20000 20999 < <(ports_to 2222)
	capture_start
	fetch -o ControlPath=none
	capture_stop
	ports_to 2222 | awk '$1 < 32768' | all_within 20000 20999
	ns ssh -F ssh.conf -O exit there
}

@test "dirmngr: that of gpg is fenced with it, and one that runs outside is warned of" {
	skip_missing gpg dirmngr gpgconf
	mkdir -m 700 keys
	export GNUPGHOME=$PWD/keys
	serve_http
	receive() { run under gpg --batch --keyserver hkp://127.0.0.1:8080 --recv-keys 0123456789ABCDEF0123456789ABCDEF01234567; }
	enter_way auto
	capture_start
	receive
	capture_stop
	ports_to 8080 | all_within 20000 20999
	[[ $output != *'may leave'* ]]
	ns gpgconf --kill dirmngr
	ns gpg-connect-agent --dirmngr /bye
	capture_start
	receive
	capture_stop
	[[ $output == *"'gpg' may leave its sockets to 'dirmngr' (pid "*"end it first, with 'gpgconf --kill dirmngr'"* ]]
	run ! all_within 20000 20999 < <(ports_to 8080)
	ns gpgconf --kill dirmngr
}
