#include "core/store/store.h"

#include <fcntl.h>
#include <google/protobuf/message_lite.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/status.h"

namespace berth {
namespace {

// Written into the file as PRAGMA user_version. Version 1 is the first.
constexpr int kSchemaVersion = 1;
constexpr int kApplicationId = 0x42455254;  // "BERT": file(1) and Open tell a stranger's database by it
constexpr uint64_t kNumbersAtOnce = 64;
constexpr useconds_t kLockPause = 10'000;

constexpr std::array<const char*, kTableCount> kTables = {"pods", "containers", "images", "layers", "intents"};

constexpr char kSchema[] = R"(
CREATE TABLE pods       (key TEXT PRIMARY KEY NOT NULL, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE containers (key TEXT PRIMARY KEY NOT NULL, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE images     (key TEXT PRIMARY KEY NOT NULL, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE layers     (key TEXT PRIMARY KEY NOT NULL, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE intents    (key TEXT PRIMARY KEY NOT NULL, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE numbers    (reserved_until INTEGER NOT NULL);
INSERT INTO numbers VALUES (1);
)";

absl::StatusCode CodeOf(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      return absl::StatusCode::kFailedPrecondition;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

// Resets a statement on every way out, so that it never keeps a lock or its bound values.
class Use {
 public:
  explicit Use(sqlite3_stmt* statement) : statement_(statement) {}
  ~Use() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

 private:
  sqlite3_stmt* statement_;
};

struct Finalizer {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using UniqueStatement = std::unique_ptr<sqlite3_stmt, Finalizer>;

absl::StatusOr<UniqueFd> TakeLock(const std::string& path, int64_t patience_ns) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDWR | O_CREAT, 0600));
  for (const int64_t deadline = MonotonicNanos() + patience_ns;; usleep(kLockPause)) {
    if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
    if (errno != EWOULDBLOCK) return ErrnoStatus("lock " + path);
    if (MonotonicNanos() >= deadline) break;
  }
  return absl::UnavailableError(
      absl::StrCat("lock ", path, ": another berth daemon uses this store; stop it, or give this one another `root`"));
}

}  // namespace

Transaction& Transaction::Put(Table table, absl::string_view key, const google::protobuf::MessageLite& message) {
  changes_.push_back({table, std::string(key), false, message.SerializeAsString()});
  return *this;
}

Transaction& Transaction::Delete(Table table, absl::string_view key) {
  changes_.push_back({table, std::string(key), true, {}});
  return *this;
}

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& path, int64_t lock_patience_ns) {
  std::unique_ptr<Store> store(new Store);
  store->path_ = path;
  ASSIGN_OR_RETURN(store->lock_, TakeLock(path + ".lock", lock_patience_ns));
  const int rc = sqlite3_open_v2(path.c_str(), &store->db_,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::lock_guard lock(store->mutex_);
  if (rc != SQLITE_OK) return store->ErrorLocked("open");
  RETURN_IF_ERROR(store->Migrate());
  RETURN_IF_ERROR(store->Prepare());
  return store;
}

Store::~Store() { CloseLocked(); }

void Store::GiveUp() {
  std::lock_guard lock(mutex_);
  CloseLocked();
  lock_.reset();
}

void Store::CloseLocked() {
  for (auto* statements : {&put_, &delete_}) {
    for (sqlite3_stmt*& statement : *statements) sqlite3_finalize(std::exchange(statement, nullptr));
  }
  sqlite3_close(std::exchange(db_, nullptr));
}

absl::Status Store::CheckHeldLocked() const {
  if (db_ != nullptr) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("use ", path_, ": this daemon has handed it to its successor"));
}

absl::Status Store::ErrorLocked(absl::string_view what) const {
  const int code = db_ != nullptr ? sqlite3_extended_errcode(db_) : SQLITE_NOMEM;
  const absl::StatusCode status = CodeOf(code);
  const char* advice = status == absl::StatusCode::kDataLoss
                           ? "; the file is damaged: put a copy of it back, or drain the node, stop its pods and move "
                             "it away with its -wal: berth then starts without images and pods"
                           : "";
  return absl::Status(
      status, absl::StrCat(what, " ", path_, ": ", db_ != nullptr ? sqlite3_errmsg(db_) : "out of memory", " (SQLite ",
                           code, ")", advice));
}

absl::Status Store::Exec(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return ErrorLocked("write to");
  return absl::OkStatus();
}

absl::Status Store::Migrate() {
  const auto pragma = [this](const char* sql) -> absl::StatusOr<int> {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(db_, sql, -1, &raw, nullptr) != SQLITE_OK) return ErrorLocked("read");
    UniqueStatement statement(raw);
    if (sqlite3_step(raw) != SQLITE_ROW) return ErrorLocked("read");
    return sqlite3_column_int(raw, 0);
  };
  ASSIGN_OR_RETURN(const int version, pragma("PRAGMA user_version"));
  ASSIGN_OR_RETURN(const int application, pragma("PRAGMA application_id"));
  ASSIGN_OR_RETURN(const int objects, pragma("SELECT count(*) FROM sqlite_master"));
  if (objects > 0 && application != kApplicationId) {
    return absl::FailedPreconditionError(absl::StrCat("open ", path_, ": this is not a database of Berth"));
  }
  if (version > kSchemaVersion) {
    // Closing would move its log into the file.
    sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    return absl::FailedPreconditionError(absl::StrCat("open ", path_, ": its schema is version ", version,
                                                      ", this berth knows up to ", kSchemaVersion,
                                                      "; run the newer berth that wrote it"));
  }
  RETURN_IF_ERROR(
      Exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-512;"
           "PRAGMA journal_size_limit=4194304; PRAGMA foreign_keys=OFF;"));
  if (version == kSchemaVersion) return absl::OkStatus();
  RETURN_IF_ERROR(Exec("BEGIN IMMEDIATE"));
  absl::Status status = Exec(kSchema);
  if (status.ok()) {
    status =
        Exec(absl::StrCat("PRAGMA user_version=", kSchemaVersion, "; PRAGMA application_id=", kApplicationId).c_str());
  }
  if (status.ok()) status = Exec("COMMIT");
  if (!status.ok()) Exec("ROLLBACK").IgnoreError();
  return status;
}

absl::Status Store::Prepare() {
  const auto prepare = [this](const std::string& sql, sqlite3_stmt** out) {
    return sqlite3_prepare_v3(db_, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, out, nullptr) == SQLITE_OK;
  };
  for (int i = 0; i < kTableCount; ++i) {
    if (!prepare(absl::StrCat("INSERT OR REPLACE INTO ", kTables[i], " VALUES (?1, ?2)"), &put_[i]) ||
        !prepare(absl::StrCat("DELETE FROM ", kTables[i], " WHERE key = ?1"), &delete_[i])) {
      return ErrorLocked("prepare statements of");
    }
  }
  return absl::OkStatus();
}

absl::Status Store::ApplyLocked(const Transaction& transaction) {
  for (const Transaction::Change& change : transaction.changes_) {
    sqlite3_stmt* statement = (change.remove ? delete_ : put_)[static_cast<int>(change.table)];
    Use use(statement);
    sqlite3_bind_text(statement, 1, change.key.data(), static_cast<int>(change.key.size()), SQLITE_STATIC);
    if (!change.remove) {
      sqlite3_bind_blob64(statement, 2, change.data.data(), change.data.size(), SQLITE_STATIC);
    }
    if (sqlite3_step(statement) != SQLITE_DONE) return ErrorLocked("write to");
  }
  return absl::OkStatus();
}

absl::Status Store::Commit(const Transaction& transaction, Durability durability) {
  if (transaction.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(Failpoint("store.commit.before"));
  std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(CheckHeldLocked());
  if (durability != durability_) {
    RETURN_IF_ERROR(Exec(durability == Durability::kDurable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"));
    durability_ = durability;
  }
  RETURN_IF_ERROR(Exec("BEGIN IMMEDIATE"));
  absl::Status status = ApplyLocked(transaction);
  if (status.ok()) status = Exec("COMMIT");
  if (!status.ok()) {
    Exec("ROLLBACK").IgnoreError();  // fails when SQLite rolled back by itself
    return status;
  }
  return Failpoint("store.commit.after");
}

absl::Status Store::ForEach(Table table,
                            const std::function<absl::Status(absl::string_view key, absl::string_view data)>& visit) {
  std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(CheckHeldLocked());
  sqlite3_stmt* raw = nullptr;
  const std::string sql = absl::StrCat("SELECT key, data FROM ", kTables[static_cast<int>(table)], " ORDER BY key");
  if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &raw, nullptr) != SQLITE_OK) return ErrorLocked("read");
  UniqueStatement statement(raw);
  int rc;
  while ((rc = sqlite3_step(raw)) == SQLITE_ROW) {
    const absl::string_view key(reinterpret_cast<const char*>(sqlite3_column_text(raw, 0)),
                                sqlite3_column_bytes(raw, 0));
    const void* blob = sqlite3_column_blob(raw, 1);  // null for an empty message
    const absl::string_view data(blob ? static_cast<const char*>(blob) : "", sqlite3_column_bytes(raw, 1));
    RETURN_IF_ERROR(visit(key, data));
  }
  if (rc != SQLITE_DONE) return ErrorLocked("read");
  return absl::OkStatus();
}

// Numbers are reserved in blocks, durably before the first of a block is used: a crash skips some, none comes twice.
absl::StatusOr<uint64_t> Store::NextNumber() {
  std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(CheckHeldLocked());
  if (next_number_ < reserved_until_) return next_number_++;
  RETURN_IF_ERROR(Failpoint("store.numbers.reserve"));
  RETURN_IF_ERROR(Exec("PRAGMA synchronous=FULL"));
  durability_ = Durability::kDurable;
  sqlite3_stmt* raw = nullptr;
  const std::string sql = absl::StrCat("UPDATE numbers SET reserved_until = reserved_until + ", kNumbersAtOnce,
                                       " RETURNING reserved_until");
  if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &raw, nullptr) != SQLITE_OK) return ErrorLocked("write to");
  UniqueStatement statement(raw);
  if (sqlite3_step(raw) != SQLITE_ROW) return ErrorLocked("reserve numbers in");
  const uint64_t until = static_cast<uint64_t>(sqlite3_column_int64(raw, 0));
  if (sqlite3_step(raw) != SQLITE_DONE) return ErrorLocked("reserve numbers in");
  reserved_until_ = until;
  next_number_ = until - kNumbersAtOnce;
  return next_number_++;
}

}  // namespace berth
