# portfence: keeps unmodified programs within a source-port range of their own.
#
# `make help` lists the targets. Variables: PREFIX, DESTDIR, BINDIR, LIBDIR,
# MANDIR, DATADIR, DOCDIR, BASHDIR, FISHDIR, ZSHDIR (completions), CC, CFLAGS,
# CPPFLAGS, LDFLAGS, BUILD (where everything is made), V=1 (show commands),
# WERROR=1 (warnings are errors), KERNELS (of `make test-vm`), MINUTES (of
# `make soak`), SECONDS (of each target of `make fuzz`).

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
DATADIR ?= $(PREFIX)/share
DOCDIR ?= $(DATADIR)/doc/portfence
MANDIR ?= $(DATADIR)/man
BASHDIR ?= $(DATADIR)/bash-completion/completions
FISHDIR ?= $(DATADIR)/fish/vendor_completions.d
ZSHDIR ?= $(DATADIR)/zsh/site-functions
BUILD ?= build
VERSION := 0.1.0

CC ?= cc
CFLAGS ?= -O2 -g
INIH ?= -l:libinih.a
CLI_LIBS ?= -ljansson -lmnl

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 \
	-Wpointer-arith -Wcast-align -Wwrite-strings -Wundef -Wno-psabi
ifeq ($(WERROR),1)
WARNINGS += -Werror
endif

# What every object needs comes first; what the user says comes last. Large files and inode numbers
# are for 32-bit builds, too.
ALL_CPPFLAGS = -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DPORTFENCE_VERSION='"$(VERSION)"' \
	-DPORTFENCE_LIBDIR='"$(LIBDIR)"' $(CPPFLAGS)
ALL_CFLAGS = -std=gnu11 $(WARNINGS) -fPIC -fvisibility=hidden $(SANITIZE) $(CFLAGS)
ALL_LDFLAGS = -Wl,-z,defs,-z,relro,-z,now,--as-needed $(SANITIZE) $(LDFLAGS)

