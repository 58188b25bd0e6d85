#include "next_symbol.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Theory of operation
 *
 * A program may bring a glibc that is older than the one that we were built
 * with, and must still be able to load us. In glibc, dlsym() is a function of
 * libc since version 2.34. Before, it is in libdl, which not every program loads;
 * and to name libdl as a library that we need would make every program load it.
 *
 * So we ask for the oldest dlsym() there is, and do without if there is none:
 * then we look through the libraries ourselves. dl_iterate_phdr() goes through
 * them in the order in which the dynamic linker searches them.
 */

/* sysdeps/.../libdl.abilist of glibc */
#ifdef __GLIBC__
#if defined(__x86_64__) && defined(__LP64__)
__asm__(".symver dlsym, dlsym@GLIBC_2.2.5");
#elif defined(__i386__)
__asm__(".symver dlsym, dlsym@GLIBC_2.0");
#elif defined(__aarch64__)
__asm__(".symver dlsym, dlsym@GLIBC_2.17");
#elif defined(__arm__)
__asm__(".symver dlsym, dlsym@GLIBC_2.4");
#endif
#endif

extern __typeof__(dlsym) dlsym __attribute__((weak));

struct search {
	const char *name;
	uint32_t hash;
	bool behind_us;
	void *found;
};

/* Does the loaded object hold this address? */
static bool holds(const struct dl_phdr_info *object, const void *address)
{
	uintptr_t offset = (uintptr_t)address - object->dlpi_addr;
	size_t i;

	for (i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];

		if (segment->p_type == PT_LOAD && offset >= segment->p_vaddr &&
		    offset - segment->p_vaddr < segment->p_memsz)
			return true;
	}
	return false;
}

static const ElfW(Dyn) * find_dynamic(const struct dl_phdr_info *object)
{
	size_t i;

	for (i = 0; i < object->dlpi_phnum; i++)
		if (object->dlpi_phdr[i].p_type == PT_DYNAMIC)
			return (const void *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
	return NULL;
}

/* An address in a dynamic section: glibc has added the load address, other libcs have not. */
static const void *find_table(const struct dl_phdr_info *object, ElfW(Sxword) tag)
{
	const ElfW(Dyn) *entry = find_dynamic(object);

	for (; entry && entry->d_tag != DT_NULL; entry++)
		if (entry->d_tag == tag)
			return (const void *)(entry->d_un.d_ptr < object->dlpi_addr
						      ? object->dlpi_addr + entry->d_un.d_ptr
						      : entry->d_un.d_ptr);
	return NULL;
}

/* https://flapenguin.me/elf-dt-gnu-hash; glibc's elf/dl-lookup.c, dl_new_hash */
static uint32_t hash_name(const char *name)
{
	uint32_t hash = 5381;

	while (*name)
		hash = hash * 33 + (unsigned char)*name++;
	return hash;
}

/* Is this symbol a function of that name that calls without a version find? */
static bool is_wanted(const struct search *search, const ElfW(Sym) * symbol, const char *strings,
		      const ElfW(Half) * versions, size_t index)
{
	/* the highest bit marks a version that only old programs get */
	return symbol[index].st_shndx != SHN_UNDEF && symbol[index].st_value &&
	       ELF32_ST_TYPE(symbol[index].st_info) == STT_FUNC &&
	       (!versions || !(versions[index] & 0x8000)) &&
	       !strcmp(strings + symbol[index].st_name, search->name);
}

static void *look_up(const struct dl_phdr_info *object, const struct search *search)
{
	const uint32_t *table = find_table(object, DT_GNU_HASH);
	const ElfW(Sym) *symbols = find_table(object, DT_SYMTAB);
	const char *strings = find_table(object, DT_STRTAB);
	const ElfW(Half) *versions = find_table(object, DT_VERSYM);
	const uint32_t *buckets, *chain;
	uint32_t i;

	if (!table || !symbols || !strings || !table[0])
		return NULL;
	/* number of buckets, first symbol with a hash, words of the filter, its shift; the filter */
	buckets = table + 4 + table[2] * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
	chain = buckets + table[0];
	i = buckets[search->hash % table[0]];
	if (i < table[1])
		return NULL;
	do
		if ((chain[i - table[1]] | 1) == (search->hash | 1) &&
		    is_wanted(search, symbols, strings, versions, i))
			return (void *)(object->dlpi_addr + symbols[i].st_value);
	while (!(chain[i++ - table[1]] & 1));
	return NULL;
}

static int look_into(struct dl_phdr_info *object, size_t size, void *context)
{
	struct search *search = context;

	(void)size;
	if (search->behind_us)
		search->found = look_up(object, search);
	else
		search->behind_us = holds(object, (const void *)(uintptr_t)next_symbol);
	return search->found != NULL;
}

void *next_symbol(const char *name)
{
	struct search search = { .name = name, .hash = hash_name(name) };

	if (dlsym)
		return dlsym(RTLD_NEXT, name);
	dl_iterate_phdr(look_into, &search);
	return search.found;
}

void *next_symbol_of_program(const char *name)
{
	return dlsym ? dlsym(RTLD_DEFAULT, name) : NULL;
}

struct pair {
	const void *one, *other;
};

/* Return: 1 where one library has both, 2 where it has one of them, 0: go on */
static int compare_place(struct dl_phdr_info *object, size_t size, void *context)
{
	const struct pair *pair = context;
	bool one = holds(object, pair->one), other = holds(object, pair->other);

	(void)size;
	return one && other ? 1 : one || other ? 2 : 0;
}

bool next_symbol_in_one_library(const void *one, const void *other)
{
	struct pair pair = { one, other };

	return one && other && dl_iterate_phdr(compare_place, &pair) == 1;
}
