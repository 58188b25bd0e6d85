# The tests, in three tiers; the root's Makefile includes this.
#
#   make test       the core tier: it needs what builds portfence, Bats and small tools
#   make test-all   the core tier and all the rest: servers, other compilers, other kernels
#   .ci/run         both, then asan, tsan and lint
#
# Variables: BATSFLAGS, JOBS (how many files run at once), KERNELS (of `make test-vm`), MINUTES (of
# `make soak`), SECONDS (of each target of `make fuzz`), FUZZ (which targets).

# ---- which test is in which tier ----

# The core tier, the longest first. Every other file is one of the rest: LONG_TESTS come first there.
CORE_TESTS := status supervise born enforced state fresh leases lease-verb lease-names environments nested matrix check unit descriptor record map shim exec log conf rooms \
	sandbox security which cli firewall run readme sharing tiers rules platform schema words audit
# These look at the whole machine, or keep it busy: nothing runs beside them.
ALONE_TESTS := audit load soak vm

bats = $(patsubst %,test/%.bats,$(1))
LONG_TESTS := real supervise-docker supervise-yama supervise-podman where testing portlease fuzz transparency machines examples packaging deb languages
REST_TESTS := $(filter-out $(CORE_TESTS),$(LONG_TESTS) \
	$(filter-out $(LONG_TESTS),$(patsubst test/%.bats,%,$(sort $(wildcard test/*.bats)))))
# grouped TESTS: as test/lib/suite takes them
grouped = $(call bats,$(filter-out $(ALONE_TESTS),$(1))) --alone $(call bats,$(filter $(ALONE_TESTS),$(1)))

# ---- what has to be installed ----

PACKAGES_CORE := authbind bats busybox-static curl iproute2 iptables libcap2-bin libsctp-dev netbase netcat-openbsd nftables \
	procps python3 python3-prometheus-client socat strace tcpdump tmux util-linux
PACKAGES_VM := busybox-static cpio debian-archive-keyring dpkg-dev libsctp1 qemu-system-x86 xz-utils
PACKAGES_FUZZ := clang libclang-rt-14-dev
# gcc-12-multilib rather than gcc-multilib, which cannot be installed beside a cross compiler
PACKAGES_REST := ansible-core bash-completion bind9 binutils default-jre-headless dnsmasq-base dpkg-dev fish g++ gcc-12-multilib \
	gcc-aarch64-linux-gnu git golang-go groff-base inetutils-ftp iperf3 jq junit5 libc6-dev-arm64-cross \
	libeatmydata1 libfaketime libjemalloc2 libsocket-wrapper libtcmalloc-minimal4 lintian \
	lksctp-tools mandoc musl-tools nginx-light nodejs parallel perl postgresql \
	proxychains4 python3-pyftpdlib python3-pytest python3-pytest-xdist python3-yaml qemu-user redis-server redis-tools rpcbind rpm systemd \
	tftp-hpa tftpd-hpa torsocks unbound valgrind wget zsh $(PACKAGES_VM)

# of test/real.bats
PACKAGES_REAL := baresip-core bird2 bubblewrap dirmngr erlang-base fakeroot firejail gdb gpg gunicorn haproxy \
	mptcpize openmpi-bin openssh-client openssh-server php-fpm python3-distributed python3-grpcio python3-uvloop \
	r-base-core samba smbclient
# of it, too: whoever has another package in their place keeps that one
PACKAGES_RIVAL := mariadb-client-core mariadb-server-core postfix rsyslog
PACKAGES_UNPACKED := chrony nfs-common nfs-kernel-server

# ---- the programs that tests run ----

# what else unit tests and fuzzers call, beside all of core
UNIT_ALSO := cli/status_bar machine/array machine/port_origin machine/procfs machine/sockets
FUZZ_ALSO := cli/status_bar machine/array machine/fenced machine/lease machine/lease_file machine/lease_name machine/library machine/processes \
	machine/procfs machine/sockets machine/target shim/caller_memory shim/child_environ
FUZZ := $(call names,test/fuzz)
PLATFORM := $(patsubst %,$(BUILD)/test/platform/%,$(call names,test/platform))
UNIT_PROGRAMS := $(patsubst %,$(BUILD)/test/unit/%,$(call names,test/unit))
UNIT_OBJECTS := $(CORE_OBJECTS) $(UNIT_ALSO:%=$(BUILD)/%.o)
PROBE_PROGRAMS := $(patsubst %,$(BUILD)/test/probes/%,$(filter-out ctor_calls,$(call names,test/probes))) \
	$(BUILD)/test/probes/ctor_calls.so
FUZZ_OBJECTS := $(CORE_OBJECTS) $(FUZZ_ALSO:%=$(BUILD)/%.o)

TEST_CFLAGS = -std=gnu11 $(WARNINGS) $(SANITIZE) $(CFLAGS)

$(BUILD)/test/platform/%: test/platform/%.c $(wildcard test/platform/*.h) test/test.mk
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(TEST_CFLAGS) -o $@ $< $(LDFLAGS)

$(BUILD)/test/unit/%: test/unit/%.c test/unit/unit.h $(UNIT_OBJECTS) test/test.mk
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) -D_GNU_SOURCE $(TEST_CFLAGS) -o $@ $< $(UNIT_OBJECTS) $(INIH) $(CLI_LIBS) $(LDFLAGS)

$(BUILD)/test/probes/%.so: test/probes/%.c test/probes/calls.h test/test.mk
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) -D_GNU_SOURCE $(TEST_CFLAGS) -pthread -fPIC -shared -o $@ $< $(LDFLAGS)

$(BUILD)/test/probes/%: test/probes/%.c test/probes/calls.h test/test.mk
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) -D_GNU_SOURCE $(TEST_CFLAGS) -pthread -o $@ $< $(LDLIBS) $(LDFLAGS)

$(BUILD)/test/probes/sctp: LDLIBS += -lsctp

$(BUILD)/test/soak/soak: $(wildcard test/soak/*.c) $(wildcard test/soak/*.h) test/test.mk
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) -D_GNU_SOURCE $(TEST_CFLAGS) -pthread -o $@ $(filter %.c,$^) $(LDFLAGS)

# The calls of each target's subject that it answers itself.
FUZZ_WRAP_assign := clock_gettime getpeername getsockname getsockopt syscall
FUZZ_WRAP_state := clock_gettime fd_open fd_openat
FUZZ_WRAP_diag := syscall
FUZZ_WRAP_fenced := fd_open open64
FUZZ_WRAP_lease := fcntl64
FUZZ_WRAP_lease_name := fcntl64 fstat64 nanosleep sockets_read
FUZZ_WRAP_preset := syscall
FUZZ_WRAP_sockets := syscall
FUZZ_WRAP_target := open64
FUZZ_WRAP_trap := syscall ioctl getsockopt setsockopt getsockname sendto close fcntl64 clock_gettime nanosleep poll

# it includes trap.c, and is itself the caller
$(BUILD)/test/fuzz/trap: $(patsubst %,$(BUILD)/supervisor/%.o,aside born claims confinement filter inner mark obstacle relay rights trapped_call)

$(BUILD)/test/fuzz/%: test/fuzz/%.c $(wildcard test/fuzz/*.h) $(FUZZ_OBJECTS) test/test.mk
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) -D_GNU_SOURCE $(TEST_CFLAGS) -fsanitize=fuzzer -o $@ $< $(filter %.o,$^) \
		$(FUZZ_WRAP_$*:%=-Wl,--wrap=%) $(INIH) $(CLI_LIBS) $(LDFLAGS)

# never with a sanitizer, whose own functions would look at the bad pointers that it hands over
$(BUILD)/test/transparent/transparent: $(wildcard test/transparent/*.c) \
		test/transparent/transparent.h test/test.mk
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) -D_GNU_SOURCE -std=gnu11 $(WARNINGS) $(CFLAGS) -pthread -o $@ $(filter %.c,$^) $(LDFLAGS)

$(BUILD)/test/faults/faults: test/faults/faults.c test/faults/scenes.c test/faults/faults.h test/test.mk
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) -D_GNU_SOURCE $(TEST_CFLAGS) -pthread -o $@ $(filter %.c,$^) $(LDFLAGS)

$(BUILD)/test/faults/hostile: test/faults/hostile.c test/test.mk
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) -D_GNU_SOURCE $(TEST_CFLAGS) -pthread -o $@ $< $(LDFLAGS)

$(BUILD)/test/faults/injector.so: test/faults/injector.c test/faults/faults.h test/test.mk
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 $(TEST_CFLAGS) -fPIC -fvisibility=hidden -shared -o $@ $< -ldl $(LDFLAGS)

core-programs: all bench-programs $(PLATFORM) $(UNIT_PROGRAMS) $(PROBE_PROGRAMS)

test-programs: core-programs $(BUILD)/test/soak/soak $(BUILD)/test/transparent/transparent \
	$(BUILD)/test/faults/faults $(BUILD)/test/faults/hostile $(BUILD)/test/faults/injector.so

# clang has objections to macros of the kernel's headers.
FUZZ_WARNINGS := -Wall -Wextra -Wno-sign-compare -Wno-gnu-variable-sized-type-not-at-end \
	$(if $(filter 1,$(WERROR)),-Werror)

# libFuzzer's programs are built by clang, beside the others. Where that cannot be done, the file
# `missing` says why, and so does test/fuzz.bats.
fuzz-programs:
	@mkdir -p $(BUILD)/fuzz
	$(Q)rm -f $(BUILD)/fuzz/missing
	$(Q)if ! echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' | clang -x c - -o $(BUILD)/fuzz/try \
		-fsanitize=fuzzer,address,undefined 2>$(BUILD)/fuzz/missing; then exit 0; fi; \
	rm $(BUILD)/fuzz/try $(BUILD)/fuzz/missing; \
	$(MAKE) --no-print-directory BUILD='$(BUILD)/fuzz' CC=clang CFLAGS='-O1 -g' \
		WARNINGS='$(FUZZ_WARNINGS)' \
		SANITIZE='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all' \
		$(FUZZ:%=$(BUILD)/fuzz/test/fuzz/%)

# ---- the tiers ----

.PHONY: demo test check test-rest test-all test-vm soak faults asan tsan fuzz core-programs \
	test-programs fuzz-programs

# each test makes a network namespace
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
JOBS ?= $(shell nproc)
export BATSFLAGS

# suite FOLDER VARIABLE=VALUE...: runs Bats files on what is built in FOLDER
suite = $(SUDO) env BUILD='$(abspath $(1))' BATSFLAGS="$$BATSFLAGS" JOBS='$(JOBS)' \
	PORTFENCE_NO_SKIP="$$PORTFENCE_NO_SKIP" $(2) test/lib/suite

# Packages come first, so what is built is built by a make of its own: this one has looked for files
# before they were installed.
again = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS))

demo:
	$(Q)test/lib/need 'make $@' $(PACKAGES_BUILD) curl iproute2 python3
	$(Q)$(again) all
	$(Q)BUILD='$(BUILD)' test/demo/demo

test:
	$(Q)test/lib/need 'make $@' $(PACKAGES_BUILD) $(PACKAGES_CORE)
	$(Q)$(again) core-programs
	$(Q)$(call suite,$(BUILD)) $(call grouped,$(CORE_TESTS))

check: test

# What the core tier leaves out.
test-rest:
	$(Q)test/lib/need --ask 'make test-all' $(PACKAGES_BUILD) $(PACKAGES_CORE) $(PACKAGES_REST)
	$(Q)test/lib/need --ask 'test/real.bats' $(PACKAGES_REAL) || echo 'test/real.bats leaves out what is not installed' >&2
	$(Q)for one in $(PACKAGES_RIVAL); do test/lib/need 'test/real.bats' $$one || echo "no $$one for test/real.bats" >&2; done
	$(Q)test/lib/unpack '$(abspath $(BUILD))/unpacked' $(PACKAGES_UNPACKED) || true
	$(Q)test/lib/need 'test/fuzz.bats' $(PACKAGES_FUZZ) || echo 'no clang for test/fuzz.bats' >&2
	$(Q)$(again) test-programs fuzz-programs
	$(Q)BUILD='$(abspath $(BUILD))' test/vm/fetch $(KERNELS) glibc || true
	$(Q)$(call suite,$(BUILD)) $(call grouped,$(REST_TESTS))

test-all:
	$(Q)status=0; $(MAKE) --no-print-directory test || status=1; \
	$(MAKE) --no-print-directory test-rest || status=1; exit $$status

# ---- parts of them, at more length or with other eyes ----

KERNELS ?= 5.10 6.1 6.12

# test/vm.bats alone, with what each case says and the table: Debian's kernels, in virtual machines.
test-vm:
	$(Q)test/lib/need 'make $@' $(PACKAGES_BUILD) $(PACKAGES_CORE) $(PACKAGES_VM)
	$(Q)$(again) core-programs
	$(Q)BUILD='$(abspath $(BUILD))' test/vm/all $(KERNELS)

MINUTES ?= 10

# test/soak.bats alone, for longer: four runs of so many minutes, and a table of them. The machine has
# little time for anything else meanwhile.
soak:
	$(Q)test/lib/need 'make $@' $(PACKAGES_BUILD) $(PACKAGES_CORE)
	$(Q)$(again) test-programs
	$(Q)$(SUDO) rm -rf '$(BUILD)/soak'
	$(Q)$(call suite,$(BUILD),FILE_SECONDS=$$(($(MINUTES) * 360 + 600)) \
		SOAK_SECONDS=$$(($(MINUTES) * 60)) SOAK_RESULTS='$(abspath $(BUILD))/soak') test/soak.bats; \
		status=$$?; cat '$(BUILD)/soak/table'; exit $$status

# test/faults.bats with every occurrence of every call, and a table of it.
faults:
	$(Q)test/lib/need 'make $@' $(PACKAGES_BUILD) $(PACKAGES_CORE)
	$(Q)$(again) test-programs
	$(Q)$(call suite,$(BUILD),FILE_SECONDS=14400 FAULTS=all \
		FAULTS_RESULTS='$(abspath $(BUILD))/faults') test/faults.bats; \
		status=$$?; test/faults/table '$(BUILD)/faults'; exit $$status

# What is of any use there: readers, the shim's memory of descriptors, the log, the state file.
ASAN_TESTS := transparency matrix descriptor conf log map record rules sharing state unit which

# Parts of the suite once more with AddressSanitizer and UndefinedBehaviorSanitizer in shim, command
# and probes. The programs under the fence are not built so, hence the two options.
asan:
	$(Q)test/lib/need 'make $@' $(PACKAGES_BUILD) $(PACKAGES_CORE)
	$(Q)$(again) BUILD='$(BUILD)/asan' CFLAGS='-O1 -g' \
		SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=all' test-programs
	$(Q)$(call suite,$(BUILD)/asan,ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0) \
		$(call grouped,$(ASAN_TESTS))

# Where threads share what is the shim's. A thread that a raw clone() made crashes the sanitizer, and
# its own system calls are counted with ours, so of test/descriptor.bats it gets what is about threads.
TSAN_TESTS := matrix sharing load
TSAN_REPORTS = $(abspath $(BUILD))/tsan/reports
TSAN_OPTIONS = die_after_fork=0:log_path=$(TSAN_REPORTS)/report:suppressions=$(abspath \
	test)/tsan.suppressions
tsan_suite = $(call suite,$(BUILD)/tsan,TSAN_OPTIONS='$(TSAN_OPTIONS)')

# Parts of the suite with ThreadSanitizer. Reports are kept and shown at the end, as not every test
# looks at how each program ended.
tsan:
	$(Q)test/lib/need 'make $@' $(PACKAGES_BUILD) $(PACKAGES_CORE)
	$(Q)$(again) BUILD='$(BUILD)/tsan' CFLAGS='-O1 -g' SANITIZE=-fsanitize=thread core-programs
	$(Q)$(SUDO) rm -rf $(TSAN_REPORTS)
	$(Q)mkdir $(TSAN_REPORTS)
	$(Q)status=0; \
	$(tsan_suite) $(call grouped,$(TSAN_TESTS)) || status=1; \
	BATSFLAGS="$$BATSFLAGS -f thread"; $(tsan_suite) test/descriptor.bats || status=1; \
	[ -z "$$(ls $(TSAN_REPORTS))" ] || { $(SUDO) cat $(TSAN_REPORTS)/*; status=1; }; \
	exit $$status

SECONDS ?= 60

# Inputs that reach more stay in $(BUILD)/fuzz/corpus, for the next time to begin with, and those that
# show a defect in $(BUILD)/fuzz/found.
fuzz:
	$(Q)test/lib/need 'make $@' $(PACKAGES_BUILD) $(PACKAGES_FUZZ)
	$(Q)$(again) fuzz-programs
	$(Q)test/fuzz/run '$(BUILD)/fuzz/test/fuzz' '$(BUILD)/fuzz' $(SECONDS) $(FUZZ)
