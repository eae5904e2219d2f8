// docs/settings.md says what the registry says.
#include "cli/settings_page.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace ff::cli {
namespace {

TEST(SettingsPage, IsUpToDate) {
  std::ifstream file(FF_SOURCE_DIR "/docs/settings.md");
  const std::string committed{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(committed, settings_page()) << "after a change in src/stack/settings.cpp run\n"
                                           "  ff settings-page > docs/settings.md";
}

}  // namespace
}  // namespace ff::cli
