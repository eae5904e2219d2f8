// Drawings as SVG text, and the scales of their axes.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ff::cli {

class Svg {
 public:
  struct Point {
    double x, y;
  };
  enum class Anchor : unsigned char { Start, Middle, End };

  Svg(double width, double height);
  void line(Point from, Point to, std::string_view colour, double width = 1);
  void polyline(const std::vector<Point>& points, std::string_view colour, double width = 1.5);
  void circle(Point centre, double radius, std::string_view colour, std::string_view hint = {});
  void text(Point at, std::string_view text, Anchor anchor = Anchor::Start, double size = 12);
  [[nodiscard]] std::string finished() const;

 private:
  std::string body_;
  double width_, height_;
};

// From values to places on an axis.
class Scale {
 public:
  enum class Kind : unsigned char { Linear, Logarithmic };
  // `from` and `to` are places. A logarithmic scale takes values above 0 alone.
  Scale(Kind kind, double least, double most, double from, double to);
  // Values outside go to the nearer end.
  [[nodiscard]] double place(double value) const;
  // Round values for marks, with their text.
  [[nodiscard]] std::vector<std::pair<double, std::string>> marks() const;

 private:
  [[nodiscard]] std::vector<double> mark_values() const;
  Kind kind_;
  double least_, most_, from_, to_;
};

}  // namespace ff::cli
