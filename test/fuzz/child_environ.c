/*
 * child_environ: whatever environment a program is started with, what it gets is that and all that keeps it
 * fenced, built in no more room than was planned. Input: which variables are kept, and entries, each
 * ended by a NUL.
 */
#include "../../src/shim/child_environ.h"

#include "fuzz.h"

#define ENTRIES_MOST 64

static const struct child_environ_kept all = {
	.preload = "LD_PRELOAD=/usr/lib/libportfence.so",
	.variable = { "PORTFENCE_APP=curl", "PORTFENCE_CONFIG=/etc/p.ini", "PORTFENCE_RULE=1 2 3" },
	.count = 3,
};

/* Does an environment name a variable? Return: its last value, as ld.so takes it, or NULL */
static const char *last_value(char *const envp[], const char *name)
{
	const size_t len = strlen(name);
	const char *value = NULL;

	for (; *envp; envp++)
		if (!strncmp(*envp, name, len) && (*envp)[len] == '=')
			value = *envp + len + 1;
	return value;
}

static bool is_listed(const char *list, const char *name)
{
	const size_t len = strlen(name);

	for (; *list; list += strcspn(list, ": ")) {
		size_t entry;

		list += strspn(list, ": ");
		entry = strcspn(list, ": ");
		if (entry == len ? !strncmp(list, name, len)
				 : entry > len && list[entry - len - 1] == '/' &&
					   !strncmp(list + entry - len, name, len))
			return true;
	}
	return false;
}

static void check(const struct child_environ_kept *kept, char *const given[], char *const built[])
{
	const char *list = last_value(built, "LD_PRELOAD");
	size_t i;

	CLAIM(list && is_listed(list, "libportfence.so"));
	for (i = 0; i < kept->count; i++) {
		char *name = strndup(kept->variable[i], strcspn(kept->variable[i], "="));

		CLAIM(last_value(built, name));
		free(name);
	}
	for (i = 0; given[i]; i++)
		CLAIM(given[i] == built[i] || !strncmp(given[i], "LD_PRELOAD=", 11));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { data, data + size };
	struct child_environ_kept kept = all;
	struct child_environ_plan plan;
	/* just as many as there are, so that a look behind the last is found */
	char **envp, *entries[ENTRIES_MOST + 1] = { NULL }, **room, *const * built;
	size_t count = 0, i;

	kept.count = fuzz_byte(&fuzz) % 4;
	while (fuzz_left(&fuzz) && count < ENTRIES_MOST)
		entries[count++] = fuzz_text(&fuzz, '\0');
	envp = malloc((count + 1) * sizeof(*envp));
	if (!envp)
		abort();
	memcpy(envp, entries, (count + 1) * sizeof(*envp));
	child_environ_plan(&kept, envp, &plan);
	CLAIM(plan.entries == count && plan.room >= 1);
	room = malloc(plan.room * sizeof(*room));
	built = child_environ_build(&plan, room);
	CLAIM(built);
	check(&kept, envp, built);
	child_environ_drop(&plan, built);
	for (i = 0; i < count; i++)
		free(entries[i]);
	free(room);
	free(envp);
	return 0;
}
