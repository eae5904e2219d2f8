#include "calls.h"

void test_addresses(void) {}
