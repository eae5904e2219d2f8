#include "cli/text_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <utility>

namespace ff::cli {

TextTable::TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {
  std::vector<std::string> headings;
  headings.reserve(columns_.size());
  for (const Column& column : columns_) headings.push_back(column.heading);
  lines_.push_back(std::move(headings));
}

void TextTable::add(std::vector<std::string> line) {
  assert(line.size() == columns_.size());
  lines_.push_back(std::move(line));
}

std::string TextTable::drawn(const std::vector<std::string>& line, const std::vector<std::size_t>& widths) const {
  std::string text = " ";
  for (std::size_t i = 0; i < line.size(); ++i) {
    text += columns_[i].align == Align::Right ? fmt::format(" {:>{}} ", line[i], widths[i])
                                              : fmt::format(" {:<{}} ", line[i], widths[i]);
  }
  text.resize(text.find_last_not_of(' ') + 1);
  return text;
}

std::string TextTable::text() const {
  std::vector<std::size_t> widths(columns_.size());
  for (const auto& line : lines_)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  const std::string headings = drawn(lines_.front(), widths);
  std::string text =
      headings + "\n  " + std::string(headings.size() - std::min<std::size_t>(2, headings.size()), '-') + '\n';
  for (std::size_t i = 1; i < lines_.size(); ++i) text += drawn(lines_[i], widths) + '\n';
  return text;
}

}  // namespace ff::cli
