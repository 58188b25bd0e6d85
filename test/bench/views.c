#include "views.h"

#include "place.h"
#include "report.h"

#include <stdlib.h>
#include <unistd.h>

enum { VIEW_EMPTY, VIEW_HELD, VIEWS };

void views_run(const struct measure_effort *effort)
{
	static const char *const names[VIEWS] = { "empty", "10000-held" };
	struct scene_process holder;
	struct subject subjects[VIEWS];
	struct measure_result results[VIEWS];
	struct measure measure = {
		.group = "status",
		.label = "status",
		.row = "status",
		.threads = 1,
		.processes = 1,
		.least = 1,
		.subjects = subjects,
		.count = VIEWS,
	};
	int netns[VIEWS], which;

	/* beside the worker, which looks for it there */
	free(scene_built("portfence"));
	for (which = 0; which < VIEWS; which++) {
		netns[which] = scene_namespace(0, 0);
		subject_plain(&subjects[which], names[which], netns[which]);
	}
	scene_helper(&holder, netns[VIEW_HELD], "hold");
	scene_order(&holder, "hold udp run %u %u 0 %u\n", PLACE_VIEW, PLACE_RANGE_SIZE,
		    PLACE_RANGE_SIZE);
	measure_run(&measure, effort, results);
	report_add(results, VIEWS);
	scene_stop(&holder);
	for (which = 0; which < VIEWS; which++) {
		subject_stop(&subjects[which]);
		close(netns[which]);
	}
}
