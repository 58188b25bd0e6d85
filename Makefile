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

CORE := addr arena assign conf cursor diag engine_bind engine_kernel logline order policy preset \
	range settings siphash
SHIM := environ hooks hooks_exec log memory real shim
CLI := main run target
UNIT := conf logline order policy range siphash
PROBES := load matrix

CORE_OBJECTS := $(CORE:%=$(BUILD)/core/%.o)
SHIM_OBJECTS := $(SHIM:%=$(BUILD)/shim/%.o)
CLI_OBJECTS := $(CLI:%=$(BUILD)/cli/%.o)
PLATFORM := $(sort $(patsubst test/platform/%.c,$(BUILD)/test/platform/%,$(wildcard test/platform/*.c)))
UNIT_PROGRAMS := $(UNIT:%=$(BUILD)/test/unit/%)
PROBE_PROGRAMS := $(PROBES:%=$(BUILD)/test/probes/%)

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-8s %s\n'
endif

.DELETE_ON_ERROR:
.PHONY: all demo test check asan tsan lint format install uninstall dist clean help deps-build \
	deps-test test-programs

all: $(BUILD)/libportfence.so $(BUILD)/portfence

$(BUILD)/libportfence.so: $(CORE_OBJECTS) $(SHIM_OBJECTS) src/shim/libportfence.map
	$(say) LINK $@
	$(Q)$(CC) -shared -o $@ $(CORE_OBJECTS) $(SHIM_OBJECTS) $(INIH) -ldl \
		-Wl,--version-script=src/shim/libportfence.map,--exclude-libs,ALL $(ALL_LDFLAGS)

$(BUILD)/portfence: $(CORE_OBJECTS) $(CLI_OBJECTS)
	$(say) LINK $@
	$(Q)$(CC) -o $@ $(CORE_OBJECTS) $(CLI_OBJECTS) $(INIH) -pie $(ALL_LDFLAGS)

$(BUILD)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) -MMD -MP $(ALL_CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

-include $(CORE_OBJECTS:.o=.d) $(SHIM_OBJECTS:.o=.d) $(CLI_OBJECTS:.o=.d)

# ---- tests ----

PACKAGES_BUILD := gcc libc6-dev libinih-dev
PACKAGES_DEMO := curl iproute2 procps python3-minimal
PACKAGES_TEST := bats binutils busybox-static curl git inetutils-ftp iperf3 iproute2 libcap2-bin \
	netcat-openbsd nodejs perl procps python3 python3-pyftpdlib rpcbind socat strace tcpdump \
	tftp-hpa tftpd-hpa util-linux wget

TEST_CFLAGS = -std=gnu11 $(WARNINGS) $(SANITIZE) $(CFLAGS)

$(BUILD)/test/platform/%: test/platform/%.c $(wildcard test/platform/*.h) Makefile
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(TEST_CFLAGS) -o $@ $< $(LDFLAGS)

$(BUILD)/test/unit/%: test/unit/%.c test/unit/unit.h $(CORE_OBJECTS) Makefile
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) -D_GNU_SOURCE $(TEST_CFLAGS) -o $@ $< $(CORE_OBJECTS) $(INIH) $(LDFLAGS)

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
	$(Q)BUILD='$(abspath $(BUILD))' BATS_TEST_TIMEOUT=300 bats $(BATSFLAGS) test

check: test

clean:
	rm -rf $(BUILD)
