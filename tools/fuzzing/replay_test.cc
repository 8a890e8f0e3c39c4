// Replays one target's corpus (FUZZ_CORPUS), then mutations of it for a second, the same ones each time: a fuzz target
// is a plain test in every build. tools/fuzz runs the same targets with libFuzzer.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "core/base/file.h"
#include "gtest/gtest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace berth {
namespace {

void RunOne(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  const std::string directory = FUZZ_CORPUS;
  const auto names = ListDir(directory);
  if (!names.ok()) return seeds;
  for (const std::string& name : *names) seeds.push_back(*ReadFile(directory + "/" + name));
  return seeds;
}

// Makes the checksums of tar headers right again, or nothing behind the first one would be reached.
void SealTarHeaders(std::string* bytes) {
  for (size_t at = 0; at + 512 <= bytes->size(); at += 512) {
    if (bytes->compare(at + 257, 5, "ustar") != 0) continue;
    bytes->replace(at + 148, 8, 8, ' ');
    uint32_t sum = 0;
    for (size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>((*bytes)[at + i]);
    char text[8];
    snprintf(text, sizeof(text), "%06o", sum);
    memcpy(bytes->data() + at + 148, text, 7);
  }
}

std::string Mutated(std::string bytes, std::mt19937* random) {
  const auto any = [random](size_t n) { return static_cast<size_t>((*random)() % std::max<size_t>(n, 1)); };
  for (size_t changes = 1 + any(8); changes > 0 && !bytes.empty(); --changes) {
    switch (any(5)) {
      case 0:
        bytes[any(bytes.size())] = static_cast<char>((*random)());
        break;
      case 1:
        bytes[any(bytes.size())] = "\0/.0159:@-wh\x80\xff{}[]\",\n"[any(21)];
        break;
      case 2:
        bytes.resize(any(bytes.size()));
        break;
      case 3:
        bytes.insert(any(bytes.size()), bytes.substr(any(bytes.size()), any(16)));
        break;
      default:
        bytes.insert(any(bytes.size() / 512 + 1) * 512, bytes.substr(any(bytes.size() / 512) * 512, 512));
    }
  }
  if (any(8) != 0) SealTarHeaders(&bytes);
  return bytes;
}

TEST(Fuzz, Corpus) {
  const std::vector<std::string> seeds = Seeds();
  ASSERT_GE(seeds.size(), 5u);
  for (const std::string& seed : seeds) RunOne(seed);
}

TEST(Fuzz, MutationsForASecond) {
  const std::vector<std::string> seeds = Seeds();
  std::mt19937 random(20260101);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (std::chrono::steady_clock::now() < end) {
    for (const std::string& seed : seeds) RunOne(Mutated(seed, &random));
  }
}

}  // namespace
}  // namespace berth
