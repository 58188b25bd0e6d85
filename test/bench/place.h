/* place: the addresses, ports and ranges that driver, server and workers agree on; no code. */
#ifndef BENCH_PLACE_H
#define BENCH_PLACE_H

/* Destinations, all on loopback, below the ephemeral range and outside ours. */
#define PLACE_NEAR 5001 /* TCP: accepted and closed, or kept while ports are being held */
#define PLACE_FAR 5002  /* TCP: likewise; another destination */
#define PLACE_SINK 5003 /* TCP: read and thrown away */
#define PLACE_UDP 5004  /* UDP: never read, so once its buffer is full it drops */
#define PLACE_UNIX "portfence-bench"

#define PLACE_RANGE_SIZE 10000

/* Within the default ephemeral range, for the kernel engine. */
#define PLACE_INSIDE 40000
/* Outside it, for the bind engine. */
#define PLACE_OUTSIDE 10000

/* What `portfence status` is asked about. */
#define PLACE_VIEW 20000
#define PLACE_VIEW_SIZE 28000

/* Longest command or answer on a pipe. */
#define PLACE_LINE 256

#endif
