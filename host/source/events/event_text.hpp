// An event in words, for the operator who reads one line at 3 a.m. Pure; any thread.
#pragma once

#include <string>

#include "events/host_event.hpp"
#include "taskhost/core/event.hpp"

namespace taskhost {

struct EventText {
  LogLevel level = LogLevel::info;
  const char* task = nullptr;  // whose line it is
  std::string words;           // empty: nothing worth a line
};

// `host_stops`: it has begun to.
EventText event_text(const Event& event, bool host_stops);
EventText event_text(const PluginLoaded& loaded);
std::string summary_text(const LogSummary& summary);
// `3 times "no route", once "no disk", 2 others`, the most frequent first.
std::string causes_text(const CauseCounts& causes);

}  // namespace taskhost
