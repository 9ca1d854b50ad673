// What the C interface's opaque host is.
#pragma once

#include <string>
#include <utility>

#include "host.hpp"

struct taskhost_host {
  explicit taskhost_host(taskhost::HostOptions options) : host(std::move(options)) {}
  taskhost::Host host;
  std::string error;
  std::string text;
};
