#include "tools/image/oci_layout.h"

#include <zlib.h>

#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/base/subprocess.h"
#include "core/oci/digest.h"

namespace berth {
namespace {

using Json = nlohmann::json;

// POSIX 1003.1 ustar. By hand: the writer of the static libarchive wants libraries that Berth does not link.
struct UstarHeader {
  char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, linkname[100], magic[6], version[2],
      user[32], group[32], major[8], minor[8], prefix[155], padding[12];
};
static_assert(sizeof(UstarHeader) == 512);

char UstarType(LayerEntry::Type type) {
  switch (type) {
    case LayerEntry::Type::kHardLink:
      return '1';
    case LayerEntry::Type::kSymlink:
      return '2';
    case LayerEntry::Type::kDirectory:
      return '5';
    case LayerEntry::Type::kFile:
      break;
  }
  return '0';
}

absl::Status AppendEntry(const LayerEntry& entry, std::string* tar) {
  const bool file = entry.type == LayerEntry::Type::kFile;
  UstarHeader header = {};
  if (entry.name.size() >= sizeof(header.name) || (!file && entry.content.size() >= sizeof(header.linkname))) {
    return absl::InvalidArgumentError("too long for a ustar header: " + entry.name);
  }
  std::memcpy(header.name, entry.name.data(), entry.name.size());
  if (!file) std::memcpy(header.linkname, entry.content.data(), entry.content.size());
  std::snprintf(header.mode, sizeof(header.mode), "%07o", entry.mode & 07777);
  std::snprintf(header.uid, sizeof(header.uid), "%07o", 0);
  std::snprintf(header.gid, sizeof(header.gid), "%07o", 0);
  std::snprintf(header.size, sizeof(header.size), "%011zo", file ? entry.content.size() : 0);
  std::snprintf(header.mtime, sizeof(header.mtime), "%011o", 1700000000);
  header.type = UstarType(entry.type);
  std::memcpy(header.magic, "ustar", 6);
  std::memcpy(header.version, "00", 2);
  std::memset(header.checksum, ' ', sizeof(header.checksum));
  unsigned sum = 0;
  for (size_t i = 0; i < sizeof(header); ++i) sum += reinterpret_cast<const unsigned char*>(&header)[i];
  std::snprintf(header.checksum, sizeof(header.checksum), "%06o", sum & 0777777);
  tar->append(reinterpret_cast<const char*>(&header), sizeof(header));
  if (file) tar->append(entry.content).append((512 - entry.content.size() % 512) % 512, '\0');
  return absl::OkStatus();
}

struct Blob {
  std::string path;
  Json descriptor;
};

absl::StatusOr<Blob> PutBlob(const std::string& directory, const char* media_type, const std::string& data) {
  const Digest digest = Digest::Of(data);
  Blob blob;
  blob.path = absl::StrCat(directory, "/blobs/sha256/", digest.hex());
  RETURN_IF_ERROR(WriteFileAtomic(blob.path, data, 0644, Durability::kVolatile));
  blob.descriptor = {{"mediaType", media_type}, {"digest", digest.ToString()}, {"size", data.size()}};
  return blob;
}

Json ConfigDocument(const ImageSettings& settings, const std::vector<std::string>& diff_ids) {
  Json run = {{"Cmd", settings.command}, {"Env", settings.environment}};
  if (!settings.user.empty()) run["User"] = settings.user;
  if (!settings.working_directory.empty()) run["WorkingDir"] = settings.working_directory;
  if (!settings.stop_signal.empty()) run["StopSignal"] = settings.stop_signal;
  for (const std::string& volume : settings.volumes) run["Volumes"][volume] = Json::object();
  return {{"architecture", "amd64"},
          {"os", "linux"},
          {"config", run},
          {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}}};
}

absl::Status AddToIndex(const std::string& directory, Json descriptor, const std::string& reference) {
  const std::string path = directory + "/index.json";
  Json index = {{"schemaVersion", 2}, {"mediaType", "application/vnd.oci.image.index.v1+json"}};
  index["manifests"] = Json::array();
  if (const auto old = ReadFile(path); old.ok()) index = Json::parse(*old, nullptr, /*allow_exceptions=*/false);
  if (!index.is_object()) return absl::DataLossError(path + " is no JSON object");
  descriptor["annotations"] = {{"org.opencontainers.image.ref.name", reference}};
  index["manifests"].push_back(std::move(descriptor));
  return WriteFileAtomic(path, index.dump(), 0644, Durability::kVolatile);
}

}  // namespace

