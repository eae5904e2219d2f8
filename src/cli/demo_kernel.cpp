#include <fcntl.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "cli/commands.hpp"
#include "cli/demo.hpp"
#include "cli/demo_network.hpp"
#include "cli/process.hpp"

namespace ff::cli {
namespace {

using namespace std::chrono_literals;

constexpr Milliseconds kPatience = 20s;

std::vector<std::uint8_t> read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// What `ff get --json` says of each visit: milliseconds to the first byte.
std::vector<double> first_byte_times(const std::string& report) {
  const auto visits = nlohmann::json::parse(report, nullptr, false);
  std::vector<double> times;
  if (!visits.is_array()) return times;
  for (const auto& visit : visits)
    if (const auto time = visit.find("first_byte_ms"); time != visit.end() && time->is_number()) times.push_back(*time);
  return times;
}

// What the kernel counted between two looks at its counters.
struct Witness {
  NamedCounters before, after;

  [[nodiscard]] std::uint64_t rise(std::string_view name) const {
    const auto value = [name](const NamedCounters& counters) {
      const auto found = counters.find(name);
      return found == counters.end() ? 0 : found->second;
    };
    return value(after) - value(before);
  }
  [[nodiscard]] std::string text() const {
    std::string said;
    for (const std::string_view name : {"TCPFastOpenActive", "TCPFastOpenActiveFail", "TCPFastOpenPassive",
                                        "TCPFastOpenPassiveFail", "TCPFastOpenCookieReqd"})
      if (rise(name) > 0) said += fmt::format("{}{} +{}", said.empty() ? "" : ", ", name, rise(name));
    return said.empty() ? "nothing" : said;
  }
};

// The measurement: six series of two visits for each family.
class Measurement {
 public:
  Measurement(const DemoOptions& options, const DemoProgress& progress)
      : options_(options), progress_(progress), network_(options.delay) {}

  DemoResult run() {
    const NamedCounters before = network_.kernel().counters();
    result_.network = "Linux in a network namespace, firstflight on a TUN device in another, `ff link` between them";
    result_.peer = "Linux";
    result_.round_trip = network_.measure_round_trip(kPatience);
    for (const DemoFamily family : options_.families) {
      for (const bool fast_open : {true, false}) visit_kernel_server(family, fast_open);
      for (const bool fast_open : {true, false}) visit_firstflight_server(family, fast_open);
      visit_from_ff_run(family);
      visit_server_in_ff_run(family);
    }
    const Witness total{before, network_.kernel().counters()};
    for (const std::string_view name : {"TCPFastOpenActive", "TCPFastOpenPassive", "TCPFastOpenCookieReqd"})
      result_.counters.push_back(fmt::format("{} +{}", name, total.rise(name)));
    return std::move(result_);
  }

 private:
  // ff get as client of nginx on the kernel's TCP. Both visits are one process: it keeps the cookie.
  void visit_kernel_server(DemoFamily family, bool fast_open) {
    progress_(fmt::format("ff get visits nginx over IPv{}, {} Fast Open", static_cast<int>(family),
                          fast_open ? "with" : "without"));
    const auto capture = network_.directory() / "get.pcapng";
    std::vector<std::string> words = network_.stack_command("get", capture);
    // Bodies come to standard output as they arrive, the report to standard error at the end.
    words.insert(words.end(), {"--repeat", "2", "--json", "--output", "-"});
    if (!fast_open) words.emplace_back("--no-fast-open");
    words.push_back(network_.url_of(network_.kernel_address(family)));
    std::array<NamedCounters, 3> counters;
    counters[0] = network_.kernel().counters();
    Process get(words, &network_.firstflight());
    // The second visit's SYN needs the link's delay to reach the kernel: time enough to look in between.
    get.wait_until([&] { return !get.output().empty(); }, kPatience);
    counters[1] = network_.kernel().counters();
    if (!get.wait(kPatience) || get.status() != 0) throw Failure(get.complaint());
    counters[2] = network_.kernel().counters();
    const std::vector<double> times = first_byte_times(get.errors());
    if (times.size() != 2) throw Failure("ff get did not say how long it took: " + get.complaint());
    for (const std::size_t i : {0u, 1u}) {
      DemoVisit& visit = add_visit("ff get", "nginx (Linux)", family, fast_open, static_cast<int>(i) + 1, times[i]);
      testify(visit, {counters[i], counters[i + 1]}, "TCPFastOpenPassive");
    }
    add_packets(capture);
  }

  // curl on the kernel's TCP as client of ff serve.
  void visit_firstflight_server(DemoFamily family, bool fast_open) {
    progress_(fmt::format("curl visits ff serve over IPv{}, {} Fast Open", static_cast<int>(family),
                          fast_open ? "with" : "without"));
    const auto capture = network_.directory() / "serve.pcapng";
    std::vector<std::string> words = network_.stack_command("serve", capture);
    words.push_back((network_.directory() / "www").string());
    Process serve(words, &network_.firstflight());
    serve.wait_until([&] { return serve.output().find('\n') != std::string::npos; }, kPatience);
    visit_with_curl("ff serve", network_.firstflight_address(family), family, fast_open);
    serve.end();
    if (serve.status() != 0) throw Failure(serve.complaint());
    add_packets(capture);
  }

