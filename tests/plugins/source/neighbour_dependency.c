/* A library that each plugin brings in its own version, under the same name. */
__attribute__((visibility("default"))) const char* dependency_words(void) { return "dependency " DEPENDENCY_VERSION; }
#if defined(DEPENDENCY_NEWER)
__attribute__((visibility("default"))) const char* dependency_newer_words(void) { return "newer"; }
#endif
