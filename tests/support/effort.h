/*
 * How often a test with random or exhaustive cases repeats itself. The environment variable MUSTER_EFFORT is a percentage
 * (default 100): sanitizers and memcheck slow programs down 10 to 50 times, and what they look for shows in fewer cases.
 */
#ifndef MUSTER_TESTS_EFFORT_H
#define MUSTER_TESTS_EFFORT_H

#include <stdint.h>

/* That part of `full`, at least 1. */
uint64_t effort(uint64_t full);

#endif
