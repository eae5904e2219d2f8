// A table for a terminal: columns as wide as what stands in them, a line below the headings.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ff::cli {

class TextTable {
 public:
  enum class Align : std::uint8_t { Left, Right };
  struct Column {
    std::string heading;
    Align align = Align::Left;
  };

  explicit TextTable(std::vector<Column> columns);
  // One cell for each column.
  void add(std::vector<std::string> line);
  [[nodiscard]] std::string text() const;

 private:
  [[nodiscard]] std::string drawn(const std::vector<std::string>& line, const std::vector<std::size_t>& widths) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> lines_;
};

}  // namespace ff::cli
