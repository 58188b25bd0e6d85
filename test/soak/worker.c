#include "worker.h"

#include "operations.h"
#include "soak.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * All threads of all processes act at the same ticks, so that they meet. Each
 * has slots, and at each tick it empties one and fills it anew. How many slots
 * are in use goes up and down in a wave, the same for everybody, so that ports
 * run out and are had again.
 */

#define WAVE (10 * SOAK_SECOND)
#define SLOTS 32
#define LIFE_TICKS 400 /* on average */

static int64_t life_ends;

static unsigned wave(int64_t time)
{
	int64_t at = time % WAVE, half = WAVE / 2;

	return 2 + (unsigned)((at < half ? at : WAVE - at) * (SLOTS - 2) / half);
}

static void make_one(struct slot *slot, int operation)
{
	int64_t before = soak_now(), took;

	operations_make(operation, slot);
	took = soak_now() - before;
	atomic_fetch_add(&soak->made[operation], 1);
	atomic_fetch_add(&soak->spent[operation], took);
	/* another thread's may be lost in between: it is but a figure */
	if (took > atomic_load(&soak->slowest[operation]))
		atomic_store(&soak->slowest[operation], took);
}

static void act(struct slot slots[SLOTS], unsigned in_use, struct soak_beat *beat)
{
	struct slot *slot = &slots[soak_draw(in_use)];
	int operation = operations_draw();
	unsigned i;

	atomic_store(&beat->operation, operation);
	atomic_store(&beat->since, soak_now());
	operations_clear(slot);
	make_one(slot, operation);
	for (i = in_use; i < SLOTS; i++)
		operations_clear(&slots[i]);
	atomic_store(&beat->since, 0);
}

static void *thread(void *argument)
{
	struct soak_beat *beat = argument;
	struct slot slots[SLOTS];
	int64_t time;
	unsigned i;

	soak_seed((uintptr_t)beat ^ (uint64_t)getpid() << 32);
	for (i = 0; i < SLOTS; i++)
		slots[i] = operations_empty;
	while ((time = soak_wait()) < life_ends)
		act(slots, wave(time), beat);
	atomic_store(&beat->since, soak_now());
	for (i = 0; i < SLOTS; i++)
		operations_clear(&slots[i]);
	atomic_store(&beat->since, 0);
	return NULL;
}

static unsigned count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned n = 0;

	if (!folder)
		soak_die("/proc/self/fd");
	while (readdir(folder))
		n++;
	closedir(folder);
	return n;
}

int worker_run(int index)
{
	unsigned before = count_descriptors(), after;
	pthread_t ids[SOAK_THREADS];
	int i;

	soak_seed((uint64_t)getpid() << 32);
	life_ends = soak_now() + (LIFE_TICKS / 2 + soak_draw(LIFE_TICKS)) * SOAK_TICK;
	if (life_ends > soak->deadline)
		life_ends = soak->deadline;
	for (i = 0; i < soak->threads; i++)
		if (pthread_create(&ids[i], NULL, thread, &soak->beat[index][i]))
			soak_die("pthread_create");
	for (i = 0; i < soak->threads; i++)
		pthread_join(ids[i], NULL);
	after = count_descriptors();
	if (after != before) {
		fprintf(stderr, "leak: %u descriptors before, %u after\n", before, after);
		atomic_fetch_add(&soak->leaks, 1);
	}
	return 0;
}
