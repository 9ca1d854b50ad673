// Turns an event into words, for an operator who reads the line at 3 a.m. Pure; any thread.
#pragma once

#include <string>

#include "events/host_event.hpp"
#include "taskhost/core/event.hpp"

namespace taskhost {

struct EventText {
  LogLevel level = LogLevel::info;
  const char* task = nullptr;  // the task that the line is about
  std::string words;           // empty if the event is not worth a line
};

// `host_stops`: whether it has begun to stop.
EventText event_text(const Event& event, bool host_stops);
EventText event_text(const PluginLoaded& loaded);
std::string summary_text(const LogSummary& summary);
// `3 times "no route", once "no disk", 2 others`, the most frequent first.
std::string causes_text(const CauseCounts& causes);

}  // namespace taskhost
