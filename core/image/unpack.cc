#include "core/image/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/base/status.h"
#include "core/image/rootfs_writer.h"

namespace berth {
namespace {

constexpr absl::string_view kWhiteoutPrefix = ".wh.";
constexpr absl::string_view kWhiteoutMeta = ".wh..wh.";
constexpr absl::string_view kOpaque = ".wh..wh..opq";

// libarchive converts the names of pax headers from UTF-8 to the thread's character set: anything but UTF-8 loses them.
class Utf8Locale {
 public:
  Utf8Locale() : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", static_cast<locale_t>(nullptr))) {
    if (locale_ != nullptr) previous_ = uselocale(locale_);
  }
  ~Utf8Locale() {
    if (locale_ == nullptr) return;
    uselocale(previous_);
    freelocale(locale_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;
  bool ok() const { return locale_ != nullptr; }

 private:
  locale_t locale_, previous_ = nullptr;
};

struct FreeArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};

// What an archive says in an error message: it may hold anything.
std::string Shown(absl::string_view text) {
  return absl::StrCat(absl::CHexEscape(text.substr(0, 300)), text.size() > 300 ? "..." : "");
}

// The entry's name as RootfsWriter takes it.
absl::StatusOr<std::string> CleanPath(const char* raw, const char* what, const UnpackLimits& limits) {
  if (raw == nullptr) return absl::InvalidArgumentError(absl::StrCat(what, " is missing or not in UTF-8"));
  const absl::string_view path(raw);
  if (path.size() > limits.max_path_bytes)
    return absl::InvalidArgumentError(absl::StrCat(what, " is longer than ", limits.max_path_bytes, " bytes"));
  std::vector<absl::string_view> parts;
  for (absl::string_view part : absl::StrSplit(path, '/')) {
    if (part == "..") return absl::InvalidArgumentError(absl::StrCat(what, " contains .."));
    if (!part.empty() && part != ".") parts.push_back(part);
  }
  if (parts.size() > limits.max_depth)
    return absl::InvalidArgumentError(absl::StrCat(what, " is deeper than ", limits.max_depth, " directories"));
  return absl::StrJoin(parts, "/");
}

// Errors of system calls that only the archive can have caused are its fault; the rest (disk, memory) is the node's.
absl::Status Blame(const absl::Status& status) {
  switch (ErrnoOf(status)) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EISDIR:
    case EEXIST:
    case EINVAL:
    case EMLINK:
    case EFBIG:
    case EXDEV:
      return absl::InvalidArgumentError(status.message());
    default:
      return status;
  }
}

class Unpacker {
 public:
  Unpacker(int dir_fd, WhiteoutStyle whiteouts, const UnpackLimits& limits, const TarSource& source)
      : limits_(limits), source_(source), writer_(dir_fd, whiteouts, limits.max_depth), archive_(archive_read_new()) {}

  absl::StatusOr<UnpackResult> Run() {
    if (archive_ == nullptr) return absl::ResourceExhaustedError("no memory for libarchive");
    archive* a = archive_.get();
    if (archive_read_support_format_tar(a) != ARCHIVE_OK || archive_read_support_filter_none(a) != ARCHIVE_OK)
      return absl::InternalError(absl::StrCat("set up libarchive: ", Text()));
    int result = archive_read_open(a, this, nullptr, &Unpacker::Read, nullptr);
    if (!seen_data_ && source_status_.ok()) return result_;  // no bytes at all: an empty layer
    if (result != ARCHIVE_OK) return Damaged();
    archive_entry* entry = nullptr;
    while ((result = archive_read_next_header(a, &entry)) == ARCHIVE_OK || result == ARCHIVE_WARN) {
      const char* name = archive_entry_pathname(entry);
      const std::string shown = Shown(name == nullptr ? "?" : name);
      if (++result_.entries > limits_.max_entries)
        return absl::InvalidArgumentError(absl::StrCat("more than ", limits_.max_entries, " entries"));
      if (absl::Status status = Unpack(entry, name); !status.ok()) return Annotate(Blame(status), "unpack " + shown);
    }
    if (result != ARCHIVE_EOF) return Damaged();
    RETURN_IF_ERROR(writer_.Finish());
    result_.ignored_xattrs += writer_.ignored_xattrs();
    return result_;
  }

