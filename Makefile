# portfence: keeps unmodified programs within a source-port range of their own.
#
# `make help` lists the targets. Variables: PREFIX, DESTDIR, BINDIR, LIBDIR,
# CC, CFLAGS, CPPFLAGS, LDFLAGS, BUILD (where everything is made), V=1 (show
# commands), WERROR=1 (warnings are errors).

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
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

CORE := addr arena assign conf cursor diag engine_bind engine_kernel fd logline order policy preset \
	range settings siphash
SHIM := environ hooks hooks_exec log memory real shim
CLI := array audit fenced library look main option origin pin processes run say sections sockets \
	status strip suggest target usage verdict watch
UNIT := conf logline order origin policy range siphash strip
UNIT_CLI := array origin sockets strip
PROBES := load matrix odd spawn without

CORE_OBJECTS := $(CORE:%=$(BUILD)/core/%.o)
SHIM_OBJECTS := $(SHIM:%=$(BUILD)/shim/%.o)
CLI_OBJECTS := $(CLI:%=$(BUILD)/cli/%.o)
PLATFORM := $(sort $(patsubst test/platform/%.c,$(BUILD)/test/platform/%,$(wildcard test/platform/*.c)))
UNIT_PROGRAMS := $(UNIT:%=$(BUILD)/test/unit/%)
UNIT_OBJECTS := $(CORE_OBJECTS) $(UNIT_CLI:%=$(BUILD)/cli/%.o)
PROBE_PROGRAMS := $(PROBES:%=$(BUILD)/test/probes/%)

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-8s %s\n'
endif

.DELETE_ON_ERROR:
.PHONY: all demo test check asan lint format install uninstall dist clean help test-programs

all: $(BUILD)/libportfence.so $(BUILD)/portfence

$(BUILD)/libportfence.so: $(CORE_OBJECTS) $(SHIM_OBJECTS) src/shim/libportfence.map
	$(say) LINK $@
	$(Q)$(CC) -shared -o $@ $(CORE_OBJECTS) $(SHIM_OBJECTS) $(INIH) -ldl \
		-Wl,--version-script=src/shim/libportfence.map,--exclude-libs,ALL $(ALL_LDFLAGS)

$(BUILD)/portfence: $(CORE_OBJECTS) $(CLI_OBJECTS)
	$(say) LINK $@
	$(Q)$(CC) -o $@ $(CORE_OBJECTS) $(CLI_OBJECTS) -pie -Wl,--as-needed $(INIH) $(CLI_LIBS) \
		$(ALL_LDFLAGS)

$(BUILD)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) -MMD -MP $(ALL_CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

# A child of vfork leaves its execve hook by exec, and what AddressSanitizer has marked on the stack
# that it shares with its parent would stay marked.
$(BUILD)/shim/hooks_exec.o: ALL_CFLAGS += $(if $(SANITIZE),-fno-sanitize=address)

-include $(CORE_OBJECTS:.o=.d) $(SHIM_OBJECTS:.o=.d) $(CLI_OBJECTS:.o=.d)

# ---- tests ----

PACKAGES_BUILD := gcc libc6-dev libinih-dev libjansson-dev libmnl-dev
PACKAGES_DEMO := curl iproute2 python3
PACKAGES_TEST := bats binutils busybox-static curl git inetutils-ftp iperf3 iproute2 libcap2-bin \
	netcat-openbsd nodejs perl procps python3 python3-pyftpdlib rpcbind socat strace tcpdump \
	tftp-hpa tftpd-hpa util-linux wget

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
	$(Q)$(CC) -D_GNU_SOURCE $(TEST_CFLAGS) -pthread -o $@ $< $(LDFLAGS)

test-programs: all $(PLATFORM) $(UNIT_PROGRAMS) $(PROBE_PROGRAMS)

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
SCRIPTS := .ci/run test/demo/demo test/lib/need test/programs/fences.bash
PACKAGES_LINT := clang-format clang-tidy cppcheck shellcheck

lint:
	$(Q)test/lib/need $(PACKAGES_BUILD) $(PACKAGES_LINT)
	clang-format --dry-run -Werror $(SOURCES)
	cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
		--inline-suppr -D__GNUC__ -D_GNU_SOURCE src
	clang-tidy --quiet --warnings-as-errors='*' $(wildcard src/*/*.c) -- -std=gnu11 $(ALL_CPPFLAGS)
	shellcheck -x $(SCRIPTS) test/lib/helpers.bash test/lib/hold.bash
	# SC2154: variables that helpers.bash sets
	shellcheck -x -s bash -e SC2154 $(sort $(wildcard test/*.bats))

format:
	clang-format -i $(SOURCES)

# ---- installation ----

INSTALLED := $(BINDIR)/portfence $(LIBDIR)/libportfence.so

install: all
	install -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(LIBDIR)'
	install -m 755 $(BUILD)/portfence '$(DESTDIR)$(BINDIR)/portfence'
	install -m 644 $(BUILD)/libportfence.so '$(DESTDIR)$(LIBDIR)/libportfence.so'

uninstall:
	rm -f $(INSTALLED:%='$(DESTDIR)%')

dist:
	git archive --prefix=portfence-$(VERSION)/ -o portfence-$(VERSION).tar.gz HEAD

clean:
	rm -rf $(BUILD)

help:
	@echo 'make            build libportfence.so and portfence in $(BUILD)/'
	@echo 'make demo       see curl talk from a range of its own (installs what is missing)'
	@echo 'make test       run the tests, as root (installs what is missing); also: check'
	@echo 'make asan       run them with the address and undefined-behaviour sanitizers'
	@echo 'make bench      time the fence against no fence (see BENCHFLAGS=--help)'
	@echo 'make lint       check style and for defects'
	@echo 'make format     put the sources in style'
	@echo 'make install    copy to PREFIX (/usr/local), under DESTDIR; uninstall takes it away'
	@echo 'make dist       make a tar file of the sources'
	@echo 'make clean      remove $(BUILD)/'
	@echo 'variables: PREFIX DESTDIR BINDIR LIBDIR BUILD CC CFLAGS CPPFLAGS LDFLAGS V=1 WERROR=1'
