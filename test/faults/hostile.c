/*
 * hostile: a state file that somebody of the same user writes to while programs run by it.
 *
 *   hostile talk COUNT FIRST LAST   4 threads, each with COUNT connections over TCP, binds and sends; prints
 *                                   how many had a port in the range, and how many failed as the kernel fails
 *                                   them. Status 1 if a port was outside, or a call failed otherwise.
 *   hostile write FILE COUNT FIRST LAST
 *                                   writes to every word of the file, again and again, while `talk` runs
 *   hostile claim FILE COUNT FIRST LAST
 *                                   likewise, but all that is written says that somebody else has
 *                                   just claimed what is asked for
 *   hostile images TIMES FILE COUNT FIRST LAST
 *                                   as many images of the file, each before a run of `talk`
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 4
#define HEAD 16 /* magic, version and size: another one is not mapped at all */

static struct sockaddr_in peer = { .sin_family = AF_INET };
static int first_port, last_port, count;
static atomic_int good, full, bad;

static void judge(const char *call, int fd, long result, int error)
{
	struct sockaddr_in local = { .sin_port = 0 };
	socklen_t len = sizeof(local);
	int port;

	getsockname(fd, (struct sockaddr *)&local, &len);
	port = ntohs(local.sin_port);
	if ((result >= 0 || port) && (port < first_port || port > last_port)) {
		printf("%s: port %d\n", call, port);
		atomic_fetch_add(&bad, 1);
	} else if (result >= 0) {
		atomic_fetch_add(&good, 1);
	} else if (error == EADDRNOTAVAIL || error == EADDRINUSE || error == EAGAIN) {
		atomic_fetch_add(&full, 1);
	} else {
		printf("%s: %s\n", call, strerrorname_np(error));
		atomic_fetch_add(&bad, 1);
	}
}

static void *talk(void *unused)
{
	const struct linger linger = { 1, 0 };
	const struct sockaddr_in any = { .sin_family = AF_INET };
	int i, fd;
	long result;

	for (i = 0; i < count; i++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		result = connect(fd, (struct sockaddr *)&peer, sizeof(peer));
		judge("connect", fd, result, errno);
		/* ends by a reset: no port stays taken */
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		close(fd);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		result = bind(fd, (const struct sockaddr *)&any, sizeof(any));
		judge("bind", fd, result, errno);
		close(fd);
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		result = sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer));
		judge("sendto", fd, result, errno);
		close(fd);
	}
	return unused;
}

static int talk_all(void)
{
	pthread_t thread[THREADS];
	socklen_t len = sizeof(peer);
	int server = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0), i;

	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	/* past the fence; nobody accepts, the queue does */
	if (syscall(SYS_listen, server, 4096) ||
	    getsockname(server, (struct sockaddr *)&peer, &len))
		return 2;
	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, talk, NULL);
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	printf("%d good, %d full, %d bad\n", good, full, bad);
	return bad != 0;
}

static uint64_t random_word(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* A claim that was made just now, by another: whoever believes it, waits. */
static uint64_t live_claim(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (random_word() << 24) |
	       (((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000) & 0xffffff);
}

static uint64_t *map(const char *file, size_t *ret_words)
{
	int fd = open(file, O_RDWR | O_CLOEXEC);
	struct stat st;
	void *at;

	if (fd < 0 || fstat(fd, &st) || st.st_size <= HEAD)
		exit(2);
	at = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at == MAP_FAILED)
		exit(2);
	*ret_words = (size_t)(st.st_size - HEAD) / 8;
	return (uint64_t *)((char *)at + HEAD);
}

/* Every word, in ways that take turns. */
static void fill(volatile uint64_t *word, size_t words, unsigned turn)
{
	uint64_t live = live_claim();
	size_t i;

	for (i = 0; i < words; i++)
		switch (turn % 5) {
		case 0:
			word[i] = random_word();
			break;
		case 1:
			word[i] = live;
			break;
		case 2:
			word[i] = ~word[i];
			break;
		case 3:
			word[i] = ~0ULL;
			break;
		default:
			word[i] = random_word() & random_word() & random_word();
		}
}

static pid_t start(char *argv[])
{
	pid_t pid = fork();

	if (pid == 0) {
		execv("/proc/self/exe",
		      (char *[]){ argv[0], (char *)"talk", argv[1], argv[2], argv[3], NULL });
		_exit(127);
	}
	return pid;
}

static int write_on(const char *file, bool claims, char *argv[])
{
	size_t words;
	volatile uint64_t *word = map(file, &words);
	pid_t pid = start(argv);
	unsigned rounds = 0;
	int status;

	/* live claims alone: they are what somebody waits for */
	for (; waitpid(pid, &status, WNOHANG) == 0; rounds++)
		fill(word, words, claims ? 1 : rounds);
	printf("%u rounds of %zu words\n", rounds, words);
	return status != 0;
}

static int images(int times, const char *file, char *argv[])
{
	size_t words;
	volatile uint64_t *word = map(file, &words);
	int i, status, failed = 0;
	pid_t pid;

	for (i = 0; i < times; i++) {
		fill(word, words, (unsigned)i);
		pid = start(argv);
		if (waitpid(pid, &status, 0) != pid || status) {
			printf("image %d: status %x\n", i, (unsigned)status);
			failed++;
		}
	}
	printf("%d images, %d failed\n", times, failed);
	return failed != 0;
}

int main(int argc, char *argv[])
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 5 && !strcmp(argv[1], "talk")) {
		count = (int)strtol(argv[2], NULL, 10);
		first_port = (int)strtol(argv[3], NULL, 10);
		last_port = (int)strtol(argv[4], NULL, 10);
		return talk_all();
	}
	if (argc == 6 && !strcmp(argv[1], "write"))
		return write_on(argv[2], false, argv + 2);
	if (argc == 6 && !strcmp(argv[1], "claim"))
		return write_on(argv[2], true, argv + 2);
	if (argc == 7 && !strcmp(argv[1], "images"))
		return images((int)strtol(argv[2], NULL, 10), argv[3], argv + 3);
	return 2;
}
