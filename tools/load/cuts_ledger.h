// What the clients of a machine were answered, kept where a power cut of that
// machine cannot reach it.
//
// The ledger is a file of the host, which the machine sees through hostfs: that
// hands each write(2) to the host before it returns, and the host's kernel
// survives the machine. Nothing is written by stdio, whose buffers a cut would
// take. The machine's own disk would not do, being what is looked into, nor the
// console: lines of several threads and of the kernel get mixed there, and pass
// through a tty's buffers.
//
// The order of things makes it honest. A client writes what it is going to ask
// before it asks, and what it was answered after it was: so an answer that
// stands in the ledger was given, and a thing may have changed from the line
// that asks on. A cut between an answer and its line only makes the ledger ask
// for less than was promised.
#ifndef BERTH_TOOLS_LOAD_CUTS_LEDGER_H_
#define BERTH_TOOLS_LOAD_CUTS_LEDGER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/base/unique_fd.h"

namespace berth {

enum class LedgerVerb {
  kBoot,              // the machine is up; the name is the boot's id
  kServing,           // the daemon is
  kChecked,           // everything was as the ledger wants it
  kLoading,           // the clients begin
  kFault,             // the name says what was wrong
  kPulling,           // image
  kPulled,            // image
  kRemovingImage,     // image
  kRemovedImage,      // image
  kPod,               // id
  kContainer,         // id
  kRemovingPod,       // id; its containers with it
  kRemovedPod,        // id
  kRemovedContainer,  // id
};

// Thread-safe.
class Ledger {
 public:
  static absl::StatusOr<std::unique_ptr<Ledger>> Open(const std::string& path);

  // Returns once the line is on the host. A ledger that cannot be written ends
  // the process: nothing it says later would mean anything.
  void Write(LedgerVerb verb, absl::string_view name);

 private:
  explicit Ledger(UniqueFd fd) : fd_(std::move(fd)) {}

  std::mutex mutex_;
  const UniqueFd fd_;
};

// What a ledger says.
struct LedgerAccount {
  std::set<std::string> images_there;  // pulled, and nobody has asked for their removal since
  std::set<std::string> images_gone;   // removed, and nobody has asked for them since
  std::set<std::string> pods_gone, containers_gone;
  std::vector<std::string> faults;
  uint64_t lines = 0;
  std::map<LedgerVerb, uint64_t> counts;
};

// A line that a cut has torn is no line. kNotFound without a file.
absl::StatusOr<LedgerAccount> ReadLedger(const std::string& path);

}  // namespace berth

#endif  // BERTH_TOOLS_LOAD_CUTS_LEDGER_H_
