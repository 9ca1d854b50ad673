// Counts what the program allocates, and lets an allocation fail.
#pragma once

extern int allocations;
extern int allocations_until_failure;  // -1: none fails
