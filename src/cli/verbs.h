/* verbs: the command's verbs, one file each; main lists them and dispatches to them. */
#ifndef PORTFENCE_CLI_VERBS_H
#define PORTFENCE_CLI_VERBS_H

#include "option.h"

/* `portfence run`'s own failures, as env(1), timeout(1) and nohup(1) have them */
enum { EXIT_OWN = 125, EXIT_CANNOT_RUN = 126, EXIT_NOT_FOUND = 127 };

extern const struct verb verb_audit;
extern const struct verb verb_check;
extern const struct verb verb_env;
extern const struct verb verb_lease;
extern const struct verb verb_leases;
extern const struct verb verb_presets;
extern const struct verb verb_rules;
extern const struct verb verb_run;
extern const struct verb verb_status;
extern const struct verb verb_which;

#endif
