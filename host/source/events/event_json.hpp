// Writes an event as one line of JSON: the event stream's stable interface. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "events/host_event.hpp"
#include "taskhost/core/event.hpp"

namespace taskhost {

// Appends the object without a line end. `time_us`: microseconds since 1970, UTC. For plugin_loaded, `task` is the
// plugin's name and `message` its path.
void append_event_json(std::string& line, const Event& event, std::uint64_t sequence, std::int64_t time_us);
// {"time":…,"seq":…,"event":"plugin_loaded","plugin":…,"path":…}
void append_event_json(std::string& line, const PluginLoaded& loaded, std::uint64_t sequence, std::int64_t time_us);
// {"time":…,"seq":…,"event":"events_lost","count":…}
void append_event_json(std::string& line, const EventsLost& lost, std::uint64_t sequence, std::int64_t time_us);

// {"time":…,"seq":…,"event":"events_summed","starts":…,"exits":…,"failures":…,"restarts":…,"stalls":…,"ends":…,
// "milliseconds":…}: the counts of the log's summary, over that time.
void append_event_json(std::string& line, const EventsSummed& summed, std::uint64_t sequence, std::int64_t time_us);

// Microseconds since 1970, by the wall clock.
std::int64_t now_us() noexcept;

// "2026-01-31T12:00:00.000000Z"
void append_time(std::string& line, std::int64_t time_us);

// A JSON string literal; bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& line, std::string_view text);

}  // namespace taskhost
