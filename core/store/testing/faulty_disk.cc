#include "core/store/testing/faulty_disk.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace berth {
namespace {

constexpr char kName[] = "faulty-disk";
constexpr uint64_t kSector = 512;
constexpr int kMaxPath = 512;

}  // namespace

// What SQLite calls; the open file and its disk are behind the pointers it hands back.
struct FaultyDiskCalls {
  struct Open {
    sqlite3_file base;  // first: SQLite sees only this
    FaultyDisk* disk;
    std::shared_ptr<FaultyDisk::File> file;
    bool sync_entries;                         // a journal or log
    std::vector<std::unique_ptr<char[]>> shm;  // of the one connection there is
  };

  static Open& Of(sqlite3_file* file) { return *reinterpret_cast<Open*>(file); }
  static FaultyDisk& DiskOf(sqlite3_vfs* vfs) { return *static_cast<FaultyDisk*>(vfs->pAppData); }

  static int Close(sqlite3_file* file) {
    Of(file).~Open();
    return SQLITE_OK;
  }
  static int Read(sqlite3_file* file, void* to, int amount, sqlite3_int64 offset) {
    const Open& open = Of(file);
    if (!open.disk->has_power_) return SQLITE_IOERR_READ;
    const std::string& bytes = open.file->now;
    const uint64_t from = std::min<uint64_t>(offset, bytes.size());
    const uint64_t there = std::min<uint64_t>(amount, bytes.size() - from);
    std::memcpy(to, bytes.data() + from, there);
    std::memset(static_cast<char*>(to) + there, 0, amount - there);
    return there == static_cast<uint64_t>(amount) ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
  }
  static int Change(Open& open, FaultyDisk::Change change) {
    bool half = false;
    const int rc = open.disk->Begin(!change.truncate, &half);
    if (rc != SQLITE_OK && !half) return rc;
    if (half) change.bytes.resize(change.bytes.size() / 2);
    open.disk->Apply(change, &open.file->now);
    open.file->pending.push_back(std::move(change));
    return rc;
  }
  static int Write(sqlite3_file* file, const void* from, int amount, sqlite3_int64 offset) {
    FaultyDisk::Change change;
    change.offset = static_cast<uint64_t>(offset);
    change.bytes.assign(static_cast<const char*>(from), amount);
    return Change(Of(file), std::move(change));
  }
  static int Truncate(sqlite3_file* file, sqlite3_int64 size) {
    FaultyDisk::Change change;
    change.truncate = true;
    change.offset = static_cast<uint64_t>(size);
    return Change(Of(file), std::move(change));
  }
  static int Sync(sqlite3_file* file, int) {
    Open& open = Of(file);
    bool half = false;
    if (const int rc = open.disk->Begin(false, &half); rc != SQLITE_OK)
      return rc == SQLITE_FULL ? rc : SQLITE_IOERR_FSYNC;
    open.file->durable = open.file->now;
    open.file->pending.clear();
    if (open.sync_entries) open.disk->SyncEntries();
    return SQLITE_OK;
  }
  static int FileSize(sqlite3_file* file, sqlite3_int64* size) {
    *size = static_cast<sqlite3_int64>(Of(file).file->now.size());
    return SQLITE_OK;
  }
  // There is one connection: nobody ever waits for anybody.
  static int Lock(sqlite3_file*, int) { return SQLITE_OK; }
  static int CheckReserved(sqlite3_file*, int* reserved) {
    *reserved = 0;
    return SQLITE_OK;
  }
  static int Control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
  static int SectorSize(sqlite3_file*) { return kSector; }
  static int Characteristics(sqlite3_file*) { return 0; }
  static int ShmMap(sqlite3_file* file, int region, int size, int extend, void volatile** out) {
    auto& shm = Of(file).shm;
    *out = nullptr;
    if (static_cast<size_t>(region) >= shm.size() && extend == 0) return SQLITE_OK;
    while (static_cast<size_t>(region) >= shm.size()) shm.push_back(std::make_unique<char[]>(size));
    *out = shm[region].get();
    return SQLITE_OK;
  }
  static int ShmLock(sqlite3_file*, int, int, int) { return SQLITE_OK; }
  static void ShmBarrier(sqlite3_file*) {}
  static int ShmUnmap(sqlite3_file* file, int remove) {
    if (remove != 0) Of(file).shm.clear();
    return SQLITE_OK;
  }

