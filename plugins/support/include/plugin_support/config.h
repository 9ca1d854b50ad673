/*
 * Reads a task's config: the top level of one JSON object, without allocation. For the plugins of this folder; on the
 * stack of one start, one thread.
 *
 *   config_reader reader;
 *   config_open(&reader, taskhost_config(exec));
 *   state->interval = config_duration(&reader, "interval", TASKHOST_SECOND);
 *   if (!config_close(&reader)) return taskhost_fail(exec, reader.problem);
 *
 * Each getter returns the value, or `absent` where the key is missing. The first thing that is wrong is kept in
 * `problem`, and config_close tells: a wrong type, a value out of range, text that is no JSON, and any key that nobody
 * asked for, since that is mostly a misspelt one. Of equal keys the last counts.
 */
#ifndef PLUGIN_SUPPORT_CONFIG_H
#define PLUGIN_SUPPORT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CONFIG_KEYS_MAX 16       /* keys that one reader can be asked for */
#define CONFIG_KEY_SIZE 64       /* bytes of a key, with the NUL; a longer one is unknown */
#define CONFIG_DEPTH_MAX 64      /* nested arrays and objects */
#define CONFIG_LIFETIME_DAYS 365 /* longest duration */

typedef struct config_reader {
  const char* text;                   /* the caller's; NULL once it proved to be no JSON object */
  const char* asked[CONFIG_KEYS_MAX]; /* the caller's */
  size_t asked_count;
  char problem[320]; /* empty while all is well */
} config_reader;

/* `text` is NUL-terminated UTF-8 and stays valid until config_close. */
void config_open(config_reader* reader, const char* text);

/* Is the key there, of whatever type? */
bool config_has(config_reader* reader, const char* key);

bool config_boolean(config_reader* reader, const char* key, bool absent);

/* A whole number from `least` to `most`. */
uint64_t config_whole(config_reader* reader, const char* key, uint64_t absent, uint64_t least, uint64_t most);

/* Nanoseconds, from a text such as "250ms", "1.5s" or "5m" (ns, us, ms, s, m, h). */
uint64_t config_duration(config_reader* reader, const char* key, uint64_t absent);

/* Copies a text of less than `capacity` bytes, NUL-terminated; returns its length. `absent` must fit as well. */
size_t config_string(config_reader* reader, const char* key, const char* absent, char* value, size_t capacity);

/* Did all go well? If not, `problem` says what to change. */
bool config_close(config_reader* reader);

#ifdef __cplusplus
}
#endif

#endif
