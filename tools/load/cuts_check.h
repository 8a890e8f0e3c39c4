// What has to hold on a node that lost its power and has started again.
#ifndef BERTH_TOOLS_LOAD_CUTS_CHECK_H_
#define BERTH_TOOLS_LOAD_CUTS_CHECK_H_

#include <string>
#include <vector>

#include "tools/integration/place.h"
#include "tools/load/cuts_ledger.h"
#include "tools/load/load_options.h"

namespace berth {

// A node whose daemon serves.
struct CutsNode {
  const Place* place = nullptr;
  Ledger* ledger = nullptr;
  LoadOptions options;
  std::string baseline;  // a file: what exists on the node when nothing was ever
                         // run on it
};

// Writes the baseline.
absl::Status NoteWhatANodeHas(const CutsNode& node);

// After a boot, before anybody works on the node: the store is sound; images
// are there or gone as the clients were told in `account`, every one that is
// listed runs and has all its files; pods are not ready, containers have
// exited, their networks are released, and what was removed stays so; nothing
// else is left. Removes the pods. Answers what is wrong.
std::vector<std::string> CheckAfterACut(const CutsNode& node, const LedgerAccount& account);

// Removes every image; then the node is as it was when it was new.
std::vector<std::string> CheckTheEnd(const CutsNode& node);

}  // namespace berth

#endif  // BERTH_TOOLS_LOAD_CUTS_CHECK_H_
