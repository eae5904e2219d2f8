#include "calls.h"

void test_options(void) {}
