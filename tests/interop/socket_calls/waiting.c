#include "calls.h"

void test_waiting(void) {}
