# portfence: keeps unmodified programs within a source-port range of their own.
#
# `make help` lists the targets. Variables: PREFIX, DESTDIR, BINDIR, LIBDIR,
# MANDIR, DATADIR, DOCDIR, BASHDIR, FISHDIR, ZSHDIR (completions), CC, CFLAGS,
# CPPFLAGS, LDFLAGS, BUILD (where everything is made), V=1 (show commands),
# WERROR=1 (warnings are errors), STATIC_CC (musl's compiler) and JANSSON (its
# sources) of `make static`. test/test.mk has those of the tests.

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
CLI_LIBS ?= -ljansson

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 \
	-Wpointer-arith -Wcast-align -Wwrite-strings -Wundef -Wno-psabi
ifeq ($(WERROR),1)
WARNINGS += -Werror
endif

# What every object needs comes first; what the user says comes last. Large files and inode numbers
# are for 32-bit builds, too.
ALL_CPPFLAGS = -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DPORTFENCE_VERSION='"$(VERSION)"' \
	-DPORTFENCE_LIBDIR='"$(LIBDIR)"' $(CPPFLAGS)
# The same sources give the same files, whichever folder they are in.
ALL_CFLAGS = -std=gnu11 $(WARNINGS) -ffile-prefix-map=$(CURDIR)=. -fPIC -fvisibility=hidden $(SANITIZE) $(CFLAGS)
ALL_LDFLAGS = -Wl,-z,defs,-z,relro,-z,now,--as-needed $(SANITIZE) $(LDFLAGS)

PACKAGES_BUILD := gcc libc6-dev libinih-dev libjansson-dev

# the names of the C files in a folder, without .c
names = $(patsubst $(1)/%.c,%,$(sort $(wildcard $(1)/*.c)))

PAGES := libportfence.8 portfence.1 portfence.7 portfence.ini.5
EXAMPLES := Dockerfile ansible-role/tasks/main.yml github-actions.yml kubernetes-host-network.yaml kubernetes-pod.yaml \
	kyverno-policy.yaml nomad-client.hcl portfence-metrics.service portfence-metrics.timer prometheus-alerts.yml \
	systemd-drop-in.conf \
	$(addprefix testing/,Makefile PortLease.java leases.bats meet.sh nginx.sh portlease.bash portlease.cjs \
	portlease.d.cts portlease.go portlease.py postgresql.sh redis.sh test_leases.py)

objects = $(patsubst src/%.c,$(BUILD)/%.o,$(sort $(wildcard src/$(1)/*.c)))

CORE_OBJECTS := $(call objects,core)
SHIM_OBJECTS := $(call objects,shim)
COMMAND_OBJECTS := $(call objects,machine) $(call objects,supervisor) $(call objects,cli)
PAGE_FILES := $(PAGES:%=$(BUILD)/man/%)

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-8s %s\n'
endif

.DELETE_ON_ERROR:
.PHONY: FORCE all install install-library uninstall static deb dist clean help

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

# ---- tests, style, speed ----

include test/test.mk test/lint.mk test/bench/bench.mk

bench bench-real: all

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
	$(Q)for folder in $(foreach folder,/examples/testing /examples/ansible-role/tasks /examples/ansible-role /examples /, \
		'$(DESTDIR)$(DOCDIR)$(folder)'); do \
		[ ! -d "$$folder" ] || rmdir --ignore-fail-on-non-empty "$$folder"; done

# The command alone, without any shared library: for systems with another C library, or with none. The library
# beside it fences their dynamic programs, and has to be built for their C library.
STATIC := $(BUILD)/static
STATIC_CC ?= $(if $(findstring musl,$(shell $(CC) -dumpmachine)),$(CC),musl-gcc)

static:
	$(Q)CC='$(STATIC_CC)' src/packaging/musl-libraries '$(STATIC)/libraries'
	$(Q)$(MAKE) --no-print-directory BUILD='$(STATIC)' CC='$(STATIC_CC)' \
		CPPFLAGS='-isystem $(STATIC)/libraries/include $(CPPFLAGS)' \
		LDFLAGS='-static -no-pie -L$(STATIC)/libraries $(LDFLAGS)' '$(STATIC)/portfence'

deb:
	$(Q)test/lib/need 'make deb' $(PACKAGES_BUILD) binutils dpkg-dev
	$(Q)MAKE='$(MAKE)' src/debian/build '$(abspath $(BUILD))/deb'

dist:
	git archive --prefix=portfence-$(VERSION)/ -o portfence-$(VERSION).tar.gz HEAD

clean:
	rm -rf $(BUILD)

help:
	@echo 'make            build libportfence.so and portfence in $(BUILD)/'
	@echo 'make demo       see curl talk from a range of its own (installs what is missing)'
	@echo 'make test       run the core tests, as root, in minutes (installs what is missing); also: check'
	@echo 'make test-all   run all tests; besides, this installs servers, compilers and a virtual machine'
	@echo 'make test-rest  run what test-all has and test has not'
	@echo 'make test-vm    run the core ones on Linux 5.10, 6.1 and 6.12, in virtual machines'
	@echo 'make soak       run 64 threads in 500 ports for MINUTES=10, four times'
	@echo 'make faults     answer each call of the library with each error, some 26,000 cases'
	@echo 'make asan       run parts of them with the address and undefined-behaviour sanitizers'
	@echo 'make tsan       run parts of them with the thread sanitizer'
	@echo 'make fuzz       try random inputs on each reader for SECONDS=60 (needs clang)'
	@echo 'make bench      time the fence against no fence (see BENCHFLAGS=--help)'
	@echo 'make bench-real time whole programs so, in ROUNDS=5 rounds'
	@echo 'make lint       check style and for defects'
	@echo 'make format     put the sources in style'
	@echo 'make install    copy to PREFIX (/usr/local), under DESTDIR; uninstall takes it away'
	@echo 'make install-library  copy the library alone to LIBDIR, for programs of another word size'
	@echo 'make static     build the command without shared libraries, with musl, in $(BUILD)/static/'
	@echo 'make deb        make a Debian package in $(BUILD)/deb/'
	@echo 'make dist       make a tar file of the sources'
	@echo 'make clean      remove $(BUILD)/'
	@echo 'variables: PREFIX DESTDIR BINDIR LIBDIR DATADIR MANDIR DOCDIR BASHDIR FISHDIR ZSHDIR'
	@echo '           BUILD CC CFLAGS CPPFLAGS LDFLAGS V=1 WERROR=1'
	@echo '           of tests: BATSFLAGS JOBS KERNELS MINUTES ROUNDS SECONDS'