  // curl, which is not asked for Fast Open, in `ff run` as client of nginx on the kernel's TCP. Both visits are one
  // process: the stack keeps the cookie.
  void visit_from_ff_run(DemoFamily family) {
    progress_(fmt::format("curl in ff run visits nginx over IPv{}", static_cast<int>(family)));
    const auto capture = network_.directory() / "run-client.pcapng";
    std::vector<std::string> words = network_.run_command(capture);
    const std::string url = network_.url_of(network_.kernel_address(family));
    // Standard error has no buffer in which the first visit's line could wait for the second's.
    words.insert(words.end(),
                 {"--", "curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--header", "Connection: close",
                  "--write-out", "%{stderr}%{time_namelookup} %{time_starttransfer}\n", url, url});
    std::array<NamedCounters, 3> counters;
    counters[0] = network_.kernel().counters();
    Process run(words, &network_.firstflight());
    run.wait_until([&] { return run.errors().find('\n') != std::string::npos; }, kPatience);
    counters[1] = network_.kernel().counters();
    if (!run.wait(kPatience) || run.status() != 0) throw Failure(run.complaint());
    counters[2] = network_.kernel().counters();
    std::istringstream said(run.errors());
    for (const std::size_t i : {0u, 1u}) {
      std::string line;
      std::getline(said, line);
      DemoVisit& visit =
          add_visit("curl in ff run", "nginx (Linux)", family, true, static_cast<int>(i) + 1, first_byte(line));
      testify(visit, {counters[i], counters[i + 1]}, "TCPFastOpenPassive");
    }
    add_packets(capture);
  }

  // curl on the kernel's TCP as client of an nginx in `ff run` that knows nothing of Fast Open.
  void visit_server_in_ff_run(DemoFamily family) {
    progress_(fmt::format("curl visits nginx in ff run over IPv{}", static_cast<int>(family)));
    const auto capture = network_.directory() / "run-server.pcapng";
    const DemoNetwork::PlainServer server = network_.plain_server();
    std::vector<std::string> words = network_.run_command(capture);
    words.insert(words.end(), {"--publish", "80", "--", "nginx", "-p", network_.directory().string(), "-c",
                               server.configuration.string(), "-e", "stderr"});
    Process run(words, &network_.firstflight());
    run.wait_until([&] { return std::filesystem::exists(server.ready); }, kPatience);
    visit_with_curl("nginx in ff run", network_.run_address(family), family, true);
    run.end();
    if (run.status() != 0) throw Failure(run.complaint());
    add_packets(capture);
  }

  // Two visits of curl on the kernel's TCP. The kernel keeps the cookie, in its tcp_metrics.
  void visit_with_curl(const char* server, const IpAddress& address, DemoFamily family, bool fast_open) {
    for (const int number : {1, 2}) {
      const NamedCounters before = network_.kernel().counters();
      const double time = curl(network_.url_of(address), fast_open);
      DemoVisit& visit = add_visit("curl (Linux)", server, family, fast_open, number, time);
      testify(visit, {before, network_.kernel().counters()}, "TCPFastOpenActive");
    }
  }

  // Milliseconds to the first byte of the answer, without what curl did before it connected.
  double curl(const std::string& url, bool fast_open) {
    std::vector<std::string> words{"curl",      "--silent", "--show-error", "--fail",
                                   "--noproxy", "*",        "--output",     "/dev/null"};
    words.insert(words.end(), {"--write-out", "%{time_namelookup} %{time_starttransfer}"});
    if (fast_open) words.emplace_back("--tcp-fastopen");
    words.push_back(url);
    return first_byte(run_program(words, &network_.kernel(), kPatience));
  }
  static double first_byte(const std::string& said) {
    double start = 0, first_byte = 0;
    if (std::sscanf(said.c_str(), "%lf %lf", &start, &first_byte) != 2)
      throw Failure("curl did not say how long it took: " + said);
    return (first_byte - start) * 1000;
  }

  DemoVisit& add_visit(const char* client, const char* server, DemoFamily family, bool fast_open, int number,
                       double milliseconds) {
    DemoVisit& visit = result_.visits.emplace_back();
    visit.client = client;
    visit.server = server;
    visit.family = family;
    visit.fast_open = fast_open;
    visit.number = number;
    visit.milliseconds = milliseconds;
    visit.round_trips = milliseconds / result_.round_trip;
    return visit;
  }

  // `counter`: what rises when data in a SYN was taken.
  static void testify(DemoVisit& visit, const Witness& witness, std::string_view counter) {
    visit.witness = witness.text();
    visit.counted = witness.rise(counter) > 0;
  }

  // What the packets say of the two visits that were added last.
  void add_packets(const std::filesystem::path& file) {
    const std::vector<std::uint8_t> capture = read_file(file);
    std::vector<DemoPackets> visits = visits_in_capture(capture);
    if (visits.size() != 2) throw Failure(fmt::format("the capture shows {} visits instead of 2", visits.size()));
    for (std::size_t i = 0; i < 2; ++i) result_.visits[result_.visits.size() - 2 + i].packets = std::move(visits[i]);
    // Sections of a pcapng file may follow each other, so captures may, too.
    result_.capture.insert(result_.capture.end(), capture.begin(), capture.end());
  }

  const DemoOptions& options_;
  const DemoProgress& progress_;
  DemoNetwork network_;
  DemoResult result_;
};

}  // namespace

DemoResult run_demo_with_kernel(const DemoOptions& options, const DemoProgress& progress) {
  take_precedence();
  return Measurement(options, progress).run();
}

}  // namespace ff::cli
