#include "tools/load/cuts_images.h"

#include <filesystem>
#include <random>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "tools/image/oci_layout.h"

namespace berth {
namespace {

namespace fs = std::filesystem;
using Type = LayerEntry::Type;

constexpr int kDirectories = 5, kFilesInEach = 12;
constexpr uint64_t kMaxFile = 24'000, kMaxBusybox = 16 << 20;
constexpr char kData[] = "data/";

// Files of one layer, from its name alone. "every" is in all layers of an
// image: the highest one's is seen.
std::vector<LayerEntry> LayerEntries(const std::string& name) {
  std::seed_seq seed(name.begin(), name.end());
  std::mt19937 random(seed);
  const auto content = [&] {
    std::string bytes(random() % 8 == 0 ? 0 : random() % kMaxFile, '\0');
    for (char& byte : bytes) byte = static_cast<char>('a' + random() % 26);
    return bytes;
  };
  std::vector<LayerEntry> entries = {{Type::kDirectory, kData, "", 0755},
                                     {Type::kFile, absl::StrCat(kData, "every"), name, 0644}};
  for (int d = 0; d < kDirectories; ++d) {
    const std::string directory = absl::StrCat(kData, name, "-", d, "/");
    entries.push_back({Type::kDirectory, directory, "", 0755});
    for (int f = 0; f < kFilesInEach; ++f) {
      entries.push_back({Type::kFile, absl::StrCat(directory, f), content(), 0644});
    }
  }
  return entries;
}

// Base first, without the shell's.
std::vector<std::string> LayersOf(int number) {
  return {absl::StrCat("pair", number / 2), absl::StrCat("lower", number), absl::StrCat("upper", number)};
}

absl::Status Differs(int number, const std::string& what) {
  return absl::DataLossError(absl::StrCat(CutsImage(number), ": ", what));
}

}  // namespace

std::string CutsImage(int number) { return absl::StrCat("example.org/cuts/image", number, ":1"); }

absl::Status WriteCutsImages(const std::string& directory) {
  ASSIGN_OR_RETURN(const std::vector<LayerEntry> busybox, BusyboxEntries());
  ASSIGN_OR_RETURN(const std::string base, MakeTar(busybox));
  for (int number = 0; number < kCutsImages; ++number) {
    std::vector<std::string> layers = {base};
    for (const std::string& name : LayersOf(number)) {
      ASSIGN_OR_RETURN(std::string tar, MakeTar(LayerEntries(name)));
      layers.push_back(std::move(tar));
    }
    ImageSettings settings;
    settings.reference = CutsImage(number);
    settings.environment = {"PATH=/bin"};
    RETURN_IF_ERROR(AddImage(directory, settings, layers).status());
  }
  return absl::OkStatus();
}

std::map<std::string, std::string> CutsFiles(int number) {
  std::map<std::string, std::string> files;
  for (const std::string& name : LayersOf(number)) {
    for (LayerEntry& entry : LayerEntries(name)) {
      if (entry.type == Type::kFile) files[entry.name.substr(sizeof(kData) - 1)] = std::move(entry.content);
    }
  }
  return files;
}

absl::Status CheckCutsRootfs(int number, const std::string& rootfs) {
  const std::map<std::string, std::string> wanted = CutsFiles(number);
  for (const auto& [name, content] : wanted) {
    const auto found = ReadFile(absl::StrCat(rootfs, "/", kData, name), kMaxFile);
    if (!found.ok()) return Differs(number, found.status().ToString());
    if (*found == content) continue;
    return Differs(
        number, absl::StrCat("/", kData, name, " has other contents: ", found->size(), " bytes, not ", content.size()));
  }
  std::error_code error, unknown;
  size_t files = 0;
  fs::recursive_directory_iterator it(absl::StrCat(rootfs, "/", kData), error), end;
  for (; !error && it != end; it.increment(error)) files += it->is_regular_file(unknown) ? 1 : 0;
  if (error) return Differs(number, "list /data: " + error.message());
  if (files != wanted.size()) return Differs(number, absl::StrCat("/data has ", files, " files, not ", wanted.size()));
  ASSIGN_OR_RETURN(const std::string busybox, ReadFile("/bin/busybox", kMaxBusybox));
  const auto found = ReadFile(rootfs + "/bin/busybox", kMaxBusybox);
  if (!found.ok()) return Differs(number, found.status().ToString());
  return *found == busybox ? absl::OkStatus() : Differs(number, "/bin/busybox has other contents");
}

}  // namespace berth
