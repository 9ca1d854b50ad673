// Counts what the program allocates, and lets an allocation fail. For tests that compile source/allocations.cpp.
#pragma once

#include <atomic>

extern std::atomic<int> allocations;
extern std::atomic<int> allocations_until_failure;  // -1: none fails
