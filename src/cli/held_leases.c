#include "held_leases.h"

#include "../machine/lease_holder.h"
#include "say.h"
#include "section_ranges.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int held_leases_read(const struct settings *settings, struct held_leases *ret_leases,
		     struct reason *ret_why)
{
	int fd = lease_open(settings, false, ret_why), rc;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	rc = lease_list(fd, &ret_leases->lease, &ret_leases->count);
	close(fd);
	if (rc < 0)
		return reason_fail(rc, ret_why, "the leases cannot be read: %s", strerror(-rc));
	lease_holder_find(ret_leases->lease, ret_leases->count);
	if (rc)
		say_warning(NULL, "there are more leases than can be listed: somebody holds "
				  "thousands of locks");
	return 0;
}

static json_t *describe_lease_map(const struct lease *lease)
{
	struct portmap map;
	struct rule rule = { .map = lease_map(lease, &map) ? &map : NULL };

	return section_ranges_json_map(&rule);
}

json_t *held_leases_describe(const struct lease *lease)
{
	json_t *object = json_pack("{s:i, s:i, s:i}", "first", lease->first, "last", lease->last,
				   "ports", lease->last - lease->first + 1);
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
	return object;
}
