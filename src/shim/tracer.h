/* tracer: names the supervisor to Yama as one that may look into this process; it looks into nobody. */
#ifndef PORTFENCE_SHIM_TRACER_H
#define PORTFENCE_SHIM_TRACER_H

#include "../core/settings.h"

/* tracer_name() - Name it for this process; it changes no errno */
void tracer_name(void);

/* tracer_prepare() - Name the tracer of these settings, if there is one. No other thread runs yet */
void tracer_prepare(const struct settings *settings);

/* tracer_start() - Let the children of fork(3) name it, too. For a constructor */
void tracer_start(void);

#endif
