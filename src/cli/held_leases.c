#include "held_leases.h"

#include "../machine/lease_holder.h"
#include "../machine/lease_name.h"
#include "say.h"
#include "section_ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A holder of the lease's name whose map keeps the lease's port; NULL if there is none */
static const struct lease *find_keeper(const struct held_leases *leases, const struct lease *lease)
{
	struct portmap map;
	size_t i;

	for (i = 0; lease->first == lease->last && i < leases->holders; i++)
		if (!strcmp(leases->holder[i].name, lease->name) &&
		    lease_map(&leases->holder[i], &map) &&
		    portmap_real(&map, lease->first) == lease->first)
			return &leases->holder[i];
	return NULL;
}

/* Tells of a lease what one of its holders has told. Its ports may be a kept one, not the holder's block. */
static void take_over(const struct lease *holder, struct lease *lease)
{
	const uint16_t first = lease->first, last = lease->last;

	*lease = *holder;
	lease->first = first;
	lease->last = last;
}

/*
 * Fills in who holds leases that have a name. Of those of other users, the lease itself tells.
 *
 * Return: as lease_list(); 0 if the names cannot be read, and a warning says so
 */
static int add_names(const struct settings *settings, struct held_leases *leases)
{
	const struct lease *first;
	struct reason why;
	int fd = lease_name_open(settings, false, &why), rc;
	size_t i;

	if (fd < 0) {
		if (fd != -ENOENT)
			say_warning(NULL, why.text);
		return 0;
	}
	rc = lease_name_list(fd, &leases->holder, &leases->holders);
	close(fd);
	if (rc < 0)
		return rc;
	lease_holder_find(leases->holder, leases->holders);
	for (i = 0; i < leases->count; i++) {
		held_leases_holders(leases, &leases->lease[i], &first);
		if (first == &leases->lease[i])
			first = *first->name ? find_keeper(leases, first) : NULL;
		if (first)
			take_over(first, &leases->lease[i]);
	}
	return rc;
}

int held_leases_read(const struct settings *settings, struct held_leases *ret_leases,
		     struct reason *ret_why)
{
	int fd = lease_open(settings, false, ret_why), rc, names;

	memset(ret_leases, 0, sizeof(*ret_leases));
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	rc = lease_list(fd, &ret_leases->lease, &ret_leases->count);
	close(fd);
	if (rc < 0)
		return reason_fail(rc, ret_why, "the leases cannot be read: %s", strerror(-rc));
	names = add_names(settings, ret_leases);
	lease_holder_find(ret_leases->lease, ret_leases->count);
	if (names < 0)
		say_warning(NULL, "the names of the leases cannot be read");
	if (rc || names > 0)
		say_warning(NULL, "there are more leases than can be listed: somebody holds "
				  "thousands of locks");
	return 0;
}

void held_leases_free(struct held_leases *leases)
{
	free(leases->lease);
	free(leases->holder);
}

static int compare_ports(const void *a, const void *b)
{
	const struct lease *one = a, *other = b;

	return one->first - other->first;
}

static bool holds(const struct lease *holder, const struct lease *lease)
{
	return holder->first == lease->first && holder->last == lease->last;
}

size_t held_leases_holders(const struct held_leases *leases, const struct lease *lease,
			   const struct lease **ret_first)
{
	const struct lease *end = leases->holder + leases->holders, *first, *last;

	*ret_first = lease;
	if (!*lease->name || !leases->holders)
		return 1;
	first = bsearch(lease, leases->holder, leases->holders, sizeof(*lease), compare_ports);
	if (!first || !holds(first, lease) || strcmp(first->name, lease->name) != 0)
		return 1;
	last = first;
	while (first > leases->holder && holds(first - 1, lease))
		first--;
	while (last < end && holds(last, lease))
		last++;
	*ret_first = first;
	return (size_t)(last - first);
}

static json_t *describe_lease_map(const struct lease *lease)
{
	struct portmap map;
	struct rule rule = { .map = lease_map(lease, &map) ? &map : NULL };

	return section_ranges_json_map(&rule);
}

/* Adds who holds a lease to an object. */
static void describe_holder(const struct lease *lease, json_t *object)
{
	bool known = lease->known;

	json_object_set_new(object, "pid",
			    known && lease->pid ? json_integer(lease->pid) : json_null());
	json_object_set_new(object, "heir", *lease->heir ? json_string(lease->heir) : json_null());
	json_object_set_new(object, "uid", known ? json_integer(lease->uid) : json_null());
	/* seconds since 1970 */
	json_object_set_new(object, "since",
			    known ? json_real((double)lease->since / 1e9) : json_null());
	json_object_set_new(object, "section",
			    *lease->application ? json_string(lease->application) : json_null());
	json_object_set_new(object, "map", describe_lease_map(lease));
	json_object_set_new(object, "command", known ? json_string(lease->command) : json_null());
}

json_t *held_leases_describe(const struct held_leases *leases, const struct lease *lease)
{
	json_t *object = json_pack("{s:i, s:i, s:i}", "first", lease->first, "last", lease->last,
				   "ports", lease->last - lease->first + 1);
	json_t *list = json_array();
	const struct lease *holder;
	size_t count = held_leases_holders(leases, lease, &holder), i;

	describe_holder(lease, object);
	json_object_set_new(object, "name", *lease->name ? json_string(lease->name) : json_null());
	for (i = 0; i < count; i++) {
		json_t *one = json_pack("{s:b}", "detached", holder[i].detached);

		describe_holder(&holder[i], one);
		json_array_append_new(list, one);
	}
	json_object_set_new(object, "held_by", list);
	return object;
}
