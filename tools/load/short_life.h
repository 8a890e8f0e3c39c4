// Pods that come and go: what the kubelet does most of the day.
#ifndef BERTH_TOOLS_LOAD_SHORT_LIFE_H_
#define BERTH_TOOLS_LOAD_SHORT_LIFE_H_

#include <random>
#include <string>

#include "absl/status/status.h"
#include "tools/load/load_options.h"
#include "tools/load/patient_client.h"

namespace berth {

// Runs a pod with one to three containers, each of which ends in one of several ways, checks exit codes and logs, and
// removes the pod in one of several ways. An error says what was wrong; then something may be left.
absl::Status LiveShortLife(const LoadOptions& options, const std::string& name, std::mt19937_64* random,
                           PatientClient* client, LoadReport* report);

}  // namespace berth

#endif  // BERTH_TOOLS_LOAD_SHORT_LIFE_H_