# the names of the C files in a folder, without .c
names = $(patsubst $(1)/%.c,%,$(sort $(wildcard $(1)/*.c)))

# what else unit tests and fuzzers call, beside all of core
UNIT_ALSO := cli/status_bar machine/array machine/port_origin machine/procfs machine/sockets
FUZZ_ALSO := cli/status_bar machine/array machine/fenced machine/library machine/procfs machine/programs \
	machine/sockets machine/target shim/caller_memory shim/child_environ
FUZZ := $(call names,test/fuzz)
PAGES := libportfence.8 portfence.1 portfence.7 portfence.ini.5
EXAMPLES := Dockerfile github-actions.yml kubernetes-pod.yaml systemd-drop-in.conf \
	$(addprefix testing/,Makefile leases.bats meet.sh nginx.sh postgresql.sh redis.sh test_leases.py)

objects = $(patsubst src/%.c,$(BUILD)/%.o,$(sort $(wildcard src/$(1)/*.c)))

CORE_OBJECTS := $(call objects,core)
SHIM_OBJECTS := $(call objects,shim)
COMMAND_OBJECTS := $(call objects,machine) $(call objects,supervisor) $(call objects,cli)
PLATFORM := $(patsubst %,$(BUILD)/test/platform/%,$(call names,test/platform))
UNIT_PROGRAMS := $(patsubst %,$(BUILD)/test/unit/%,$(call names,test/unit))
UNIT_OBJECTS := $(CORE_OBJECTS) $(UNIT_ALSO:%=$(BUILD)/%.o)
PROBE_PROGRAMS := $(patsubst %,$(BUILD)/test/probes/%,$(filter-out ctor_calls,$(call names,test/probes))) \
	$(BUILD)/test/probes/ctor_calls.so
FUZZ_OBJECTS := $(CORE_OBJECTS) $(FUZZ_ALSO:%=$(BUILD)/%.o)
PAGE_FILES := $(PAGES:%=$(BUILD)/man/%)

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-8s %s\n'
endif

.DELETE_ON_ERROR:
.PHONY: FORCE all demo test test-vm check soak faults asan tsan fuzz lint format install \
	install-library uninstall deb dist clean help fuzz-programs test-programs

all: $(BUILD)/libportfence.so $(BUILD)/portfence $(PAGE_FILES)

$(BUILD)/libportfence.so: $(CORE_OBJECTS) $(SHIM_OBJECTS) src/shim/libportfence.map
	$(say) LINK $@
	$(Q)$(CC) -shared -o $@ $(CORE_OBJECTS) $(SHIM_OBJECTS) $(INIH) -ldl \
		-Wl,--version-script=src/shim/libportfence.map,--exclude-libs,ALL \
		-Wl,-z,noseparate-code $(ALL_LDFLAGS)

$(BUILD)/portfence: $(CORE_OBJECTS) $(COMMAND_OBJECTS)
	$(say) LINK $@
	$(Q)$(CC) -o $@ $(CORE_OBJECTS) $(COMMAND_OBJECTS) -pie -Wl,--as-needed $(INIH) $(CLI_LIBS) \
		$(ALL_LDFLAGS)

$(BUILD)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) -MMD -MP $(ALL_CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

# Command and manual name the installed library's place: `make install` may come with another one.
$(BUILD)/libdir: FORCE
	@mkdir -p $(@D)
	@echo '$(LIBDIR)' | cmp -s - $@ || echo '$(LIBDIR)' >$@

$(BUILD)/machine/library.o: $(BUILD)/libdir

# A child of vfork leaves its execve hook by exec, and what AddressSanitizer has marked on the stack
# that it shares with its parent would stay marked.
$(BUILD)/shim/hooks_exec.o: ALL_CFLAGS += $(if $(SANITIZE),-fno-sanitize=address)

-include $(CORE_OBJECTS:.o=.d) $(SHIM_OBJECTS:.o=.d) $(COMMAND_OBJECTS:.o=.d)

# with the paths that it is installed under, and its version
$(BUILD)/man/%: src/man/% $(BUILD)/libdir Makefile
	@mkdir -p $(@D)
	$(say) MAN $<
	$(Q)sed 's|@LIBDIR@|$(LIBDIR)|g; s|@DOCDIR@|$(DOCDIR)|g; s|@VERSION@|$(VERSION)|g' $< >$@

# ---- tests ----

PACKAGES_BUILD := gcc libc6-dev libinih-dev libjansson-dev libmnl-dev
PACKAGES_VM := busybox-static cpio debian-archive-keyring dpkg-dev libsctp1 qemu-system-x86 xz-utils
PACKAGES_DEMO := curl iproute2 python3
# gcc-12-multilib rather than gcc-multilib, which cannot be installed beside a cross compiler
PACKAGES_TEST := bash-completion bats binutils busybox-static curl dnsmasq-base dpkg-dev fish \
	g++ gcc-12-multilib gcc-aarch64-linux-gnu git golang-go groff-base inetutils-ftp iperf3 iproute2 \
	libc6-dev-arm64-cross libcap2-bin libeatmydata1 libfaketime libjemalloc2 libsctp-dev \
	libsocket-wrapper libtcmalloc-minimal4 lintian lksctp-tools mandoc musl-tools netbase netcat-openbsd \
	nginx-light nodejs parallel perl postgresql procps proxychains4 python3 python3-pyftpdlib \
	python3-yaml qemu-user redis-server redis-tools rpcbind socat strace systemd tcpdump tftp-hpa \
	tftpd-hpa torsocks util-linux wget zsh

# each test makes a network namespace
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

TEST_CFLAGS = -std=gnu11 $(WARNINGS) $(SANITIZE) $(CFLAGS)

$(BUILD)/test/platform/%: test/platform/%.c $(wildcard test/platform/*.h) Makefile
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(TEST_CFLAGS) -o $@ $< $(LDFLAGS)

$(BUILD)/test/unit/%: test/unit/%.c test/unit/unit.h $(UNIT_OBJECTS) Makefile
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) -D_GNU_SOURCE $(TEST_CFLAGS) -o $@ $< $(UNIT_OBJECTS) $(INIH) $(CLI_LIBS) $(LDFLAGS)

$(BUILD)/test/probes/%.so: test/probes/%.c test/probes/calls.h Makefile
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) -D_GNU_SOURCE $(TEST_CFLAGS) -pthread -fPIC -shared -o $@ $< $(LDFLAGS)

$(BUILD)/test/probes/%: test/probes/%.c test/probes/calls.h Makefile
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) -D_GNU_SOURCE $(TEST_CFLAGS) -pthread -o $@ $< $(LDLIBS) $(LDFLAGS)

$(BUILD)/test/probes/sctp: LDLIBS += -lsctp

$(BUILD)/test/soak/soak: $(wildcard test/soak/*.c) $(wildcard test/soak/*.h) Makefile
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) -D_GNU_SOURCE $(TEST_CFLAGS) -pthread -o $@ $(filter %.c,$^) $(LDFLAGS)

# The calls of each target's subject that it answers itself.
FUZZ_WRAP_assign := clock_gettime getpeername getsockname getsockopt syscall
FUZZ_WRAP_state := clock_gettime openat64
FUZZ_WRAP_diag := syscall
FUZZ_WRAP_fenced := fd_open open64
FUZZ_WRAP_preset := syscall
FUZZ_WRAP_sockets := mnl_socket_bind mnl_socket_close mnl_socket_get_portid mnl_socket_open2 \
	mnl_socket_recvfrom mnl_socket_sendto
FUZZ_WRAP_target := open64

$(BUILD)/test/fuzz/%: test/fuzz/%.c $(wildcard test/fuzz/*.h) $(FUZZ_OBJECTS) Makefile
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) -D_GNU_SOURCE $(TEST_CFLAGS) -fsanitize=fuzzer -o $@ $< $(FUZZ_OBJECTS) \
		$(FUZZ_WRAP_$*:%=-Wl,--wrap=%) $(INIH) $(CLI_LIBS) $(LDFLAGS)

# never with a sanitizer, whose own functions would look at the bad pointers that it hands over
$(BUILD)/test/transparent/transparent: $(wildcard test/transparent/*.c) \
		test/transparent/transparent.h Makefile
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) -D_GNU_SOURCE -std=gnu11 $(WARNINGS) $(CFLAGS) -pthread -o $@ $(filter %.c,$^) $(LDFLAGS)

$(BUILD)/test/faults/faults: test/faults/faults.c test/faults/scenes.c test/faults/faults.h Makefile
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) -D_GNU_SOURCE $(TEST_CFLAGS) -pthread -o $@ $(filter %.c,$^) $(LDFLAGS)

$(BUILD)/test/faults/hostile: test/faults/hostile.c Makefile
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) -D_GNU_SOURCE $(TEST_CFLAGS) -pthread -o $@ $< $(LDFLAGS)

$(BUILD)/test/faults/injector.so: test/faults/injector.c test/faults/faults.h Makefile
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 $(TEST_CFLAGS) -fPIC -fvisibility=hidden -shared -o $@ $< -ldl $(LDFLAGS)

test-programs: all $(PLATFORM) $(UNIT_PROGRAMS) $(PROBE_PROGRAMS) $(BUILD)/test/soak/soak \
	$(BUILD)/test/faults/faults $(BUILD)/test/faults/hostile $(BUILD)/test/faults/injector.so \
	$(BUILD)/test/transparent/transparent

# Packages first, in a make of its own: the rules above cannot see what is not installed yet.
demo:
	$(Q)test/lib/need $(PACKAGES_BUILD) $(PACKAGES_DEMO)
	$(Q)$(MAKE) --no-print-directory all
	$(Q)BUILD='$(BUILD)' test/demo/demo

test:
	$(Q)test/lib/need $(PACKAGES_BUILD) $(PACKAGES_TEST) $(PACKAGES_VM)
	$(Q)test/lib/need $(PACKAGES_FUZZ) || echo 'no clang for test/fuzz.bats' >&2
	$(Q)$(MAKE) --no-print-directory test-programs fuzz-programs
	$(Q)BUILD='$(abspath $(BUILD))' test/vm/fetch $(KERNELS) || true
	$(Q)$(SUDO) env BUILD='$(abspath $(BUILD))' BATS_TEST_TIMEOUT=300 bats $(BATSFLAGS) test

check: test

KERNELS ?= 5.10 6.1 6.12

# test/vm.bats alone, with what each case says and the table: Debian's kernels, in virtual machines.
test-vm:
	$(Q)test/lib/need $(PACKAGES_BUILD) $(PACKAGES_VM)
	$(Q)$(MAKE) --no-print-directory test-programs
	$(Q)BUILD='$(abspath $(BUILD))' test/vm/all $(KERNELS)

MINUTES ?= 10

# test/soak.bats alone, for longer: four runs of so many minutes, and a table of them. The machine has
# little time for anything else meanwhile.
soak:
	$(Q)test/lib/need $(PACKAGES_BUILD) $(PACKAGES_TEST)
	$(Q)$(MAKE) --no-print-directory test-programs
	$(Q)$(SUDO) rm -rf '$(BUILD)/soak'
	$(Q)$(SUDO) env BUILD='$(abspath $(BUILD))' SOAK_SECONDS=$$(($(MINUTES) * 60)) \
		SOAK_RESULTS='$(abspath $(BUILD))/soak' bats $(BATSFLAGS) test/soak.bats; \
		status=$$?; cat '$(BUILD)/soak/table'; exit $$status

# test/faults.bats with every occurrence of every call, and a table of it.
faults:
	$(Q)test/lib/need $(PACKAGES_BUILD) $(PACKAGES_TEST)
	$(Q)$(MAKE) --no-print-directory test-programs
	$(Q)$(SUDO) env BUILD='$(abspath $(BUILD))' FAULTS=all \
		FAULTS_RESULTS='$(abspath $(BUILD))/faults' bats $(BATSFLAGS) test/faults.bats; \
		status=$$?; test/faults/table '$(BUILD)/faults'; exit $$status

# What is of any use there: readers, the shim's memory of descriptors, the log, the state file.
ASAN_TESTS := $(addprefix test/,conf.bats descriptor.bats log.bats map.bats matrix.bats record.bats \
	rules.bats sharing.bats state.bats transparency.bats unit.bats which.bats)

# Parts of the suite once more with AddressSanitizer and UndefinedBehaviorSanitizer in shim, command
# and probes. The programs under the fence are not built so, hence the two options.
asan:
	$(Q)test/lib/need $(PACKAGES_BUILD) $(PACKAGES_TEST)
	$(Q)$(MAKE) --no-print-directory BUILD='$(BUILD)/asan' CFLAGS='-O1 -g' \
		SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=all' \
		test-programs
	$(Q)$(SUDO) env BUILD='$(abspath $(BUILD))/asan' BATS_TEST_TIMEOUT=300 \
		ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 \
		bats $(BATSFLAGS) $(ASAN_TESTS)

# Where threads share what is the shim's. A thread that a raw clone() made crashes the sanitizer, and
# its own system calls are counted with ours, so of test/descriptor.bats it gets what is about threads.
TSAN_TESTS := $(addprefix test/,load.bats matrix.bats sharing.bats)
TSAN_REPORTS = $(abspath $(BUILD))/tsan/reports
TSAN_OPTIONS = die_after_fork=0:log_path=$(TSAN_REPORTS)/report:suppressions=$(abspath \
	test)/tsan.suppressions
tsan_bats = $(SUDO) env BUILD='$(abspath $(BUILD))/tsan' BATS_TEST_TIMEOUT=300 \
	TSAN_OPTIONS='$(TSAN_OPTIONS)' bats $(BATSFLAGS)

# Parts of the suite with ThreadSanitizer. Reports are kept and shown at the end, as not every test
# looks at how each program ended.
tsan:
	$(Q)test/lib/need $(PACKAGES_BUILD) $(PACKAGES_TEST)
	$(Q)$(MAKE) --no-print-directory BUILD='$(BUILD)/tsan' CFLAGS='-O1 -g' \
		SANITIZE=-fsanitize=thread test-programs
	$(Q)$(SUDO) rm -rf $(TSAN_REPORTS)
	$(Q)mkdir $(TSAN_REPORTS)
	$(Q)status=0; \
	$(tsan_bats) $(TSAN_TESTS) || status=1; \
	$(tsan_bats) -f thread test/descriptor.bats || status=1; \
	[ -z "$$(ls $(TSAN_REPORTS))" ] || { $(SUDO) cat $(TSAN_REPORTS)/*; status=1; }; \
	exit $$status

PACKAGES_FUZZ := clang libclang-rt-14-dev
SECONDS ?= 60

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

# Inputs that reach more stay in $(BUILD)/fuzz/corpus, for the next time to begin with, and those that
# show a defect in $(BUILD)/fuzz/found.
fuzz:
	$(Q)test/lib/need $(PACKAGES_BUILD) $(PACKAGES_FUZZ)
	$(Q)$(MAKE) --no-print-directory fuzz-programs
	$(Q)test/fuzz/run '$(BUILD)/fuzz/test/fuzz' '$(BUILD)/fuzz' $(SECONDS) $(FUZZ)

# ---- speed ----

include test/bench/bench.mk

bench: all

# ---- source ----

SOURCES := $(sort $(wildcard src/*/*.[ch] test/*/*.[ch]))
SCRIPTS := .ci/run src/completion/portfence.bash src/debian/build test/bench/ways.sh test/demo/demo \
	test/faults/table test/under-load \
	test/lib/inih test/lib/need test/fuzz/run test/programs/fences.bash test/soak/table \
	$(addprefix test/vm/,all boot fetch)
PACKAGES_LINT := clang-format clang-tidy cppcheck groff-base mandoc shellcheck

lint:
	$(Q)test/lib/need $(PACKAGES_BUILD) $(PACKAGES_LINT)
	clang-format --dry-run -Werror $(SOURCES)
	cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
		--inline-suppr -D__GNUC__ -D_GNU_SOURCE src
	clang-tidy --quiet --warnings-as-errors='*' $(wildcard src/*/*.c) -- -std=gnu11 $(ALL_CPPFLAGS)
	shellcheck -x $(SCRIPTS) test/lib/calls.bash test/lib/helpers.bash test/lib/hold.bash test/lib/machine.bash
	# SC1091: /vm/tap.sh, as it is in the virtual machine
	shellcheck -s sh -e SC1091 $(sort $(wildcard test/vm/guest/*.sh)) test/vm/guest/init
	# SC2154: variables that helpers.bash sets
	shellcheck -x -s bash -e SC2154 test/lib/root.bash $(sort $(wildcard test/*.bats))
	cd conf/examples/testing && shellcheck -x -s sh *.sh && shellcheck leases.bats
	mandoc -T lint -W warning $(PAGES:%=src/man/%)
	! groff -ww -t -man -Tutf8 -z $(PAGES:%=src/man/%) 2>&1 | grep .

format:
	clang-format -i $(SOURCES)

# ---- installation ----

# mode:what:where. A configuration is the administrator's to write, so what ships is an example.
INSTALLED := \
	755:$(BUILD)/portfence:$(BINDIR)/portfence \
	644:$(BUILD)/libportfence.so:$(LIBDIR)/libportfence.so \
	644:$(BUILD)/man/portfence.1:$(MANDIR)/man1/portfence.1 \
	644:$(BUILD)/man/portfence.ini.5:$(MANDIR)/man5/portfence.ini.5 \
	644:$(BUILD)/man/portfence.7:$(MANDIR)/man7/portfence.7 \
	644:$(BUILD)/man/libportfence.8:$(MANDIR)/man8/libportfence.8 \
	644:conf/portfence.ini:$(DOCDIR)/examples/portfence.ini \
	$(foreach example,$(EXAMPLES),644:conf/examples/$(example):$(DOCDIR)/examples/$(example)) \
	644:src/completion/portfence.bash:$(BASHDIR)/portfence \
	644:src/completion/_portfence:$(ZSHDIR)/_portfence \
	644:src/completion/portfence.fish:$(FISHDIR)/portfence.fish

each_installed = set -e; for one in $(INSTALLED); do \
	mode=$${one%%:*}; rest=$${one\#*:}; from=$${rest%%:*}; to='$(DESTDIR)'$${rest\#*:};

install: all
	$(Q)$(each_installed) echo "  INSTALL  $$to"; install -D -m "$$mode" "$$from" "$$to"; done

# The library alone, for programs of another word size
install-library: $(BUILD)/libportfence.so
	$(say) INSTALL '$(DESTDIR)$(LIBDIR)/libportfence.so'
	$(Q)install -D -m 644 $< '$(DESTDIR)$(LIBDIR)/libportfence.so'

# Folders of our own go too, once they are empty.
uninstall:
	$(Q)$(each_installed) echo "  REMOVE   $$to"; rm -f "$$to"; done
	$(Q)for folder in '$(DESTDIR)$(DOCDIR)/examples/testing' '$(DESTDIR)$(DOCDIR)/examples' \
		'$(DESTDIR)$(DOCDIR)'; do \
		[ ! -d "$$folder" ] || rmdir --ignore-fail-on-non-empty "$$folder"; done

PACKAGES_DEB := binutils dpkg-dev

deb:
	$(Q)test/lib/need $(PACKAGES_BUILD) $(PACKAGES_DEB)
	$(Q)MAKE='$(MAKE)' src/debian/build '$(abspath $(BUILD))/deb'

dist:
	git archive --prefix=portfence-$(VERSION)/ -o portfence-$(VERSION).tar.gz HEAD

clean:
	rm -rf $(BUILD)

help:
	@echo 'make            build libportfence.so and portfence in $(BUILD)/'
	@echo 'make demo       see curl talk from a range of its own (installs what is missing)'
	@echo 'make test       run the tests, as root (installs what is missing); also: check'
	@echo 'make test-vm    run the core ones on Linux 5.10, 6.1 and 6.12, in virtual machines'
	@echo 'make soak       run 64 threads in 500 ports for MINUTES=10, four times'
	@echo 'make faults     answer each call of the library with each error, some 26,000 cases'
	@echo 'make asan       run parts of them with the address and undefined-behaviour sanitizers'
	@echo 'make tsan       run parts of them with the thread sanitizer'
	@echo 'make fuzz       try random inputs on each reader for SECONDS=60 (needs clang)'
	@echo 'make bench      time the fence against no fence (see BENCHFLAGS=--help)'
	@echo 'make lint       check style and for defects'
	@echo 'make format     put the sources in style'
	@echo 'make install    copy to PREFIX (/usr/local), under DESTDIR; uninstall takes it away'
	@echo 'make install-library  copy the library alone to LIBDIR, for programs of another word size'
	@echo 'make deb        make a Debian package in $(BUILD)/deb/'
	@echo 'make dist       make a tar file of the sources'
	@echo 'make clean      remove $(BUILD)/'
	@echo 'variables: PREFIX DESTDIR BINDIR LIBDIR DATADIR MANDIR DOCDIR BASHDIR FISHDIR ZSHDIR'
	@echo '           BUILD CC CFLAGS CPPFLAGS LDFLAGS V=1 WERROR=1'
