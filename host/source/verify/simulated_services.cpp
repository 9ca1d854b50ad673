// The simulated host's table of services: each does its work and checks how it was called.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "plugin/config_extension.hpp"
#include "plugin/factory_rules.hpp"
#include "taskhost/ext/config.h"
#include "taskhost/ext/manifest.h"
#include "taskhost/ext/signals.h"
#include "text/printable.hpp"
#include "verify/simulated_host.hpp"

namespace taskhost::verify {

namespace {

constexpr std::size_t max_text_bytes = 4096;

std::string caller_words(const CurrentCall& call, const Cell* cell) {
  if (call.phase == Phase::none) return "on a thread of the plugin's own, outside of start, poll and run";
  if (call.cell != cell) return "for an execution other than the one that called it";
  return phase_words(call.phase);
}

enum class InCheck : bool { no, yes };  // whether a check may call it

// The cell, or null for a call that can't be answered.
Cell* any_thread(const taskhost_exec* exec, const char* service, InCheck in_check = InCheck::no) {
  SimulatedHost& host = *SimulatedHost::current();
  Cell* const cell = host.cell_of(exec);
  if (cell == nullptr) {
    host.findings().broken("4.1", std::string("no exec ") + service,
                           std::string(service) + " was called with a pointer that is not an exec");
    return nullptr;
  }
  if (!cell->is_alive()) {
    host.findings().broken("4.1", std::string("dead exec ") + service,
                           std::string(service) + " was called for an execution that had already been dropped, " +
                               caller_words(current_call(), cell));
    return nullptr;
  }
  cell->count_call();
  const CurrentCall& call = current_call();
  if (call.phase == Phase::work) {
    host.findings().broken("4.11", std::string("exec in work ") + service,
                           std::string(service) +
                               " was called in offloaded work, which may outlive its execution: give it what it needs "
                               "by its argument, and let the execution call the host when the work is done");
  } else if (cell->is_check() && (in_check == InCheck::no || call.cell != cell)) {
    host.findings().broken("3.16", std::string("in check ") + service,
                           std::string(service) + " was called " +
                               (call.cell == cell ? "in check"
                                                  : "for a check, on a "
                                                    "thread of the plugin's own") +
                               "; a check has only log, fail, config, task_name, now and "
                               "extension, on the thread that called it");
    return nullptr;
  }
  return cell;
}

bool is_polled_call(const CurrentCall& call, const Cell* cell) {
  return call.cell == cell && !cell->is_blocking() &&
         (call.phase == Phase::start || call.phase == Phase::poll || call.phase == Phase::finish);
}

Cell* own_call(const taskhost_exec* exec, const char* service, InCheck in_check = InCheck::no) {
  Cell* const cell = any_thread(exec, service, in_check);
  if (cell == nullptr) return nullptr;
  const CurrentCall& call = current_call();
  const bool inside = call.phase == Phase::start || call.phase == Phase::poll || call.phase == Phase::run ||
                      call.phase == Phase::finish || call.phase == Phase::check;
  if (call.cell != cell || !inside) {
    cell->host().findings().broken(
        "4.2", std::string("not in a call ") + service,
        std::string(service) + " was called " + caller_words(call, cell) +
            "; call it only in the execution's own start, poll, run or finish, on their thread");
  }
  return cell;
}

std::string_view judged_text(Cell& cell, const char* service, const char* text, std::size_t size) {
  Findings& findings = cell.host().findings();
  if (text == nullptr) {
    if (size != 0) {
      findings.broken("4.6", std::string(service) + " null",
                      std::string(service) + " got NULL for a text of " + std::to_string(size) + " bytes");
    }
    return {};
  }
  const std::string_view whole(text, size);
  if (size > max_text_bytes) {
    findings.note("4.6", std::string(service) + " long",
                  std::string(service) + " got a text of " + std::to_string(size) + " bytes; the host cuts at " +
                      std::to_string(max_text_bytes));
  }
  const std::string_view view = whole.substr(0, std::min(size, max_text_bytes));
  for (std::size_t i = 0; i < view.size();) {
    const std::size_t character = character_size(whole, i);
    if (character == 0) {
      findings.broken("4.6", std::string(service) + " not utf8",
                      std::string(service) + " got a text that is not UTF-8, at byte " + std::to_string(i) + ": " +
                          quoted_text(view.substr(i > 20 ? i - 20 : 0)));
      return view;
    }
    i += character;
  }
  if (has_control_character(view)) {
    findings.note(
        "4.6", std::string(service) + " control",
        std::string(service) + " got a text with control characters, which the host replaces: " + quoted_text(view));
  }
  return view;
}

const ConfigValues& values_of(const taskhost_exec* exec) {
  own_call(exec, "a function of " TASKHOST_EXTENSION_CONFIG, InCheck::yes);
  return SimulatedHost::current()->config_values();
}

// The host's own, but for texts that each execution has for itself, until its drop.
const taskhost_config_reader& config_table() {
  static const taskhost_config_reader table = [] {
    taskhost_config_reader made = config_extension<values_of>;
    made.text = [](const taskhost_exec* exec, const char* pointer, const char** value, size_t* size) -> int32_t {
      const char* text = nullptr;
      const int32_t result = config_extension<values_of>.text(exec, pointer, &text, size);
      if (result != TASKHOST_OK || text == nullptr) return result;
      Cell* const cell = SimulatedHost::current()->cell_of(exec);
      const bool is_alive = cell != nullptr && cell->is_alive();
      *value = is_alive ? cell->texts().own({text, size != nullptr ? *size : std::strlen(text)}) : text;
      return result;
    };
    return made;
  }();
  return table;
}

const taskhost_signals signals_table = {
    sizeof(taskhost_signals),
    TASKHOST_SIGNALS_REVISION,
    [](const taskhost_exec* exec, uint32_t wanted) -> int32_t {
      Cell* const cell = own_call(exec, "subscribe of " TASKHOST_EXTENSION_SIGNALS);
      return cell != nullptr && cell->subscribe(wanted) ? TASKHOST_OK : TASKHOST_ERROR;
    },
    [](const taskhost_exec* exec) -> uint32_t {
      Cell* const cell = own_call(exec, "take of " TASKHOST_EXTENSION_SIGNALS);
      return cell != nullptr ? cell->take_signals() : 0;
    },
};

const taskhost_manifest manifest_table = {
    sizeof(taskhost_manifest),
    TASKHOST_MANIFEST_REVISION,
    [](const taskhost_exec* exec) -> const char* {
      const Cell* const cell = any_thread(exec, "directory of " TASKHOST_EXTENSION_MANIFEST, InCheck::yes);
      return cell != nullptr ? cell->texts().directory() : SimulatedHost::current()->directory().c_str();
    },
};

int32_t refuse_call(Cell& cell, const char* service, const CurrentCall& call, const char* where) {
  cell.host().findings().broken(
      "4.2", std::string(service) + " elsewhere",
      std::string(service) + " was called " + caller_words(call, &cell) + "; it is only for " + where);
  return TASKHOST_REFUSED_CALL;
}

int32_t watch(const taskhost_exec* exec, taskhost_fd fd, uint32_t interests, uint64_t tag) {
  Cell* const cell = any_thread(exec, "watch");
  if (cell == nullptr) return TASKHOST_REFUSED_CALL;
  const CurrentCall& call = current_call();
  if (call.cell == cell && call.phase == Phase::drop && interests == 0) return TASKHOST_OK;  // all are forgotten
  if (!is_polled_call(call, cell)) return refuse_call(*cell, "watch", call, "start, poll and finish");
  Findings& findings = cell->host().findings();
  if ((interests & ~(TASKHOST_READABLE | TASKHOST_WRITABLE | TASKHOST_BROKEN)) != 0) {
    findings.broken("4.5", "interests",
                    "watch got interests " + std::to_string(interests) +
                        ", which have other bits than TASKHOST_READABLE, TASKHOST_WRITABLE and TASKHOST_BROKEN");
    return TASKHOST_REFUSED_ARGUMENT;
  }
  const bool is_open = fd == static_cast<int>(fd) && ::fcntl(static_cast<int>(fd), F_GETFD) != -1;
  if (interests != 0 && !is_open) {
    findings.broken("4.5", "closed fd",
                    "watch got descriptor " + std::to_string(fd) +
                        ", which is not open; its number may soon belong to another task");
    return TASKHOST_REFUSED_CLOSED;
  }
  return cell->watch(static_cast<int>(fd), interests, tag);
}

size_t take_ready(const taskhost_exec* exec, taskhost_ready* list, size_t capacity) {
  Cell* const cell = any_thread(exec, "take_ready");
  if (cell == nullptr) return 0;
  if (!is_polled_call(current_call(), cell)) {
    refuse_call(*cell, "take_ready", current_call(), "start, poll and finish");
    return 0;
  }
  return list != nullptr ? cell->take_ready(list, capacity) : 0;
}

int32_t offload(const taskhost_exec* exec, const taskhost_work* work) {
  Cell* const cell = any_thread(exec, "offload");
  if (cell == nullptr) return TASKHOST_REFUSED_CALL;
  if (!is_polled_call(current_call(), cell)) {
    return refuse_call(*cell, "offload", current_call(), "start, poll and finish");
  }
  if (work == nullptr || work->struct_size < first_work_size || work->struct_size > max_struct_size ||
      work->run == nullptr || work->reserved != 0) {
    cell->host().findings().broken("4.11", "work",
                                   "offload got a work without run, or whose struct_size or reserved is wrong");
    return TASKHOST_REFUSED_ARGUMENT;
  }
  cell->offload(*work);
  return TASKHOST_OK;
}

taskhost_fd wait_fd(const taskhost_exec* exec) {
  Cell* const cell = own_call(exec, "wait_fd");
  if (cell == nullptr) return -1;
  const CurrentCall& call = current_call();
  if (call.phase == Phase::run && call.cell == cell) {
    cell->count_wait(2);
    return cell->bell();
  }
  refuse_call(*cell, "wait_fd", call, "run");
  return -1;
}

uint32_t wait(const taskhost_exec* exec, uint64_t time) {
  Cell* const cell = own_call(exec, "wait");
  if (cell == nullptr) return 0;
  const CurrentCall& call = current_call();
  if (call.phase != Phase::run || call.cell != cell) {
    cell->host().findings().broken(
        "4.7", "wait outside run",
        std::string("wait was called ") + caller_words(call, cell) + "; it is only for run, and returned 0 at once");
    return 0;
  }
  cell->count_wait(2);
  const unsigned causes = cell->rest(time, std::chrono::hours(24 * 365));
  uint32_t bits = 0;
  if ((causes & by_stop) != 0) bits |= TASKHOST_WAIT_STOP;
  if ((causes & (by_wake | by_timer | by_descriptor | by_signal)) != 0) bits |= TASKHOST_WAIT_WAKE;
  if ((causes & by_time) != 0) bits |= TASKHOST_WAIT_TIME;
  return bits;
}

void set_timer(const taskhost_exec* exec, const char* service, uint64_t time, bool is_delay) {
  Cell* const cell = own_call(exec, service);
  if (cell == nullptr) return;
  if (is_delay && time != TASKHOST_NEVER) {
    const uint64_t now = cell->host().now();
    time = time < TASKHOST_NEVER - now ? now + time : TASKHOST_NEVER;
  }
  cell->set_timer(time);
}

}  // namespace

const taskhost_services simulated_services = {
    sizeof(taskhost_services),
    TASKHOST_ABI_MINOR,
    // log
    [](const taskhost_exec* exec, int32_t level, const char* text, size_t size) {
      Cell* const cell = any_thread(exec, "log", InCheck::yes);
      if (cell == nullptr) return;
      if (level < TASKHOST_LOG_TRACE || level > TASKHOST_LOG_ERROR) {
        cell->host().findings().note("4.6", "log level",
                                     "log got level " + std::to_string(level) + ", which is not one of TASKHOST_LOG_*");
      }
      judged_text(*cell, "log", text, size);
      cell->count_log();
    },
    // fail
    [](const taskhost_exec* exec, const char* text, size_t size) -> int32_t {
      if (Cell* const cell = own_call(exec, "fail", InCheck::yes)) {
        if (current_call().phase == Phase::finish) {
          cell->host().findings().broken(
              "3.15", "fail in finish",
              "fail was called in finish, which can't change the outcome any more: log what went wrong");
        }
        cell->fail(printable_text(judged_text(*cell, "fail", text, size), 120));
      }
      return TASKHOST_ERROR;
    },
    // config
    [](const taskhost_exec* exec, size_t* size) -> const char* {
      const Cell* const cell = any_thread(exec, "config", InCheck::yes);
      const char* const text = cell != nullptr ? cell->texts().config() : SimulatedHost::current()->config().c_str();
      if (size != nullptr) *size = std::strlen(text);
      return text;
    },
    // task_name
    [](const taskhost_exec* exec) -> const char* {
      const Cell* const cell = any_thread(exec, "task_name", InCheck::yes);
      return cell != nullptr ? cell->texts().task_name() : SimulatedHost::current()->task_name().c_str();
    },
    // execution_number
    [](const taskhost_exec* exec) -> uint64_t {
      const Cell* const cell = any_thread(exec, "execution_number");
      return cell != nullptr ? cell->number() : 1;
    },
    // stop_requested: true for a dead one, so that what still runs may end
    [](const taskhost_exec* exec) -> int32_t {
      Cell* const cell = any_thread(exec, "stop_requested");
      if (cell != nullptr) cell->count_wait(1);
      return cell == nullptr || cell->stop_requested() ? 1 : 0;
    },
    // now
    []() -> uint64_t { return SimulatedHost::current()->now(); },
    // waker
    [](const taskhost_exec* exec) -> taskhost_waker {
      Cell* const cell = own_call(exec, "waker");
      if (cell == nullptr) return 0;
      cell->give_waker();
      return cell->waker();
    },
    // wake
    [](taskhost_waker waker) { SimulatedHost::current()->wake(waker); },
    // wake_at
    [](const taskhost_exec* exec, uint64_t time) { set_timer(exec, "wake_at", time, false); },
    // wake_after
    [](const taskhost_exec* exec, uint64_t delay) { set_timer(exec, "wake_after", delay, true); },
    watch,
    take_ready,
    offload,
    wait,
    wait_fd,
    // ready
    [](const taskhost_exec* exec) {
      if (Cell* const cell = any_thread(exec, "ready"); cell != nullptr) cell->be_ready();
    },
    // heartbeat
    [](const taskhost_exec* exec) { any_thread(exec, "heartbeat"); },
    // status
    [](const taskhost_exec* exec, const char* text, size_t size) {
      if (Cell* const cell = any_thread(exec, "status")) judged_text(*cell, "status", text, size);
    },
    // extension
    [](const taskhost_exec* exec, const char* id, uint32_t revision) -> const void* {
      const Cell* const cell = any_thread(exec, "extension", InCheck::yes);
      if (id == nullptr) return nullptr;
      const bool has_signals = cell == nullptr || !cell->is_check();
      if (has_signals && std::strcmp(id, TASKHOST_EXTENSION_SIGNALS) == 0 && revision == TASKHOST_SIGNALS_REVISION) {
        return &signals_table;
      }
      if (std::strcmp(id, TASKHOST_EXTENSION_CONFIG) == 0 && revision == TASKHOST_CONFIG_REVISION) {
        return &config_table();
      }
      if (std::strcmp(id, TASKHOST_EXTENSION_MANIFEST) == 0 && revision == TASKHOST_MANIFEST_REVISION) {
        return &manifest_table;
      }
      return nullptr;
    },
};

}  // namespace taskhost::verify
