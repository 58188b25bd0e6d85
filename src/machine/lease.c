#include "lease.h"

#include "../core/timing.h"
#include "array.h"
#include "lease_file.h"
#include "processes.h"
#include "procfs.h"
#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ENDING_NS 5000000 /* between two tries for a port whose holder has ended */
#define ENDING_LOOKS 50

int lease_open(const struct settings *settings, bool write, struct reason *ret_why)
{
	if (settings->policy.lease_file)
		return lease_file_open_shared(settings->policy.lease_file, write, ret_why);
	return lease_file_open_own(settings, "leases", write, ret_why);
}

/* ---- taking ---- */

/* Ports that a socket is on, by how much that matters */
enum { IS_FREE, IS_WAITING, IS_USED };

static int find_used(unsigned char ret_used[LEASE_FILE_PORTS])
{
	struct sockets sockets;
	size_t i;
	int rc = sockets_read(0, &sockets);

	memset(ret_used, IS_FREE, LEASE_FILE_PORTS);
	for (i = 0; !rc && i < sockets.count; i++) {
		const struct sockets_entry *entry = &sockets.entry[i];
		unsigned char *used = &ret_used[entry->local_port];

		if (entry->protocol != IPPROTO_TCP || entry->state != SOCKETS_TIME_WAIT)
			*used = IS_USED;
		else if (*used == IS_FREE)
			*used = IS_WAITING;
	}
	sockets_free(&sockets);
	return rc;
}

/* Return: the highest port from @first to @last whose IS_ value is above @allowed, 0 if there is none */
static uint32_t last_used(const unsigned char used[LEASE_FILE_PORTS], uint32_t first, uint32_t last,
			  int allowed)
{
	uint32_t port;

	for (port = last; port >= first && used[port] <= allowed; port--)
		;
	return port >= first ? port : 0;
}

/* A search for a block. */
struct search {
	int fd;
	const struct range *pool;
	uint32_t count;
	unsigned char used[LEASE_FILE_PORTS]; /* IS_ values, by port */
	int allowed;                          /* the highest IS_ value of a port in the block */
	int64_t end;                          /* when to give up */
};

/* Locks the first block that fits. Return: 0; -EADDRINUSE; another -errno */
static int lock_first(const struct search *search, uint16_t *ret_first)
{
	const struct range *pool = search->pool;
	const uint32_t count = search->count;
	struct flock lock;
	uint32_t i, first, taken;
	int rc;

	for (i = 0; i < pool->spans; i++) {
		for (first = pool->span[i].first; first + count - 1 <= pool->span[i].last;
		     first = taken + 1) {
			taken = last_used(search->used, first, first + count - 1, search->allowed);
			if (taken)
				continue;
			rc = lease_file_find_lock(search->fd, first, first + count - 1, &lock);
			if (!rc)
				rc = lease_file_lock(search->fd, F_WRLCK, first, count);
			if (!rc) {
				*ret_first = (uint16_t)first;
				return 0;
			}
			/* somebody was faster: look at the same ports again, and the kernel tells that lock */
			taken = rc == 1 ? lease_file_lock_end(&lock) : first - 1;
			if (rc != 1 && rc != -EAGAIN && rc != -EACCES)
				return rc;
			if (timing_ns(CLOCK_MONOTONIC) >= search->end)
				return -EADDRINUSE;
		}
	}
	return -EADDRINUSE;
}

/*
 * The look at the sockets comes behind the lock: what was seen before it may be the sockets of the last
 * holder. Ports on which there is a socket are passed over from then on.
 */
static int take_block(struct search *search, uint16_t *ret_first)
{
	uint16_t first = 0;
	int rc;

	while (!(rc = lock_first(search, &first))) {
		rc = find_used(search->used);
		if (!rc &&
		    !last_used(search->used, first, first + search->count - 1, search->allowed)) {
			*ret_first = first;
			return 0;
		}
		lease_file_lock(search->fd, F_UNLCK, first, search->count);
		if (rc || timing_ns(CLOCK_MONOTONIC) >= search->end)
			return rc ? rc : -EADDRINUSE;
	}
	return rc;
}

int lease_take(int fd, const struct range *pool, uint32_t count, uint16_t *ret_first)
{
	struct search *search = calloc(1, sizeof(*search));
	struct stat st;
	int rc = -EADDRINUSE;

	if (!search)
		return -ENOMEM;
	search->fd = fd;
	search->pool = pool;
	search->count = count;
	search->end = timing_ns(CLOCK_MONOTONIC) + LEASE_FILE_SEARCH_NS;
	for (search->allowed = IS_FREE; search->allowed < IS_USED; search->allowed++) {
		rc = take_block(search, ret_first);
		if (rc != -EADDRINUSE)
			break;
	}
	free(search);
	/* logind removes what a user has left in /dev/shm (logind.conf(5), RemoveIPC) */
	if (!rc && !fstat(fd, &st) && !st.st_nlink)
		rc = -ESTALE;
	return rc;
}

int lease_take_at(int fd, uint16_t first, uint32_t count)
{
	struct range *only;
	int rc;

	if (first + count > LEASE_FILE_PORTS)
		return -EADDRINUSE;
	only = calloc(1, sizeof(*only) + sizeof(only->span[0]));
	if (!only)
		return -ENOMEM;
	only->count = count;
	only->spans = 1;
	only->span[0] = (struct range_span){ first, (uint16_t)(first + count - 1), 0 };
	rc = lease_take(fd, only, count, &first);
	free(only);
	return rc;
}

