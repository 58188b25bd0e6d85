#include "target.h"

#include "../core/fd.h"
#include "../core/gain.h"
#include "library.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_SIZE 256       /* BINPRM_BUF_SIZE: what the kernel reads of a script's first line */
#define ANYBODY ((uid_t)-1) /* an id that no file can have */
#define SCRIPTS_DEEPEST 5   /* fs/exec.c, exec_binprm */

#ifdef __GLIBC__
#define OUR_LIBC "glibc"
#else
#define OUR_LIBC "musl"
#endif

/* What of an ELF file decides whether ld.so maps a library into it. */
struct image {
	unsigned char class;
	unsigned char data;
	uint16_t machine;
	bool interpreted; /* it has a dynamic linker */
	char interpreter[PATH_MAX];
};

static int check_executable(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || access(path, X_OK))
		return -EACCES;
	return 0;
}

int target_find(const char *command, struct target *ret_target)
{
	const char *list = getenv("PATH"), *next;
	int rc = -ENOENT;

	/* to clear all of it would take nine pages */
	*ret_target->path = *ret_target->exe = *ret_target->script = *ret_target->linker =
		*ret_target->remedy = '\0';
	ret_target->bits = 0;
	ret_target->gain = NULL;
	if (strchr(command, '/')) {
		if (strlen(command) >= sizeof(ret_target->path))
			return -ENAMETOOLONG;
		strcpy(ret_target->path, command);
		return check_executable(command);
	}
	if (!*command)
		return -ENOENT;
	/* execvp(3): the default where PATH is not set */
	for (list = list ? list : "/bin:/usr/bin"; list; list = next) {
		char path[PATH_MAX];
		size_t len;
		int found;

		len = strcspn(list, ":");
		next = list[len] ? list + len + 1 : NULL;
		if (len + strlen(command) + 2 > sizeof(path))
			continue;
		/* an empty entry is the current folder */
		sprintf(path, "%.*s%s%s", (int)len, list, len ? "/" : "./", command);
		found = check_executable(path);
		if (!found) {
			strcpy(ret_target->path, path);
			return 0;
		}
		if (found == -EACCES)
			rc = found;
	}
	return rc;
}

/* The beginning of a file, in which most have all their headers. */
struct beginning {
	int fd;
	ssize_t size;
	char data[1024];
};

/* Return: false if the file is shorter */
static bool read_at(const struct beginning *file, off_t offset, void *ret_data, size_t size)
{
	if (offset < 0 || offset > file->size || size > (size_t)(file->size - offset))
		return pread(file->fd, ret_data, size, offset) == (ssize_t)size;
	memcpy(ret_data, file->data + offset, size);
	return true;
}

/* Reads the program headers of an ELF file. Return: 0, -ENOEXEC, or another -errno */
static int read_image(int fd, struct image *ret_image)
{
	unsigned char ident[EI_NIDENT];
	struct beginning file = { .fd = fd };
	struct image image = { 0 };
	bool wide;
	unsigned i, count;

	file.size = pread(fd, file.data, sizeof(file.data), 0);
	if (!read_at(&file, 0, ident, sizeof(ident)) || memcmp(ident, ELFMAG, SELFMAG))
		return -ENOEXEC;
	image.class = ident[EI_CLASS];
	image.data = ident[EI_DATA];
	wide = image.class == ELFCLASS64;
	/* another byte order is another machine, and its headers need no reading */
	if (image.data != (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB)) {
		*ret_image = image;
		return 0;
	}
	union {
		Elf64_Ehdr wide;
		Elf32_Ehdr narrow;
	} head;
	if (!read_at(&file, 0, &head, wide ? sizeof(head.wide) : sizeof(head.narrow)))
		return -ENOEXEC;
	image.machine = wide ? head.wide.e_machine : head.narrow.e_machine;
	count = wide ? head.wide.e_phnum : head.narrow.e_phnum;
	for (i = 0; i < count; i++) {
		Elf64_Phdr wide_entry;
		Elf32_Phdr narrow_entry;
		off_t offset;
		size_t size;

		if (wide) {
			offset = (off_t)(head.wide.e_phoff + i * sizeof(wide_entry));
			if (!read_at(&file, offset, &wide_entry, sizeof(wide_entry)))
				return -ENOEXEC;
			if (wide_entry.p_type != PT_INTERP)
				continue;
			offset = (off_t)wide_entry.p_offset;
			size = wide_entry.p_filesz;
		} else {
			offset = (off_t)(head.narrow.e_phoff + i * sizeof(narrow_entry));
			if (!read_at(&file, offset, &narrow_entry, sizeof(narrow_entry)))
				return -ENOEXEC;
			if (narrow_entry.p_type != PT_INTERP)
				continue;
			offset = (off_t)narrow_entry.p_offset;
			size = narrow_entry.p_filesz;
		}
		if (size >= sizeof(image.interpreter) ||
		    !read_at(&file, offset, image.interpreter, size))
			return -ENOEXEC;
		image.interpreted = true;
	}
	*ret_image = image;
	return 0;
}

