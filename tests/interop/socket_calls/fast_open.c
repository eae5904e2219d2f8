#include "calls.h"

void test_fast_open(void) {}
