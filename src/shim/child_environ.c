#include "child_environ.h"

#include "caller_memory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define OUR_NAME "libportfence.so"
#define STACK_MOST ((size_t)8192) /* a thread's stack may be PTHREAD_STACK_MIN, 16 kB */

/* ld.so separates the entries of LD_PRELOAD by colons and blanks (ld.so(8)). */
static const char *find_entry(const char *list, size_t *ret_len)
{
	const size_t name = strlen(OUR_NAME);

	while (*list) {
		size_t len = strcspn(list, ": ");

		if (len >= name && !memcmp(list + len - name, OUR_NAME, name) &&
		    (len == name || list[len - name - 1] == '/')) {
			*ret_len = len;
			return list;
		}
		list += len + (list[len] != '\0');
	}
	return NULL;
}

/* "NAME=value" in the arena; a relative path becomes absolute if @is_path. NULL if there is no memory */
static const char *make_assignment(struct arena *arena, const char *name, const char *value,
				   size_t len, bool is_path)
{
	char folder[PATH_MAX] = "";
	size_t size;
	char *text;

	/* a relative path would be wrong once the process has changed its folder */
	if (is_path && *value != '/' && memchr(value, '/', len) && *value != '$' &&
	    getcwd(folder, sizeof(folder) - 1))
		strcat(folder, "/");
	size = strlen(name) + 1 + strlen(folder) + len;
	text = arena_alloc(arena, size + 1);
	if (text)
		*(char *)mempcpy(stpcpy(stpcpy(stpcpy(text, name), "="), folder), value, len) =
			'\0';
	return text;
}

static void keep_variable(struct child_environ_kept *kept, const char *text)
{
	if (text)
		kept->variable[kept->count++] = text;
	else
		kept->lost = true;
}

void child_environ_remember(const struct settings *settings, struct arena *arena,
			    struct child_environ_kept *ret_kept)
{
	const char *list = secure_getenv("LD_PRELOAD"), *entry, *file = settings->policy.file;
	size_t len;
	int i;

	entry = list ? find_entry(list, &len) : NULL;
	if (!entry)
		return;
	ret_kept->preload = make_assignment(arena, "LD_PRELOAD", entry, len, true);
	ret_kept->lost = !ret_kept->preload;
	/* HOME or XDG_CONFIG_HOME may have led to the file, and the child may lack them */
	if (file && !strcmp(file, SETTINGS_SYSTEM_FILE))
		file = NULL;
	for (i = 0; i < VARIABLE_COUNT; i++) {
		const char *value = variables_get((enum variable)i);
		const bool is_path = i == VARIABLE_CONFIG;

		if (!value && is_path)
			value = file;
		if (value)
			keep_variable(ret_kept, make_assignment(arena, variables_table[i].name,
								value, strlen(value), is_path));
	}
}

/* Do @entry and @other ("NAME=value") have the same name? */
static bool same_name(const char *entry, const char *other)
{
	while (*entry && *entry != '=' && *entry == *other) {
		entry++;
		other++;
	}
	return *entry == '=' && *other == '=';
}

/* Can the list and all its strings be read? If not, the kernel refuses them itself. */
static bool is_readable(char *const envp[])
{
	uintptr_t list = CALLER_MEMORY_UNSEEN, text = CALLER_MEMORY_UNSEEN;

	for (; envp; envp++) {
		if (!caller_memory_readable_on(&list, envp, sizeof(*envp)))
			return false;
		if (!*envp)
			break;
		if (!caller_memory_text(&text, *envp))
			return false;
	}
	return true;
}

void child_environ_plan(const struct child_environ_kept *kept, char *const envp[],
			struct child_environ_plan *ret_plan)
{
	struct child_environ_plan plan = { .kept = kept, .envp = envp, .room = 1 };
	const size_t prefix = strlen("LD_PRELOAD=");
	unsigned i;
	size_t len;

