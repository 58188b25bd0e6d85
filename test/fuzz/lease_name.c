/*
 * lease_name: whatever somebody asks to name a lease, and whatever stands in the file of names and
 * however locks come and go, a name is refused with words or taken, and what is listed can be shown.
 * Input: the name, whether each question about a lock finds one, and the file.
 */
#include "../../src/machine/lease_name.h"

#include "../../src/core/text.h"
#include "../../src/machine/sockets.h"
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ENTRIES (LEASE_FILE_END + 64)
#define ENTRY 128
#define RECORDS_AT 65536 /* where the records begin */
#define RECORD (LEASE_FILE_END / RECORDS_AT - 1)

static struct fuzz *answers;

int __wrap_fcntl64(int fd, int command, ...);
int __real_fcntl64(int fd, int command, ...);
int __wrap_fstat64(int fd, struct stat *st);
int __real_fstat64(int fd, struct stat *st);
int __wrap_sockets_read(unsigned flags, struct sockets *ret_sockets);
int __wrap_nanosleep(const struct timespec *time, struct timespec *rest);

/* Another's lock is there, or is not. Once the answers are used up, there is none. */
int __wrap_fcntl64(int fd, int command, ...)
{
	const uint8_t answer =
		command == F_OFD_GETLK || command == F_OFD_SETLK || command == F_OFD_SETLKW
			? fuzz_byte(answers)
			: 0;
	struct flock *lock;
	va_list list;

	va_start(list, command);
	lock = va_arg(list, struct flock *);
	va_end(list);
	switch (command) {
	case F_OFD_GETLK:
		if (!(answer & 1)) {
			lock->l_type = F_UNLCK;
			return 0;
		}
		lock->l_start += lock->l_len > 1 ? (answer >> 3) % lock->l_len : 0;
		lock->l_len = answer & 2 ? 0 : 1 + (answer >> 2 & 1) * 9;
		return 0;
	case F_OFD_SETLKW:
		errno = EINTR;
		return answer & 1 ? -1 : 0;
	case F_OFD_SETLK:
		errno = EAGAIN;
		return lock->l_type != F_UNLCK && answer & 1 ? -1 : 0;
	default:
		return __real_fcntl64(fd, command, lock);
	}
}

/* A file in memory has no name, and one without a name is one that was removed. */
int __wrap_fstat64(int fd, struct stat *st)
{
	int rc = __real_fstat64(fd, st);

	st->st_nlink = 1;
	return rc;
}

int __wrap_sockets_read(unsigned flags, struct sockets *ret_sockets)
{
	(void)flags;
	memset(ret_sockets, 0, sizeof(*ret_sockets));
	return 0;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *rest)
{
	(void)time;
	(void)rest;
	return 0;
}

static void check_name(const char *name)
{
	json_t *string = json_string(name);

	CLAIM(*name && strlen(name) <= LEASE_NAME_MOST);
	CLAIM(!strchr(name, '/') && !text_has_control(name));
	CLAIM(string != NULL);
	json_decref(string);
}

/* Any bytes, which mostly are an entry of the name's: see struct entry in lease_name.c. */
static void put_entries(struct fuzz *fuzz, int names, const struct stat *lease_file,
			const char *name)
{
	const uint64_t device = lease_file->st_dev, inode = lease_file->st_ino;
	static const uint32_t used = 1;
	uint8_t entry[ENTRY];
	unsigned count = fuzz_byte(fuzz) % 8, i;

	for (i = 0; i < count; i++) {
		bool fits = fuzz_byte(fuzz) < 200;

		fuzz_bytes(fuzz, entry, sizeof(entry));
		if (fits) {
			memcpy(entry, &used, sizeof(used));
			memcpy(entry + 16, &device, sizeof(device));
			memcpy(entry + 24, &inode, sizeof(inode));
			strncpy((char *)entry + 40, name, LEASE_NAME_MOST);
		}
		if (pwrite(names, entry, sizeof(entry), ENTRIES + (off_t)i * ENTRY) < 0)
			abort();
	}
}

static void put_records(struct fuzz *fuzz, int file)
{
	uint8_t record[RECORD];
	unsigned count = fuzz_byte(fuzz) % 4, i;

	for (i = 0; i < count; i++) {
		uint16_t slot = fuzz_word(fuzz);

		fuzz_bytes(fuzz, record, sizeof(record));
		if (pwrite(file, record, sizeof(record), RECORDS_AT + (off_t)slot * RECORD) < 0)
			abort();
	}
}

static void check_list(int names)
{
	struct lease *list = NULL;
	char text[LEASE_TEXT];
	size_t count = 0, i;

	if (lease_name_list(names, &list, &count) < 0)
		return;
	for (i = 0; i < count; i++) {
		CLAIM(*list[i].name && !text_has_control(list[i].name));
		lease_format(&list[i], text);
		CLAIM(!text_has_control(text));
	}
	free(list);
}

/* Takes a name, and a port for its map. */
static void check_take(struct fuzz *fuzz, int names, int leases, const char *name)
{
	const uint32_t count = fuzz_byte(fuzz) % 101;
	struct lease_named named = { .slot = 0 };
	struct lease lease = { .pid = 1 };
	static struct range *pool;
	int rc;

	if (!pool) {
		pool = calloc(1, sizeof(*pool) + sizeof(pool->span[0]));
		if (!pool)
			abort();
		pool->count = 100;
		pool->spans = 1;
		pool->span[0] = (struct range_span){ 20000, 20099, 0 };
	}
	rc = lease_name_take(names, leases, pool, count, name, &lease, &named);
	if (!rc) {
		CLAIM(lease.first && lease.first <= lease.last);
		CLAIM(count <= lease.last - lease.first + 1U);
		CLAIM(named.joined || (lease.first >= 20000 && lease.last <= 20099));
		CLAIM(!strcmp(lease.name, name));
		rc = lease_name_keep(names, leases, &named, fuzz_word(fuzz) | 1);
	}
	CLAIM(!rc || rc == -ENOENT || rc == -EADDRINUSE || rc == -EMSGSIZE || rc == -EBUSY ||
	      rc == -ENOSPC || rc == -EAGAIN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int names, leases;
	struct fuzz fuzz = { data, data + size };
	char name[LEASE_NAME_MOST + 1], *text = fuzz_text(&fuzz, '\n');
	struct reason why = { .text = "" };
	struct fuzz locks = { fuzz.at, fuzz.at };
	struct stat lease_file;

	if (!names) {
		names = memfd_create("names", MFD_CLOEXEC);
		leases = memfd_create("leases", MFD_CLOEXEC);
	}
	answers = &locks;
	if (ftruncate(names, 0) || ftruncate(leases, 0) || fstat(leases, &lease_file))
		abort();
	if (lease_name_read(text, name, &why)) {
		CLAIM(*why.text && !text_has_control(why.text));
		free(text);
		return 0;
	}
	free(text);
	check_name(name);
	locks.end += fuzz_left(&fuzz) < 64 ? fuzz_left(&fuzz) : 64;
	fuzz.at = locks.end;
	put_entries(&fuzz, names, &lease_file, name);
	put_records(&fuzz, names);
	put_records(&fuzz, leases);
	check_take(&fuzz, names, leases, name);
	locks = fuzz;
	check_list(names);
	return 0;
}
