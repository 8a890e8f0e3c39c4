#include "core/plugin/conformance/registry_suite.h"

#include <openssl/evp.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/base/unique_fd.h"

namespace berth {
namespace {

using Code = absl::StatusCode;
using nlohmann::json;

std::string Sha256(const std::string& data) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EXPECT_EQ(EVP_Digest(data.data(), data.size(), digest, &size, EVP_sha256(), nullptr), 1);
  std::string out = "sha256:";
  for (unsigned int i = 0; i < size; ++i) {
    out += "0123456789abcdef"[digest[i] >> 4];
    out += "0123456789abcdef"[digest[i] & 15];
  }
  return out;
}

ContentDescriptor Descriptor(const json& from) {
  ContentDescriptor out;
  out.media_type = from.at("mediaType").get<std::string>();
  out.digest = from.at("digest").get<std::string>();
  out.size = from.at("size").get<uint64_t>();
  return out;
}

}  // namespace

RegistrySuite::RegistrySuite() : plugin_(GetParam().so) {}

void RegistrySuite::SetUp() {
  auto made = plugin_.plugins().MakeImageRegistry(plugin_.name(), GetParam().config(plugin_.scratch()));
  ASSERT_TRUE(made.ok()) << made.status();
  registry_ = *std::move(made);
}

RegistryRequest RegistrySuite::Request(const std::string& reference) const {
  RegistryRequest request;
  request.reference = reference;
  request.platform = {"linux", "amd64", ""};
  return request;
}

