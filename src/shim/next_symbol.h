/* next_symbol: finds a function behind our own library, in the order of the dynamic linker; it calls none. */
#ifndef PORTFENCE_SHIM_NEXT_SYMBOL_H
#define PORTFENCE_SHIM_NEXT_SYMBOL_H

#include <stdbool.h>

/**
 * next_symbol() - The function that a call from a library before ours would find without us
 *
 * As dlsym(RTLD_NEXT, @name). Return: NULL if there is none
 */
void *next_symbol(const char *name);

/*
 * next_symbol_of_program() - A function or variable as the program itself finds it
 *
 * As dlsym(RTLD_DEFAULT, @name): the executable may have a copy of a library's variable. Return: NULL
 * if there is none, and always in programs with a glibc before 2.34 and without libdl
 */
void *next_symbol_of_program(const char *name);

/* next_symbol_in_one_library() - Do both functions come from the same library? */
bool next_symbol_in_one_library(const void *one, const void *other);

#endif
