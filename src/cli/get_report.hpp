// How `ff get` tells what came of a fetch.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/fetch.hpp"
#include "cli/url.hpp"

namespace ff::cli {

// "no cookie yet: ...", or what the SYN carried.
std::string describe_syn(const FetchResult& result);

// What went wrong with a fetch, or an empty string: an error, or a status of 400 and more.
std::string failure_of(const FetchResult& result);

// `visit`: counts from 1. `body_note`: where the body went. Ends without newline; has two lines.
std::string describe_fetch(const Url& url, unsigned visit, const FetchResult& result, const std::string& body_note);

nlohmann::ordered_json fetch_to_json(const Url& url, unsigned visit, const FetchResult& result);

// One line of at most `width` characters.
std::string progress_line(std::uint64_t done, std::optional<std::uint64_t> all, Duration elapsed, std::size_t width);

}  // namespace ff::cli
