// docs/settings.md, made from the registry of settings.
#pragma once

#include <string>

namespace ff::cli {

std::string settings_page();

}  // namespace ff::cli
