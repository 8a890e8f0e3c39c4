// What the tests of this folder share: a directory of their own, files in it, and a mount namespace of their own.
#ifndef BERTH_PLUGINS_SNAPSHOT_OVERLAY_TEST_DIRECTORY_H_
#define BERTH_PLUGINS_SNAPSHOT_OVERLAY_TEST_DIRECTORY_H_

#include <functional>
#include <string>

namespace berth::snapshot_overlay {

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

void WriteTestFile(const std::string& path, const std::string& text);
// "" when it cannot be read.
std::string ReadTestFile(const std::string& path);

// Runs `body` in a child process with a private mount namespace; its failed expectations fail the test.
void InMountNamespace(const std::function<void()>& body);

}  // namespace berth::snapshot_overlay

#endif  // BERTH_PLUGINS_SNAPSHOT_OVERLAY_TEST_DIRECTORY_H_
