# Style and defects; the root's Makefile includes this.

.PHONY: lint format

SOURCES := $(sort $(wildcard src/*/*.[ch] test/*/*.[ch]))
SCRIPTS := .ci/run src/completion/portfence.bash src/debian/build src/packaging/musl-libraries test/bench/programs.sh \
	test/bench/ways.sh test/demo/demo \
	test/faults/table test/under-load \
	test/portlease/die_soon test/portlease/leased_server test/lib/inih test/lib/need test/lib/suite test/lib/unpack test/fuzz/run \
	test/programs/fences.bash test/programs/ways.bash test/soak/table \
	$(addprefix test/vm/,all boot fetch)
PACKAGES_LINT := clang-format clang-tidy cppcheck groff-base mandoc nix-bin rpmlint shellcheck

lint:
	$(Q)test/lib/need 'make $@' $(PACKAGES_BUILD) $(PACKAGES_LINT)
	clang-format --dry-run -Werror $(SOURCES)
	# ctuuninitvar: cppcheck takes what a called function writes (ret_x) for something that it reads
	cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
		--inline-suppr --suppress=ctuuninitvar -D__GNUC__ -D_GNU_SOURCE '-DElfW(x)=Elf64_##x' src
	clang-tidy --quiet --warnings-as-errors='*' $(wildcard src/*/*.c) -- -std=gnu11 $(ALL_CPPFLAGS)
	shellcheck -x $(SCRIPTS) $(filter-out test/lib/root.bash,$(wildcard test/lib/*.bash))
	# SC1091: /vm/tap.sh, as it is in the virtual machine
	shellcheck -s sh -e SC1091 $(sort $(wildcard test/vm/guest/*.sh)) test/vm/guest/init
	# SC2154: variables that helpers.bash sets
	shellcheck -x -s bash -e SC2154 test/lib/root.bash $(sort $(wildcard test/*.bats))
	# SC2034, SC2154: variables that the recipe's system reads or sets
	shellcheck -s sh -e SC2034,SC2154 src/packaging/APKBUILD
	shellcheck -s bash -e SC2034,SC2154 src/packaging/PKGBUILD
	rpmlint src/packaging/portfence.spec
	nix-instantiate --parse src/packaging/default.nix >/dev/null
	cd conf/examples/testing && shellcheck -x -s sh *.sh portlease.bash && shellcheck leases.bats
	mandoc -T lint -W warning $(PAGES:%=src/man/%)
	! groff -ww -t -man -Tutf8 -z $(PAGES:%=src/man/%) 2>&1 | grep .

format:
	clang-format -i $(SOURCES)
