#include "plugins/registry_layout/tar_index.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "plugins/registry_layout/archive_path.h"
#include "plugins/registry_layout/read_at.h"

namespace berth::registry_layout {
namespace {

using sdk::DataLoss;
using sdk::InvalidArgument;
using sdk::NotFound;
using sdk::ResourceExhausted;
using sdk::Result;
using sdk::Status;
using sdk::Unimplemented;

constexpr uint64_t kBlock = 512;

// Fields of a ustar header: offset and size.
struct Field {
  size_t at, size;
};
constexpr Field kName{0, 100}, kSize{124, 12}, kChecksum{148, 8}, kLink{157, 100}, kMagic{257, 6}, kPrefix{345, 155};
constexpr size_t kType = 156;

using Block = char[kBlock];

std::string_view Raw(const Block& b, Field f) { return {b + f.at, f.size}; }
std::string_view Text(const Block& b, Field f) {
  const std::string_view raw = Raw(b, f);
  return raw.substr(0, raw.find('\0'));
}

// Octal digits between spaces and NULs, or GNU's base 256 when the first bit is set. Nothing when it is neither, or
// does not fit in 63 bits.
std::optional<uint64_t> Number(std::string_view raw) {
  uint64_t value = 0;
  if (!raw.empty() && (static_cast<unsigned char>(raw[0]) & 0x80)) {
    if (static_cast<unsigned char>(raw[0]) != 0x80) return std::nullopt;
    for (const char c : raw.substr(1)) {
      if (value >> 55) return std::nullopt;
      value = value << 8 | static_cast<unsigned char>(c);
    }
    return value;
  }
  while (!raw.empty() && raw.front() == ' ') raw.remove_prefix(1);
  while (!raw.empty() && (raw.back() == ' ' || raw.back() == '\0')) raw.remove_suffix(1);
  for (const char c : raw) {
    if (c < '0' || c > '7' || value >> 60) return std::nullopt;
    value = value << 3 | static_cast<uint64_t>(c - '0');
  }
  return value;
}

bool ChecksumHolds(const Block& b) {
  const std::optional<uint64_t> want = Number(Text(b, kChecksum));
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlock; ++i) {
    const bool inside = i >= kChecksum.at && i < kChecksum.at + kChecksum.size;
    sum += inside ? ' ' : static_cast<unsigned char>(b[i]);
  }
  return want == sum;
}

bool IsZero(const Block& b) {
  return std::all_of(b, b + kBlock, [](char c) { return c == 0; });
}

// One "LENGTH KEY=VALUE\n" of a pax header; takes it off `text`.
struct PaxRecord {
  std::string_view key, value;
};
std::optional<PaxRecord> TakePaxRecord(std::string_view* text) {
  uint64_t length = 0;
  size_t digits = 0;
  while (digits < text->size() && (*text)[digits] >= '0' && (*text)[digits] <= '9') {
    length = length * 10 + static_cast<uint64_t>((*text)[digits++] - '0');
    if (length > text->size()) return std::nullopt;
  }
  if (digits == 0 || digits >= text->size() || (*text)[digits] != ' ' || length < digits + 3) return std::nullopt;
  const std::string_view record = text->substr(digits + 1, length - digits - 1);
  const size_t equals = record.find('=');
  if (equals == std::string_view::npos || equals == 0 || record.back() != '\n') return std::nullopt;
  text->remove_prefix(length);
  return PaxRecord{record.substr(0, equals), record.substr(equals + 1, record.size() - equals - 2)};
}

std::optional<uint64_t> Decimal(std::string_view text) {
  uint64_t value = 0;
  if (text.empty() || text.size() > 18) return std::nullopt;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

}  // namespace

std::string_view CompressionOf(std::string_view first_bytes) {
  if (first_bytes.starts_with("\x1f\x8b")) return "gzip";
  if (first_bytes.starts_with("\x28\xb5\x2f\xfd")) return "zstd";
  if (first_bytes.starts_with("\xfd\x37zXZ")) return "xz";
  if (first_bytes.starts_with("BZh")) return "bzip2";
  return "";
}

// What Read() keeps between headers.
class TarReader {
 public:
  TarReader(int fd, uint64_t size, const TarLimits& limits) : fd_(fd), size_(size), limits_(limits) {
    index_.max_links_ = limits.links;
  }

