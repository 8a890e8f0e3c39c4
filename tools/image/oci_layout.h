// Writes small OCI image layouts (image-spec image-layout.md) on the spot, for tests and demonstrations: no registry,
// no network, nothing prebuilt.
#ifndef BERTH_TOOLS_IMAGE_OCI_LAYOUT_H_
#define BERTH_TOOLS_IMAGE_OCI_LAYOUT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace berth {

// One entry of a layer's archive. Names are written as given: hostile ones too.
struct LayerEntry {
  enum class Type { kFile, kDirectory, kSymlink, kHardLink };
  Type type = Type::kFile;
  std::string name;
  std::string content;  // of a file; the target of a link
  int mode = 0755;
};

// An uncompressed tar archive.
absl::StatusOr<std::string> MakeTar(const std::vector<LayerEntry>& entries);
absl::StatusOr<std::string> Gzip(absl::string_view data);

// /bin/busybox of this machine (it has to be statically linked) with links for its applets, /etc/passwd, /etc/group and
// /tmp.
absl::StatusOr<std::vector<LayerEntry>> BusyboxEntries();

struct ImageSettings {
  std::string reference;                 // written to index.json as org.opencontainers.image.ref.name
  std::vector<std::string> command;      // Cmd
  std::vector<std::string> environment;  // Env
  std::string user, working_directory, stop_signal;
  std::vector<std::string> volumes;
};

// Where a blob went, to damage it afterwards.
struct WrittenImage {
  std::string id;  // config digest
  std::string manifest_path, config_path;
  std::vector<std::string> layer_paths;
};

// Adds an image to the layout in `directory`, which is made when missing. `layers` are tar archives, base first;
// each is stored as gzip.
absl::StatusOr<WrittenImage> AddImage(const std::string& directory, const ImageSettings& settings,
                                      const std::vector<std::string>& layers);

// The usual one: busybox in one layer, running `sh`.
absl::StatusOr<WrittenImage> AddBusyboxImage(const std::string& directory, const std::string& reference);

}  // namespace berth

#endif  // BERTH_TOOLS_IMAGE_OCI_LAYOUT_H_
