/*
 * lease: whatever another user has written to a shared lease file, and however the locks lie, each
 * lease is listed once, in order, and its words can be shown. Input: how the locks lie, each with
 * its record.
 */
#include "../../src/machine/lease.h"

#include "../../src/core/text.h"
#include "fuzz.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOCKS_MOST 16
#define RECORDS 65536 /* where the records begin */
#define RECORD (LEASE_FILE_END / RECORDS - 1)

static struct {
	uint16_t first, last;
} locks[LOCKS_MOST];

static unsigned count;

int __wrap_fcntl64(int fd, int command, ...);
int __real_fcntl64(int fd, int command, ...);

/* Tells one of the locks in the way, as the kernel does. */
int __wrap_fcntl64(int fd, int command, ...)
{
	struct flock *lock;
	va_list list;
	unsigned i;

	va_start(list, command);
	lock = va_arg(list, struct flock *);
	va_end(list);
	if (command != F_OFD_GETLK)
		return __real_fcntl64(fd, command, lock);
	for (i = count; i-- > 0;) {
		if (locks[i].last < lock->l_start ||
		    locks[i].first > lock->l_start + lock->l_len - 1)
			continue;
		lock->l_start = locks[i].first;
		lock->l_len = locks[i].last == 65535 ? 0 : locks[i].last - locks[i].first + 1;
		return 0;
	}
	lock->l_type = F_UNLCK;
	return 0;
}

static void check_text(const char *text, size_t size)
{
	json_t *string;

	CLAIM(strnlen(text, size) < size);
	CLAIM(!text_has_control(text));
	string = json_string(text);
	CLAIM(string != NULL);
	json_decref(string);
}

static void check_lease(const struct lease *lease)
{
	char text[LEASE_TEXT], since[LEASE_SINCE];
	struct portmap map;

	CLAIM(lease->first >= 1 && lease->first <= lease->last);
	lease_format(lease, text);
	lease_format_since(lease, since);
	check_text(text, sizeof(text));
	if (!lease->known)
		return;
	check_text(lease->application, sizeof(lease->application));
	check_text(lease->command, sizeof(lease->command));
	check_text(lease->map, sizeof(lease->map));
	lease_map(lease, &map);
}

/* Puts one lock, and a record of any bytes, which mostly fits it: see struct holding in lease_file.c. */
static void put_lock(struct fuzz *fuzz, int file, unsigned i)
{
	static const uint32_t version = 4;
	uint8_t record[RECORD];

	locks[i].first = fuzz_word(fuzz);
	locks[i].last = fuzz_word(fuzz);
	if (locks[i].first > locks[i].last)
		locks[i].last = locks[i].first;
	fuzz_bytes(fuzz, record, sizeof(record));
	if (fuzz_byte(fuzz) < 200) {
		memcpy(record, &version, sizeof(version));
		memcpy(record + 12, &locks[i].first, 2);
		memcpy(record + 14, &locks[i].last, 2);
		record[11] &= 0x7f;
		record[8] |= 1;
	}
	if (pwrite(file, record, sizeof(record), RECORDS + (off_t)locks[i].first * RECORD) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int file;
	struct fuzz fuzz = { data, data + size };
	struct lease *list = NULL;
	size_t leases = 0, i;
	unsigned k;

	if (!file)
		file = memfd_create("leases", MFD_CLOEXEC);
	if (ftruncate(file, 0))
		abort();
	count = fuzz_byte(&fuzz) % LOCKS_MOST;
	for (k = 0; k < count; k++)
		put_lock(&fuzz, file, k);
	CLAIM(lease_list(file, &list, &leases) >= 0);
	for (i = 0; i < leases; i++) {
		check_lease(&list[i]);
		CLAIM(!i || list[i].first > list[i - 1].last);
	}
	free(list);
	return 0;
}
