#include "state.h"

#include "fd.h"
#include "ownership.h"
#include "text.h"
#include "timing.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/random.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * A state file is either absent or whole: it is written under a temporary name and
 * then linked to its real one. So no process maps half a file, and two processes that
 * start at once agree on one file without a lock. All of it is written before that,
 * because a store into a hole of the file raises SIGBUS on a full file system.
 *
 * With a seed, the numbers must be the same in every run. So they come from a sequence
 * that belongs to the process and its forked children. `sequential` draws no numbers,
 * and continues across runs. Claims are always shared.
 *
 * A file that `run --fresh` has made serves one run alone and is marked so. There all
 * processes continue the file's own sequence, which is the same in every run.
 */

/* musl on 32-bit machines has only the call with 64-bit times */
#ifndef SYS_clock_nanosleep
#define SYS_clock_nanosleep SYS_clock_nanosleep_time64
#endif

/*
 * A busy machine may stop a process for long between its check and its connect(). If the claim has expired by
 * then, another has the tuple as well, and one of the two connects fails though other ports are free.
 */
#define CLAIM_MS 2000
/*
 * A tuple may be claimed in each of so many places. With a single one, two tuples of a range often shared it, and one
 * took it from the other while that thread was stopped.
 */
#define CLAIM_PLACES 4
#define CLAIM_FOREIGN_MS 10    /* at least one tick of the coarse clock */
#define CLAIM_TURNS_MOST 10000 /* see state_claim() */
#define CLAIM_NAPS_MOST 5000   /* longer than CLAIM_MS; see state_claim() */
#define CLAIM_NAP_NS 500000
#define CLAIM_TIME_BITS 24
#define CLAIM_TIME_MASK ((1ULL << CLAIM_TIME_BITS) - 1)

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546 /* include/uapi/linux/magic.h, since Linux 5.16 */
#endif

static bool fill_random(void *data, size_t size)
{
	/* glibc has a function for it since 2.25 */
	return syscall(SYS_getrandom, data, size, GRND_NONBLOCK) == (long)size;
}

