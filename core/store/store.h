// The metadata store: the one source of truth for images, layers, pods, containers and open intents.
//
// A thin, typed set of tables over SQLite (WAL): a row is a key and an encoded berth.state.v1 message. Everything is
// read once at start-up and kept in memory by its owner (core/pod, core/container, core/image), so there is one writer
// path and no reader. One process at a time holds the store: Open fails with kUnavailable while another does.
#ifndef BERTH_CORE_STORE_STORE_H_
#define BERTH_CORE_STORE_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/base/file.h"

struct sqlite3;
struct sqlite3_stmt;

namespace google::protobuf {
class MessageLite;
}

namespace berth {

enum class Table : int {
  kPods = 0,    // pod id -> Pod
  kContainers,  // container id -> Container
  kImages,      // image id -> Image
  kLayers,      // "SNAPSHOTTER CHAIN_ID" -> Layer
  kIntents,     // "KIND TARGET" -> Intent
};
inline constexpr int kTableCount = 5;

// Changes that become visible together or not at all.
class Transaction {
 public:
  // `message` is encoded at once. An empty key is a programming error.
  Transaction& Put(Table table, absl::string_view key, const google::protobuf::MessageLite& message);
  Transaction& Delete(Table table, absl::string_view key);
  bool empty() const { return changes_.empty(); }

 private:
  friend class Store;
  struct Change {
    Table table;
    std::string key;
    bool remove;
    std::string data;
  };
  std::vector<Change> changes_;
};

// Thread-safe.
class Store {
 public:
  // Opens or makes the database at `path`, migrates an older schema in one transaction, and takes the store's lock.
  // kFailedPrecondition for a schema newer than this build (the file is untouched), kDataLoss for a damaged file,
  // kUnavailable when another daemon has the lock. It is waited for: of a daemon that was killed, children that it was
  // just starting have the lock for a moment more.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& path,
                                                     int64_t lock_patience_ns = kLockPatienceNs);
  static constexpr int64_t kLockPatienceNs = 10'000'000'000;
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // kDurable: survives a power cut once this returns (images, layers, removals). kVolatile: survives the death of the
  // process, and a power cut may take back the last ones, never a part of one (pods, containers).
  absl::Status Commit(const Transaction& transaction, Durability durability);

  // Rows in key order. `visit` may not call the store.
  absl::Status ForEach(Table table,
                       const std::function<absl::Status(absl::string_view key, absl::string_view data)>& visit);

  // Closes the database and lets the lock go, for a successor: whatever is asked from now on is kUnavailable. What was
  // committed before is there for whoever opens it next.
  void GiveUp();

  // A number never handed out before in this store, also across restarts and power cuts: snapshot keys.
  absl::StatusOr<uint64_t> NextNumber();

 private:
  Store() = default;
  absl::Status Exec(const char* sql);
  absl::Status Prepare();
  absl::Status Migrate();
  absl::Status ApplyLocked(const Transaction& transaction);
  absl::Status ErrorLocked(absl::string_view what) const;
  absl::Status CheckHeldLocked() const;
  void CloseLocked();

  std::mutex mutex_;
  std::string path_;
  UniqueFd lock_;
  sqlite3* db_ = nullptr;
  sqlite3_stmt* put_[kTableCount] = {};
  sqlite3_stmt* delete_[kTableCount] = {};
  Durability durability_ = Durability::kVolatile;
  uint64_t next_number_ = 0, reserved_until_ = 0;
};

}  // namespace berth

#endif  // BERTH_CORE_STORE_STORE_H_
