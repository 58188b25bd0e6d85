# bench: times the fence against no fence. The root's Makefile includes it and adds `bench bench-real: all`;
# alone, after `make`:
#   make -f test/bench/bench.mk bench BENCHFLAGS='--quick rows'
# BENCHFLAGS: see `build/test/bench/bench --help`.
BUILD ?= build
CC ?= cc
CFLAGS ?= -O2 -g

BENCH_DRIVER := bench calls curves dear leases measure report scene subject supervised views
BENCH_WORKER := worker holder rows server
BENCH_SHIMS := floor least lean
BENCH_PROGRAMS := $(BUILD)/test/bench/bench $(BUILD)/test/bench/ways $(BUILD)/test/bench/worker \
	$(BUILD)/test/bench/launch $(BUILD)/test/bench/sandbox \
	$(BENCH_SHIMS:%=$(BUILD)/test/bench/%.so)
BENCH_CFLAGS = -D_GNU_SOURCE -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wformat=2 $(CPPFLAGS) $(CFLAGS)

ROUNDS ?= 5

.PHONY: bench bench-programs bench-real

bench-programs: $(BENCH_PROGRAMS)

$(BUILD)/test/bench/bench: $(BENCH_DRIVER:%=test/bench/%.c) $(wildcard test/bench/*.h)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BENCH_CFLAGS) -o $@ $(filter %.c,$^) $(LDFLAGS)

$(BUILD)/test/bench/worker: $(BENCH_WORKER:%=test/bench/%.c) $(wildcard test/bench/*.h)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BENCH_CFLAGS) -pthread -o $@ $(filter %.c,$^) $(LDFLAGS)

$(BUILD)/test/bench/launch $(BUILD)/test/bench/cputime: $(BUILD)/test/bench/%: test/bench/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(BENCH_CFLAGS) -o $@ $< $(LDFLAGS)

$(BUILD)/test/bench/sandbox: test/probes/sandbox.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(BENCH_CFLAGS) -o $@ $< $(LDFLAGS)

# apart from `bench`: see ways.sh
$(BUILD)/test/bench/ways: test/bench/ways.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(BENCH_CFLAGS) -pthread -o $@ $< $(LDFLAGS)

# Linked as libportfence.so is, relocated at once; lean is the least that ld.so can be given.
$(BUILD)/test/bench/lean.so: BENCH_LEAN := -nostdlib -Wl,-z,noseparate-code
$(BUILD)/test/bench/%.so: test/bench/%.c test/bench/place.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -Wmissing-prototypes,$(BENCH_CFLAGS)) -fPIC -shared -o $@ $< \
		-Wl,-z,relro,-z,now,--as-needed -s $(BENCH_LEAN) $(LDFLAGS)

# whole programs, those of them that are installed: see programs.sh
bench-real: $(BUILD)/test/bench/cputime
	$(Q)BUILD='$(BUILD)' unshare -n test/bench/programs.sh $(PROGRAMSFLAGS) $(ROUNDS)

bench: bench-programs
	$(Q)BUILD='$(BUILD)' $(BUILD)/test/bench/bench $(BENCHFLAGS)
