#include "shim.h"

#include "../core/settings.h"
#include "caller_memory.h"
#include "gate.h"
#include "gated.h"
#include "tracer.h"

#include <errno.h>
#include <locale.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * For a process that has no memory even for a shim: it is fenced, no call gets a port, and it can start
 * no program.
 */
static struct shim helpless = {
	.fenced = true,
	.kept.lost = true,
	.log = { .calls = &gated_calls,
		 .application = "unknown",
		 .error = "no memory to read the configuration" },
};

struct shim *_Atomic shim_published;

/* The configuration's mistakes: the text of the first, and how many there are. */
struct mistakes {
	char first[1024];
	unsigned count;
};

static void note_mistake(void *context, const char *file, unsigned line, const char *problem)
{
	struct mistakes *mistakes = context;

	if (mistakes->count++)
		return;
	if (line)
		snprintf(mistakes->first, sizeof(mistakes->first), "%s:%u: %s", file, line,
			 problem);
	else
		snprintf(mistakes->first, sizeof(mistakes->first), "%s: %s", file, problem);
}

static const char *describe_mistakes(const struct mistakes *mistakes, struct arena *arena)
{
	char text[sizeof(mistakes->first) + 128], more[64] = "";
	const char *copy;

	if (mistakes->count > 1)
		snprintf(more, sizeof(more), " (and %u more, see 'portfence run')",
			 mistakes->count - 1);
	snprintf(text, sizeof(text), "%s%s; until it is mended, calls that need a port fail",
		 mistakes->first, more);
	copy = arena_copy(arena, text, strlen(text));
	return copy ? copy : "the configuration has a mistake";
}

struct warnings {
	struct log *log;
	struct arena *arena;
};

static void note_warning(void *context, const char *warning)
{
	struct warnings *warnings = context;
	struct log *log = warnings->log;
	const char *copy;

	if (log->warnings == LOG_WARNINGS_MAX)
		return;
	copy = arena_copy(warnings->arena, warning, strlen(warning));
	if (copy)
		log->warning[log->warnings++] = copy;
}

/* Notes what is doubtful, for the log. */
static void find_warnings(struct shim *new, const struct settings *settings, struct arena *arena)
{
	struct warnings warnings = { .log = &new->log, .arena = arena };

	if (new->fence.state.warning)
		note_warning(&warnings, new->fence.state.warning);
	if (log_is_on(&new->log))
		policy_warnings(&settings->policy, settings->rule, settings_port_start(),
				note_warning, &warnings);
}

/* The protocols nearly always have one range in common, which is judged once. */
static void prepare_kernel_engine(struct shim *new, const struct rule *rule)
{
	int proto;

	for (proto = 0; proto < PROTO_COUNT; proto++)
		if (proto && rule->range[proto] == rule->range[proto - 1])
			new->kernel[proto].serves = new->kernel[proto - 1].serves;
		else
			engine_kernel_prepare(&new->kernel[proto], &gated_calls,
					      rule->range[proto]);
}

static void fill_shim(struct shim *new, const struct settings *settings,
		      const struct mistakes *mistakes, struct arena *arena)
{
	new->fenced = true;
	new->run = settings->gate;
	new->marked = settings->taken_over;
	new->fence.calls = &gated_calls;
	new->fence.kernel = new->kernel;
	new->fdcache = fdcache_start();
	caller_memory_start();
	new->log.calls = &gated_calls;
	new->log.record = settings->record;
	new->log.application =
		settings->rule ? settings->rule->name : program_invocation_short_name;
	new->log.verbose = settings->verbose;
	log_start(&new->log, settings->log);
	if (mistakes->count || !settings->rule) {
		new->log.error = describe_mistakes(mistakes, arena);
	} else if (state_open(settings->state, settings->runtime, settings->rule,
			      &new->fence.state)) {
		new->log.error = "no memory for the shared state";
	} else {
		new->fence.rule = settings->rule;
		new->maps = settings->rule->map;
		if (settings->rule->engine == ENGINE_KERNEL)
			prepare_kernel_engine(new, settings->rule);
		find_warnings(new, settings, arena);
	}
}

static struct shim *publish_shim(struct shim *new)
{
	struct shim *other = NULL;

	if (atomic_compare_exchange_strong_explicit(&shim_published, &other, new,
						    memory_order_acq_rel, memory_order_acquire))
		return new;
	/* another thread was faster; to unmap what this one has mapped is not worth the code */
	return other;
}

/* glibc's pointer to where the kernel has put argc, argv and envp. Other libcs set environ at once. */
extern void *__libc_stack_end __attribute__((weak));

/*
 * An IFUNC's resolver and an executable's preinit array run before glibc has set
 * environ. The resolver also runs before thread-local memory is filled. That
 * memory has isspace()'s table, which inih needs.
 *
 * Return: environ as it was
 */
static char **start_libc(void)
{
	char **before = environ;

	if (before || !&__libc_stack_end)
		return before;
	environ = (char **)__libc_stack_end + 1 + *(const long *)__libc_stack_end + 1;
	if (!uselocale((locale_t)0))
		uselocale(LC_GLOBAL_LOCALE);
	return before;
}

/*
 * Our own bind() would look to the supervisor like one of the program's, which `bind = deny` refuses.
 * So it is left alone to give out ports.
 */
static bool must_leave_it(const struct settings *settings)
{
	return settings->gate && settings->rule && settings->rule->bind == BIND_DENY &&
	       !settings->rule->map && !gate_works();
}

/*
 * What `run` hands over fits in here, so that its reader needs no memory from the kernel. It lies in .data,
 * which the dynamic linker maps from the file together with the rest; .bss would take a mapping of its own.
 * One thread has it.
 */
static struct {
	alignas(max_align_t) char room[4096];
} first_memory __attribute__((section(".data")));

static void start_arena(struct arena *arena)
{
	static atomic_flag taken = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set(&taken))
		arena_start(arena, &first_memory, sizeof(first_memory));
}

static struct shim *build_shim(void)
{
	struct mistakes mistakes = { .count = 0 };
	struct settings settings = { .rule = NULL };
	struct arena arena = { .used = 0 };
	struct shim *new;
	int rc;

	start_arena(&arena);
	new = arena_alloc(&arena, sizeof(*new));
	if (!new) {
		helpless.fence.calls = &gated_calls;
		log_start(&helpless.log, NULL);
		return publish_shim(&helpless);
	}
	rc = settings_load(NULL, &arena, note_mistake, &mistakes, &settings);
	if (rc && !mistakes.count)
		note_mistake(&mistakes, "the configuration", 0, strerror(-rc));
	child_environ_remember(&settings, &arena, &new->kept);
	if (settings.rule || rc) {
		fill_shim(new, &settings, &mistakes, &arena);
		if (settings.gate && !gate())
			gated_start(settings.gate, settings.unseen);
		if (must_leave_it(&settings))
			new->fenced = false;
		tracer_prepare(&settings);
		/* it looks at what the cache would be wrong about */
		if (gate())
			fdcache_trust_hints();
	}
	return publish_shim(new);
}

struct shim *shim_build(void)
{
	/* a library's constructor may call a hook before ours has run */
	int saved = errno;
	char **before = start_libc();
	struct shim *shim = build_shim();

	environ = before;
	errno = saved;
	return shim;
}

__attribute__((constructor)) static void start(void)
{
	int saved = errno;

	shim_get();
	tracer_start();
	errno = saved;
}
