#include "../core/preset.h"

#include "say.h"
#include "verbs.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_JSON };

static const struct option_entry options[] = {
	[OPTION_JSON] = OPTION_ENTRY_JSON,
	{ .name = NULL },
};

static int presets(const struct option_values *given);

const struct verb verb_presets = {
	.name = "presets",
	.summary = "list the named ranges",
	.usage = "",
	.about = "Lists the names that a range can have, the systems that use each range, and the "
		 "source that says so. The last one, system, is this machine's range as it is now.",
	.options = options,
	.status = "0; 1 if this machine's range cannot be read",
	.example = "portfence presets\n"
		   "portfence run --range iana -- curl http://example.org/\n",
	.function = presets,
};

static void print_preset(const struct preset *preset)
{
	char range[sizeof("65535-65535")];

	snprintf(range, sizeof(range), "%d-%d", preset->first, preset->last);
	printf("%-16s  %-11s  %5d  %-45s  %s\n", preset->name, range,
	       preset->last - preset->first + 1, preset->whose, preset->source);
}

static json_t *describe_preset(const struct preset *preset)
{
	return json_pack("{s:s, s:i, s:i, s:i, s:s, s:s}", "name", preset->name, "first",
			 preset->first, "last", preset->last, "ports",
			 preset->last - preset->first + 1, "whose", preset->whose, "source",
			 preset->source);
}

static void print_json(const struct preset *system)
{
	const struct preset *preset;
	json_t *list = json_array();

	for (preset = preset_table; preset->name; preset++)
		json_array_append_new(list, describe_preset(preset));
	if (system)
		json_array_append_new(list, describe_preset(system));
	say_object(stdout, json_pack("{s:o}", "presets", list), JSON_INDENT(2));
}

static void print_table(const struct preset *system)
{
	const struct preset *preset;

	printf("%-16s  %-11s  %5s  %-45s  %s\n", "PRESET", "RANGE", "PORTS", "WHOSE", "SOURCE");
	for (preset = preset_table; preset->name; preset++)
		print_preset(preset);
	if (system)
		print_preset(system);
}

static int presets(const struct option_values *given)
{
	struct preset system = {
		.name = "system",
		.whose = "this machine's own, at this moment",
		.source = "/proc/sys/net/ipv4/ip_local_port_range",
	};
	const int rc = preset_ephemeral(&system.first, &system.last);

	(given->value[OPTION_JSON] ? print_json : print_table)(rc ? NULL : &system);
	if (rc)
		return say_failure("'%s' cannot be read: %s", system.source, strerror(-rc));
	return 0;
}