  Result<TarIndex> Run() {
    BERTH_RETURN_IF_ERROR(RefuseOtherFormats());
    while (size_ - at_ >= kBlock) {
      Block block;
      BERTH_RETURN_IF_ERROR(ReadAt(fd_, at_, block, kBlock));
      if (IsZero(block)) return std::move(index_);
      BERTH_RETURN_IF_ERROR(TakeHeader(block));
    }
    if (at_ != size_) return DataLoss(Here() + "the archive is cut off in a header");
    return std::move(index_);
  }

 private:
  // What earlier headers said about the next member.
  struct Pending {
    std::optional<std::string> name, link;
    std::optional<uint64_t> size;
  };

  std::string Here() const { return "tar header at byte " + std::to_string(at_) + ": "; }

  Status RefuseOtherFormats() {
    char first[8] = {};
    const size_t n = std::min<uint64_t>(size_, sizeof(first));
    BERTH_RETURN_IF_ERROR(ReadAt(fd_, 0, first, n));
    const std::string_view compression = CompressionOf({first, n});
    if (compression.empty()) return {};
    return Unimplemented("the archive is compressed with " + std::string(compression) +
                         ": decompress it, blobs are read in place");
  }

  Status TakeHeader(const Block& block) {
    if (!ChecksumHolds(block)) return DataLoss(Here() + "its checksum is wrong: damaged, or not a tar archive");
    const char type = block[kType];
    std::optional<uint64_t> size = Number(Raw(block, kSize));
    if (!size) return DataLoss(Here() + "its size is not a number");
    const bool extension = type == 'x' || type == 'g' || type == 'L' || type == 'K';
    if (!extension && pending_.size) size = pending_.size;
    // Links and directories have no contents, whatever their size field says; old archives set it for hard links.
    if (type >= '1' && type <= '6') size = 0;
    const uint64_t room = size_ - at_ - kBlock;
    if (*size > room) {
      return DataLoss(Here() + "a member of " + std::to_string(*size) + " bytes, but only " + std::to_string(room) +
                      " follow: the archive is cut off");
    }
    if (extension) {
      BERTH_RETURN_IF_ERROR(TakeExtension(type, *size));
    } else {
      BERTH_RETURN_IF_ERROR(TakeMember(block, type, *size));
      pending_ = {};
    }
    // The padding of the last member may be missing.
    at_ += kBlock + std::min(room, (*size + kBlock - 1) / kBlock * kBlock);
    return {};
  }

  Status TakeExtension(char type, uint64_t size) {
    if (++extensions_ > 4 * limits_.members) return TooManyMembers();
    if (type == 'g') return {};  // defaults for all members: nothing that is read here
    if (size > limits_.extension) {
      return ResourceExhausted(Here() + "an extended header of " + std::to_string(size) + " bytes, at most " +
                               std::to_string(limits_.extension) + " are read");
    }
    std::string text(size, '\0');
    BERTH_RETURN_IF_ERROR(ReadAt(fd_, at_ + kBlock, text.data(), size));
    if (type == 'x') return TakePax(text);
    text.resize(std::min(text.find('\0'), text.size()));
    (type == 'L' ? pending_.name : pending_.link) = std::move(text);
    return {};
  }

  Status TakePax(std::string_view text) {
    while (!text.empty()) {
      const std::optional<PaxRecord> record = TakePaxRecord(&text);
      if (!record) return DataLoss(Here() + "a malformed pax record");
      if (record->key == "path") pending_.name = record->value;
      if (record->key == "linkpath") pending_.link = record->value;
      if (record->key == "size" && !(pending_.size = Decimal(record->value))) {
        return DataLoss(Here() + "a pax size that is not a number");
      }
      if (record->key.starts_with("GNU.sparse.")) return Sparse();
    }
    return {};
  }