 private:
  static la_ssize_t Read(archive* a, void* self_pointer, const void** buffer) {
    auto* self = static_cast<Unpacker*>(self_pointer);
    auto data = self->source_();
    if (!data.ok()) {
      self->source_status_ = data.status();
      archive_set_error(a, EIO, "the stream has ended with an error");
      return -1;
    }
    if (!data->empty()) self->seen_data_ = true;
    *buffer = data->data();
    return static_cast<la_ssize_t>(data->size());
  }

  std::string Text() const {
    const char* text = archive_error_string(archive_.get());
    return text == nullptr ? "no reason given" : Shown(text);
  }

  // The stream's own error comes first: it is why libarchive has stopped.
  absl::Status Damaged() const {
    if (!source_status_.ok()) return source_status_;
    return absl::InvalidArgumentError(absl::StrCat("the tar archive is damaged: ", Text()));
  }

  absl::Status Unpack(archive_entry* entry, const char* name) {
    ASSIGN_OR_RETURN(const std::string path, CleanPath(name, "the name", limits_));
    const absl::string_view base = absl::string_view(path).substr(path.rfind('/') + 1);
    if (absl::StartsWith(base, kWhiteoutPrefix)) return UnpackWhiteout(path, base);
    if (archive_entry_hardlink(entry) != nullptr) {
      ASSIGN_OR_RETURN(const std::string target,
                       CleanPath(archive_entry_hardlink(entry), "the hard link's target", limits_));
      if (path.empty() || target.empty()) return absl::InvalidArgumentError("hard link of the root directory");
      return writer_.HardLink(path, target);
    }
    ASSIGN_OR_RETURN(const EntryAttributes attributes, Attributes(entry));
    const mode_t type = archive_entry_filetype(entry);
    if (type == AE_IFDIR) return writer_.Directory(path, attributes);
    if (path.empty()) return absl::InvalidArgumentError("the root directory is not a directory");
    if (type == AE_IFREG) return UnpackFile(entry, path, attributes);
    if (type == AE_IFLNK) {
      const char* target = archive_entry_symlink(entry);
      if (target == nullptr) return absl::InvalidArgumentError("the link's target is missing or not in UTF-8");
      return writer_.Symlink(path, target, attributes);
    }
    return UnpackNode(entry, path, type, attributes);
  }

  absl::Status UnpackWhiteout(const std::string& path, absl::string_view base) {
    const std::string parent = path.substr(0, path.size() - base.size() - (base.size() == path.size() ? 0 : 1));
    if (base == kOpaque) return writer_.OpaqueDirectory(parent);
    if (absl::StartsWith(base, kWhiteoutMeta)) return absl::OkStatus();  // AUFS's own files, no whiteouts
    const absl::string_view name = base.substr(kWhiteoutPrefix.size());
    if (name.empty() || name == "." || name == "..") return absl::InvalidArgumentError("a whiteout of no name");
    return writer_.Whiteout(parent.empty() ? std::string(name) : absl::StrCat(parent, "/", name));
  }

  absl::Status UnpackNode(archive_entry* entry, const std::string& path, mode_t type,
                          const EntryAttributes& attributes) {
    if (type != AE_IFCHR && type != AE_IFBLK && type != AE_IFIFO)
      return absl::InvalidArgumentError(absl::StrCat("unknown file type ", type));
    dev_t device = 0;
    if (type != AE_IFIFO) {
      const auto major = archive_entry_rdevmajor(entry), minor = archive_entry_rdevminor(entry);
      if (major >= 1u << 12 || minor >= 1u << 20)
        return absl::InvalidArgumentError(absl::StrCat("device ", major, ":", minor, " is out of range"));
      // To overlayfs this is a whiteout; layers have another way to say that.
      if (type == AE_IFCHR && major == 0 && minor == 0)
        return absl::InvalidArgumentError("character device 0:0 is not allowed in a layer");
      device = makedev(major, minor);
    }
    return writer_.Node(path, type, device, attributes);
  }

