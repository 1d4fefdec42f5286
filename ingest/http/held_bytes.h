// How much memory clients make one HTTP thread hold: bodies that come in, answers that are not
// taken. Belongs to that thread, and outlives all that it counts.
#pragma once

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "ingest/http/response.h"

namespace veche::http {

class HeldBytes {
 public:
  explicit HeldBytes(std::size_t limit_bytes) : limit_bytes_(limit_bytes) {}
  HeldBytes(const HeldBytes&) = delete;
  HeldBytes& operator=(const HeldBytes&) = delete;

  std::size_t room() const { return limit_bytes_ - std::min(bytes_, limit_bytes_); }
  bool has_room() const { return bytes_ < limit_bytes_; }
  // Little room is left: who is slow must go before others are refused.
  bool is_crowded() const { return bytes_ > limit_bytes_ / 4 * 3; }
  bool holds(const Frame& frame) const { return frames_.contains(frame.get()); }

  // What one holder has, until it is gone.
  class Part {
   public:
    explicit Part(HeldBytes& of) : of_(of) {}
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;
    ~Part() { set(0); }
    void set(std::size_t bytes) {
      of_.bytes_ += bytes - bytes_;
      bytes_ = bytes;
    }

   private:
    HeldBytes& of_;
    std::size_t bytes_ = 0;
  };

  // That one holder has a frame, which he keeps for as long: it is counted once, however many have
  // it.
  class Held {
   public:
    Held() = default;
    Held(HeldBytes& of, const Frame& frame) : of_(&of), frame_(frame.get()) { of.add(frame_); }
    Held(Held&& other) noexcept : of_(other.of_), frame_(std::exchange(other.frame_, nullptr)) {}
    Held& operator=(Held&& other) noexcept {
      std::swap(of_, other.of_);
      std::swap(frame_, other.frame_);
      return *this;
    }
    ~Held() {
      if (frame_ != nullptr) of_->remove(frame_);
    }

   private:
    HeldBytes* of_ = nullptr;
    const std::string* frame_ = nullptr;
  };

 private:
  void add(const std::string* frame) {
    if (++frames_[frame] == 1) bytes_ += frame->size();
  }
  void remove(const std::string* frame) {
    const auto found = frames_.find(frame);
    if (--found->second > 0) return;
    bytes_ -= frame->size();
    frames_.erase(found);
  }

  const std::size_t limit_bytes_;
  std::size_t bytes_ = 0;
  boost::unordered_flat_map<const std::string*, std::uint32_t> frames_;  // how many hold each
};

}  // namespace veche::http