  Status TakeMember(const Block& block, char type, uint64_t size) {
    if (type == 'S') return Sparse();
    if (type == 'M') return Unimplemented(Here() + "a part of a multi-volume archive");
    std::string name = pending_.name ? *pending_.name : HeaderName(block);
    if (name.size() > limits_.name) return ResourceExhausted(Here() + "a name of more bytes than allowed");
    // ".." is refused here although nothing is ever written by these names: no honest image archive has it.
    const std::optional<std::string> clean = HasDotDot(name) ? std::nullopt : CleanPath("", name);
    if (!clean) return InvalidArgument(Here() + "the name " + Quoted(name) + " leads out of the archive");
    if (clean->empty()) return {};  // "./"
    TarIndex::Member member;
    member.kind = KindOf(type);
    if (member.kind == TarIndex::Kind::kFile) member.extent = {at_ + kBlock, size};
    if (member.kind == TarIndex::Kind::kHardLink || member.kind == TarIndex::Kind::kSymlink) {
      member.link = pending_.link ? *pending_.link : std::string(Text(block, kLink));
    }
    return Keep(*clean, std::move(member));
  }

  Status Keep(const std::string& name, TarIndex::Member member) {
    if (member.link.size() > limits_.name) return ResourceExhausted(Here() + "a link of more bytes than allowed");
    names_ += name.size() + member.link.size();
    if (names_ > limits_.names || ++seen_ > limits_.members) return TooManyMembers();
    index_.members_[name] = std::move(member);
    return {};
  }

  static std::string HeaderName(const Block& block) {
    std::string name(Text(block, kName));
    // Only POSIX ustar has a prefix; GNU keeps times there.
    if (Raw(block, kMagic) != std::string_view("ustar\0", 6)) return name;
    const std::string_view prefix = Text(block, kPrefix);
    return prefix.empty() ? name : std::string(prefix) + "/" + name;
  }

  static bool HasDotDot(std::string_view name) {
    const std::string framed = "/" + std::string(name) + "/";
    return framed.find("/../") != std::string::npos;
  }

  // For a message: names are as hostile as the rest.
  static std::string Quoted(std::string_view name) {
    std::string out = "\"";
    for (const char c : name.substr(0, 128)) out += c < ' ' || c == '"' || c == 0x7f ? '?' : c;
    return out + "\"";
  }

  static TarIndex::Kind KindOf(char type) {
    switch (type) {
      case '0':
      case '\0':
      case '7':
        return TarIndex::Kind::kFile;
      case '1':
        return TarIndex::Kind::kHardLink;
      case '2':
        return TarIndex::Kind::kSymlink;
      default:
        return TarIndex::Kind::kOther;
    }
  }

  Status Sparse() const { return Unimplemented(Here() + "a sparse file: pack the archive without --sparse"); }
  Status TooManyMembers() const {
    return ResourceExhausted(Here() + "more members or longer names than an image archive has");
  }

  const int fd_;
  const uint64_t size_;
  const TarLimits limits_;
  uint64_t at_ = 0, names_ = 0, seen_ = 0, extensions_ = 0;
  Pending pending_;
  TarIndex index_;
};

Result<TarIndex> TarIndex::Read(int fd, uint64_t size, const TarLimits& limits) {
  return TarReader(fd, size, limits).Run();
}

Result<TarIndex::Extent> TarIndex::Find(std::string_view name) const {
  std::optional<std::string> at = CleanPath("", name);
  for (int followed = 0; at && followed <= max_links_; ++followed) {
    const auto it = members_.find(*at);
    if (it == members_.end()) {
      if (*at == name) return NotFound("no " + *at + " in the archive");
      return NotFound("no " + *at + " in the archive, to which " + std::string(name) + " leads");
    }
    switch (it->second.kind) {
      case Kind::kFile:
        return it->second.extent;
      case Kind::kHardLink:
        at = CleanPath("", it->second.link);
        break;
      case Kind::kSymlink:
        at = CleanPath(ParentOf(*at), it->second.link);
        break;
      case Kind::kOther:
        return NotFound(*at + " in the archive is not a regular file");
    }
  }
  if (!at) return InvalidArgument(std::string(name) + " in the archive leads out of it");
  return InvalidArgument(std::string(name) + " in the archive leads through more than " + std::to_string(max_links_) +
                         " links: a cycle");
}

}  // namespace berth::registry_layout
