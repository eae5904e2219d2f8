#include "calls.h"

void test_readiness(void) {}