static void fill_key(struct siphash_key *key)
{
	struct timespec now;

	if (fill_random(key, sizeof(*key)))
		return;
	/* the kernel has no entropy yet, or a filter forbids the call */
	clock_gettime(CLOCK_MONOTONIC, &now);
	key->k[0] = (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec;
	key->k[1] = (uint64_t)(uintptr_t)&now ^ (uint64_t)getpid() << 40;
}

static void seed_key(struct siphash_key *key, uint64_t seed)
{
	static const struct siphash_key fixed = { { 0x706f727466656e63ULL, 0x73656564ULL } };
	const uint64_t first[] = { seed, 0 }, second[] = { seed, 1 };

	key->k[0] = siphash(&fixed, first, sizeof(first));
	key->k[1] = siphash(&fixed, second, sizeof(second));
}

/* @repeated:	the rule whose runs are to repeat, or NULL */
static void fill_file(struct state_file *file, const struct rule *repeated)
{
	file->magic = STATE_MAGIC;
	file->version = STATE_VERSION;
	file->size = sizeof(*file);
	if (repeated) {
		seed_key(&file->sequence.key, repeated->seed);
		file->sequence.repeats = true;
	} else {
		fill_key(&file->sequence.key);
	}
}

static void *map_anonymous(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static const char hex[] = "0123456789ABCDEF";

/* The user that this process had when it was executed, which is when it opens its state. */
static uid_t user(void)
{
	return (uid_t)getauxval(AT_EUID);
}

/*
 * The state file's name. It has the user's number, because a folder that the
 * administrator named may serve several users. Letters, digits, '-', '_' and '.' stand
 * for themselves; all else, and a dot in front, is written as %XX.
 */
static void file_name(const char *application, char ret_name[NAME_MAX + 1])
{
	char *to = ret_name, *end = ret_name + NAME_MAX - sizeof("%XX.4294967295");

	for (; *application && to < end; application++) {
		unsigned char c = (unsigned char)*application;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    c == '-' || c == '_' || (c == '.' && to > ret_name)) {
			*to++ = (char)c;
			continue;
		}
		*to++ = '%';
		*to++ = hex[c >> 4];
		*to++ = hex[c & 15];
	}
	*to++ = '.';
	text_put_number(to, user(), 1);
}

void state_application(const char *name, char ret_application[NAME_MAX + 1])
{
	const char *dot = strrchr(name, '.');
	size_t used = 0;

	if (!dot || !dot[1] || dot[1 + strspn(dot + 1, "0123456789")])
		return;
	while (name < dot && used < NAME_MAX) {
		const char *high = *name == '%' && dot - name > 2 ? strchr(hex, name[1]) : NULL;
		const char *low = high ? strchr(hex, name[2]) : NULL;

		ret_application[used] = *name;
		if (low)
			ret_application[used] = (char)((high - hex) << 4 | (low - hex));
		used++;
		name += low ? 3 : 1;
	}
	ret_application[used] = '\0';
}

/*
 * In /dev/shm, because a user's logins, cron jobs, services and programs with a fresh
 * environment all find the same folder there, and it outlives a login.
 */
#define SHM "/dev/shm"
#define SHM_FOLDER SHM "/portfence-"
#define SHM_FOLDER_SIZE (sizeof(SHM_FOLDER) + TEXT_NUMBER_MAX)

/* Return: the end of the path */
static char *shm_folder(char ret_path[SHM_FOLDER_SIZE])
{
	return text_put_number(stpcpy(ret_path, SHM_FOLDER), user(), 1);
}

/* Opens a folder of the user's own, and with @make makes it where it is not there. Return: descriptor or -errno */
static int open_own_folder(const char *path, bool make)
{
	struct stat st;
	int fd;

	if (make && mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	fd = ownership_open_own(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0700);
	if (fd < 0)
		return fd;
	if (!fd_stat(fd, &st) && st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return fd;
	fd_close(fd);
	return -EPERM;
}

/* Why does the user's own folder in /dev/shm not serve? @error: of its opening */
static enum state_shm judge_shm(const char *path, int error)
{
	int shm = fd_open(SHM, O_PATH, 0);
	bool known = shm < 0 || ownership_knows_user(shm);
	struct stat st;

	if (shm >= 0)
		fd_close(shm);
	if (!known)
		return STATE_SHM_FOREIGN;
	if (fd_stat_path(path, AT_SYMLINK_NOFOLLOW, &st))
		return STATE_SHM_NONE;
	if (st.st_uid != geteuid() || !S_ISDIR(st.st_mode) || st.st_mode & (S_IWGRP | S_IWOTH))
		return STATE_SHM_SQUATTED;
	return error == -EACCES ? STATE_SHM_CLOSED : STATE_SHM_NONE;
}

int state_folder(const char *folder, const char *runtime, enum state_shm *ret_shm)
{
	char path[PATH_MAX];
	int fd;

	if (folder)
		return ownership_open_folder(folder);
	shm_folder(path);
	fd = open_own_folder(path, false);
	*ret_shm = fd < 0 ? judge_shm(path, fd) : STATE_SHM_NONE;
	if (fd == -ENOENT && *ret_shm != STATE_SHM_FOREIGN) {
		fd = open_own_folder(path, true);
		*ret_shm = fd < 0 ? judge_shm(path, fd) : STATE_SHM_NONE;
	}
	if (fd < 0 && runtime && *runtime == '/' &&
	    snprintf(path, sizeof(path), "%s/portfence", runtime) < (int)sizeof(path))
		fd = open_own_folder(path, true);
	return fd;
}

static int write_whole(int fd, const void *data, size_t size)
{
	const char *p = data;

	while (size) {
		long n = fd_write(fd, p, size);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n ? (int)n : -ENOSPC;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

/* Makes the file under a temporary name, then links it to its real one. */
static int create_file(int folder, const char *name, const struct rule *repeated)
{
	struct state_file *file = map_anonymous(sizeof(*file));
	struct timespec now;
	char draft[64];
	int fd, rc;

	if (file == MAP_FAILED)
		return -errno;
	fill_file(file, repeated);
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(draft, sizeof(draft), ".%u.%lx%09lx", (unsigned)getpid(), (long)now.tv_sec,
		 now.tv_nsec);
	fd = ownership_make_file(folder, draft, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (fd < 0) {
		rc = fd;
		goto unmap;
	}
	rc = write_whole(fd, file, sizeof(*file));
	fd_close(fd);
	if (!rc && linkat(folder, draft, folder, name, 0) && errno != EEXIST)
		rc = -errno;
	unlinkat(folder, draft, 0);
unmap:
	munmap(file, sizeof(*file));
	return rc;
}

int state_make(int folder, const struct rule *rule)
{
	char name[NAME_MAX + 1];

	file_name(rule->name, name);
	return create_file(folder, name, rule);
}

/* O_NONBLOCK: another user may have put a FIFO there */
#define FILE_FLAGS (O_RDWR | O_NOFOLLOW | O_NONBLOCK)

static int open_file(int folder, const char *name)
{
	return ownership_open_own(folder, name, FILE_FLAGS, 0600);
}

static bool is_state_file(int fd)
{
	off_t size;

	return ownership_is_private(fd, user(), &size) && size == (off_t)sizeof(struct state_file);
}

/* Was the file made by an older version of portfence, for this user? */
static bool is_older(int fd)
{
	struct {
		uint64_t magic;
		uint32_t version;
	} head;
	off_t size;

	return ownership_is_private(fd, user(), &size) &&
	       fd_read_all(fd, &head, sizeof(head)) == (long)sizeof(head) &&
	       head.magic == STATE_MAGIC && head.version < STATE_VERSION;
}

/*
 * Opens the file where it nearly always is. Its folder is not checked, because is_state_file() checks the file: in
 * a folder of another's, that one could at most put another state file of this user's in its place.
 */
static int open_usual(const char *folder, const char *name)
{
	char path[PATH_MAX + 1 + NAME_MAX], *end;

	if (folder && strlen(folder) >= PATH_MAX)
		return -ENAMETOOLONG;
	end = folder ? stpcpy(path, folder) : shm_folder(path);
	stpcpy(stpcpy(end, "/"), name);
	return fd_open(path, FILE_FLAGS, 0);
}

/*
 * Puts a new file in the place of an older version's, whose descriptor @older it closes. Processes of that version
 * keep what they have mapped. Several of ours may come here at once, so each waits for the one before, and looks
 * again. Return: descriptor or -errno
 */
static int replace_older(int directory, const char *name, int older)
{
	int fd;

	syscall(SYS_flock, older, LOCK_EX);
	fd = open_file(directory, name);
	if (fd >= 0 && is_older(fd)) {
		unlinkat(directory, name, 0);
		fd_close(fd);
		fd = -ENOENT;
	}
	if (fd == -ENOENT && !create_file(directory, name, NULL))
		fd = open_file(directory, name);
	fd_close(older);
	return fd;
}

#define NOT_USED(why) "the state file is not used, " why "; ports are chosen without it"
#define ELSEWHERE(why) "the state is in XDG_RUNTIME_DIR, as " why "; remove that one"
#define SQUATTED "its folder in /dev/shm is not this user's alone"
#define CLOSED "the mode of its folder in /dev/shm keeps this user out"

static const char *const not_used[] = {
	[STATE_SHM_NONE] = NOT_USED("its folder cannot be used"),
	[STATE_SHM_FOREIGN] = NOT_USED("/dev/shm belongs to another user namespace"),
	[STATE_SHM_SQUATTED] = NOT_USED(SQUATTED),
	[STATE_SHM_CLOSED] = NOT_USED(CLOSED),
};

static const char *const elsewhere[] = {
	[STATE_SHM_NONE] = NULL,
	[STATE_SHM_FOREIGN] = NULL,
	[STATE_SHM_SQUATTED] = ELSEWHERE(SQUATTED),
	[STATE_SHM_CLOSED] = ELSEWHERE(CLOSED),
};

/*
 * As state_find(). @guess: open it where it nearly always is, even if it may turn out to be of an older version
 */
static int find_file(const char *folder, const char *runtime, const char *application, bool guess,
		     const char **ret_warning)
{
	enum state_shm shm = STATE_SHM_NONE;
	char name[NAME_MAX + 1];
	int directory, fd;

	file_name(application, name);
	fd = guess ? open_usual(folder, name) : -ENOENT;
	*ret_warning = NULL;
	if (fd >= 0 && is_state_file(fd))
		return fd;
	if (fd >= 0)
		fd_close(fd);
	directory = state_folder(folder, runtime, &shm);
	if (directory < 0) {
		*ret_warning = not_used[shm];
		return directory;
	}
	*ret_warning = NOT_USED("it cannot be opened");
	fd = open_file(directory, name);
	if (fd >= 0 && is_older(fd))
		fd = replace_older(directory, name, fd);
	else if (fd == -ENOENT && ownership_knows_user(directory) &&
		 !create_file(directory, name, NULL))
		fd = open_file(directory, name);
	fd_close(directory);
	if (fd < 0)
		return fd;
	if (is_state_file(fd)) {
		*ret_warning = elsewhere[shm];
		return fd;
	}
	*ret_warning = NOT_USED("it is damaged, or of another version or user");
	fd_close(fd);
	return -EPERM;
}

/* The beginning of a state file */
struct state_head {
	uint64_t magic;
	uint32_t version;
	uint32_t size;
	uint64_t told;
	struct siphash_key key;
	uint64_t draws;
	uint32_t next[PROTO_COUNT];
	uint32_t repeats;
};

_Static_assert(sizeof(struct state_head) == offsetof(struct state_file, sequence) +
						    offsetof(struct state_sequence, table),
	       "it has no padding");

/*
 * @foreign: somebody else has opened it, and may cut it. Then the mapping is not looked at: whoever serves others
 * has to know the mapping's place before it can survive that.
 *
 * Return: the mapping, or NULL if it is no state file
 */
static struct state_file *map_file(int fd, bool foreign, struct state_head *ret_head)
{
	struct state_file *file;

	/* an offset of 0, however it is passed */
	if (foreign && syscall(SYS_pread64, fd, ret_head, sizeof(*ret_head), 0L, 0L, 0L) !=
			       (long)sizeof(*ret_head))
		return NULL;
	file = mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED)
		return NULL;
	if (!foreign)
		memcpy(ret_head, file, sizeof(*ret_head));
	if (ret_head->magic == STATE_MAGIC && ret_head->version == STATE_VERSION &&
	    ret_head->size == sizeof(*file))
		return file;
	munmap(file, sizeof(*file));
	return NULL;
}

/* Was the file made with this rule's seed? A run inside the run may have another seed. */
static bool repeats_seed(const struct state_head *head, const struct rule *rule)
{
	struct siphash_key key;

	if (!head->repeats || !rule->seeded)
		return false;
	seed_key(&key, rule->seed);
	return !memcmp(&key, &head->key, sizeof(key));
}

int state_find(const char *folder, const char *runtime, const struct rule *rule,
	       const char **ret_warning)
{
	return find_file(folder, runtime, rule->name, false, ret_warning);
}

/*
 * Is the file of a file system that a process serves? Such a process says of a file what it likes, also whose it is,
 * and whoever touches the mapping waits for it.
 */
static bool is_served_by_process(int fd)
{
	struct statfs system;

	return fstatfs(fd, &system) || system.f_type == FUSE_SUPER_MAGIC;
}

/*
 * @foreign: as for map_file(); else find_file() has judged it already
 *
 * Return: 0; -ESTALE for a guess that is of an older version; -ENOMEM
 */
static int use_file(int fd, bool foreign, const struct rule *rule, struct state *ret_state)
{
	struct state_head head = { .magic = 0 };
	struct state state = { 0 };

	if (fd >= 0 && (!foreign || (!is_served_by_process(fd) && is_state_file(fd))))
		state.file = map_file(fd, foreign, &head);
	if (fd >= 0)
		fd_close(fd);
	if (!foreign && !state.file && head.magic == STATE_MAGIC && head.version < STATE_VERSION)
		return -ESTALE;
	if (fd >= 0 && !state.file)
		state.warning = NOT_USED("it is damaged, or of another version or user");
	if (!state.file) {
		state.file = map_anonymous(sizeof(*state.file));
		if (state.file == MAP_FAILED)
			return -ENOMEM;
		fill_file(state.file, NULL);
		head.repeats = 0;
	}
	state.sequence = &state.file->sequence;
	state.repeats = repeats_seed(&head, rule);
	if (rule->seeded && rule->order != ORDER_SEQUENTIAL && !state.repeats) {
		state.sequence = map_anonymous(sizeof(*state.sequence));
		if (state.sequence == MAP_FAILED) {
			munmap(state.file, sizeof(*state.file));
			return -ENOMEM;
		}
		seed_key(&state.sequence->key, rule->seed);
	}
	*ret_state = state;
	return 0;
}

int state_use(int fd, const struct rule *rule, struct state *ret_state)
{
	return use_file(fd, true, rule, ret_state);
}

int state_open(const char *folder, const char *runtime, const struct rule *rule,
	       struct state *ret_state)
{
	const char *warning;
	int rc = use_file(find_file(folder, runtime, rule->name, true, &warning), false, rule,
			  ret_state);

	if (rc == -ESTALE)
		rc = use_file(find_file(folder, runtime, rule->name, false, &warning), true, rule,
			      ret_state);
	if (!rc && warning)
		ret_state->warning = warning;
	return rc;
}

void state_unshare(const struct state *state)
{
	struct state_file *file = state->file ? map_anonymous(sizeof(*file)) : MAP_FAILED;

	if (file == MAP_FAILED)
		return;
	memcpy(file, state->file, sizeof(*file));
	if (syscall(SYS_mremap, file, sizeof(*file), sizeof(*file), MREMAP_MAYMOVE | MREMAP_FIXED,
		    state->file) == -1)
		munmap(file, sizeof(*file));
}

void state_close(struct state *state)
{
	if (state->sequence != &state->file->sequence)
		munmap(state->sequence, sizeof(*state->sequence));
	munmap(state->file, sizeof(*state->file));
}

/* ---- claims ---- */

/* The time of a claim: milliseconds, modulo 2^24 (4.6 hours). */
static uint64_t claim_time(void)
{
	return (uint64_t)timing_ns(CLOCK_MONOTONIC_COARSE) / 1000000 & CLAIM_TIME_MASK;
}

static bool is_live_claim(uint64_t claim, uint64_t now, uint64_t ms)
{
	return claim && ((now - claim) & CLAIM_TIME_MASK) < ms;
}

/* A claim is its tag and its time; this bit of the tag is always set, as 0 is a free slot. */
static uint64_t claim_value(uint64_t tag)
{
	return tag | 1ULL << CLAIM_TIME_BITS;
}

static bool same_tag(uint64_t a, uint64_t b)
{
	return a >> CLAIM_TIME_BITS == b >> CLAIM_TIME_BITS;
}

/* A bare system call, as nanosleep() is a cancellation point. */
static void nap_for_claim(void)
{
	const struct timespec rest = { 0, CLAIM_NAP_NS };

	syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &rest, NULL);
}

static bool is_own_claim(const struct state *state, uint64_t tag)
{
	unsigned i;

	for (i = 0; state->own_claims && i < state->own_claims->count; i++)
		if (same_tag(claim_value(state->own_claims->tag[i]), tag))
			return true;
	return false;
}

/* The first of the places in which a tuple may be claimed */
static _Atomic uint64_t *claim_places(const struct state *state, uint64_t tag)
{
	return &state->file->claim[tag % (STATE_CLAIMS / CLAIM_PLACES) * CLAIM_PLACES];
}

/* What the places of a tuple held, and then the time: so no claim is newer than @now. */
struct claims_seen {
	uint64_t claim[CLAIM_PLACES];
	uint64_t now;
};

static struct claims_seen look_at_claims(_Atomic uint64_t *places)
{
	struct claims_seen seen;
	int i;

	for (i = 0; i < CLAIM_PLACES; i++)
		seen.claim[i] = atomic_load(&places[i]);
	seen.now = claim_time();
	return seen;
}

/* Is the tuple claimed in another place than @but? */
static bool is_claimed(const struct claims_seen *seen, uint64_t tag, int but)
{
	int i;

	for (i = 0; i < CLAIM_PLACES; i++)
		if (i != but && same_tag(seen->claim[i], tag) &&
		    is_live_claim(seen->claim[i], seen->now, CLAIM_MS))
			return true;
	return false;
}

/* How much would be lost with a claim? */
enum { CLAIM_OVER, CLAIM_OWN, CLAIM_OLD, CLAIM_NEEDED };

static int worth_of(const struct state *state, uint64_t claim, uint64_t now)
{
	if (!is_live_claim(claim, now, CLAIM_MS))
		return CLAIM_OVER;
	/* it stays valid without its place, and no thread that waits for us could release it */
	if (is_own_claim(state, claim))
		return CLAIM_OWN;
	/* a claim is needed for some microseconds, but it is held while a connect() blocks */
	return is_live_claim(claim, now, CLAIM_FOREIGN_MS) ? CLAIM_NEEDED : CLAIM_OLD;
}

/* Finds the place that is worth least. Return: its worth */
static int choose_place(const struct state *state, const struct claims_seen *seen, int *ret_place)
{
	int i, worth, least = CLAIM_NEEDED;

	*ret_place = 0;
	for (i = 0; i < CLAIM_PLACES; i++) {
		worth = worth_of(state, seen->claim[i], seen->now);
		if (worth >= least)
			continue;
		least = worth;
		*ret_place = i;
	}
	return least;
}

/*
 * Puts a claim into a place if that still holds what was seen there. Two callers may claim one tuple at the same
 * moment, in different places. So each looks at the other places once its claim stands, and takes it back if it sees
 * the other's. The later of the two always sees it.
 *
 * Return: has the caller the claim? If not, it looks again.
 */
static bool put_claim(_Atomic uint64_t *places, const struct claims_seen *seen, int place,
		      uint64_t tag)
{
	uint64_t mine = tag | seen->now, old = seen->claim[place];
	struct claims_seen then;

	if (!atomic_compare_exchange_strong(&places[place], &old, mine))
		return false;
	then = look_at_claims(places);
	if (!is_claimed(&then, tag, place))
		return true;
	atomic_compare_exchange_strong(&places[place], &mine, 0);
	return false;
}

int state_claim(const struct state *state, uint64_t tag)
{
	_Atomic uint64_t *places = claim_places(state, tag);
	unsigned turns = 0, naps = 0;
	int place;

	tag = claim_value(tag) & ~CLAIM_TIME_MASK;
	if (is_own_claim(state, tag))
		return -EBUSY;
	for (;;) {
		const struct claims_seen seen = look_at_claims(places);

		if (is_claimed(&seen, tag, -1)) {
			/* after so many naps, the clock is standing still: see below */
			if (!state->repeats || naps++ == CLAIM_NAPS_MOST)
				return -EBUSY;
			nap_for_claim();
		} else if (choose_place(state, &seen, &place) != CLAIM_NEEDED) {
			if (put_claim(places, &seen, place, tag))
				return 0;
		} else if (turns++ < CLAIM_TURNS_MOST) {
			/*
			 * Other tuples happen to have all the places. We wait for one: to go on to
			 * the next port would call a free port used.
			 */
			sched_yield();
		} else {
			/*
			 * No place ever comes free: a library makes the clock stand still
			 * (libfaketime), or a process writes nonsense to the file.
			 */
			atomic_store(&places[place], tag | seen.now);
			return 0;
		}
	}
}

/* Replaces the claim on a tuple, if it is still there. A process that was killed may have left one of the same tuple. */
static void replace_claim(const struct state *state, uint64_t tag, uint64_t by)
{
	_Atomic uint64_t *places = claim_places(state, tag);
	uint64_t old;
	int i;

	for (i = 0; i < CLAIM_PLACES; i++) {
		old = atomic_load(&places[i]);
		if (same_tag(old, claim_value(tag)))
			atomic_compare_exchange_strong(&places[i], &old, by);
	}
}

void state_renew(const struct state *state, uint64_t tag)
{
	replace_claim(state, tag, (claim_value(tag) & ~CLAIM_TIME_MASK) | claim_time());
}

void state_release(const struct state *state, uint64_t tag)
{
	replace_claim(state, tag, 0);
}

static struct state_peer *peer_slot(const struct state *state, uint64_t tag)
{
	return &state->file->peer[tag % STATE_PEERS];
}

struct state_hints *state_peer(const struct state *state, uint64_t tag)
{
	struct state_peer *peer = peer_slot(state, tag);

	return atomic_load_explicit(&peer->tag, memory_order_relaxed) == tag ? &peer->hints : NULL;
}

struct state_hints *state_take_peer(const struct state *state, uint64_t tag)
{
	struct state_peer *peer = peer_slot(state, tag);
	size_t i;

	/* two callers that take it at once may see wrong hints, which do no harm */
	if (atomic_exchange_explicit(&peer->tag, tag, memory_order_relaxed) != tag)
		for (i = 0; i < sizeof(peer->hints.bit) / sizeof(peer->hints.bit[0]); i++)
			atomic_store_explicit(&peer->hints.bit[i], 0, memory_order_relaxed);
	return &peer->hints;
}

bool state_hint(const struct state_hints *hints, uint16_t port)
{
	return atomic_load_explicit(&hints->bit[port / 64], memory_order_relaxed) >> port % 64 & 1;
}

void state_set_hint(struct state_hints *hints, uint16_t port)
{
	/* most bits are set already, and a word that is not written stays in every processor's cache */
	if (!state_hint(hints, port))
		atomic_fetch_or_explicit(&hints->bit[port / 64], 1ULL << port % 64,
					 memory_order_relaxed);
}

void state_clear_hints(struct state_hints *hints, uint16_t port)
{
	atomic_store_explicit(&hints->bit[port / 64], 0, memory_order_relaxed);
}
