#include "calls.h"

void test_transfer(void) {}
