#include "run_map.h"

#include "../supervisor/supervise.h"
#include "say.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_in_block(const struct lease_taken *block, uint16_t port)
{
	return port >= block->entry.first && port <= block->entry.last;
}

/* Return: 0 if the port stays as it is, -EADDRINUSE if it does not, another -errno */
static int keep_port(const struct lease_taken *block, int fd, uint16_t port)
{
	/* the command could not bind to it */
	if (port < settings_port_start())
		return -EADDRINUSE;
	/* all who share the block know that */
	if (is_in_block(block, port))
		return 0;
	if (block->names_fd >= 0)
		return lease_name_keep(block->names_fd, fd, &block->named, port);
	return lease_keep(fd, port);
}

static int say_not_kept(uint16_t port, int rc)
{
	if (rc == -EOPNOTSUPP)
		return say_failure(
			"whether port %d is free cannot be found, as the kernel does not "
			"list its sockets; write the map without '?'",
			port);
	return say_failure("port %d of the map cannot be leased: %s", port, strerror(-rc));
}

/* Decides what is open in @map. A run around this one may have decided the rest. Return: 0, or say_status() */
static int decide(const struct lease_taken *block, int fd, struct portmap *map)
{
	uint32_t i;

	for (i = 0; i < map->count; i++) {
		struct portmap_entry *entry = &map->entry[i];
		int rc;

		if (portmap_keeps(entry))
			continue;
		rc = entry->optional ? keep_port(block, fd, entry->asked) : -EADDRINUSE;
		if (rc && rc != -EADDRINUSE)
			return say_not_kept(entry->asked, rc);
		entry->optional = !rc;
		if (!rc)
			entry->real = entry->asked;
	}
	return 0;
}

/*
 * Tells others who has the ports that stay as they are since @before. Return: 0, or say_status().
 * @ret_any: are there any?
 */
static int publish(const struct lease_taken *block, int fd, const struct portmap *before,
		   const struct portmap *map, bool *ret_any)
{
	struct lease told = block->entry;
	uint32_t i;
	int rc = 0;

	*ret_any = false;
	lease_set_map(&told, map);
	for (i = 0; !rc && i < map->count; i++) {
		const struct portmap_entry *entry = &map->entry[i];

		if (!portmap_keeps(entry) || portmap_keeps(&before->entry[i]) ||
		    is_in_block(block, entry->asked))
			continue;
		*ret_any = true;
		told.first = told.last = entry->asked;
		rc = lease_publish(fd, &told);
	}
	return rc ? say_failure("the holder of the lease cannot be noted: %s", strerror(-rc)) : 0;
}

/* Is anything to be decided? A run around this one may have done so. */
static bool is_open(const struct portmap *map)
{
	uint32_t i;

	for (i = 0; i < map->count; i++)
		if (map->entry[i].optional && !portmap_keeps(&map->entry[i]))
			return true;
	return false;
}

int run_map_keep(const struct lease_taken *block, struct arena *arena, struct settings *settings)
{
	const struct portmap *before = settings->rule->map;
	struct portmap *map;
	struct rule *rule;
	struct reason why;
	bool any;
	int fd, rc;

	if (!is_open(before))
		return 0;
	rule = arena_alloc(arena, sizeof(*rule));
	map = arena_alloc(arena, sizeof(*map));
	if (!rule || !map)
		return say_failure("%s", strerror(ENOMEM));
	fd = lease_open(settings, true, &why);
	if (fd < 0)
		return say_failure("%s", why.text);
	*map = *before;
	*rule = *settings->rule;
	rule->map = map;
	settings->rule = rule;
	/* main() ends where it fails, and gives the ports back */
	rc = decide(block, fd, map);
	if (!rc)
		rc = publish(block, fd, before, map, &any);
	if (rc)
		return rc;
	/* of a name, it also holds what was decided */
	if (!any && block->names_fd < 0)
		close(fd);
	else if (supervise_hold(fd))
		return say_failure("%s", strerror(ENOSPC));
	return 0;
}
