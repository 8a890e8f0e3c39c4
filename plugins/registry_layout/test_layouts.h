// Images for tests, in the forms that the plugin serves.
#ifndef BERTH_PLUGINS_REGISTRY_LAYOUT_TEST_LAYOUTS_H_
#define BERTH_PLUGINS_REGISTRY_LAYOUT_TEST_LAYOUTS_H_

#include <map>
#include <string>

namespace berth::registry_layout {

std::string Sha256(const std::string& data);  // 64 hex digits

// Files by name.
using Files = std::map<std::string, std::string>;

// An image of one layer: oci-layout, index.json and blobs. `annotations`: JSON members of its descriptor's.
Files OciLayoutFiles(const std::string& layer, const std::string& annotations);
// The same as a docker archive. `repo_tags`: JSON strings, comma separated. `linked`: its layer is at ID/layer.tar and
// reached through a symbolic link, as old versions wrote it.
std::string DockerArchive(const std::string& layer, const std::string& repo_tags, bool linked = false);

std::string TarOf(const Files& files);
void WriteFile(const std::string& path, const std::string& data);  // with the directories above it
void WriteFiles(const std::string& dir, const Files& files);

// A new directory, removed with all that is in it.
class TestDirectory {
 public:
  TestDirectory();
  ~TestDirectory();
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace berth::registry_layout

#endif  // BERTH_PLUGINS_REGISTRY_LAYOUT_TEST_LAYOUTS_H_
