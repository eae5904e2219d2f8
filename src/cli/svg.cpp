#include "cli/svg.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace ff::cli {
namespace {

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '&':
        result += "&amp;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

constexpr std::array<const char*, 3> kAnchors{"start", "middle", "end"};
constexpr int kMarks = 6;  // about so many on a linear axis

}  // namespace

Svg::Svg(double width, double height) : width_(width), height_(height) {}

void Svg::line(Point from, Point to, std::string_view colour, double width) {
  body_ +=
      fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" stroke-width=\"{}\"/>\n",
                  from.x, from.y, to.x, to.y, colour, width);
}

void Svg::polyline(const std::vector<Point>& points, std::string_view colour, double width) {
  if (points.empty()) return;
  body_ += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" points=\"", colour, width);
  for (const Point& point : points) body_ += fmt::format("{:.1f},{:.1f} ", point.x, point.y);
  body_.back() = '"';
  body_ += "/>\n";
}

void Svg::circle(Point centre, double radius, std::string_view colour, std::string_view hint) {
  body_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" fill=\"{}\"><title>{}</title></circle>\n",
                       centre.x, centre.y, radius, colour, escaped(hint));
}

void Svg::text(Point at, std::string_view text, Anchor anchor, double size) {
  body_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{}\" text-anchor=\"{}\">{}</text>\n", at.x, at.y,
                       size, kAnchors[static_cast<std::size_t>(anchor)], escaped(text));
}

std::string Svg::finished() const {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
      "font-family=\"sans-serif\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{2}</svg>\n",
      width_, height_, body_);
}

Scale::Scale(Kind kind, double least, double most, double from, double to)
    : kind_(kind), least_(least), most_(std::max(most, least * (1 + 1e-9) + 1e-12)), from_(from), to_(to) {}

double Scale::place(double value) const {
  const double inside = std::clamp(value, least_, most_);
  const double part = kind_ == Kind::Linear
                          ? (inside - least_) / (most_ - least_)
                          : (std::log(inside) - std::log(least_)) / (std::log(most_) - std::log(least_));
  return from_ + part * (to_ - from_);
}

std::vector<double> Scale::mark_values() const {
  std::vector<double> values;
  if (kind_ == Kind::Logarithmic) {
    for (double power = std::pow(10, std::floor(std::log10(least_))); power <= most_; power *= 10)
      for (const double factor : {1.0, 2.0, 5.0})
        if (const double value = power * factor; value >= least_ && value <= most_) values.push_back(value);
    return values;
  }
  const double rough = (most_ - least_) / kMarks;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0})
    if (factor * power >= rough) step = factor * power;
  for (auto i = static_cast<long>(std::ceil(least_ / step)); static_cast<double>(i) * step <= most_ * (1 + 1e-9); ++i)
    values.push_back(static_cast<double>(i) * step);
  return values;
}

std::vector<std::pair<double, std::string>> Scale::marks() const {
  std::vector<std::pair<double, std::string>> marks;
  for (const double value : mark_values()) marks.emplace_back(place(value), fmt::format("{:.4g}", value));
  return marks;
}

}  // namespace ff::cli
