/*
 * taskhost/ext/config.h: the host reads values of a task's config, for languages and plugins without a JSON parser.
 *
 *   const taskhost_config_reader *config = (const taskhost_config_reader *)exec->services->extension(
 *       exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
 *
 *   uint64_t every = TASKHOST_SECOND; // the default
 *   if (config->duration(exec, "/every", &every) != TASKHOST_OK) return TASKHOST_ERROR;
 *
 * `pointer` names a value by its JSON pointer (RFC 6901): "/every", "/pins/0". Each function returns TASKHOST_OK and
 * stores the value in *value; if there is none it leaves *value as it is. For a wrong value it returns TASKHOST_ERROR,
 * after calling fail() with a text that names the value and says what it should be, such as `config: /every: must be a
 * duration such as "250ms", "10s" or "1.5h"`. So a plugin that gets TASKHOST_ERROR only has to return it. The functions
 * marked [execution] may be called in check as well; texts that they give are then valid until check returns.
 */
#ifndef TASKHOST_EXT_CONFIG_H
#define TASKHOST_EXT_CONFIG_H

#include "../plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TASKHOST_EXTENSION_CONFIG "taskhost.config"
#define TASKHOST_CONFIG_REVISION 1

typedef struct taskhost_config_reader {
  uint32_t struct_size;
  uint32_t revision;

  /* [execution] Rejects unknown keys. `keys` lists the top-level keys that the plugin understands, separated by blanks:
   * "every greeting". The error names the first unknown key, usually a misspelt one, and the key that was probably
   * meant. */
  int32_t (*keys)(const taskhost_exec *exec, const char *keys);

  /* [execution] An error if there is no value, of whatever type: for values that have no default. */
  int32_t (*require)(const taskhost_exec *exec, const char *pointer);

  /* [execution] A string. *value is UTF-8, NUL-terminated, owned by the host, and valid until drop returns. *size
   * receives its length in bytes; if `size` is NULL, a string that contains a NUL is an error. */
  int32_t (*text)(const taskhost_exec *exec, const char *pointer, const char **value, size_t *size);

  /* [execution] A whole number from `least` to `most`. */
  int32_t (*integer)(const taskhost_exec *exec, const char *pointer, int64_t least, int64_t most, int64_t *value);

  /* [execution] A number. */
  int32_t (*number)(const taskhost_exec *exec, const char *pointer, double *value);

  /* [execution] true or false, as 1 or 0. */
  int32_t (*boolean)(const taskhost_exec *exec, const char *pointer, int32_t *value);

  /* [execution] A duration such as "250ms", "10s" or "1.5h", in nanoseconds; at most 365 days. */
  int32_t (*duration)(const taskhost_exec *exec, const char *pointer, uint64_t *value);

  /* [execution] The number of elements of an array. */
  int32_t (*count)(const taskhost_exec *exec, const char *pointer, size_t *value);

  /* [anywhere] A duration that does not stand in the config, such as an argument in a script: `size` bytes of text,
   * which need not be NUL-terminated. If it is none, or longer than 365 days: TASKHOST_ERROR, without a call of fail(),
   * and *value is left as it is. */
  int32_t (*parse_duration)(const char *text, size_t size, uint64_t *value);
} taskhost_config_reader;

#ifdef __cplusplus
}
#endif

#endif
