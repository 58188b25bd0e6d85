/*
 * preset: the files that a range is read from, of any content: /etc/services beside a second reader,
 * ip_local_port_range and ip_local_reserved_ports for what has to hold of their ports.
 *
 * Input: which file, and its content.
 */
#include "../../src/core/preset.h"

#include "fuzz.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>

#define PORTS 65536
#define FILE_NUMBER 1000

static struct range_set set;
static struct fuzz content;

long __wrap_syscall(long number, ...);

/* The only file that there is */
long __wrap_syscall(long number, ...)
{
	va_list list;
	void *to;
	size_t size;

	va_start(list, number);
	va_arg(list, long);
	to = va_arg(list, void *);
	size = va_arg(list, size_t);
	va_end(list);
	if (number == SYS_openat)
		return FILE_NUMBER;
	if (number == SYS_close)
		return 0;
	CLAIM(number == SYS_read);
	/* as a file under /proc may, it comes in pieces */
	size = size < fuzz_left(&content) ? size : fuzz_left(&content);
	size = size < 100 ? size : 100;
	fuzz_bytes(&content, to, size);
	return (long)size;
}

static void model_services(struct fuzz text, bool ports[PORTS])
{
	char *copy = fuzz_text(&text, '\0'), *rest = copy, *line;

	memset(ports, false, PORTS);
	while ((line = strsep(&rest, "\n"))) {
		char *save, *field;
		unsigned long port;

		line[strcspn(line, "#")] = '\0';
		if (!strtok_r(line, " \t", &save))
			continue;
		field = strtok_r(NULL, " \t", &save);
		if (!field || *field < '0' || *field > '9')
			continue;
		port = strtoul(field, NULL, 10);
		if (port && port < PORTS)
			ports[port] = true;
	}
	free(copy);
}

static void check_services(void)
{
	static bool ports[PORTS];
	unsigned port;
	uint32_t run = 0;

	model_services(content, ports);
	CLAIM(preset_add_exclusion("services", &set) == 0);
	for (port = 0; port < PORTS; port++) {
		bool has = run < set.count && set.run[run].first <= port;

		CLAIM(has == ports[port]);
		run += has && set.run[run].last == port;
	}
}

static void check_ephemeral(void)
{
	uint16_t first = 0, last = 0;
	int rc = preset_ephemeral(&first, &last);

	CLAIM(rc == 0 || rc == -EINVAL);
	CLAIM(rc ? !first && !last : first >= 1 && first <= last);
}

static void check_reserved(void)
{
	struct arena arena = { 0 };
	const struct range *range;
	int rc = preset_add_reserved(&set);

	CLAIM(rc == 0 || rc == -EINVAL);
	if (!rc && set.count) {
		CLAIM(range_build(&set, &arena, &range) == 0);
		fuzz_check_range(range);
	}
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { data, data + size };
	uint8_t which = fuzz_byte(&fuzz);

	range_set_clear(&set);
	content = fuzz;
	switch (which % 3) {
	case 0:
		check_services();
		break;
	case 1:
		check_ephemeral();
		break;
	default:
		check_reserved();
		break;
	}
	return 0;
}
