// What the tests that tools/chaos runs in their long form have in common.
#ifndef BERTH_TOOLS_LOAD_CHAOS_SETTINGS_H_
#define BERTH_TOOLS_LOAD_CHAOS_SETTINGS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "tools/integration/place.h"
#include "tools/load/load_options.h"

namespace berth {

// CHAOS_SECONDS, CHAOS_CLIENTS and the like. A value that is no number fails the test.
uint64_t FromEnvironment(const char* name, uint64_t otherwise);

// The image that a load pulls and removes, in the place's folder of images.
absl::Status AddTransientImage(const Place& place);

// A load against the daemon of that place, in the world of an integration test.
LoadOptions LoadOptionsFor(const Place& place, uint64_t seed);

}  // namespace berth

#endif  // BERTH_TOOLS_LOAD_CHAOS_SETTINGS_H_
