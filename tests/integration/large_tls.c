/* Loaded before the program's libraries: each thread's stack needs room for 200,000 bytes of thread-local data. */
__attribute__((visibility("default"))) __thread char large[200000] = {1};
