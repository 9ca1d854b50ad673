/* Loaded before the program's libraries: a resolver of names that hangs. It answers, that there is no such name, when
 * the file exists that TASKHOST_TEST_NAMES names; and then writes a line for each name to stderr. */
#define _GNU_SOURCE
#include <netdb.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

__attribute__((visibility("default"))) int getaddrinfo(const char* node, const char* service,
                                                       const struct addrinfo* hints, struct addrinfo** result) {
  static const char line[] = "the resolver has answered\n";
  const struct timespec moment = {.tv_nsec = 5000000};
  const char* const file = getenv("TASKHOST_TEST_NAMES");
  (void)node, (void)service, (void)hints;
  while (file != NULL && access(file, F_OK) != 0) nanosleep(&moment, NULL);
  if (write(STDERR_FILENO, line, sizeof line - 1) < 0) return EAI_SYSTEM;
  *result = NULL;
  return EAI_NONAME;
}
