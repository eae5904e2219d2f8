// When it pays to look again and again instead of sleeping until something comes. To be woken takes longer than much
// that a program on the same machine does in between, above all where an idle processor has to be woken as well, as in
// a virtual machine. But whoever looks keeps the processor from others.
#pragma once

#include <algorithm>
#include <cstdint>

namespace ff {

// Judges by what the last waits were like: looking begins when something came soon after falling asleep, goes on as
// long as it finds something, and is left alone for twice as long each time that it has been in vain. Hence who waits
// long does not look at all, nor whoever is kept waiting because others need the processor.
class BusyPollJudge {
 public:
  [[nodiscard]] bool pays() const noexcept { return pauses_ == 0; }

  void looked(bool found) noexcept {
    if (found) {
      distrust_ = std::max(distrust_ / 2, 1u);
    } else {
      distrust_ = std::min(distrust_ * 2, kMostDistrust);
      pauses_ = distrust_;
    }
  }
  // Without having looked.
  void slept(bool briefly) noexcept {
    if (briefly && pauses_ > 0) --pauses_;
  }

 private:
  static constexpr std::uint32_t kMostDistrust = 1024;

  std::uint32_t distrust_ = 1;
  std::uint32_t pauses_ = 1;  // brief sleeps until the next attempt
};

}  // namespace ff
