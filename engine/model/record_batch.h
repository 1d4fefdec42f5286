// Records in order, in one buffer: the form in which they are appended, stored and delivered.
//
//   batch  := record*
//   record := length (u32, little-endian)  bytes
#pragma once

#include <cstdint>
#include <cstring>
#include <iterator>
#include <string>
#include <string_view>

namespace veche::model {

class RecordBatch {
 public:
  RecordBatch() = default;

  // Takes the bytes of a stored batch; whole() tells whether they are one.
  static RecordBatch adopt(std::string bytes) {
    RecordBatch batch;
    batch.bytes_ = std::move(bytes);
    for (auto rest = std::string_view(batch.bytes_); !rest.empty(); ++batch.count_) {
      if (rest.size() < 4 || rest.size() - 4 < length(rest.data())) {
        batch.whole_ = false;
        break;
      }
      rest.remove_prefix(4 + length(rest.data()));
    }
    return batch;
  }

  void push(std::string_view record) {
    append_length(record.size());
    bytes_.append(record);
    ++count_;
  }
  // A record in two pieces, so that a caller need not join them first.
  void push(std::string_view head, std::string_view rest) {
    append_length(head.size() + rest.size());
    bytes_.append(head).append(rest);
    ++count_;
  }
  void append(const RecordBatch& more) {
    bytes_.append(more.bytes_);
    count_ += more.count_;
  }

  std::uint64_t count() const { return count_; }
  bool empty() const { return count_ == 0; }
  bool whole() const { return whole_; }  // false: the adopted bytes end inside a record
  const std::string& bytes() const { return bytes_; }

  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    using pointer = const std::string_view*;
    using reference = std::string_view;

    explicit Iterator(const char* at) : at_(at) {}
    std::string_view operator*() const { return {at_ + 4, length(at_)}; }
    Iterator& operator++() {
      at_ += 4 + length(at_);
      return *this;
    }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    const char* at_;
  };
  Iterator begin() const { return Iterator(bytes_.data()); }
  Iterator end() const { return Iterator(bytes_.data() + bytes_.size()); }

 private:
  static std::uint32_t length(const char* at) {
    std::uint32_t value;
    std::memcpy(&value, at, 4);
    return value;
  }
  void append_length(std::size_t size) {
    const auto value = static_cast<std::uint32_t>(size);
    bytes_.append(reinterpret_cast<const char*>(&value), 4);
  }

  std::string bytes_;
  std::uint64_t count_ = 0;
  bool whole_ = true;
};

}  // namespace veche::model
