/* For targets whose C library is not installed; the headers under test need no more of it. */
#include <stddef.h>
size_t strlen(const char* text);
