/* A library with some of everything that the dynamic loader handles: calls, data, relocations, a constructor. */
#include <stdlib.h>

static int seen;
const char* elf_test_words[] = {"one", "two", "three"};
void* (*elf_test_call)(size_t) = malloc;

__attribute__((constructor)) static void construct(void) { seen = getenv("HOME") != NULL; }
__attribute__((destructor)) static void destruct(void) { free(NULL); }

__attribute__((visibility("default"))) int elf_test_seen(void);
int elf_test_seen(void) { return seen + (elf_test_words[0] != NULL); }