absl::StatusOr<std::string> RegistrySuite::Fetch(const ContentDescriptor& what, uint64_t offset, uint64_t length) {
  std::string out;
  const absl::Status status = registry_->Fetch(Call(), Request(), what, offset, length, [&](absl::string_view data) {
    out.append(data.data(), data.size());
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return out;
}

std::vector<ContentDescriptor> RegistrySuite::Blobs() {
  auto top = registry_->Resolve(Call(), Request());
  EXPECT_TRUE(top.ok()) << top.status();
  if (!top.ok()) return {};
  for (int depth = 0; depth < 3; ++depth) {
    const absl::StatusOr<std::string> text = top->data.empty() ? Fetch(*top) : top->data;
    EXPECT_TRUE(text.ok()) << text.status();
    const json document = text.ok() ? json::parse(*text, nullptr, false) : json();
    if (document.contains("config")) {
      std::vector<ContentDescriptor> out = {Descriptor(document["config"])};
      for (const json& layer : document["layers"]) out.push_back(Descriptor(layer));
      return out;
    }
    EXPECT_TRUE(document.contains("manifests") && !document["manifests"].empty()) << *text;
    if (testing::Test::HasFailure()) return {};
    top = Descriptor(document["manifests"][0]);
  }
  ADD_FAILURE() << "an index of indexes of indexes";
  return {};
}

TEST_P(RegistrySuite, ResolvesToContentThatIsWhatItSays) {
  const auto top = registry_->Resolve(Call(), Request());
  ASSERT_TRUE(top.ok()) << top.status();
  EXPECT_FALSE(top->media_type.empty());
  const auto content = top->data.empty() ? Fetch(*top) : absl::StatusOr<std::string>(top->data);
  ASSERT_TRUE(content.ok()) << content.status();
  EXPECT_EQ(content->size(), top->size);
  if (!top->digest.empty()) {
    EXPECT_EQ(Sha256(*content), top->digest);
  }
}

TEST_P(RegistrySuite, ServesConfigAndLayers) {
  const auto blobs = Blobs();
  ASSERT_GE(blobs.size(), 2u);
  for (const ContentDescriptor& blob : blobs) {
    const auto content = Fetch(blob);
    ASSERT_TRUE(content.ok()) << blob.digest << ": " << content.status();
    EXPECT_EQ(content->size(), blob.size);
    EXPECT_EQ(Sha256(*content), blob.digest);
  }
}

TEST_P(RegistrySuite, ServesParts) {
  const auto blobs = Blobs();
  ASSERT_GE(blobs.size(), 2u);
  const ContentDescriptor layer =
      *std::max_element(blobs.begin(), blobs.end(), [](const auto& a, const auto& b) { return a.size < b.size; });
  const auto whole = Fetch(layer);
  ASSERT_TRUE(whole.ok()) << whole.status();
  ASSERT_GE(whole->size(), 100u);
  const std::vector<std::pair<uint64_t, uint64_t>> parts = {
      {0, 1}, {10, 20}, {layer.size - 1, 1}, {50, layer.size - 50}, {7, 0}};
  for (const auto& [offset, length] : parts) {
    const auto part = Fetch(layer, offset, length);
    ASSERT_TRUE(part.ok()) << offset << "+" << length << ": " << part.status();
    EXPECT_EQ(*part, whole->substr(offset, length)) << offset << "+" << length;
  }
  const auto rest = Fetch(layer, 50);
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_EQ(*rest, whole->substr(50));
  EXPECT_FALSE(Fetch(layer, layer.size + 1, 1).ok()) << "beyond the end";
  EXPECT_FALSE(Fetch(layer, layer.size - 1, 2).ok()) << "across the end";
}

TEST_P(RegistrySuite, WhatIsNotServedIsNotFound) {
  EXPECT_EQ(registry_->Resolve(Call(), Request(GetParam().missing)).status().code(), Code::kNotFound);
  ContentDescriptor unknown;
  unknown.media_type = "application/vnd.oci.image.layer.v1.tar";
  unknown.digest = "sha256:" + std::string(64, '0');
  unknown.size = 1;
  EXPECT_EQ(Fetch(unknown).status().code(), Code::kNotFound);
}

TEST_P(RegistrySuite, NonsenseIsRefused) {
  for (const std::string& reference :
       {std::string(), std::string("/"), std::string("../../etc/passwd"), std::string("a:b:c@d"),
        std::string(5000, 'a'), std::string("x\0y", 3), std::string("\xff\xfe")}) {
    EXPECT_FALSE(registry_->Resolve(Call(), Request(reference)).ok()) << reference;
  }
  for (const char* digest : {"", "sha256:", "sha256:../../../etc/passwd", "../x", "md5:00", "sha256:xyz"}) {
    ContentDescriptor what;
    what.digest = digest;
    what.size = 10;
    EXPECT_FALSE(Fetch(what).ok()) << digest;
  }
}

TEST_P(RegistrySuite, ASinksErrorEndsTheFetch) {
  const auto blobs = Blobs();
  ASSERT_FALSE(blobs.empty());
  int times = 0;
  const absl::Status status = registry_->Fetch(Call(), Request(), blobs[0], 0, UINT64_MAX, [&](absl::string_view) {
    ++times;
    return absl::ResourceExhaustedError("the disk is full");
  });
  EXPECT_EQ(status, absl::ResourceExhaustedError("the disk is full"));
  EXPECT_EQ(times, 1);
}

TEST_P(RegistrySuite, FetchesSeveralBlobsAtOnce) {
  const auto blobs = Blobs();
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (const ContentDescriptor& blob : blobs) {
        const auto content = Fetch(blob);
        EXPECT_TRUE(content.ok() && Sha256(*content) == blob.digest) << content.status();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(RegistrySuite, ACancelledCallEnds) {
  const UniqueFd cancel(eventfd(1, EFD_CLOEXEC));
  Call call;
  call.cancel_fd = cancel.get();
  const auto resolved = registry_->Resolve(call, Request());
  EXPECT_TRUE(resolved.ok() || resolved.status().code() == Code::kCancelled) << resolved.status();
}

TEST_P(RegistrySuite, ListsWhatItServes) {
  std::vector<std::string> references;
  const absl::Status status =
      registry_->List(Call(), [&](const std::string& reference) { references.push_back(reference); });
  if (!GetParam().lists) {
    EXPECT_EQ(status.code(), Code::kUnimplemented) << status;
    return;
  }
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_NE(std::find(references.begin(), references.end(), GetParam().reference), references.end());
  for (const std::string& reference : references) {
    const auto resolved = registry_->Resolve(Call(), Request(reference));
    EXPECT_TRUE(resolved.ok()) << reference << ": " << resolved.status();
  }
}

TEST_P(RegistrySuite, IsReady) {
  const absl::Status status = registry_->Ping(Call());
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(RegistrySuite, UnknownConfigurationIsReported) {
  registry_.reset();
  ExpectUnknownKeyReported(plugin_, GetParam().config, [this](const ConfigValue::Table& config) {
    return plugin_.plugins().MakeImageRegistry(plugin_.name(), config).status();
  });
}

}  // namespace berth
