#include "calls.h"

void test_datagrams(void) {}
