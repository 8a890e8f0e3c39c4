#include "core/image/images.h"
#include "core/image/inflate.h"
#include "core/image/pull_worker.h"
#include "core/image/pull_worker_main.h"
#include "core/image/unpack.h"
#include "gtest/gtest.h"
#include "proto/berth/pull/v1/pull.pb.h"

TEST(Headers, Compile) {
  berth::ImagesOptions options;
  EXPECT_EQ(options.store, nullptr);
}
