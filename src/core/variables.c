#include "variables.h"

#include <errno.h>
#include <stdlib.h>

#define TABLE_ROW(id, of_kind, is_printed)                                                         \
	[VARIABLE_##id] = {                                                                        \
		.name = "PORTFENCE_" #id,                                                          \
		.kind = VARIABLES_##of_kind,                                                       \
		.printed = is_printed,                                                             \
	},
const struct variables_row variables_table[VARIABLE_COUNT] = { VARIABLES_LIST(TABLE_ROW) };

const char *variables_name(enum variable variable)
{
	return variables_table[variable].name;
}

const char *variables_get(enum variable variable)
{
	const char *value = secure_getenv(variables_table[variable].name);

	return value && *value ? value : NULL;
}

int variables_set(enum variable variable, const char *value)
{
	return setenv(variables_table[variable].name, value, 1) ? -ENOMEM : 0;
}

void variables_unset(unsigned kinds)
{
	int i;

	for (i = 0; i < VARIABLE_COUNT; i++)
		if (variables_table[i].kind & kinds)
			unsetenv(variables_table[i].name);
}
