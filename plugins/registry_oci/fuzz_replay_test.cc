// Replays the corpus of a fuzz target (CORPUS is its directory), then mutations of it for a second, the same each time.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace berth::registry_oci {
namespace {

void RunOne(const std::string& text) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const auto& entry : std::filesystem::directory_iterator(CORPUS)) {
    std::ifstream file(entry.path(), std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::sort(seeds.begin(), seeds.end());
  return seeds;
}

// A few changes, often of bytes that have a meaning, and pieces of another seed.
std::string Mutated(std::string text, const std::string& other, std::mt19937& random) {
  static constexpr std::string_view kMarks("\"'\\,=.[]{}#\n\r \t\0\xff", 18);
  const auto any = [&](size_t n) { return static_cast<size_t>(random() % std::max<size_t>(n, 1)); };
  for (size_t changes = 1 + any(6); changes > 0 && !text.empty(); --changes) {
    switch (any(5)) {
      case 0:
        text[any(text.size())] = static_cast<char>(random());
        break;
      case 1:
        text[any(text.size())] = kMarks[any(kMarks.size())];
        break;
      case 2:
        text.insert(any(text.size()), 1, kMarks[any(kMarks.size())]);
        break;
      case 3:
        text.erase(any(text.size()), any(16));
        break;
      default:
        text.insert(any(text.size()), other.substr(any(other.size()), any(64)));
    }
  }
  return text;
}

TEST(FuzzReplay, Corpus) {
  const std::vector<std::string> seeds = Seeds();
  ASSERT_GE(seeds.size(), 5u);
  for (const std::string& seed : seeds) RunOne(seed);
}

TEST(FuzzReplay, MutationsForASecond) {
  const std::vector<std::string> seeds = Seeds();
  std::mt19937 random(20260101);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (std::chrono::steady_clock::now() < end) {
    for (const std::string& seed : seeds) RunOne(Mutated(seed, seeds[random() % seeds.size()], random));
  }
}

}  // namespace
}  // namespace berth::registry_oci
