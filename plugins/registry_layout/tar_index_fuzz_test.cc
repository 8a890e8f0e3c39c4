// Replays the corpus of tar_index_fuzz.cc, then mutations of it for a second, the same ones each time.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "plugins/registry_layout/tar_writer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace berth::registry_layout {
namespace {

constexpr char kCorpus[] = "plugins/registry_layout/testdata/fuzz/tar_index";

void RunOne(const std::string& text) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const auto& entry : std::filesystem::directory_iterator(kCorpus)) {
    std::ifstream file(entry.path(), std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::sort(seeds.begin(), seeds.end());
  return seeds;
}

// A few changes at random; then, mostly, right checksums, or nothing behind the first header would be reached.
std::string Mutated(std::string text, std::mt19937& random) {
  const auto any = [&](size_t n) { return static_cast<size_t>(random() % std::max<size_t>(n, 1)); };
  for (size_t changes = 1 + any(8); changes > 0 && !text.empty(); --changes) {
    switch (any(4)) {
      case 0:
        text[any(text.size())] = static_cast<char>(random());
        break;
      case 1:
        text[any(text.size())] = "\0/.0159 \x80\xff"[any(10)];
        break;
      case 2:
        text.resize(any(text.size()));
        break;
      default:
        text.insert(any(text.size() / 512 + 1) * 512, text.substr(any(text.size() / 512) * 512, 512));
    }
  }
  if (any(8) == 0) return text;
  for (size_t at = 0; at + 512 <= text.size(); at += 512) {
    if (text.compare(at + 257, 5, "ustar") == 0) text.replace(at, 512, TarWriter::Sealed(text.substr(at, 512)));
  }
  return text;
}

TEST(TarIndexFuzz, Corpus) {
  const std::vector<std::string> seeds = Seeds();
  ASSERT_GE(seeds.size(), 5u);
  for (const std::string& seed : seeds) RunOne(seed);
}

TEST(TarIndexFuzz, MutationsForASecond) {
  const std::vector<std::string> seeds = Seeds();
  std::mt19937 random(20260101);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (std::chrono::steady_clock::now() < end) {
    for (const std::string& seed : seeds) RunOne(Mutated(seed, random));
  }
}

}  // namespace
}  // namespace berth::registry_layout
