/* scene: namespaces, processes on pipes, the temporary folder; and that all of it ends with us. */
#ifndef BENCH_SCENE_H
#define BENCH_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A process that answers each line on its standard input with a line. */
struct scene_process {
	pid_t pid; /* 0: none */
	int to, from;
};

/* die() - Says why, ends every process that was started, and exits with status 1 */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

/*
 * scene_begin() - Moves into a network namespace of our own and makes the folder
 * @build: the folder that holds what is measured
 */
void scene_begin(const char *build);

/* scene_folder() - A temporary folder, removed at the end */
const char *scene_folder(void);

/* scene_built() - The absolute path of a copy of a file of the build, to be freed */
char *scene_built(const char *name);

/*
 * scene_namespace() - A further network namespace, loopback up
 * @first, @last: its ephemeral range; 0: the system's default
 *
 * Return: a descriptor for scene_start()
 */
int scene_namespace(unsigned first, unsigned last);

/*
 * scene_start() - Starts a program
 * @netns: the namespace it runs in, -1 for ours
 * @quiet: its standard error is thrown away
 */
void scene_start(struct scene_process *process, int netns, bool quiet, const char *const argv[],
		 const char *const envp[]);

/* scene_helper() - Starts the worker, plain, as a server or holder */
void scene_helper(struct scene_process *process, int netns, const char *mode);

/* scene_tell() - Sends a line. Return: false if nobody is there */
bool scene_tell(const struct scene_process *process, const char *line);

/* scene_hear() - Reads a line, without its end. Return: false if none came in 20 seconds */
bool scene_hear(const struct scene_process *process, char *ret_line, size_t size);

/* scene_order() - Both; dies unless the answer begins with `ok` */
__attribute__((format(printf, 2, 3))) void scene_order(const struct scene_process *process,
						       const char *format, ...);

/* scene_stop() - Ends it, by its pid */
void scene_stop(struct scene_process *process);

/*
 * scene_cpu() - Which CPU, of those that we may use, measures (0) or serves (1)
 *
 * Return: its number; -1 if there is only one for both
 */
int scene_cpu(int which);

#endif
