// Counts the program's allocations, and can make one fail. For tests that compile source/allocations.cpp.
#pragma once

#include <atomic>

extern std::atomic<int> allocations;
extern std::atomic<int> allocations_until_failure;  // -1: none fails
