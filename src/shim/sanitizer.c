/*
 * AddressSanitizer's runtime, as a shared object, ends a program that has any library in front of
 * it ("ASan runtime does not come first in initial library list"): such a library could have an
 * allocator of its own. This one allocates nothing that a program frees, and calls libc through the
 * runtime's own functions, so the order does no harm, and this turns the check off.
 *
 * Source: compiler-rt/lib/asan/asan_linux.cpp, AsanCheckDynamicRTPrereqs(). A program that has such
 * a function of its own keeps it, and ASAN_OPTIONS in the environment overrides both.
 */
const char *__asan_default_options(void);

__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
	return "verify_asan_link_order=0";
}