/*
 * Splits a script's first line as the kernel does: "#!", blanks, interpreter,
 * and the rest as one argument (fs/binfmt_script.c).
 */
static bool parse_script(const char *head, char *ret_interpreter, char *ret_option)
{
	const char *p = head + 2, *end = head + strcspn(head, "\n");
	size_t len;

	if (strncmp(head, "#!", 2))
		return false;
	p += strspn(p, " \t");
	len = strcspn(p, " \t\n");
	if (!len)
		return false;
	memcpy(ret_interpreter, p, len);
	ret_interpreter[len] = '\0';
	p += len;
	p += strspn(p, " \t");
	while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	len = end > p ? (size_t)(end - p) : 0;
	memcpy(ret_option, p, len);
	ret_option[len] = '\0';
	return true;
}

/* As gain_of(). Under no_new_privs, ld.so preloads into any program. */
static const char *gains_rights(const char *path, uid_t uid, gid_t gid)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? NULL : gain_of(path, uid, gid);
}

const char *target_libc(const struct target *target)
{
	if (strstr(target->linker, "/ld-musl"))
		return "musl";
	return strstr(target->linker, "/ld-linux") || strstr(target->linker, "/ld64.so") ? "glibc"
											 : NULL;
}

static int read_library(const char *library, struct image *ret_image)
{
	int fd = open(library, O_RDONLY | O_CLOEXEC), rc;

	rc = fd < 0 ? -errno : read_image(fd, ret_image);
	if (fd >= 0)
		close(fd);
	return rc;
}

static bool same_machine(const struct image *image, const struct image *other)
{
	return image->class == other->class && image->machine == other->machine &&
	       image->data == other->data;
}

static const char *image_libc(const struct image *image)
{
	return strstr(image->interpreter, "/ld-musl") ? "musl" : "glibc";
}

static int check_image(struct target *target, const struct image *image, const char *path,
		       const char *library, struct reason *ret_why)
{
	/* the stack may be small (setrlimit(2)) */
	static char beside[PATH_MAX], where[PATH_MAX + 8];
	static struct image ours, other;
	bool siblings = library_has_siblings(library);
	int rc = read_library(library, &ours);

	*where = '\0';
	strcpy(target->remedy, rc ? "install it" : "");
	if (rc)
		return reason_fail(rc, ret_why, "the library " REASON_QUOTED " cannot be read: %s",
				   library, strerror(-rc));
	if (image->interpreted && library_of_linker(library, image->interpreter, beside)) {
		if (siblings && !read_library(beside, &other) && same_machine(image, &other))
			return 0;
		snprintf(where, sizeof(where), " as '%s'", beside);
	}
	if (image->class != ours.class) {
		snprintf(target->remedy, sizeof(target->remedy),
			 "install portfence for its word size%s", where);
		return reason_fail(-EPERM, ret_why,
				   REASON_QUOTED
				   " is a %d-bit program and this is the %d-bit portfence",
				   path, image->class == ELFCLASS64 ? 64 : 32,
				   ours.class == ELFCLASS64 ? 64 : 32);
	}
	if (!same_machine(image, &ours))
		return reason_fail(-EPERM, ret_why,
				   REASON_QUOTED
				   " is a program for another machine than this portfence; "
				   "install portfence for that machine%.160s",
				   path, where);
	if (!image->interpreted) {
		strcpy(target->remedy, "use a dynamically linked build of it");
		return reason_fail(-EPERM, ret_why,
				   REASON_QUOTED
				   " is statically linked, so no library can be preloaded "
				   "into it",
				   path);
	}
	if (strcmp(image_libc(image), OUR_LIBC) != 0) {
		snprintf(target->remedy, sizeof(target->remedy), "build portfence with %s",
			 image_libc(image));
		return reason_fail(-EPERM, ret_why,
				   REASON_QUOTED " is linked with %s and this portfence with %s",
				   path, image_libc(image), OUR_LIBC);
	}
	if (!siblings)
		return 0;
	snprintf(target->remedy, sizeof(target->remedy), "install portfence for it%s", where);
	return reason_fail(-EPERM, ret_why,
			   REASON_QUOTED " has a dynamic linker of its own, " REASON_QUOTED, path,
			   image->interpreter);
}

