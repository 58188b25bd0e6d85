# portfence: keeps unmodified programs within a source-port range of their own.
#
# `make help` lists the targets. Variables: PREFIX, DESTDIR, BINDIR, LIBDIR,
# MANDIR, DATADIR, DOCDIR, BASHDIR, FISHDIR, ZSHDIR (completions), CC, CFLAGS,
# CPPFLAGS, LDFLAGS, BUILD (where everything is made), V=1 (show commands),
# WERROR=1 (warnings are errors), MINUTES (of `make soak`).

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
	-Wpointer-arith -Wcast-align -Wwrite-strings -Wundef
ifeq ($(WERROR),1)
WARNINGS += -Werror
endif

# What every object needs comes first; what the user says comes last.
ALL_CPPFLAGS = -D_GNU_SOURCE -DPORTFENCE_VERSION='"$(VERSION)"' \
	-DPORTFENCE_LIBDIR='"$(LIBDIR)"' $(CPPFLAGS)
ALL_CFLAGS = -std=gnu11 $(WARNINGS) -fPIC -fvisibility=hidden $(SANITIZE) $(CFLAGS)
ALL_LDFLAGS = -Wl,-z,defs,-z,relro,-z,now,--as-needed $(SANITIZE) $(LDFLAGS)

CORE := addr arena assign conf cursor diag engine_bind engine_kernel fd handover log logline order \
	policy preset range sctp settings siphash source
SHIM := around descriptor environ gate hooks hooks_descriptor hooks_exec hooks_option memory pass \
	real shim
CLI := array audit birth busy caller check choice complete env fenced filter findings globs library \
	look main option origin parts pin ports presets processes run say sections sockets status strip \
	suggest supervise target trap usage verdict watch which
UNIT := conf handover logline order origin policy range siphash strip
UNIT_CLI := array origin sockets strip
PROBES := counted disturbed fresh load matrix odd race raw rewrite sctp settled spawn without
SOAK := operations soak worker
PAGES := libportfence.8 portfence.1 portfence.ini.5
EXAMPLES := Dockerfile github-actions.yml kubernetes-pod.yaml systemd-drop-in.conf

