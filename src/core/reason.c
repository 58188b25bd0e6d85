#include "reason.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int reason_refuse(struct reason *ret_why, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(ret_why->text, sizeof(ret_why->text), format, arguments);
	va_end(arguments);
	return -EINVAL;
}

int reason_fail(int error, struct reason *ret_why, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (ret_why)
		vsnprintf(ret_why->text, sizeof(ret_why->text), format, arguments);
	va_end(arguments);
	return error;
}
