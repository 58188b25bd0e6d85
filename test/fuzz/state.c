/*
 * state: a state file of any bytes is refused or mapped. If it is mapped, each candidate lies in the
 * range, and no call waits longer than a claim lasts.
 *
 * Input: what is wrong with the file's size, what it is filled with, patches (where, and eight
 * bytes), and then operations, each with a number.
 */
#include "../../src/core/state.h"

#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PORTS 1000
#define PATCHES_MOST 16

enum { CLAIM_TAKE, CLAIM_GIVE_BACK, PEER, WALK, OPERATIONS };

static int file_fd = -1;
static struct state_file *file;
static uint64_t clock_ms, clock_readings;

int __wrap_fd_openat(int folder, const char *path, int flags, mode_t mode);
int __wrap_fd_open(const char *path, int flags, mode_t mode);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);

/* The state file, whatever it is called; folders are real. */
int __wrap_fd_openat(int folder, const char *path, int flags, mode_t mode)
{
	char own[32];
	int fd;

	snprintf(own, sizeof(own), "/proc/self/fd/%d", file_fd);
	fd = flags & (O_DIRECTORY | O_PATH) ? openat(folder, path, flags | O_CLOEXEC, mode)
					    : open(own, (flags & O_ACCMODE) | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int __wrap_fd_open(const char *path, int flags, mode_t mode)
{
	return __wrap_fd_openat(AT_FDCWD, path, flags, mode);
}

/* A clock that moves on with each reading, so that nothing waits in real time. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	(void)clock;
	clock_readings++;
	clock_ms++;
	ret_now->tv_sec = (time_t)(clock_ms / 1000);
	ret_now->tv_nsec = (long)(clock_ms % 1000) * 1000000;
	return 0;
}

static void make_file(void)
{
	file_fd = memfd_create("state", MFD_CLOEXEC);
	if (ftruncate(file_fd, sizeof(*file)) || fchmod(file_fd, 0600))
		abort();
	file = mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED, file_fd, 0);
	if (file == MAP_FAILED)
		abort();
}

/* Return: is it a valid state file? */
static bool fill_file(struct fuzz *fuzz)
{
	uint8_t wrong = fuzz_byte(fuzz), fill = fuzz_byte(fuzz), patches = fuzz_byte(fuzz);
	bool sound = wrong != 1;

	if (ftruncate(file_fd, sizeof(*file)) || fchmod(file_fd, wrong == 2 ? 0640 : 0600))
		abort();
	memset(file, fill, sizeof(*file));
	file->magic = STATE_MAGIC;
	file->version = STATE_VERSION;
	file->size = sizeof(*file);
	for (patches %= PATCHES_MOST; patches; patches--) {
		uint32_t at = fuzz_word(fuzz) * 8U % sizeof(*file);

		fuzz_bytes(fuzz, (char *)file + at, 8);
	}
	sound = wrong != 1 && wrong != 2 && file->magic == STATE_MAGIC &&
		file->version == STATE_VERSION && file->size == sizeof(*file);
	if (wrong == 1 && ftruncate(file_fd, fuzz_word(fuzz) % sizeof(*file)))
		abort();
	return sound;
}

static void claim(const struct state *state, uint64_t tag)
{
	uint64_t before = clock_readings;
	int rc = state_claim(state, tag);

	CLAIM(rc == 0 || rc == -EBUSY);
	/* another tuple's claim lasts ten milliseconds, and the clock moves on by one with each reading */
	CLAIM(clock_readings - before <= 20);
	CLAIM(state_claim(state, tag) == -EBUSY);
}

static void give_back(const struct state *state, uint64_t tag)
{
	state_release(state, tag);
	CLAIM(state_claim(state, tag) == 0);
	state_release(state, tag);
}

static void use_peer(const struct state *state, uint64_t tag)
{
	struct state_hints *hints;
	uint16_t port = (uint16_t)tag;

	state_peer(state, tag);
	hints = state_take_peer(state, tag);
	CLAIM(state_peer(state, tag) == hints);
	state_set_hint(hints, port);
	CLAIM(state_hint(hints, port));
	state_clear_hints(hints, port);
	CLAIM(!state_hint(hints, port));
}

static void walk(const struct state *state, uint64_t number)
{
	const enum order order = (enum order)(1 + number % (ORDER_COUNT - 1));
	const enum proto proto = (enum proto)(number / 8 % PROTO_COUNT);
	struct state_sequence *sequence = state->sequence;
	struct state_hints *hints = &state->file->exclusive_hints[proto];
	struct order_flow flow = { .remote_port = (uint16_t)(number >> 32) };
	struct order_walk walk;
	uint32_t index, from, steps = 0, count = 1 + (uint32_t)(number >> 16 & 0xffff) % PORTS;

	from = order == ORDER_DOUBLE_HASH
		       ? sequence->table[proto][order_table_index(&sequence->key, &flow)]++
		       : sequence->next[proto]++;
	order_start(&walk, order, count, from, sequence->draws++, &sequence->key, &flow);
	if (number & 1ULL << 40)
		order_halves(&walk, true);
	while (order_next(&walk, &index)) {
		CLAIM(index < count && ++steps <= 2 * count);
		state_hint(hints, (uint16_t)index);
	}
	sequence->next[proto] += order_advance(&walk) - 1;
}

static void work_with(const struct state *state, struct fuzz *fuzz)
{
	while (fuzz_left(fuzz)) {
		uint8_t operation = fuzz_byte(fuzz) % OPERATIONS;
		uint64_t number = fuzz_number(fuzz);

		if (operation == CLAIM_TAKE)
			claim(state, number);
		else if (operation == CLAIM_GIVE_BACK)
			give_back(state, number);
		else if (operation == PEER)
			use_peer(state, number);
		else
			walk(state, number);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { data, data + size };
	struct rule rule = { .name = "fuzz", .order = ORDER_RANDOM };
	struct state state;
	bool sound;

	if (!file)
		make_file();
	clock_ms = 1ULL << 24;
	sound = fill_file(&fuzz);
	rule.seeded = size & 1;
	rule.seed = size;
	CLAIM(state_open("/", NULL, &rule, &state) == 0);
	CLAIM(sound == !state.warning);
	CLAIM((state.sequence == &state.file->sequence) == !rule.seeded);
	work_with(&state, &fuzz);
	if (rule.seeded)
		munmap(state.sequence, sizeof(*state.sequence));
	munmap(state.file, sizeof(*state.file));
	return 0;
}