  static int OpenFile(sqlite3_vfs* vfs, const char* name, sqlite3_file* out, int flags, int* out_flags) {
    static const sqlite3_io_methods kMethods = {
        2,        Close,         Read,    Write,      Truncate,        Sync,   FileSize, Lock,
        Lock,     CheckReserved, Control, SectorSize, Characteristics, ShmMap, ShmLock,  ShmBarrier,
        ShmUnmap, nullptr,       nullptr};
    FaultyDisk& disk = DiskOf(vfs);
    out->pMethods = nullptr;
    std::shared_ptr<FaultyDisk::File> file;
    if (name == nullptr) {
      file = std::make_shared<FaultyDisk::File>();  // a temporary one
    } else {
      std::shared_ptr<FaultyDisk::File>& slot = disk.files_[name];
      if (slot == nullptr) slot = std::make_shared<FaultyDisk::File>();
      if (!slot->exists) {
        if ((flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
        bool half = false;
        if (const int rc = disk.Begin(true, &half); rc != SQLITE_OK) return SQLITE_CANTOPEN;
        // Should the removal of one of that name not have been durable, a cut may bring that back instead.
        if (!slot->entry_durable && slot->existed && slot->before.empty()) slot->before = slot->durable;
        slot->exists = true;
        slot->entry_durable = false;
        slot->now.clear();
        slot->durable.clear();
        slot->pending.clear();
      }
      file = slot;
    }
    const bool log = (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) != 0;
    Open* open = new (out) Open{{&kMethods}, &disk, std::move(file), log, {}};
    (void)open;
    if (out_flags != nullptr) *out_flags = flags;
    return SQLITE_OK;
  }
  static int Delete(sqlite3_vfs* vfs, const char* name, int sync) {
    FaultyDisk& disk = DiskOf(vfs);
    const auto found = disk.files_.find(name);
    if (found == disk.files_.end() || !found->second->exists) return SQLITE_IOERR_DELETE_NOENT;
    bool half = false;
    if (disk.Begin(false, &half) != SQLITE_OK) return SQLITE_IOERR_DELETE;
    found->second->exists = false;
    found->second->entry_durable = false;
    if (sync != 0) disk.SyncEntries();
    return SQLITE_OK;
  }
  static int Access(sqlite3_vfs* vfs, const char* name, int, int* out) {
    const auto& files = DiskOf(vfs).files_;
    const auto found = files.find(name);
    *out = found != files.end() && found->second->exists ? 1 : 0;
    return SQLITE_OK;
  }
  static int FullPath(sqlite3_vfs*, const char* name, int size, char* out) {
    sqlite3_snprintf(size, out, "%s", name);
    return SQLITE_OK;
  }
  static int Randomness(sqlite3_vfs*, int size, char* out) {
    std::memset(out, 7, size);  // every run is the same
    return size;
  }
  static int Sleep(sqlite3_vfs*, int microseconds) { return microseconds; }
  static int CurrentTime(sqlite3_vfs*, double* out) {
    *out = 2460000.5;
    return SQLITE_OK;
  }
  static int LastError(sqlite3_vfs*, int, char*) { return 0; }
};

FaultyDisk::FaultyDisk() {
  vfs_.iVersion = 1;
  vfs_.szOsFile = sizeof(FaultyDiskCalls::Open);
  vfs_.mxPathname = kMaxPath;
  vfs_.zName = kName;
  vfs_.pAppData = this;
  vfs_.xOpen = FaultyDiskCalls::OpenFile;
  vfs_.xDelete = FaultyDiskCalls::Delete;
  vfs_.xAccess = FaultyDiskCalls::Access;
  vfs_.xFullPathname = FaultyDiskCalls::FullPath;
  vfs_.xRandomness = FaultyDiskCalls::Randomness;
  vfs_.xSleep = FaultyDiskCalls::Sleep;
  vfs_.xCurrentTime = FaultyDiskCalls::CurrentTime;
  vfs_.xGetLastError = FaultyDiskCalls::LastError;
  sqlite3_vfs_register(&vfs_, /*makeDflt=*/1);
}

FaultyDisk::~FaultyDisk() { sqlite3_vfs_unregister(&vfs_); }

void FaultyDisk::Arm(uint64_t at, Fault fault) {
  fail_at_ = operations_ + at;
  fault_ = fault;
}

int FaultyDisk::Begin(bool needs_room, bool* half) {
  if (!has_power_) return SQLITE_IOERR;
  if (++operations_ != fail_at_ || fault_ == Fault::kNone) return SQLITE_OK;
  switch (fault_) {
    case Fault::kNoSpace:
      return needs_room ? SQLITE_FULL : SQLITE_OK;
    case Fault::kShortWrite:
      *half = needs_room;
      return SQLITE_IOERR;
    case Fault::kPowerCut:
      has_power_ = false;
      // The write that was under way may have reached the disk in part.
      *half = needs_room;
      return SQLITE_IOERR;
    default:
      return SQLITE_IOERR;
  }
}

void FaultyDisk::Apply(const Change& change, std::string* to) const {
  if (change.truncate) return to->resize(change.offset);
  if (to->size() < change.offset + change.bytes.size()) to->resize(change.offset + change.bytes.size());
  to->replace(change.offset, change.bytes.size(), change.bytes);
}

void FaultyDisk::ApplyTorn(const Change& change, std::string* to, std::mt19937* random) const {
  const uint32_t dice = (*random)() % 4;
  if (dice == 0) return;  // lost
  if (dice == 1 || change.truncate) return Apply(change, to);
  for (uint64_t at = 0; at < change.bytes.size();) {
    const uint64_t end = std::min<uint64_t>(change.bytes.size(), at + kSector - (change.offset + at) % kSector);
    if ((*random)() % 2 == 0) Apply({false, change.offset + at, change.bytes.substr(at, end - at)}, to);
    at = end;
  }
}

void FaultyDisk::SyncEntries() {
  for (auto& [name, file] : files_) {
    file->entry_durable = true;
    file->existed = file->exists;
    file->before.clear();
  }
}

void FaultyDisk::PowerOn(uint32_t seed) {
  std::mt19937 random(seed);
  for (auto& [name, file] : files_) {
    std::shuffle(file->pending.begin(), file->pending.end(), random);
    std::string left = file->durable;
    for (const Change& change : file->pending) ApplyTorn(change, &left, &random);
    if (!file->entry_durable && random() % 2 == 0) {
      if (file->exists && file->existed) left = file->before;
      file->exists = file->existed;
    }
    if (!file->exists) left.clear();
    file->before.clear();
    file->now = file->durable = std::move(left);
    file->pending.clear();
    file->entry_durable = true;
    file->existed = file->exists;
  }
  has_power_ = true;
  fault_ = Fault::kNone;
}

std::string* FaultyDisk::Contents(const std::string& name) {
  const auto found = files_.find(name);
  return found == files_.end() || !found->second->exists ? nullptr : &found->second->now;
}

}  // namespace berth
