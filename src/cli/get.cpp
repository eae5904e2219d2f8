// `ff get URL…`: fetches over the stack, and says what Fast Open saved.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "cli/common_options.hpp"
#include "cli/fast_open_cache_file.hpp"
#include "cli/fetch.hpp"
#include "cli/get_report.hpp"
#include "cli/ladder.hpp"
#include "cli/stack_host.hpp"
#include "cli/text.hpp"
#include "device/file_descriptor.hpp"
#include "sim/quantities.hpp"

namespace ff::cli {
namespace {

constexpr Duration kProgressAfter = std::chrono::seconds(1);
constexpr Duration kProgressEvery = std::chrono::milliseconds(100);
constexpr Duration kDrainPoll = std::chrono::milliseconds(5);
constexpr Duration kDrainPatience = std::chrono::seconds(1);
constexpr std::size_t kMinSideBySide = 110;  // columns

struct GetOptions {
  StackOptions stack;
  std::vector<Url> urls;
  bool no_fast_open = false;
  std::optional<std::string> fast_open_cache;
  std::uint32_t repeat = 1;
  bool trace = false;
  bool json = false;
  std::optional<std::string> output;
  Duration timeout = std::chrono::seconds(30);

  [[nodiscard]] bool body_to_stdout() const { return output == "-"; }
};

// Where bodies go: to a file, to standard output, or nowhere.
class BodyFile {
 public:
  explicit BodyFile(const std::optional<std::string>& output) {
    if (!output) return;
    name_ = *output;
    if (*output == "-") {
      descriptor_ = STDOUT_FILENO;
      return;
    }
    file_ = FileDescriptor(::open(output->c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!file_)
      throw UsageError(
          fmt::format("cannot write '{}': {}; -o takes a file that can be made", name_, std::strerror(errno)));
    descriptor_ = file_.get();
  }
  // A repeated fetch writes the file anew.
  void restart() {
    if (file_ && ::lseek(descriptor_, 0, SEEK_SET) == 0 && ::ftruncate(descriptor_, 0) != 0) fail();
  }
  void write(ByteSpan bytes) {
    while (descriptor_ >= 0 && !bytes.empty()) {
      const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail();
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
  }
  // For the report.
  [[nodiscard]] std::string note() const {
    if (descriptor_ < 0) return " (counted, not kept)";
    return file_ ? fmt::format(" to {}", name_) : std::string();
  }

 private:
  [[noreturn]] void fail() const {
    throw Failure(fmt::format("cannot write the body to '{}': {}", name_, std::strerror(errno)));
  }
  std::string name_;
  FileDescriptor file_;
  int descriptor_ = -1;
};

class GetProgram {
 public:
  explicit GetProgram(const GetOptions& options)
      : options_(options),
        cache_(options.fast_open_cache ? std::make_unique<FastOpenCacheFile>(*options.fast_open_cache) : nullptr),
        body_(options.output),
        host_(options.stack, options.trace ? &recorder_ : nullptr),
        report_(options.body_to_stdout() ? stderr : stdout),
        shows_progress_(::isatty(STDERR_FILENO) == 1) {
    for (const Url& url : options.urls) {
      auto remote = resolve(url, host_.has_family(true), host_.has_family(false));
      if (!remote) throw UsageError(remote.error());
      for (unsigned visit = 1; visit <= options.repeat; ++visit) jobs_.push_back({url, *remote, visit, {}});
    }
    if (cache_) cache_->load(host_.stack(), host_.loop().now());
  }

  // True when every fetch went well.
  bool run();

 private:
  struct Job {
    Url url;
    Endpoint remote;
    unsigned visit;
    FetchResult result;
  };

  void start_next(Instant now);
  void finish_current(Instant now);
  void after_step(Instant now);
  void interrupt(Instant now);
  void await_end(Instant deadline);
  void show_progress();
  void clear_progress();
  void report(const Job& job);
  void report_trace() const;

  const GetOptions& options_;
  std::unique_ptr<FastOpenCacheFile> cache_;  // null: nothing is kept
  BodyFile body_;
  LadderRecorder recorder_;
  StackHost host_;
  std::FILE* report_;
  bool shows_progress_;
  std::vector<Job> jobs_;
  std::size_t next_ = 0;  // job to start
  std::optional<Fetch> fetch_;
  Instant fetch_started_{};
  Loop::TimerId timeout_;
  Loop::TimerId progress_;
  bool progress_shown_ = false;
  bool interrupted_ = false;
  bool all_well_ = true;
  nlohmann::ordered_json json_ = nlohmann::ordered_json::array();
};

bool GetProgram::run() {
  Loop& loop = host_.loop();
  loop.on_event([this](Instant now, const Event& event) {
    if (!fetch_) return;
    fetch_->handle_event(now, event);
    after_step(now);
  });
  loop.on_signals({SIGINT, SIGTERM}, [this](Instant now, int) { interrupt(now); });
  loop.call_after(Duration::zero(), [this](Instant now) { start_next(now); });
  loop.run();
  if (options_.json) fmt::print(report_, "{}\n", json_.dump(2));
  if (options_.trace) report_trace();
  if (cache_) cache_->save(host_.stack(), loop.now());
  if (const std::string trouble = host_.trouble(); !trouble.empty()) throw Failure(trouble);
  return all_well_;
}

void GetProgram::start_next(Instant now) {
  if (interrupted_ || next_ == jobs_.size()) {
    await_end(now + kDrainPatience);
    return;
  }
  const Job& job = jobs_[next_];
  body_.restart();
  fetch_.emplace(host_.stack(), job.url, job.remote, !options_.no_fast_open,
                 [this](ByteSpan bytes) { body_.write(bytes); });
  fetch_started_ = now;
  timeout_ = host_.loop().call_at(now + options_.timeout, [this](Instant later) {
    fetch_->give_up(later, fmt::format("{} within {}", fetch_->progress(), sim::format_duration(options_.timeout)));
    after_step(later);
  });
  if (shows_progress_) progress_ = host_.loop().call_at(now + kProgressAfter, [this](Instant) { show_progress(); });
  fetch_->start(now);
  after_step(now);
}

void GetProgram::after_step(Instant now) {
  if (fetch_ && fetch_->done()) finish_current(now);
}

void GetProgram::finish_current(Instant) {
  host_.loop().cancel(timeout_);
  host_.loop().cancel(progress_);
  clear_progress();
  Job& job = jobs_[next_++];
  job.result = fetch_->result();
  fetch_.reset();
  report(job);
  // Not from within the last one's event.
  host_.loop().call_after(Duration::zero(), [this](Instant later) { start_next(later); });
}

void GetProgram::interrupt(Instant now) {
  if (std::exchange(interrupted_, true)) host_.loop().stop();
  if (fetch_) {
    fetch_->give_up(now, "interrupted");
    after_step(now);
  }
}

// Lets the last connection close in order, so that the server is not left waiting.
void GetProgram::await_end(Instant deadline) {
  host_.loop().call_after(kDrainPoll, [this, deadline](Instant now) {
    if (host_.stack().population().connections == 0 || now >= deadline) {
      host_.loop().stop();
    } else {
      await_end(deadline);
    }
  });
}

void GetProgram::show_progress() {
  const Instant now = host_.loop().now();
  const std::size_t width = terminal_ladder_style(STDERR_FILENO).width - 1;
  fmt::print(stderr, "\r\x1b[K{}",
             progress_line(fetch_->body_bytes(), fetch_->content_length(), now - fetch_started_, width));
  progress_shown_ = true;
  progress_ = host_.loop().call_at(now + kProgressEvery, [this](Instant) { show_progress(); });
}

void GetProgram::clear_progress() {
  if (std::exchange(progress_shown_, false)) fmt::print(stderr, "\r\x1b[K");
}

void GetProgram::report(const Job& job) {
  const std::string failure = failure_of(job.result);
  if (!failure.empty()) {
    all_well_ = false;
    fmt::print(stderr, "ff get: {}: {}\n", job.url.to_string(), failure);
  }
  if (options_.json) {
    json_.push_back(fetch_to_json(job.url, job.visit, job.result));
  } else if (job.result.status != 0) {
    fmt::print(report_, "{}\n", describe_fetch(job.url, job.visit, job.result, body_.note()));
  }
  std::fflush(report_);
}

// Two visits stand side by side where there is room.
void GetProgram::report_trace() const {
  // JSON stays alone on its stream.
  std::FILE* to = options_.json ? stderr : report_;
  const LadderStyle style = terminal_ladder_style(::fileno(to));
  std::vector<Ladder> ladders;
  for (const Job& job : jobs_) {
    std::vector<LadderRow> rows = recorder_.rows_of(job.result.tuple);
    if (rows.empty()) continue;
    ladders.push_back({fmt::format("visit {}: {} to {}", job.visit, job.result.tuple.local.to_string(),
                                   job.result.tuple.remote.to_string()),
                       std::move(rows)});
  }
  if (ladders.size() == 2 && style.width >= kMinSideBySide) {
    fmt::print(to, "\n{}", render_ladders(ladders[0], ladders[1], style));
  } else {
    for (const Ladder& ladder : ladders) fmt::print(to, "\n{}", render_ladder(ladder, style));
  }
  if (recorder_.omitted() > 0) fmt::print(to, "... and {} more packets\n", recorder_.omitted());
}

void run_get(const GetOptions& options) {
  check_stack_options(options.stack);
  if (options.output && !options.body_to_stdout() && options.urls.size() > 1)
    throw UsageError("-o FILE keeps one body; give one URL, or -o - for all of them one behind the other");
  if (!GetProgram(options).run()) throw ExitStatus{kFailure};
}

}  // namespace

void add_get_command(CLI::App& app) {
  const auto options = std::make_shared<GetOptions>();
  CLI::App* command = app.add_subcommand("get", "fetch by HTTP, with the request in the SYN where that is possible");
  add_typed_options(*command, "URL", options->urls, parse_url, "http://HOST[:PORT]/PATH; several are fetched in turn")
      ->expected(1, 1000)
      ->allow_extra_args()
      ->required();
  CLI::Option* none = command->add_flag("--no-fast-open", options->no_fast_open, "open connections the ordinary way");
  command
      ->add_option("--fast-open-cache", options->fast_open_cache,
                   "keeps cookies in FILE, so that the next run is fast on its first visit")
      ->type_name("FILE")
      ->excludes(none);
  add_typed_option(
      *command, "--repeat", options->repeat,
      [](std::string_view text) -> Parsed<std::uint32_t> {
        const auto number = parse_whole_number(text, 1, 1'000'000);
        if (!number) return std::unexpected(number.error());
        return static_cast<std::uint32_t>(*number);
      },
      "fetch each URL N times, each time on a new connection; 1")
      ->type_name("N");
  command->add_flag("--trace", options->trace, "draw the packets as a ladder");
  command->add_flag("--json", options->json, "report as a JSON array");
  command
      ->add_option("-o,--output", options->output, "where the body goes; - is standard output, nowhere when not given")
      ->type_name("FILE");
  add_typed_option(*command, "--timeout", options->timeout, sim::parse_duration,
                   "gives a fetch up after so long, such as 5s; 30s")
      ->type_name("T");
  add_stack_options(*command, options->stack);
  command->footer(
      "Example, with a server of this machine:\n"
      "  sysctl net.ipv4.tcp_fastopen=3\n"
      "  ff get http://10.9.8.2/ --repeat 2 --trace --device tun:ff0 --address 10.9.8.1/24 --host-address "
      "10.9.8.2/24");
  command->callback([options] { run_get(*options); });
}

}  // namespace ff::cli
