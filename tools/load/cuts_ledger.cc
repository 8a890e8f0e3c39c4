#include "tools/load/cuts_ledger.h"

#include <fcntl.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace berth {
namespace {

constexpr absl::string_view kEnd = " .";  // of a line that is whole
constexpr uint64_t kMaxLedger = uint64_t{256} << 20;

const std::map<LedgerVerb, std::string>& Words() {
  static const std::map<LedgerVerb, std::string> words = {
      {LedgerVerb::kBoot, "boot"},
      {LedgerVerb::kServing, "serving"},
      {LedgerVerb::kChecked, "checked"},
      {LedgerVerb::kLoading, "loading"},
      {LedgerVerb::kFault, "fault"},
      {LedgerVerb::kPulling, "pulling"},
      {LedgerVerb::kPulled, "pulled"},
      {LedgerVerb::kRemovingImage, "removing-image"},
      {LedgerVerb::kRemovedImage, "removed-image"},
      {LedgerVerb::kPod, "pod"},
      {LedgerVerb::kContainer, "container"},
      {LedgerVerb::kRemovingPod, "removing-pod"},
      {LedgerVerb::kRemovedPod, "removed-pod"},
      {LedgerVerb::kRemovedContainer, "removed-container"},
  };
  return words;
}

void Take(LedgerVerb verb, const std::string& name, LedgerAccount* account) {
  ++account->lines;
  ++account->counts[verb];
  switch (verb) {
    case LedgerVerb::kPulling:
      account->images_gone.erase(name);
      break;
    case LedgerVerb::kPulled:
      account->images_there.insert(name);
      break;
    case LedgerVerb::kRemovingImage:
      account->images_there.erase(name);
      break;
    case LedgerVerb::kRemovedImage:
      account->images_gone.insert(name);
      break;
    case LedgerVerb::kRemovedPod:
      account->pods_gone.insert(name);
      break;
    case LedgerVerb::kRemovedContainer:
      account->containers_gone.insert(name);
      break;
    case LedgerVerb::kFault:
      account->faults.push_back(name);
      break;
    default:
      break;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Ledger>> Ledger::Open(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_WRONLY | O_CREAT | O_APPEND, 0644));
  // Behind a line that a cut has torn.
  RETURN_IF_ERROR(WriteAll(fd.get(), "\n"));
  return std::unique_ptr<Ledger>(new Ledger(std::move(fd)));
}

void Ledger::Write(LedgerVerb verb, absl::string_view name) {
  const std::string line = absl::StrCat(Words().at(verb), " ", absl::StrReplaceAll(name, {{"\n", " | "}}), kEnd, "\n");
  const std::lock_guard<std::mutex> lock(mutex_);
  if (WriteAll(fd_.get(), line).ok()) return;
  std::perror("write to the ledger");
  std::abort();
}

absl::StatusOr<LedgerAccount> ReadLedger(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxLedger));
  LedgerAccount account;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumeSuffix(&line, kEnd)) continue;
    const std::pair<std::string, std::string> parts = absl::StrSplit(line, absl::MaxSplits(' ', 1));
    for (const auto& [verb, word] : Words()) {
      if (parts.first == word) Take(verb, parts.second, &account);
    }
  }
  return account;
}

}  // namespace berth
