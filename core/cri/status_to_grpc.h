// Errors as clients see them: canonical codes map one to one.
#ifndef BERTH_CORE_CRI_STATUS_TO_GRPC_H_
#define BERTH_CORE_CRI_STATUS_TO_GRPC_H_

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace berth {

grpc::Status ToGrpc(const absl::Status& status);

// A message fit for an HTTP/2 trailer: one line of valid UTF-8 whose percent-encoded form has at most 7000 bytes, since
// clients in C++ refuse more than 8 KiB of metadata. What is cut ends in "...".
std::string MessageForClients(absl::string_view message);

}  // namespace berth

#endif  // BERTH_CORE_CRI_STATUS_TO_GRPC_H_
