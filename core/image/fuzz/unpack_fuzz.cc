// Any bytes as a layer's archive: nothing beside the directory changes, and what is in it can be removed.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/base/file.h"
#include "core/image/unpack.h"

namespace {

void Require(bool condition) {
  if (!condition) abort();
}

void UnpackOnce(const std::string& top, absl::string_view tar, berth::WhiteoutStyle style) {
  const std::string root = top + "/root";
  Require(mkdir(root.c_str(), 0755) == 0);
  {
    auto dir = berth::OpenFile(root, O_RDONLY | O_DIRECTORY);
    Require(dir.ok());
    berth::UnpackLimits limits;
    limits.max_entries = 200;
    limits.max_depth = 30;
    limits.max_bytes = 1 << 20;
    limits.max_file_bytes = 16 << 20;
    (void)berth::UnpackTar(dir->get(), style, limits, [&]() -> absl::StatusOr<absl::string_view> {
      const absl::string_view next = tar.substr(0, 700);
      tar.remove_prefix(next.size());
      return next;
    });
  }
  Require(*berth::ReadFile(top + "/sentinel") == "untouched");
  Require(berth::ListDir(top)->size() == 2);
  Require(berth::RemoveTree(root).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const char* base = getenv("TEST_TMPDIR");
  std::string top = std::string(base == nullptr ? "/tmp" : base) + "/unpack_fuzz.XXXXXX";
  Require(mkdtemp(top.data()) != nullptr);
  Require(berth::WriteFileAtomic(top + "/sentinel", "untouched", 0600, berth::Durability::kVolatile).ok());
  const absl::string_view tar(reinterpret_cast<const char*>(data), size);
  UnpackOnce(top, tar, berth::WhiteoutStyle::kOverlay);
  UnpackOnce(top, tar, berth::WhiteoutStyle::kNone);
  Require(berth::RemoveTree(top).ok());
  return 0;
}
