#include "flood/resident.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace ff::flood {

std::int64_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  long long total = 0;
  long long resident = 0;
  if (file == nullptr || std::fscanf(file, "%lld %lld", &total, &resident) != 2) std::abort();
  std::fclose(file);
  return static_cast<std::int64_t>(resident) * ::sysconf(_SC_PAGESIZE);
}

Grown in_fresh_process(const std::function<std::string(const std::function<void()>& mark)>& work) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) std::abort();
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) std::abort();
  if (child == 0) {
    ::close(ends[0]);
    std::vector<std::int64_t> marks;
    marks.reserve(2);
    std::string report;
    {
      std::string wrong = work([&] { marks.push_back(resident_bytes()); });
      if (marks.size() != 2 && wrong.empty()) wrong = "the work did not mark its beginning and its end";
      const std::int64_t grown = wrong.empty() && !kSanitized ? marks[1] - marks[0] : 0;
      report = std::to_string(grown) + " " + wrong;
    }
    const bool told = ::write(ends[1], report.data(), report.size()) == static_cast<ssize_t>(report.size());
    ::_exit(told ? 0 : 1);
  }
  ::close(ends[1]);
  std::string report;
  std::array<char, 4096> room;
  for (ssize_t size; (size = ::read(ends[0], room.data(), room.size())) > 0;)
    report.append(room.data(), static_cast<std::size_t>(size));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || report.find(' ') == std::string::npos)
    return {0, "the child process ended with status " + std::to_string(status)};
  const std::size_t space = report.find(' ');
  return {std::stoll(report.substr(0, space)), report.substr(space + 1)};
}

}  // namespace ff::flood
