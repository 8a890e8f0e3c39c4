// An image registry and a snapshotter for tests: content in memory, trees in a directory.
#ifndef BERTH_CORE_IMAGE_TESTING_FAKES_H_
#define BERTH_CORE_IMAGE_TESTING_FAKES_H_

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "core/plugin/image_registry.h"
#include "core/plugin/snapshotter.h"

namespace berth {

// What a registry serves. Thread-safe.
class FakeContent {
 public:
  // Layers are tar archives; they are served gzipped unless `compress` says otherwise. Answers the image id.
  using Compress = std::function<std::string(const std::string&)>;
  std::string AddImage(const std::string& reference, const std::vector<std::string>& layers,
                       const std::string& user = "", Compress compress = nullptr);
  // A manifest made elsewhere.
  void AddReference(const std::string& reference, const ContentDescriptor& target);
  ContentDescriptor AddBlob(const std::string& media_type, const std::string& data);
  // Serves `data` for the digest from now on, whatever it really is.
  void Replace(const std::string& digest, const std::string& data);
  // The digest of the n-th layer's blob of the image added last.
  std::string LayerDigest(size_t index) const;
  ContentDescriptor LastManifest() const;

  std::mutex mutex;
  std::map<std::string, ContentDescriptor> references;
  std::map<std::string, std::string> blobs;
  std::vector<std::string> last_layers;
  ContentDescriptor last_manifest;
  // How often blobs were fetched.
  std::map<std::string, int> fetches;
  // Called before each piece of a fetch; an error ends the fetch.
  std::function<absl::Status(const Call&, const std::string& digest, uint64_t offset)> before_piece;
  std::function<absl::Status(const RegistryRequest&)> before_resolve;
  size_t piece_bytes = 64 << 10;
};

class FakeRegistry : public ImageRegistry {
 public:
  explicit FakeRegistry(FakeContent* content) : content_(content) {}
  absl::StatusOr<ContentDescriptor> Resolve(const Call& call, const RegistryRequest& request) override;
  absl::Status Fetch(const Call& call, const RegistryRequest& request, const ContentDescriptor& what, uint64_t offset,
                     uint64_t length, const Sink& sink) override;
  absl::Status List(const Call& call, const std::function<void(const std::string&)>& visit) override;
  absl::Status Ping(const Call& call) override;

 private:
  FakeContent* const content_;
};

// ROOT/KEY is a tree; ROOT/KEY.committed holds its parents. With `parent_at_commit` false, Prepare demands committed
// parents. Survives its object, like a real one.
class FakeSnapshotter : public Snapshotter {
 public:
  FakeSnapshotter(std::string root, bool parent_at_commit) : root_(std::move(root)), parallel_(parent_at_commit) {}

  uint64_t capabilities() const override { return parallel_ ? uint64_t{kParentAtCommit} : 0; }
  std::string root() const override { return root_; }
  absl::StatusOr<PreparedSnapshot> Prepare(const Call& call, const SnapshotRequest& request) override;
  absl::StatusOr<std::vector<RootfsMount>> Mounts(const Call& call, const SnapshotRequest& request) override;
  absl::Status Commit(const Call& call, const std::string& key, const std::vector<std::string>& parents) override;
  absl::Status Remove(const Call& call, const std::string& key) override;
  absl::StatusOr<SnapshotInfo> Stat(const Call& call, const std::string& key) override;
  absl::StatusOr<SnapshotUsage> Usage(const Call& call, const std::string& key) override;
  absl::Status Walk(const Call& call, const std::function<void(const SnapshotInfo&)>& visit) override;
  absl::Status Cleanup(const Call&) override { return absl::OkStatus(); }

  std::string Tree(const std::string& key) const { return root_ + "/" + key; }
  std::vector<std::string> Parents(const std::string& key) const;
  std::set<std::string> Keys();

  std::function<void(const std::string& key)> on_usage;  // called by any thread

 private:
  bool IsCommitted(const std::string& key) const;

  const std::string root_;
  const bool parallel_;
};

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_TESTING_FAKES_H_
