#include "plugins/network_cni/attachment_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "plugins/network_cni/attachment.h"
#include "plugins/network_cni/config_list.h"

namespace berth::network_cni {
namespace {

using ::testing::ElementsAre;

class AttachmentStoreTest : public testing::Test {
 protected:
  AttachmentStoreTest() {
    char directory[] = "/tmp/attachment_store_test.XXXXXX";
    directory_ = mkdtemp(directory);
    attachment_.container_id = "id";
    attachment_.ifname = "eth0";
    attachment_.list = *ParseConfigList(R"({"cniVersion":"1.0.0","name":"n","plugins":[{"type":"t"}]})", "x");
  }
  ~AttachmentStoreTest() override { std::filesystem::remove_all(directory_); }

  sdk::Status Save(const std::string& result) {
    attachment_.result = json::Value(result);
    return store().Save("id", {attachment_});
  }
  json::Value Load() {
    const auto loaded = store().Load("id");
    return loaded.ok() && loaded->size() == 1 ? (*loaded)[0].result : json::Value(loaded.status().message());
  }
  AttachmentStore store() const { return AttachmentStore(directory_ + "/cache/networks"); }
  std::string path() const { return directory_ + "/cache/networks/id.json"; }

  std::string directory_;
  Attachment attachment_;
};

TEST_F(AttachmentStoreTest, KeepsWhatWasSavedLast) {
  EXPECT_EQ(store().Load("id").status().code(), sdk::Code::kNotFound);
  for (const char* result : {"first", "second", "third"}) {
    ASSERT_TRUE(Save(result).ok());
    EXPECT_EQ(Load(), result);
  }
  EXPECT_THAT(*store().PodIds(), ElementsAre("id"));
  ASSERT_TRUE(store().Remove("id").ok());
  EXPECT_EQ(store().Load("id").status().code(), sdk::Code::kNotFound);
}

TEST_F(AttachmentStoreTest, WhatWasBeingSavedDoesNotCount) {
  ASSERT_TRUE(Save("first").ok());
  const auto size = std::filesystem::file_size(path());
  ASSERT_TRUE(Save("second").ok());
  for (auto torn = std::filesystem::file_size(path()) - 1; torn >= size; --torn) {
    std::filesystem::resize_file(path(), torn);
    ASSERT_EQ(Load(), "first") << torn;
  }
  std::filesystem::resize_file(path(), size + 1);
  ASSERT_TRUE(Save("second").ok());
  EXPECT_EQ(Load(), "second");
  std::filesystem::resize_file(path(), size / 2);
  EXPECT_FALSE(store().Load("id").ok());
  std::filesystem::resize_file(path(), 0);
  EXPECT_FALSE(store().Load("id").ok());
}

}  // namespace
}  // namespace berth::network_cni
