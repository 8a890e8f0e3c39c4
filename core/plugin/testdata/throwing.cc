// A plugin written with the SDK whose every method throws, and whose configuration uses every type.
#include <stdexcept>
#include <string>

#include "berth/sdk/snapshotter.h"

namespace {

using namespace berth::sdk;  // NOLINT: a test's plugin

class Throwing : public Snapshotter {
 public:
  explicit Throwing(Host host) {
    const std::string when = host.config().String("throw", "");
    if (when == "runtime_error") throw std::runtime_error("thrown in the constructor");
    if (when == "int") throw 1;
    if (when == "long") throw std::runtime_error(std::string(3000, 'a') + "\xc3\xa4");
    if (when == "umlaut") throw std::runtime_error(std::string(1007, 'a') + "\xc3\xa4");
    host.config().Int("integer", 0, 0, 10);
    host.config().Bool("boolean", false);
    host.config().Float("float", 0);
    host.config().Strings("strings");
    host.config().Path("path", "/");
    host.config().Table("table").String("key", "");
    for (const Config& table : host.config().Tables("tables")) table.Int("value", 0);
    throw std::bad_alloc();
  }
  std::string root() const override { throw 1; }
  Result<PreparedSnapshot> Prepare(const Call&, const SnapshotRequest&) override { throw 1; }
  Result<std::vector<Mount>> Mounts(const Call&, const SnapshotRequest&) override { throw 1; }
  Status Commit(const Call&, const std::string&, const std::vector<std::string>&) override { throw 1; }
  Status Remove(const Call&, const std::string&) override { throw 1; }
  Result<SnapshotInfo> Stat(const Call&, const std::string&) override { throw 1; }
  Result<SnapshotUsage> Usage(const Call&, const std::string&) override { throw 1; }
  Status Walk(const Call&, const std::function<void(const SnapshotInfo&)>&) override { throw 1; }
};

}  // namespace

BERTH_SNAPSHOTTER_PLUGIN("throwing", "1", Throwing);
