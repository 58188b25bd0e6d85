#include "view.h"

#include "say.h"

#include <string.h>

int view_take(struct view *view, unsigned flags)
{
	const char *why;
	int rc = snapshot_take(flags, &view->sections.policy, &view->machine, &why);

	return rc ? say_failure("%s: %s", why, strerror(-rc)) : 0;
}

void view_free(struct view *view)
{
	sections_free(&view->sections);
	snapshot_free(&view->machine);
}