	if (kept->lost) {
		*ret_plan = plan;
		return;
	}
	if (!kept->preload || !is_readable(envp)) {
		plan.complete = true;
		*ret_plan = plan;
		return;
	}
	plan.missing = (1U << kept->count) - 1;
	for (; envp && envp[plan.entries]; plan.entries++) {
		const char *entry = envp[plan.entries];

		for (i = 0; i < kept->count; i++)
			if (same_name(entry, kept->variable[i]))
				plan.missing &= ~(1U << i);
		/* if there are several, ld.so takes the last */
		if (!strncmp(entry, "LD_PRELOAD=", prefix)) {
			plan.preload = entry + prefix;
			plan.preload_at = plan.entries;
		}
	}
	plan.preloaded = plan.preload && find_entry(plan.preload, &len);
	plan.complete = plan.preloaded && !plan.missing;
	/* the entries, the kept variables, LD_PRELOAD and the NULL at the end */
	plan.slots = plan.entries + kept->count + 2;
	plan.size = plan.slots * sizeof(char *);
	if (plan.preload && !plan.preloaded)
		plan.size += strlen(kept->preload) + 1 + strlen(plan.preload) + 1;
	if (!plan.complete && plan.size <= STACK_MOST)
		plan.room = plan.size / sizeof(char *) + 1;
	*ret_plan = plan;
}

char *const *child_environ_build(const struct child_environ_plan *plan, char **room)
{
	const struct child_environ_kept *kept = plan->kept;
	size_t used = plan->entries;
	char **slots = room, *preload;
	unsigned i;

	if (plan->complete)
		return plan->envp;
	if (kept->lost) {
		errno = ENOMEM;
		return NULL;
	}
	if (plan->size > STACK_MOST) {
		slots = mmap(NULL, plan->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
		/* whatever mmap() said: ENOMEM is what execve(2) and its relatives document */
		if (slots == MAP_FAILED) {
			errno = ENOMEM;
			return NULL;
		}
	}
	if (used)
		memcpy(slots, plan->envp, used * sizeof(*slots));
	if (plan->preload && !plan->preloaded) {
		/* ours first, so that our hooks come before the functions of the other libraries */
		preload = (char *)(slots + plan->slots);
		stpcpy(stpcpy(stpcpy(preload, kept->preload), ":"), plan->preload);
		slots[plan->preload_at] = preload;
	} else if (!plan->preloaded) {
		slots[used++] = (char *)kept->preload;
	}
	for (i = 0; i < kept->count; i++)
		if (plan->missing & 1U << i)
			slots[used++] = (char *)kept->variable[i];
	slots[used] = NULL;
	return slots;
}

void child_environ_drop(const struct child_environ_plan *plan, char *const *built)
{
	int saved = errno;

	if (!plan->complete && plan->size > STACK_MOST)
		munmap((void *)built, plan->size);
	errno = saved;
}

/* Puts our entry in front of the value of LD_PRELOAD. */
static int mend_preload(const struct child_environ_kept *kept, const char *preload)
{
	char *list;

	if (!preload)
		return putenv((char *)kept->preload) ? -ENOMEM : 0;
	if (asprintf(&list, "LD_PRELOAD=%s:%s", strchr(kept->preload, '=') + 1, preload) < 0)
		return -ENOMEM;
	/* if it is there twice, ld.so takes the last, and putenv() would change the first */
	if (!unsetenv("LD_PRELOAD") && !putenv(list))
		return 0; /* the environment keeps the text itself */
	free(list);
	return -ENOMEM;
}

int child_environ_mend(const struct child_environ_kept *kept)
{
	struct child_environ_plan plan;
	unsigned i;

	child_environ_plan(kept, environ, &plan);
	if (plan.complete)
		return 0;
	if (kept->lost)
		return -ENOMEM;
	for (i = 0; i < kept->count; i++)
		if (plan.missing & 1U << i && putenv((char *)kept->variable[i]))
			return -ENOMEM;
	return plan.preloaded ? 0 : mend_preload(kept, plan.preload);
}
