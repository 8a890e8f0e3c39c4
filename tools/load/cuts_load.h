// The clients of a node whose power is going to be cut: each pulls and removes
// an image of its own, whose layers others share, and runs and removes pods
// made of it.
#ifndef BERTH_TOOLS_LOAD_CUTS_LOAD_H_
#define BERTH_TOOLS_LOAD_CUTS_LOAD_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tools/load/cuts_check.h"

namespace berth {

// Goes on for `limit`, or until a client is answered with an error; that is
// what it returns. What is asked and answered stands in the node's ledger.
std::vector<std::string> RunCutsClients(const CutsNode& node, absl::Duration limit);

}  // namespace berth

#endif  // BERTH_TOOLS_LOAD_CUTS_LOAD_H_
