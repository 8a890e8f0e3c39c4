// A disk for SQLite that fails, tears, and loses what was not synced: an sqlite3_vfs in memory, for tests.
//
// What a write, truncation, creation or removal does is pending until a sync of that file; a power cut keeps any subset
// of what is pending, in any order, and of a write any of its sectors. Directory entries are made durable as SQLite's
// own unix VFS makes them: by the first sync of a journal or write-ahead log, or by a removal that asks for it.
#ifndef BERTH_CORE_STORE_TESTING_FAULTY_DISK_H_
#define BERTH_CORE_STORE_TESTING_FAULTY_DISK_H_

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace berth {

enum class Fault {
  kNone,
  kIoError,     // the operation does nothing
  kNoSpace,     // the same, as a full disk says it; for operations that need room
  kShortWrite,  // half of a write is done, then an error
  kPowerCut,    // from this operation on nothing works until PowerOn
};

// One thread. Registered as SQLite's default VFS while it lives; no connection may outlive it.
class FaultyDisk {
 public:
  FaultyDisk();
  ~FaultyDisk();
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;

  // The `at`-th operation from now on that changes something (1 is the next) fails, once.
  void Arm(uint64_t at, Fault fault);
  // Changing operations so far.
  uint64_t operations() const { return operations_; }
  bool has_power() const { return has_power_; }

  // What is left after a cut, chosen by `seed`; every connection must be closed. Also without a cut before: the machine
  // loses power now.
  void PowerOn(uint32_t seed);

  // The file's bytes as a reader sees them; nullptr when there is none.
  std::string* Contents(const std::string& name);

 private:
  friend struct FaultyDiskCalls;
  struct Change {
    bool truncate = false;
    uint64_t offset = 0;  // or the new size
    std::string bytes;
  };
  struct File {
    std::string now, durable;
    std::vector<Change> pending;
    bool exists = false, entry_durable = false;  // entry_durable: what the directory says after a cut is `exists`
    bool existed = false;                        // else it may be this,
    std::string before;                          // and then the file that had the name, as it was durable
  };

  // SQLITE_OK, or what the operation has to fail with. `half`: do half of it first.
  int Begin(bool needs_room, bool* half);
  void Apply(const Change& change, std::string* to) const;
  void ApplyTorn(const Change& change, std::string* to, std::mt19937* random) const;
  void SyncEntries();

  sqlite3_vfs vfs_ = {};
  std::map<std::string, std::shared_ptr<File>> files_;
  uint64_t operations_ = 0, fail_at_ = 0;
  Fault fault_ = Fault::kNone;
  bool has_power_ = true;
};

}  // namespace berth

#endif  // BERTH_CORE_STORE_TESTING_FAULTY_DISK_H_
