/*
 * logline: with any name of an application and any message, the result is one line of text, or one line
 * of JSON that another parser reads.
 *
 * Input: a byte of flags, room, application and message, which end with a NUL, and a call's bytes.
 */
#include "../../src/core/logline.h"

#include "fuzz.h"

#include <jansson.h>

static void check_line(const char *text, size_t len, size_t size, bool json)
{
	json_error_t error;
	json_t *value;
	size_t i;

	CLAIM(len >= 1 && len <= size && text[len - 1] == '\n');
	for (i = 0; i < len - 1; i++)
		CLAIM((unsigned char)text[i] >= ' ' && text[i] != 0x7f);
	/* with less room, the line may be cut */
	if (!json || size < LOGLINE_MAX)
		return;
	value = json_loadb(text, len, 0, &error);
	if (!value)
		fprintf(stderr, "%s: %.*s", error.text, (int)len, text);
	CLAIM(json_is_object(value) && json_is_string(json_object_get(value, "application")));
	json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { data, data + size };
	uint8_t flags = fuzz_byte(&fuzz);
	size_t room = flags & 1 ? LOGLINE_MAX : 1UL + fuzz_byte(&fuzz);
	char *application = fuzz_text(&fuzz, '\0'), *message = fuzz_text(&fuzz, '\0');
	char *text = malloc(room);
	struct logline line = { .json = flags & 2, .application = application };
	struct assign assign = { .call = (enum assign_call)(flags >> 2 & 3) };
	union addr local;
	size_t len;

	if (!text)
		abort();
	line.time.tv_sec = (time_t)(fuzz_number(&fuzz) % 253402300800ULL); /* the year 10000 */
	line.time.tv_nsec = (long)(fuzz_number(&fuzz) % 1000000000);
	line.pid = (int)(fuzz_word(&fuzz));
	if (flags & 16) {
		len = logline_message(&line, "warning", message, text, room);
	} else {
		fuzz_bytes(&fuzz, &assign.addr, sizeof(assign.addr));
		fuzz_bytes(&fuzz, &local, sizeof(local));
		assign.proto = (enum proto)(fuzz_byte(&fuzz) % PROTO_COUNT);
		assign.engine = (enum engine)(fuzz_byte(&fuzz) % (ENGINE_BIND + 1));
		assign.tried = fuzz_word(&fuzz);
		assign.outcome = (enum outcome)(fuzz_byte(&fuzz) % OUTCOME_COUNT);
		len = logline_assign(&line, "connect", &assign, flags & 128 ? &local : NULL, text,
				     room);
	}
	check_line(text, len, room, line.json);
	free(text);
	free(application);
	free(message);
	return 0;
}
