// Text that people and files give: addresses, endpoints, prefixes, Fast Open keys and settings. What is accepted reads
// back as the same value from its own text form; what is refused changes nothing.
#include <string>
#include <string_view>

#include "firstflight/address.hpp"
#include "firstflight/fast_open.hpp"
#include "firstflight/settings.hpp"
#include "require.hpp"

namespace {

using namespace ff;

template <typename T>
void check_round_trip(std::string_view text) {
  const auto value = T::parse(text);
  if (!value) return;
  const auto again = T::parse(value->to_string());
  FF_REQUIRE(again.has_value());
  FF_REQUIRE(*again == *value);
}

std::string dump(const Settings& settings) {
  std::string text;
  for (const SettingInfo& info : setting_list()) text += *get_setting(settings, info.name) + "\n";
  return text;
}

bool is_one_printable_line(std::string_view text) {
  for (const char c : text) {
    if (c < ' ' || c > '~') return false;
  }
  return !text.empty() && text.size() < 500;
}

void check_setting(std::string_view name, std::string_view value) {
  static const std::string before = dump(Settings());
  Settings settings;
  if (const auto result = set_setting(settings, name, value); !result) {
    FF_REQUIRE(is_one_printable_line(result.error()));
    FF_REQUIRE(dump(settings) == before);
    return;
  }
  const auto written = get_setting(settings, name);
  FF_REQUIRE(written.has_value());
  Settings other;
  FF_REQUIRE(set_setting(other, name, *written).has_value());
  FF_REQUIRE(dump(other) == dump(settings));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_round_trip<IpAddress>(text);
  check_round_trip<Endpoint>(text);
  check_round_trip<Cidr>(text);
  check_round_trip<FastOpenKey>(text);
  check_round_trip<FastOpenKeys>(text);
  // As in a line of sysctl.conf; without '=', the text's length chooses the setting.
  if (const std::size_t equals = text.find('='); equals != std::string_view::npos) {
    check_setting(text.substr(0, equals), text.substr(equals + 1));
  } else {
    check_setting(setting_list()[size % setting_list().size()].name, text);
  }
  return 0;
}
