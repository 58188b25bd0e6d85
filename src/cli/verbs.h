/* verbs: the command's verbs, one file each; main dispatches to them. */
#ifndef PORTFENCE_CLI_VERBS_H
#define PORTFENCE_CLI_VERBS_H

/* `portfence run`'s own failures, as env(1), timeout(1) and nohup(1) have them */
enum { EXIT_OWN = 125, EXIT_CANNOT_RUN = 126, EXIT_NOT_FOUND = 127 };

/* Exit status of a verb that was called wrongly */
enum { EXIT_USAGE = 2 };

/* Each verb: argv[0] is its name. Return: exit status. */
int verb_run(int argc, char *argv[]);

#endif