CORE_OBJECTS := $(CORE:%=$(BUILD)/core/%.o)
SHIM_OBJECTS := $(SHIM:%=$(BUILD)/shim/%.o)
CLI_OBJECTS := $(CLI:%=$(BUILD)/cli/%.o)
PLATFORM := $(sort $(patsubst test/platform/%.c,$(BUILD)/test/platform/%,$(wildcard test/platform/*.c)))
UNIT_PROGRAMS := $(UNIT:%=$(BUILD)/test/unit/%)
UNIT_OBJECTS := $(CORE_OBJECTS) $(UNIT_CLI:%=$(BUILD)/cli/%.o)
PROBE_PROGRAMS := $(PROBES:%=$(BUILD)/test/probes/%)
PAGE_FILES := $(PAGES:%=$(BUILD)/man/%)

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-8s %s\n'
endif

.DELETE_ON_ERROR:
.PHONY: FORCE all demo test check soak asan lint format install uninstall deb dist clean help \
	test-programs

all: $(BUILD)/libportfence.so $(BUILD)/portfence $(PAGE_FILES)

$(BUILD)/libportfence.so: $(CORE_OBJECTS) $(SHIM_OBJECTS) src/shim/libportfence.map
	$(say) LINK $@
	$(Q)$(CC) -shared -o $@ $(CORE_OBJECTS) $(SHIM_OBJECTS) $(INIH) -ldl \
		-Wl,--version-script=src/shim/libportfence.map,--exclude-libs,ALL \
		-Wl,-z,noseparate-code $(ALL_LDFLAGS)

$(BUILD)/portfence: $(CORE_OBJECTS) $(CLI_OBJECTS)
	$(say) LINK $@
	$(Q)$(CC) -o $@ $(CORE_OBJECTS) $(CLI_OBJECTS) -pie -Wl,--as-needed $(INIH) $(CLI_LIBS) \
		$(ALL_LDFLAGS)

$(BUILD)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) -MMD -MP $(ALL_CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

# Command and manual name the installed library's place: `make install` may come with another one.
$(BUILD)/libdir: FORCE
	@mkdir -p $(@D)
	@echo '$(LIBDIR)' | cmp -s - $@ || echo '$(LIBDIR)' >$@

$(BUILD)/cli/library.o: $(BUILD)/libdir

# A child of vfork leaves its execve hook by exec, and what AddressSanitizer has marked on the stack
# that it shares with its parent would stay marked.
$(BUILD)/shim/hooks_exec.o: ALL_CFLAGS += $(if $(SANITIZE),-fno-sanitize=address)

-include $(CORE_OBJECTS:.o=.d) $(SHIM_OBJECTS:.o=.d) $(CLI_OBJECTS:.o=.d)

# with the paths that it is installed under, and its version
$(BUILD)/man/%: src/man/% $(BUILD)/libdir Makefile
	@mkdir -p $(@D)
	$(say) MAN $<
	$(Q)sed 's|@LIBDIR@|$(LIBDIR)|g; s|@DOCDIR@|$(DOCDIR)|g; s|@VERSION@|$(VERSION)|g' $< >$@

# ---- tests ----

PACKAGES_BUILD := gcc libc6-dev libinih-dev libjansson-dev libmnl-dev
PACKAGES_VM := busybox-static cpio debian-archive-keyring dpkg-dev libsctp1 qemu-system-x86 xz-utils
PACKAGES_DEMO := curl iproute2 python3
PACKAGES_TEST := bash-completion bats binutils busybox-static curl dnsmasq-base dpkg-dev fish git golang-go groff-base \
	inetutils-ftp iperf3 iproute2 libcap2-bin lintian mandoc musl-tools netbase \
	netcat-openbsd nodejs perl procps python3 python3-pyftpdlib python3-yaml rpcbind socat \
	strace systemd tcpdump tftp-hpa tftpd-hpa util-linux wget zsh

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

$(BUILD)/test/probes/%: test/probes/%.c Makefile
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) -D_GNU_SOURCE $(TEST_CFLAGS) -pthread -o $@ $< $(LDLIBS) $(LDFLAGS)

$(BUILD)/test/probes/sctp: LDLIBS += -lsctp

$(BUILD)/test/soak/soak: $(SOAK:%=test/soak/%.c) $(wildcard test/soak/*.h) Makefile
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) -D_GNU_SOURCE $(TEST_CFLAGS) -pthread -o $@ $(filter %.c,$^) $(LDFLAGS)

test-programs: all $(PLATFORM) $(UNIT_PROGRAMS) $(PROBE_PROGRAMS) $(BUILD)/test/soak/soak

# Packages first, in a make of its own: the rules above cannot see what is not installed yet.
demo:
	$(Q)test/lib/need $(PACKAGES_BUILD) $(PACKAGES_DEMO)
	$(Q)$(MAKE) --no-print-directory all
	$(Q)BUILD='$(BUILD)' test/demo/demo

test:
	$(Q)test/lib/need $(PACKAGES_BUILD) $(PACKAGES_TEST)
	$(Q)$(MAKE) --no-print-directory test-programs
	$(Q)$(SUDO) env BUILD='$(abspath $(BUILD))' BATS_TEST_TIMEOUT=300 bats $(BATSFLAGS) test

check: test

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

SANITIZED_TESTS := $(addprefix test/,conf.bats matrix.bats rules.bats sharing.bats unit.bats)

# The suite once more with AddressSanitizer and UndefinedBehaviorSanitizer in shim, command and
# probes. The programs under the fence are not built so, hence the two options.
asan:
	$(Q)test/lib/need $(PACKAGES_BUILD) $(PACKAGES_TEST)
	$(Q)$(MAKE) --no-print-directory BUILD='$(BUILD)/asan' CFLAGS='-O1 -g' \
		SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=all' \
		test-programs
	$(Q)$(SUDO) env BUILD='$(abspath $(BUILD))/asan' BATS_TEST_TIMEOUT=300 \
		ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 \
		bats $(BATSFLAGS) $(SANITIZED_TESTS)

# ---- speed ----

include test/bench/bench.mk

bench: all

# ---- source ----

SOURCES := $(sort $(wildcard src/*/*.[ch] test/*/*.[ch]))
SCRIPTS := .ci/run src/completion/portfence.bash src/debian/build test/bench/ways.sh test/demo/demo test/lib/need \
	test/programs/fences.bash test/soak/table
PACKAGES_LINT := clang-format clang-tidy cppcheck groff-base mandoc shellcheck

lint:
	$(Q)test/lib/need $(PACKAGES_BUILD) $(PACKAGES_LINT)
	clang-format --dry-run -Werror $(SOURCES)
	cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
		--inline-suppr -D__GNUC__ -D_GNU_SOURCE src
	clang-tidy --quiet --warnings-as-errors='*' $(wildcard src/*/*.c) -- -std=gnu11 $(ALL_CPPFLAGS)
	shellcheck -x $(SCRIPTS) test/lib/helpers.bash test/lib/hold.bash test/lib/matrix.bash
	# SC2154: variables that helpers.bash sets
	shellcheck -x -s bash -e SC2154 test/lib/root.bash $(sort $(wildcard test/*.bats))
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

# Folders of our own go too, once they are empty.
uninstall:
	$(Q)$(each_installed) echo "  REMOVE   $$to"; rm -f "$$to"; done
	$(Q)for folder in '$(DESTDIR)$(DOCDIR)/examples' '$(DESTDIR)$(DOCDIR)'; do \
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
	@echo 'make soak       run 64 threads in 500 ports for MINUTES=10, four times'
	@echo 'make asan       run them with the address and undefined-behaviour sanitizers'
	@echo 'make bench      time the fence against no fence (see BENCHFLAGS=--help)'
	@echo 'make lint       check style and for defects'
	@echo 'make format     put the sources in style'
	@echo 'make install    copy to PREFIX (/usr/local), under DESTDIR; uninstall takes it away'
	@echo 'make deb        make a Debian package in $(BUILD)/deb/'
	@echo 'make dist       make a tar file of the sources'
	@echo 'make clean      remove $(BUILD)/'
	@echo 'variables: PREFIX DESTDIR BINDIR LIBDIR DATADIR MANDIR DOCDIR BASHDIR FISHDIR ZSHDIR'
	@echo '           BUILD CC CFLAGS CPPFLAGS LDFLAGS V=1 WERROR=1'
