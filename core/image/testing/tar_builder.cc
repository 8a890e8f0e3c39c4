#include "core/image/testing/tar_builder.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace berth {
namespace {

constexpr size_t kBlock = 512;

void Octal(char* field, size_t width, uint64_t value) { snprintf(field, width, "%0*lo", int(width) - 1, value); }

// LENGTH KEY=VALUE\n, where LENGTH counts itself.
std::string PaxRecord(const std::string& key, const std::string& value) {
  const std::string rest = " " + key + "=" + value + "\n";
  size_t length = rest.size() + 1;
  while (std::to_string(length).size() + rest.size() != length) ++length;
  return std::to_string(length) + rest;
}

}  // namespace

void TarBuilder::Header(const TarEntry& entry, char type, uint64_t size) {
  char block[kBlock] = {};
  strncpy(block, entry.name.c_str(), 100);
  Octal(block + 100, 8, entry.mode);
  Octal(block + 108, 8, std::min<uint64_t>(entry.uid, 07777777));
  Octal(block + 116, 8, std::min<uint64_t>(entry.gid, 07777777));
  Octal(block + 124, 12, size);
  Octal(block + 136, 12, static_cast<uint64_t>(entry.mtime));
  memset(block + 148, ' ', 8);
  block[156] = type;
  strncpy(block + 157, entry.link.c_str(), 100);
  memcpy(block + 257, "ustar", 6);
  memcpy(block + 263, "00", 2);
  Octal(block + 329, 8, entry.major);
  Octal(block + 337, 8, entry.minor);
  uint32_t sum = 0;
  for (unsigned char c : block) sum += c;
  snprintf(block + 148, 8, "%06o", sum);
  bytes_.append(block, kBlock);
}

void TarBuilder::Data(const std::string& data) {
  bytes_ += data;
  bytes_.append((kBlock - data.size() % kBlock) % kBlock, '\0');
}

TarBuilder& TarBuilder::Add(const TarEntry& entry) {
  std::map<std::string, std::string> pax = entry.pax;
  if (entry.name.size() > 100) pax.emplace("path", entry.name);
  if (entry.link.size() > 100) pax.emplace("linkpath", entry.link);
  if (entry.uid > 07777777) pax.emplace("uid", std::to_string(entry.uid));
  if (entry.gid > 07777777) pax.emplace("gid", std::to_string(entry.gid));
  if (!pax.empty()) {
    std::string records;
    for (const auto& [key, value] : pax) records += PaxRecord(key, value);
    TarEntry header;
    header.name = "PaxHeaders/x";
    Header(header, 'x', records.size());
    Data(records);
  }
  Header(entry, entry.type, entry.data.size());
  Data(entry.data);
  return *this;
}

TarBuilder& TarBuilder::File(const std::string& name, const std::string& data, uint32_t mode) {
  TarEntry entry;
  entry.name = name;
  entry.data = data;
  entry.mode = mode;
  return Add(entry);
}

TarBuilder& TarBuilder::Dir(const std::string& name, uint32_t mode) {
  TarEntry entry;
  entry.name = name;
  entry.type = '5';
  entry.mode = mode;
  return Add(entry);
}

TarBuilder& TarBuilder::Symlink(const std::string& name, const std::string& target) {
  TarEntry entry;
  entry.name = name;
  entry.type = '2';
  entry.link = target;
  return Add(entry);
}

TarBuilder& TarBuilder::HardLink(const std::string& name, const std::string& target) {
  TarEntry entry;
  entry.name = name;
  entry.type = '1';
  entry.link = target;
  return Add(entry);
}

std::string TarBuilder::Build() const { return bytes_ + std::string(2 * kBlock, '\0'); }

std::string GzipForTest(const std::string& data) {
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) abort();
  std::string out(deflateBound(&stream, data.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) abort();
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string ZstdForTest(const std::string& data) {
  std::string out(ZSTD_compressBound(data.size()), '\0');
  const size_t size = ZSTD_compress(out.data(), out.size(), data.data(), data.size(), 3);
  if (ZSTD_isError(size)) abort();
  out.resize(size);
  return out;
}

}  // namespace berth
