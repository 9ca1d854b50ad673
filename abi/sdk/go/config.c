/* Reads a config by its plan, with the extension taskhost.config, into words that config.go understands. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bridge.h"

/* Limit for a JSON pointer. Keys are chosen by the plugin, so longer ones are unusual. */
#define LONGEST_POINTER 4096

typedef struct reading {
  const taskhost_exec* exec;
  const taskhost_config_reader* config;
  taskhost_go_words* values;
  char pointer[LONGEST_POINTER];
} reading;

static int32_t no_memory(reading* self) { return taskhost_fail(self->exec, "config: there is no memory for it"); }

static int32_t put(reading* self, const void* bytes, size_t size) {
  taskhost_go_words* const values = self->values;
  const size_t added = (size + sizeof(uint64_t) - 1) / sizeof(uint64_t);
  if (added > values->capacity - values->count) {
    const size_t capacity = 2 * values->capacity + added + 16;
    uint64_t* const words = realloc(values->words, capacity * sizeof *words);
    if (words == NULL) return no_memory(self);
    values->words = words;
    values->capacity = capacity;
  }
  if (added == 0) return TASKHOST_OK;
  values->words[values->count + added - 1] = 0;
  memcpy(values->words + values->count, bytes, size);
  values->count += added;
  return TASKHOST_OK;
}

static int32_t put_word(reading* self, uint64_t word) { return put(self, &word, sizeof word); }

/* Appends a value of one word, or notes that there is none. */
static int32_t put_found(reading* self, int found, const void* word) {
  const int32_t result = put_word(self, found != 0);
  return result == TASKHOST_OK && found ? put(self, word, sizeof(uint64_t)) : result;
}

static int32_t read_value(reading* self, const taskhost_go_field* field, size_t length);

static int32_t read_fields(reading* self, const taskhost_go_field* field, size_t length) {
  for (; field != NULL; field = field->next) {
    const size_t key_length = strlen(field->key);
    if (key_length >= LONGEST_POINTER - length) return taskhost_fail(self->exec, "config: the keys are too long");
    memcpy(self->pointer + length, field->key, key_length + 1);
    if (field->required) {
      const int32_t result = self->config->require(self->exec, self->pointer);
      if (result != TASKHOST_OK) return result;
    }
    const int32_t result = read_value(self, field, length + key_length);
    if (result != TASKHOST_OK) return result;
  }
  return TASKHOST_OK;
}

static int32_t read_elements(reading* self, const taskhost_go_field* element, size_t length) {
  size_t count = (size_t)-1;
  int32_t result = self->config->count(self->exec, self->pointer, &count);
  if (result != TASKHOST_OK) return result;
  if (count == (size_t)-1) return put_word(self, 0);
  const uint64_t size = count;
  result = put_found(self, 1, &size);
  for (size_t index = 0; index < count && result == TASKHOST_OK; ++index) {
    const int digits = snprintf(self->pointer + length, LONGEST_POINTER - length, "/%zu", index);
    if (digits < 0 || (size_t)digits >= LONGEST_POINTER - length) {
      return taskhost_fail(self->exec, "config: the keys are too long");
    }
    result = read_value(self, element, length + (size_t)digits);
  }
  return result;
}

static int32_t read_text(reading* self) {
  const char* text = NULL;
  size_t size = 0;
  int32_t result = self->config->text(self->exec, self->pointer, &text, &size);
  if (result != TASKHOST_OK) return result;
  const uint64_t word = size;
  result = put_found(self, text != NULL, &word);
  return result == TASKHOST_OK && text != NULL ? put(self, text, size) : result;
}

/* Every 64-bit value is valid, so none can mean "no value": if the initial value comes back, this asks again with
 * another one. */
static int32_t read_whole(reading* self, const taskhost_go_field* field) {
  int64_t value = INT64_MIN;
  int32_t result = self->config->integer(self->exec, self->pointer, field->least, field->most, &value);
  int found = value != INT64_MIN;
  if (result == TASKHOST_OK && !found) {
    value = INT64_MAX;
    result = self->config->integer(self->exec, self->pointer, field->least, field->most, &value);
    found = value != INT64_MAX;
  }
  return result == TASKHOST_OK ? put_found(self, found, &value) : result;
}

/* Reads the value that `pointer` names, which has `length` bytes. */
static int32_t read_value(reading* self, const taskhost_go_field* field, size_t length) {
  const taskhost_exec* const exec = self->exec;
  const char* const pointer = self->pointer;
  int32_t result = TASKHOST_OK;
  switch (field->kind) {
    case TASKHOST_GO_TEXT:
      return read_text(self);
    case TASKHOST_GO_BOOLEAN: {
      int32_t value = -1;
      result = self->config->boolean(exec, pointer, &value);
      const uint64_t word = value == 1;
      return result == TASKHOST_OK ? put_found(self, value >= 0, &word) : result;
    }
    case TASKHOST_GO_WHOLE:
      return read_whole(self, field);
    case TASKHOST_GO_NUMBER: {
      double value = NAN; /* JSON has no NaN */
      result = self->config->number(exec, pointer, &value);
      return result == TASKHOST_OK ? put_found(self, !isnan(value), &value) : result;
    }
    case TASKHOST_GO_DURATION: {
      uint64_t value = TASKHOST_NEVER;
      result = self->config->duration(exec, pointer, &value);
      return result == TASKHOST_OK ? put_found(self, value != TASKHOST_NEVER, &value) : result;
    }
    case TASKHOST_GO_STRUCT:
      return read_fields(self, field->inner, length);
    default: /* TASKHOST_GO_ARRAY */
      return read_elements(self, field->inner, length);
  }
}

int32_t taskhost_go_read_config(const taskhost_go_plan* plan, const taskhost_exec* exec, taskhost_go_words* values) {
  if (plan->problem != NULL) return taskhost_fail(exec, plan->problem);
  reading self;
  self.exec = exec;
  self.config = exec->services->extension(exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
  self.values = values;
  self.pointer[0] = '\0';
  if (self.config == NULL) return taskhost_fail(exec, "this host reads no configs (extension taskhost.config)");
  const int32_t result = self.config->keys(exec, plan->keys);
  return result == TASKHOST_OK ? read_fields(&self, plan->first, 0) : result;
}
