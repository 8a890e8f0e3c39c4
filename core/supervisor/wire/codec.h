// Message bodies: integers in the machine's order (both peers are on one machine), strings and lists with a 32-bit
// count, in the order a message's Fields() names them. No exceptions, standard library only: the supervisor uses it
// too.
//
// A message is a struct with `template <class A> void Fields(A& a) { a(first, second); }`; the same function writes,
// reads and bounds it. Every byte must be accounted for: a body that is too short or too long is malformed.
#ifndef BERTH_CORE_SUPERVISOR_WIRE_CODEC_H_
#define BERTH_CORE_SUPERVISOR_WIRE_CODEC_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace berth::wire {

class Writer {
 public:
  template <class... T>
  void operator()(T&... fields) {
    (Put(fields), ...);
  }
  std::string& bytes() { return bytes_; }

 private:
  template <class T>
  void Put(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      bytes_.push_back(value ? 1 : 0);
    } else if constexpr (std::is_integral_v<T>) {
      bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    } else {
      value.Fields(*this);
    }
  }
  void Put(std::string& value) {
    Count(value.size());
    bytes_.append(value);
  }
  template <class T>
  void Put(std::vector<T>& list) {
    Count(list.size());
    for (T& item : list) Put(item);
  }
  void Count(size_t n) {
    uint32_t count = static_cast<uint32_t>(n);
    Put(count);
  }

  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  template <class... T>
  void operator()(T&... fields) {
    (Get(fields), ...);
  }
  // Nothing was missing, impossible or left over.
  bool Done() const { return ok_ && rest_.empty(); }

 private:
  template <class T>
  void Get(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      uint8_t byte = 0;
      Get(byte);
      if (byte > 1) Fail();
      value = byte == 1;
    } else if constexpr (std::is_integral_v<T>) {
      if (!ok_ || rest_.size() < sizeof(value)) return Fail();
      std::memcpy(&value, rest_.data(), sizeof(value));
      rest_.remove_prefix(sizeof(value));
    } else {
      value.Fields(*this);
    }
  }
  void Get(std::string& value) {
    uint32_t count = 0;
    Get(count);
    if (!ok_ || count > rest_.size()) return Fail();
    value.assign(rest_.data(), count);
    rest_.remove_prefix(count);
  }
  template <class T>
  void Get(std::vector<T>& list) {
    uint32_t count = 0;
    Get(count);
    // Each item takes at least a byte, so a count can't make us allocate more than a small multiple of the body.
    if (!ok_ || count > rest_.size()) return Fail();
    list.clear();
    for (uint32_t i = 0; i < count && ok_; ++i) {
      list.emplace_back();
      Get(list.back());
    }
  }
  void Fail() {
    ok_ = false;
    rest_ = {};
  }

  std::string_view rest_;
  bool ok_ = true;
};

template <class M>
std::string Encode(const M& message) {
  Writer writer;
  const_cast<M&>(message).Fields(writer);  // Writer reads its fields only
  return std::move(writer.bytes());
}

template <class M>
bool Decode(std::string_view bytes, M* message) {
  Reader reader(bytes);
  message->Fields(reader);
  return reader.Done();
}

}  // namespace berth::wire

#endif  // BERTH_CORE_SUPERVISOR_WIRE_CODEC_H_