absl::StatusOr<std::string> MakeTar(const std::vector<LayerEntry>& entries) {
  std::string tar;
  for (const LayerEntry& entry : entries) RETURN_IF_ERROR(AppendEntry(entry, &tar));
  tar.append(1024, '\0');
  return tar;
}

absl::StatusOr<std::string> Gzip(absl::string_view data) {
  z_stream stream = {};
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return absl::InternalError("start gzip");
  }
  std::string out(deflateBound(&stream, data.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) return absl::InternalError("gzip did not end");
  return out;
}

absl::StatusOr<std::vector<LayerEntry>> BusyboxEntries() {
  using Type = LayerEntry::Type;
  ASSIGN_OR_RETURN(std::string busybox, ReadFile("/bin/busybox", 16 << 20));
  Command list;
  list.argv = {"/bin/busybox", "--list"};
  list.deadline_ns = MonotonicNanos() + int64_t{30'000'000'000};
  ASSIGN_OR_RETURN(const CommandResult applets, RunCommand(list));
  std::vector<LayerEntry> entries;
  for (const char* name : {"bin/", "etc/", "proc/", "sys/", "dev/", "run/", "root/", "home/"}) {
    entries.push_back({Type::kDirectory, name, "", 0755});
  }
  entries.push_back({Type::kDirectory, "tmp/", "", 01777});
  entries.push_back({Type::kFile, "bin/busybox", std::move(busybox), 0755});
  for (absl::string_view applet : absl::StrSplit(applets.out, '\n', absl::SkipWhitespace())) {
    if (applet != "busybox") entries.push_back({Type::kSymlink, absl::StrCat("bin/", applet), "busybox", 0777});
  }
  entries.push_back(
      {Type::kFile, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000:guest:/home:/bin/sh\n", 0644});
  entries.push_back({Type::kFile, "etc/group", "root:x:0:\nguest:x:1000:\nstaff:x:50:guest\n", 0644});
  return entries;
}

absl::StatusOr<WrittenImage> AddImage(const std::string& directory, const ImageSettings& settings,
                                      const std::vector<std::string>& layers) {
  RETURN_IF_ERROR(MakeDirs(directory + "/blobs/sha256"));
  WrittenImage written;
  std::vector<std::string> diff_ids;
  Json manifest = {{"schemaVersion", 2}, {"mediaType", "application/vnd.oci.image.manifest.v1+json"}};
  manifest["layers"] = Json::array();
  for (const std::string& layer : layers) {
    ASSIGN_OR_RETURN(const std::string compressed, Gzip(layer));
    ASSIGN_OR_RETURN(Blob blob, PutBlob(directory, "application/vnd.oci.image.layer.v1.tar+gzip", compressed));
    diff_ids.push_back(Digest::Of(layer).ToString());
    manifest["layers"].push_back(std::move(blob.descriptor));
    written.layer_paths.push_back(std::move(blob.path));
  }
  ASSIGN_OR_RETURN(Blob config, PutBlob(directory, "application/vnd.oci.image.config.v1+json",
                                        ConfigDocument(settings, diff_ids).dump()));
  written.id = config.descriptor["digest"].get<std::string>();
  written.config_path = config.path;
  manifest["config"] = std::move(config.descriptor);
  ASSIGN_OR_RETURN(Blob blob, PutBlob(directory, "application/vnd.oci.image.manifest.v1+json", manifest.dump()));
  written.manifest_path = blob.path;
  RETURN_IF_ERROR(AddToIndex(directory, std::move(blob.descriptor), settings.reference));
  RETURN_IF_ERROR(
      WriteFileAtomic(directory + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})", 0644, Durability::kVolatile));
  return written;
}

absl::StatusOr<WrittenImage> AddBusyboxImage(const std::string& directory, const std::string& reference) {
  ASSIGN_OR_RETURN(const std::vector<LayerEntry> entries, BusyboxEntries());
  ASSIGN_OR_RETURN(const std::string layer, MakeTar(entries));
  ImageSettings settings;
  settings.reference = reference;
  settings.command = {"sh"};
  settings.environment = {"PATH=/bin", "IMAGE=busybox"};
  return AddImage(directory, settings, {layer});
}

}  // namespace berth
