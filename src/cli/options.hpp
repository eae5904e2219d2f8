// Options whose values have a type: parsed once, refused with a sentence that says what would work.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "firstflight/address.hpp"

namespace ff::cli {

// What a word of the command line means; the error says "what was wrong; what would work".
template <typename T>
using Parsed = std::expected<T, std::string>;

Parsed<std::uint64_t> parse_whole_number(std::string_view text, std::uint64_t first, std::uint64_t last);
Parsed<IpAddress> parse_address(std::string_view text);
// An interface's address with its prefix length; a lone address counts as /32 or /128.
Parsed<Cidr> parse_interface_address(std::string_view text);

// Adds an option that takes one value.
template <typename T>
CLI::Option* add_typed_option(CLI::App& app, const std::string& name, T& target,
                              std::function<Parsed<typename std::type_identity<T>::type>(std::string_view)> parse,
                              const std::string& description) {
  return app.add_option_function<std::string>(
      name,
      [&target, parse = std::move(parse), name](const std::string& text) {
        auto value = parse(text);
        if (!value) throw CLI::ValidationError(name, value.error());
        target = *std::move(value);
      },
      description);
}

// Adds an option that may be given several times, with one value each time.
template <typename T>
CLI::Option* add_typed_options(CLI::App& app, const std::string& name, std::vector<T>& targets,
                               std::function<Parsed<typename std::type_identity<T>::type>(std::string_view)> parse,
                               const std::string& description) {
  return app
      .add_option_function<std::vector<std::string>>(
          name,
          [&targets, parse = std::move(parse), name](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              auto value = parse(text);
              if (!value) throw CLI::ValidationError(name, value.error());
              targets.push_back(*std::move(value));
            }
          },
          description)
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);  // the next word is no second value
}

}  // namespace ff::cli