/* Looks at an open file. Return: 0 if it is the executable, 1 if a script, whose interpreter is next; -errno */
static int check_open_file(struct target *target, int fd, const char *path, const char *library,
			   char *ret_next, char *ret_option, struct reason *ret_why)
{
	char head[HEAD_SIZE + 1] = "";
	const char *gain;
	struct image image;
	int rc;

	if (pread(fd, head, HEAD_SIZE, 0) > 0 && parse_script(head, ret_next, ret_option))
		return 1;
	rc = read_image(fd, &image);
	if (rc == -ENOEXEC) {
		/* execvp(3) hands it to the shell */
		strcpy(ret_next, "/bin/sh");
		*ret_option = '\0';
		return 1;
	}
	if (rc)
		return reason_fail(rc, ret_why, REASON_QUOTED " cannot be read: %s", path,
				   strerror(-rc));
	if (!realpath(path, target->exe))
		snprintf(target->exe, sizeof(target->exe), "%s", path);
	target->bits = image.class == ELFCLASS64 ? 64 : 32;
	strcpy(target->linker, image.interpreter);
	target->gain = gains_rights(path, ANYBODY, ANYBODY);
	/* what gives nobody a right gives this user none */
	gain = target->gain ? gains_rights(path, getuid(), getgid()) : NULL;
	if (gain)
		return reason_fail(-EPERM, ret_why,
				   REASON_QUOTED
				   " cannot be fenced: %s, and the dynamic linker preloads "
				   "nothing into such a program; run it as the user that it "
				   "becomes",
				   path, gain);
	return check_image(target, &image, path, library, ret_why);
}

static int check_file(struct target *target, const char *path, const char *library, char *ret_next,
		      char *ret_option, struct reason *ret_why)
{
	/* a script may name a FIFO or a device as its interpreter, which execve() refuses */
	int fd = fd_open_regular(path), rc;

	if (fd == -EINVAL || fd == -EISDIR)
		fd = -EACCES;
	if (fd < 0)
		return reason_fail(fd, ret_why, REASON_QUOTED " cannot be read: %s", path,
				   strerror(-fd));
	rc = check_open_file(target, fd, path, library, ret_next, ret_option, ret_why);
	close(fd);
	return rc;
}

int target_check(struct target *target, const char *library, struct reason *ret_why)
{
	static char path[PATH_MAX], next[PATH_MAX], option[PATH_MAX];
	int depth, rc;

	*next = *option = '\0';
	target->remedy[0] = '\0';
	strcpy(path, target->path);
	for (depth = 0; depth <= SCRIPTS_DEEPEST; depth++) {
		rc = check_file(target, path, library, next, option, ret_why);
		if (rc <= 0)
			return rc;
		if (depth == 0)
			snprintf(target->script, sizeof(target->script), "%s%s%s ", next,
				 *option ? " " : "", option);
		strcpy(path, next);
	}
	return reason_fail(-ELOOP, ret_why,
			   REASON_QUOTED
			   " is a script whose interpreter is a script, too deep to follow",
			   target->path);
}

int target_describe(const struct target *target, char *const argv[], struct arena *arena,
		    struct policy_process *ret_process)
{
	size_t size = strlen(target->script) + strlen(target->path) + 1, i;
	char *text, *p;

	for (i = 0; argv[i]; i++)
		size += strlen(argv[i]) + 1;
	text = arena_alloc(arena, size);
	if (!text)
		return -ENOMEM;
	/* as /proc/PID/cmdline will show it, joined by blanks */
	p = stpcpy(text, target->script);
	/* of a script, the kernel puts the path where argv[0] was */
	for (i = 0; argv[i]; i++)
		p = stpcpy(stpcpy(p, i ? " " : ""), !i && *target->script ? target->path : argv[i]);
	*ret_process = (struct policy_process){
		.exe = target->exe,
		.started_as = target->path,
		.args = text,
	};
	return 0;
}
