/*
 * name_server: a DNS server at 127.0.0.1:53, where there is no Python for programs/name-server.
 *
 *   name_server    answers each question for an IPv4 address with 127.0.0.1, and any other with no data;
 *                  prints "PORT", from which it was asked
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#define HEADER 12 /* RFC 1035, 4.1.1 */

/* Makes an answer of a question. Return: its size, 0 for none */
static size_t answer(unsigned char *message, size_t size)
{
	/* the name of the question, A, IN, 60 seconds, four bytes */
	static const unsigned char record[] = { 0xc0, HEADER, 0, 1, 0,   1, 0, 0,
						0,    60,     0, 4, 127, 0, 0, 1 };
	size_t end = HEADER;
	int is_address;

	while (end < size && message[end])
		end += message[end] + 1U;
	end += 5;
	if (end > size)
		return 0;
	is_address = message[end - 3] == 1;
	message[2] |= 0x84; /* an answer, with authority */
	message[3] = 0;
	memset(message + 6, 0, 6);
	message[7] = (unsigned char)is_address;
	if (!is_address)
		return end;
	memcpy(message + end, record, sizeof(record));
	return end + sizeof(record);
}

int main(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(53) }, from;
	unsigned char message[512 + 16];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&here, sizeof(here))) {
		perror("bind");
		return 2;
	}
	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, message, 512, 0, (struct sockaddr *)&from, &len);

		if (n < HEADER)
			continue;
		printf("%d\n", ntohs(from.sin_port));
		fflush(stdout);
		sendto(fd, message, answer(message, (size_t)n), 0, (struct sockaddr *)&from, len);
	}
}
