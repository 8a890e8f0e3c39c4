/* The headers are C11: this compiles them so. */
#include "berth/abi/base.h"
#include "berth/abi/executor.h"
#include "berth/abi/network.h"
#include "berth/abi/registry.h"
#include "berth/abi/snapshotter.h"

int main(void) {
  const berth_call call = {.struct_size = sizeof(berth_call)};
  return BERTH_HAS(&call, trace_id) ? 0 : 1;
}
