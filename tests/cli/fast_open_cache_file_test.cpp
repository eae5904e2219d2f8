#include "cli/fast_open_cache_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/commands.hpp"

namespace ff::cli {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

constexpr Instant kNow{1'000'000s};

class FastOpenCacheFileTest : public testing::Test {
 protected:
  FastOpenCacheFileTest() {
    std::string name = testing::TempDir() + "ff-cache-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    path_ = directory_ / "cache";
  }
  ~FastOpenCacheFileTest() override { std::filesystem::remove_all(directory_); }

  void write(std::string_view text) const { std::ofstream(path_) << text; }
  [[nodiscard]] std::string read() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(directory_), std::filesystem::directory_iterator()));
  }
  static std::string refusal(const std::filesystem::path& path) {
    try {
      const FastOpenCacheFile file(path.string());
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  }
  static Stack stack_with_a_cookie() {
    Stack stack{StackConfig{}};
    FastOpenCacheEntry entry;
    entry.source = *IpAddress::parse("192.0.2.1");
    entry.destination = *IpAddress::parse("192.0.2.2");
    entry.cookie.size = 8;
    entry.learned = kNow - 5s;
    EXPECT_TRUE(stack.set_fast_open_cache(entry));
    return stack;
  }

  std::filesystem::path directory_, path_;
};

TEST_F(FastOpenCacheFileTest, KeepsACacheForTheNextRun) {
  FastOpenCacheFile(path_).save(stack_with_a_cookie(), kNow);
  Stack next{StackConfig{}};
  constexpr Instant kOtherClock{7s};
  FastOpenCacheFile(path_).load(next, kOtherClock);
  const auto entries = next.fast_open_cache(kOtherClock);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].cookie.size, 8);
  EXPECT_GE(kOtherClock - entries[0].learned, 5s);
  EXPECT_LT(kOtherClock - entries[0].learned, 65s);
}

TEST_F(FastOpenCacheFileTest, IsForItsOwnerAlone) {
  FastOpenCacheFile(path_).save(stack_with_a_cookie(), kNow);
  struct stat status{};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

// Who has the old file open goes on reading it, and nothing else is left in the directory.
TEST_F(FastOpenCacheFileTest, TakesTheOldOnesPlace) {
  FastOpenCacheFile(path_).save(Stack{StackConfig{}}, kNow);
  std::ifstream old(path_);
  FastOpenCacheFile(path_).save(stack_with_a_cookie(), kNow);
  const std::string old_text{std::istreambuf_iterator<char>(old), {}};
  EXPECT_EQ(old_text.find("destination"), std::string::npos);
  EXPECT_THAT(read(), HasSubstr("destination=192.0.2.2"));
  EXPECT_EQ(files(), 1u);
}

TEST_F(FastOpenCacheFileTest, BeginsWithoutAFile) {
  Stack stack{StackConfig{}};
  FastOpenCacheFile(path_).load(stack, kNow);
  EXPECT_TRUE(stack.fast_open_cache(kNow).empty());
  EXPECT_EQ(files(), 0u);
}

TEST_F(FastOpenCacheFileTest, RefusesWhatIsNoCache) {
  write("firstflight-fast-open-cache 1\nsaved 0\nsource=192.0.2.1 destination=192.0.2.2\nmss=x\n");
  EXPECT_EQ(refusal(path_),
            path_.string() + ":4: 'mss=x': mss is a whole number from 0 to 65535; delete the file to begin anew");
  write("");
  EXPECT_THAT(refusal(path_), StartsWith(path_.string() + ":1: this is no Fast Open cache"));
}

TEST_F(FastOpenCacheFileTest, RefusesPlacesWhereNoFileCanBe) {
  EXPECT_THAT(refusal(""), HasSubstr("it has no name"));
  EXPECT_THAT(refusal(directory_ / "no" / "cache"), HasSubstr("there is no such directory"));
  EXPECT_THAT(refusal(directory_), HasSubstr("it is no regular file"));
  EXPECT_THAT(refusal("/dev/null"), HasSubstr("it is no regular file"));
}

TEST_F(FastOpenCacheFileTest, SaysWhenItCannotWrite) {
  const FastOpenCacheFile file(path_);
  std::filesystem::remove(directory_);
  EXPECT_THROW(file.save(Stack{StackConfig{}}, kNow), Failure);
}

TEST_F(FastOpenCacheFileTest, NeedsACacheThatIsSwitchedOn) {
  Stack stack{StackConfig{}};
  ASSERT_TRUE(stack.set_setting("tcp_fastopen_cache_max", "0"));
  EXPECT_THROW(FastOpenCacheFile(path_).load(stack, kNow), UsageError);
}

}  // namespace
}  // namespace ff::cli