  absl::Status UnpackFile(archive_entry* entry, const std::string& path, const EntryAttributes& attributes) {
    const int64_t size = archive_entry_size(entry);
    if (size < 0 || static_cast<uint64_t>(size) > limits_.max_file_bytes)
      return absl::InvalidArgumentError(absl::StrCat("a file of ", size, " bytes"));
    ASSIGN_OR_RETURN(const UniqueFd fd, writer_.BeginFile(path));
    int64_t end = 0;
    for (;;) {
      const void* data = nullptr;
      size_t length = 0;
      la_int64_t offset = 0;
      const int result = archive_read_data_block(archive_.get(), &data, &length, &offset);
      if (result == ARCHIVE_EOF) break;
      if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return Damaged();
      if (length == 0) continue;
      if (offset < 0 || offset > size || length > static_cast<uint64_t>(size - offset))
        return absl::InvalidArgumentError("data beyond the end of the file");
      if (length > limits_.max_bytes - result_.bytes)
        return absl::ResourceExhaustedError(absl::StrCat("more than ", limits_.max_bytes, " bytes of files"));
      result_.bytes += length;
      RETURN_IF_ERROR(WriteAt(fd.get(), static_cast<const char*>(data), length, offset));
      end = std::max<int64_t>(end, offset + static_cast<int64_t>(length));
    }
    if (end != size && ftruncate(fd.get(), size) != 0) return ErrnoStatus("set the file's size");
    return writer_.FinishFile(fd.get(), attributes);
  }

  static absl::Status WriteAt(int fd, const char* data, size_t length, off_t offset) {
    while (length > 0) {
      const ssize_t n = pwrite(fd, data, length, offset);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return ErrnoStatus("write");
      data += n;
      length -= n;
      offset += n;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<EntryAttributes> Attributes(archive_entry* entry) {
    EntryAttributes attributes;
    attributes.mode = archive_entry_perm(entry) & 07777;
    const int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
    // The highest id means "leave it" to chown(2).
    constexpr int64_t kNobody = std::numeric_limits<uint32_t>::max();
    if (uid < 0 || uid >= kNobody || gid < 0 || gid >= kNobody)
      return absl::InvalidArgumentError(absl::StrCat("owner ", uid, ":", gid, " is out of range"));
    attributes.uid = static_cast<uid_t>(uid);
    attributes.gid = static_cast<gid_t>(gid);
    attributes.mtime = {archive_entry_mtime(entry), std::clamp(archive_entry_mtime_nsec(entry), 0l, 999'999'999l)};
    RETURN_IF_ERROR(TakeXattrs(entry, &attributes));
    return attributes;
  }

  absl::Status TakeXattrs(archive_entry* entry, EntryAttributes* attributes) {
    const char* raw_name = nullptr;
    const void* value = nullptr;
    size_t size = 0, total = 0;
    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &raw_name, &value, &size) == ARCHIVE_OK) {
      const absl::string_view name = raw_name == nullptr ? "" : raw_name;
      // Not trusted.*: overlayfs keeps its own state there. user.overlay.* is the same for unprivileged mounts.
      const bool allowed = name == "security.capability" ||
                           (absl::StartsWith(name, "user.") && !absl::StartsWith(name, "user.overlay."));
      if (!allowed) {
        ++result_.ignored_xattrs;
        continue;
      }
      total += name.size() + size;
      if (total > limits_.max_xattr_bytes)
        return absl::InvalidArgumentError(
            absl::StrCat("more than ", limits_.max_xattr_bytes, " bytes of extended attributes"));
      attributes->xattrs.emplace_back(std::string(name), std::string(static_cast<const char*>(value), size));
    }
    return absl::OkStatus();
  }

  const UnpackLimits& limits_;
  const TarSource& source_;
  RootfsWriter writer_;
  std::unique_ptr<archive, FreeArchive> archive_;
  absl::Status source_status_;
  bool seen_data_ = false;
  UnpackResult result_;
};

}  // namespace

absl::StatusOr<UnpackResult> UnpackTar(int dir_fd, WhiteoutStyle whiteouts, const UnpackLimits& limits,
                                       const TarSource& source) {
  const Utf8Locale locale;
  if (!locale.ok()) return absl::FailedPreconditionError("the C library has no locale C.UTF-8");
  return Unpacker(dir_fd, whiteouts, limits, source).Run();
}

}  // namespace berth
