#include "plugin_support/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* All parsing works like this: a function takes the position where something begins, and returns the position after
 * it, or NULL if the text is no JSON. The NUL at the end fits nowhere, so nothing runs past it. */

static const char* skip_space(const char* at) {
  while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r') ++at;
  return at;
}

static bool is_digit(char character) { return character >= '0' && character <= '9'; }

static const char* skip_digits(const char* at) {
  while (is_digit(*at)) ++at;
  return at;
}

/* Where a decoded text goes. With no room left it counts on, so that the caller sees that it was too long. */
typedef struct text_sink {
  char* bytes;
  size_t capacity;
  size_t size;
  bool has_nul; /* \u0000 is good JSON, but no text for C */
} text_sink;

static void put_byte(text_sink* sink, uint32_t byte) {
  if (byte == 0) sink->has_nul = true;
  if (sink->size + 1 < sink->capacity) sink->bytes[sink->size] = (char)(unsigned char)byte;
  ++sink->size;
}

static void put_code_point(text_sink* sink, uint32_t code) {
  if (code < 0x80) {
    put_byte(sink, code);
  } else if (code < 0x800) {
    put_byte(sink, 0xC0 | (code >> 6));
    put_byte(sink, 0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put_byte(sink, 0xE0 | (code >> 12));
    put_byte(sink, 0x80 | ((code >> 6) & 0x3F));
    put_byte(sink, 0x80 | (code & 0x3F));
  } else {
    put_byte(sink, 0xF0 | (code >> 18));
    put_byte(sink, 0x80 | ((code >> 12) & 0x3F));
    put_byte(sink, 0x80 | ((code >> 6) & 0x3F));
    put_byte(sink, 0x80 | (code & 0x3F));
  }
}

static const char* read_four_hex(const char* at, uint32_t* value) {
  *value = 0;
  for (int index = 0; index < 4; ++index, ++at) {
    uint32_t digit;
    if (is_digit(*at)) {
      digit = (uint32_t)(*at - '0');
    } else if (*at >= 'a' && *at <= 'f') {
      digit = (uint32_t)(*at - 'a') + 10;
    } else if (*at >= 'A' && *at <= 'F') {
      digit = (uint32_t)(*at - 'A') + 10;
    } else {
      return NULL;
    }
    *value = *value * 16 + digit;
  }
  return at;
}

/* After "\u". Characters beyond 0xFFFF come as two escapes, a high and a low surrogate; half a pair is no text. */
static const char* read_unicode_escape(const char* at, text_sink* sink) {
  uint32_t code;
  at = read_four_hex(at, &code);
  if (at == NULL || (code >= 0xDC00 && code <= 0xDFFF)) return NULL;
  if (code >= 0xD800 && code <= 0xDBFF) {
    uint32_t low;
    if (at[0] != '\\' || at[1] != 'u') return NULL;
    at = read_four_hex(at + 2, &low);
    if (at == NULL || low < 0xDC00 || low > 0xDFFF) return NULL;
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  put_code_point(sink, code);
  return at;
}

static const char* read_string(const char* at, text_sink* sink) {
  static const char escaped[] = "\"\\/bfnrt";
  static const char meaning[] = "\"\\/\b\f\n\r\t";
  if (*at++ != '"') return NULL;
  while (*at != '"') {
    if ((unsigned char)*at < 0x20) return NULL;
    if (*at != '\\') {
      put_byte(sink, (unsigned char)*at++);
      continue;
    }
    ++at;
    if (*at == 'u') {
      at = read_unicode_escape(at + 1, sink);
      if (at == NULL) return NULL;
      continue;
    }
    const char* found = *at == '\0' ? NULL : strchr(escaped, *at);
    if (found == NULL) return NULL;
    put_byte(sink, (unsigned char)meaning[found - escaped]);
    ++at;
  }
  if (sink->capacity > 0) sink->bytes[sink->size < sink->capacity ? sink->size : sink->capacity - 1] = '\0';
  return at + 1;
}

static const char* skip_string(const char* at) {
  text_sink nowhere = {NULL, 0, 0, false};
  return read_string(at, &nowhere);
}

static const char* skip_number(const char* at) {
  if (*at == '-') ++at;
  if (!is_digit(*at)) return NULL;
  at = *at == '0' ? at + 1 : skip_digits(at);
  if (*at == '.') {
    if (!is_digit(*++at)) return NULL;
    at = skip_digits(at);
  }
  if (*at == 'e' || *at == 'E') {
    ++at;
    if (*at == '+' || *at == '-') ++at;
    if (!is_digit(*at)) return NULL;
    at = skip_digits(at);
  }
  return at;
}

static const char* skip_word(const char* at, const char* word) {
  size_t size = strlen(word);
  return strncmp(at, word, size) == 0 ? at + size : NULL;
}

static const char* skip_value(const char* at, int depth);

static const char* skip_members(const char* at, int depth, char close) {
  if (depth >= CONFIG_DEPTH_MAX) return NULL;
  at = skip_space(at + 1);
  if (*at == close) return at + 1;
  for (;;) {
    if (close == '}') {
      at = skip_string(at);
      if (at == NULL) return NULL;
      at = skip_space(at);
      if (*at != ':') return NULL;
      at = skip_space(at + 1);
    }
    at = skip_value(at, depth + 1);
    if (at == NULL) return NULL;
    at = skip_space(at);
    if (*at == close) return at + 1;
    if (*at != ',') return NULL;
    at = skip_space(at + 1);
  }
}

static const char* skip_value(const char* at, int depth) {
  switch (*at) {
    case '{':
      return skip_members(at, depth, '}');
    case '[':
      return skip_members(at, depth, ']');
    case '"':
      return skip_string(at);
    case 't':
      return skip_word(at, "true");
    case 'f':
      return skip_word(at, "false");
    case 'n':
      return skip_word(at, "null");
    default:
      return skip_number(at);
  }
}

static void complain(config_reader* reader, const char* format, ...) {
  if (reader->problem[0] != '\0') return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reader->problem, sizeof reader->problem, format, arguments);
  va_end(arguments);
}

/* Steps through the members of the top level. `member` is NULL at first; returns the next one's value and puts its key
 * into `key` (CONFIG_KEY_SIZE bytes), or returns NULL after the last. The text is known to be good. */
static const char* next_member(const config_reader* reader, const char* member, char* key) {
  const char* at;
  if (member == NULL) {
    at = skip_space(skip_space(reader->text) + 1);
    if (*at == '}') return NULL;
  } else {
    at = skip_space(skip_value(member, 1));
    if (*at == '}') return NULL;
    at = skip_space(at + 1);
  }
  text_sink sink = {key, CONFIG_KEY_SIZE, 0, false};
  at = skip_space(read_string(at, &sink));
  if (sink.size >= CONFIG_KEY_SIZE) memcpy(key + CONFIG_KEY_SIZE - 4, "...", 4);
  return skip_space(at + 1);
}

static const char* find(config_reader* reader, const char* key) {
  if (reader->text == NULL) return NULL;
  bool known = false;
  for (size_t index = 0; index < reader->asked_count; ++index) known |= strcmp(reader->asked[index], key) == 0;
  if (!known && reader->asked_count < CONFIG_KEYS_MAX) reader->asked[reader->asked_count++] = key;

  const char* found = NULL;
  char name[CONFIG_KEY_SIZE];
  for (const char* value = next_member(reader, NULL, name); value; value = next_member(reader, value, name)) {
    if (strcmp(name, key) == 0) found = value;
  }
  return found;
}

void config_open(config_reader* reader, const char* text) {
  memset(reader, 0, sizeof *reader);
  const char* begin = skip_space(text);
  const char* end = *begin == '{' ? skip_value(begin, 0) : NULL;
  if (end == NULL || *skip_space(end) != '\0') {
    complain(reader, "config must be a JSON object, such as {\"key\": \"value\"}, nested at most %d deep",
             CONFIG_DEPTH_MAX);
    return;
  }
  reader->text = text;
}

bool config_has(config_reader* reader, const char* key) { return find(reader, key) != NULL; }

bool config_boolean(config_reader* reader, const char* key, bool absent) {
  const char* value = find(reader, key);
  if (value == NULL) return absent;
  if (*value == 't') return true;
  if (*value != 'f') complain(reader, "config: \"%s\" must be true or false", key);
  return false;
}

uint64_t config_whole(config_reader* reader, const char* key, uint64_t absent, uint64_t least, uint64_t most) {
  const char* value = find(reader, key);
  if (value == NULL) return absent;
  uint64_t number = 0;
  bool good = is_digit(*value);
  for (; good && is_digit(*value); ++value) {
    uint64_t digit = (uint64_t)(*value - '0');
    if (number > (UINT64_MAX - digit) / 10) {
      good = false;
    } else {
      number = number * 10 + digit;
    }
  }
  if (!good || *value == '.' || *value == 'e' || *value == 'E' || number < least || number > most) {
    complain(reader, "config: \"%s\" must be a whole number from %llu to %llu", key, (unsigned long long)least,
             (unsigned long long)most);
    return absent;
  }
  return number;
}

/* False unless `text` is digits, perhaps a point and digits, and a unit; or if it is longer than allowed. */
static bool parse_duration(const char* text, uint64_t* nanoseconds) {
  static const struct {
    const char* name;
    uint64_t size;
  } units[] = {{"ns", 1},         {"us", 1000},          {"ms", 1000000},
               {"s", 1000000000}, {"m", 60000000000ull}, {"h", 3600000000000ull}};
  const char* whole = text;
  const char* point = skip_digits(text);
  const char* fraction = *point == '.' ? point + 1 : point;
  const char* unit = skip_digits(fraction);
  if (point == whole || (*point == '.' && unit == fraction)) return false;
  for (size_t index = 0; index < sizeof units / sizeof units[0]; ++index) {
    if (strcmp(unit, units[index].name) != 0) continue;
    const uint64_t size = units[index].size;
    const uint64_t limit = CONFIG_LIFETIME_DAYS * 24 * 3600000000000ull;
    uint64_t count = 0;
    for (; whole < point; ++whole) {
      count = count * 10 + (uint64_t)(*whole - '0');
      if (count > limit / size) return false;
    }
    uint64_t total = count * size;
    uint64_t place = size;
    for (; fraction < unit; ++fraction) {
      place /= 10; /* below a nanosecond nothing counts */
      total += place * (uint64_t)(*fraction - '0');
    }
    *nanoseconds = total;
    return total <= limit;
  }
  return false;
}

uint64_t config_duration(config_reader* reader, const char* key, uint64_t absent) {
  const char* value = find(reader, key);
  if (value == NULL) return absent;
  char text[32];
  text_sink sink = {text, sizeof text, 0, false};
  uint64_t nanoseconds = 0;
  if (*value != '"' || read_string(value, &sink) == NULL || sink.size >= sizeof text || sink.has_nul ||
      !parse_duration(text, &nanoseconds)) {
    complain(reader, "config: \"%s\" must be a duration up to %d days, such as \"250ms\", \"1.5s\" or \"5m\"", key,
             CONFIG_LIFETIME_DAYS);
    return absent;
  }
  return nanoseconds;
}

size_t config_string(config_reader* reader, const char* key, const char* absent, char* value, size_t capacity) {
  const char* found = find(reader, key);
  if (found != NULL) {
    text_sink sink = {value, capacity, 0, false};
    if (*found == '"' && read_string(found, &sink) != NULL && sink.size < capacity && !sink.has_nul) return sink.size;
    complain(reader, "config: \"%s\" must be a text of less than %zu bytes, without \\u0000", key, capacity);
  }
  size_t size = strlen(absent);
  if (size >= capacity) size = capacity - 1;
  memcpy(value, absent, size);
  value[size] = '\0';
  return size;
}

bool config_close(config_reader* reader) {
  if (reader->text == NULL || reader->problem[0] != '\0') return false;
  char name[CONFIG_KEY_SIZE];
  for (const char* value = next_member(reader, NULL, name); value; value = next_member(reader, value, name)) {
    bool known = false;
    for (size_t index = 0; index < reader->asked_count; ++index) known |= strcmp(reader->asked[index], name) == 0;
    if (known) continue;
    char words[200] = "it takes none";
    size_t size = 0;
    for (size_t index = 0; index < reader->asked_count && size < sizeof words; ++index) {
      int more =
          snprintf(words + size, sizeof words - size, "%s%s", index == 0 ? "it knows " : ", ", reader->asked[index]);
      size += more > 0 ? (size_t)more : 0;
    }
    complain(reader, "config: unknown key \"%s\"; %s", name, words);
    return false;
  }
  return true;
}