/* Is the port leased, and the process gone that took the lease? The lease then ends some milliseconds later. */
static bool is_ending(int fd, uint16_t port)
{
	struct flock lock;
	struct lease told;

	return lease_file_find_lock(fd, port, port, &lock) == 1 &&
	       lease_file_read(fd, (uint32_t)lock.l_start, &told) && kill(told.pid, 0) &&
	       errno == ESRCH;
}

int lease_keep(int fd, uint16_t port)
{
	const struct timespec time = { 0, ENDING_NS };
	int rc = lease_take_at(fd, port, 1), looks;

	for (looks = 0; rc == -EADDRINUSE && looks < ENDING_LOOKS && is_ending(fd, port); looks++) {
		nanosleep(&time, NULL);
		rc = lease_take_at(fd, port, 1);
	}
	return rc;
}

/* ---- listing ---- */

int lease_publish(int fd, const struct lease *lease)
{
	return lease_file_write(fd, lease->first, lease);
}

static int compare_leases(const void *a, const void *b)
{
	const struct lease *one = a, *other = b;

	return one->first - other->first;
}

/* Is it the record of a port that a map keeps? */
static bool is_kept_port(const struct lease *lease)
{
	struct portmap map;

	return lease->first == lease->last && lease_map(lease, &map) &&
	       portmap_real(&map, lease->first) == lease->first;
}

/*
 * Without a record that fits the lock, the rest is not known. A run has one descriptor for all ports that its
 * map keeps, and the kernel makes one lock of those that are neighbours (fs/locks.c, posix_lock_inode): each has a record.
 */
static int add_lease(void *context, uint32_t first, uint32_t last)
{
	struct lease_list *list = context;
	struct lease *lease, told;

	for (; first <= last; first = lease->last + 1U) {
		lease = array_add(&list->lease, &list->count, sizeof(*lease));
		if (!lease)
			return -ENOMEM;
		if (lease_file_read(list->fd, first, &told) && told.first == first &&
		    (told.last == last || is_kept_port(&told)))
			*lease = told;
		else
			lease->last = (uint16_t)last;
		lease->first = (uint16_t)first;
	}
	return 0;
}

int lease_list_by(int fd, lease_file_found_fn *add, int (*compare)(const void *, const void *),
		  struct lease_list *ret_list)
{
	struct lease_list list = { .fd = fd };
	int rc = lease_file_walk(fd, add, &list);

	if (rc < 0) {
		free(list.lease);
		return rc;
	}
	array_sort(list.lease, list.count, sizeof(*list.lease), compare);
	*ret_list = list;
	return rc;
}

int lease_list(int fd, struct lease **ret_lease, size_t *ret_count)
{
	struct lease_list list;
	int rc = lease_list_by(fd, add_lease, compare_leases, &list);

	if (rc >= 0) {
		*ret_lease = list.lease;
		*ret_count = list.count;
	}
	return rc;
}

/* ---- text ---- */

void lease_set_map(struct lease *lease, const struct portmap *map)
{
	portmap_format(map, lease->map, sizeof(lease->map));
}

bool lease_map(const struct lease *lease, struct portmap *ret_map)
{
	struct portmap map;
	struct reason why;
	uint32_t i;

	if (portmap_parse(lease->map, &map, &why))
		return false;
	for (i = 0; i < map.count; i++)
		if (!map.entry[i].real)
			return false;
	*ret_map = map;
	return true;
}

void lease_command(char *const argv[], char ret_text[LEASE_COMMAND])
{
	size_t used = 0, i;

	*ret_text = '\0';
	for (i = 0; argv[i] && used < LEASE_COMMAND; i++)
		used += (size_t)snprintf(ret_text + used, LEASE_COMMAND - used, "%s%s",
					 i ? " " : "", argv[i]);
}

bool lease_command_of(pid_t pid, char *ret_text, size_t size)
{
	const long n = procfs_read(pid, "cmdline", ret_text, size);
	long i;

	for (i = 0; i + 1 < n; i++)
		if (!ret_text[i])
			ret_text[i] = ' ';
	return n > 0;
}

void lease_format_since(const struct lease *lease, char ret_text[LEASE_SINCE])
{
	time_t seconds = (time_t)(lease->since / 1000000000);
	struct tm tm;

	/* with a year of more than four digits, somebody has made it up */
	if (lease->since < 0 || !localtime_r(&seconds, &tm) ||
	    !strftime(ret_text, LEASE_SINCE, "%Y-%m-%d %H:%M:%S", &tm))
		strcpy(ret_text, "?");
}

void lease_format(const struct lease *lease, char ret_text[LEASE_TEXT])
{
	char user[PROCESSES_USER], since[LEASE_SINCE], pid[16] = "?";

	if (!lease->known) {
		snprintf(ret_text, LEASE_TEXT, "%d-%d, holder unknown", lease->first, lease->last);
		return;
	}
	processes_format_user(lease->uid, user);
	lease_format_since(lease, since);
	if (lease->pid)
		snprintf(pid, sizeof(pid), "%d", (int)lease->pid);
	snprintf(ret_text, LEASE_TEXT, "%d-%d%s%s%s by '%s'%s%s (pid %s, %s, since %s)",
		 lease->first, lease->last, *lease->name ? " '" : "", lease->name,
		 *lease->name ? "'" : "", lease->command, *lease->heir ? ", now " : "", lease->heir,
		 pid, user, since);
}
