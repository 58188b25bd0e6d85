/* lean: a shared object that does nothing; what preloading anything costs at process start. */
int portfence_bench_lean;
