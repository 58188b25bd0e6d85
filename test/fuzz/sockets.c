/*
 * sockets: whatever the kernel answers to the command's dumps, cut short or nonsense, is read no further
 * than it goes, and what came of it can be printed. Input: answers, as kernel.h has them.
 */
#include "../../src/machine/sockets.h"

#include "fuzz.h"
#include "kernel.h"

static void print(const struct sockets_entry *entry)
{
	char text[SOCKETS_TEXT];

	CLAIM(entry->local_port && entry->side <= SOCKETS_ACCEPTED);
	CLAIM(sockets_proto(entry) < PROTO_COUNT);
	CLAIM(*sockets_protocol_name(entry) && *sockets_state_name(entry));
	sockets_format(entry, false, text);
	CLAIM(strrchr(text, ':'));
	sockets_format(entry, true, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { data, data + size };
	struct sockets sockets;
	size_t i;

	kernel_answers = &fuzz;
	CLAIM(sockets_read(SOCKETS_SIDES, &sockets) <= 0);
	kernel_show();
	for (i = 0; i < sockets.count; i++)
		print(&sockets.entry[i]);
	sockets_free(&sockets);
	return 0;
}
