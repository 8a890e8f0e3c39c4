#include "core/plugin/registry_adapter.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "berth/abi/registry.h"
#include "core/base/status.h"
#include "core/plugin/instance.h"

namespace berth {
namespace {

constexpr size_t kMaxEmbedded = 8 << 20;
constexpr size_t kMaxReferences = 1 << 20;

// A RegistryRequest as the ABI has it; borrows from it.
class AbiRequest {
 public:
  explicit AbiRequest(const RegistryRequest& r)
      : annotations_(AbiPairs(r.annotations)),
        credentials_{sizeof(credentials_),
                     0,
                     AbiStr(r.credentials.username),
                     AbiStr(r.credentials.password),
                     AbiStr(r.credentials.auth),
                     AbiStr(r.credentials.server_address),
                     AbiStr(r.credentials.identity_token),
                     AbiStr(r.credentials.registry_token)},
        raw_{sizeof(raw_),
             0,
             AbiStr(r.reference),
             AbiStr(r.platform.os),
             AbiStr(r.platform.architecture),
             AbiStr(r.platform.variant),
             AbiStr(r.runtime_handler),
             &credentials_,
             annotations_.data(),
             annotations_.size()} {}
  AbiRequest(const AbiRequest&) = delete;
  AbiRequest& operator=(const AbiRequest&) = delete;

  const berth_registry_request* get() const { return &raw_; }

 private:
  const std::vector<berth_pair> annotations_;
  const berth_credentials credentials_;
  const berth_registry_request raw_;
};

struct DescriptorDelivery : Delivery {
  ContentDescriptor descriptor;

  static void Put(void* ctx, const berth_content_descriptor* d) noexcept {
    auto* self = static_cast<DescriptorDelivery*>(ctx);
    self->Take([&] { self->Read(d); });
  }
  void Read(const berth_content_descriptor* d) {
    if (!reader.Struct(d, "the descriptor")) return;
    descriptor.media_type = reader.Text(d->media_type, "the media type", 256);
    descriptor.digest = reader.Text(d->digest, "the digest", 256);
    descriptor.size = d->size;
    descriptor.data = reader.Bytes(d->data, "the embedded content", kMaxEmbedded);
    if (reader.ok() && descriptor.digest.empty() && descriptor.data.empty()) {
      reader.Fail("the descriptor", "has neither digest nor content");
    }
    if (reader.ok() && !descriptor.data.empty() && descriptor.size != descriptor.data.size()) {
      reader.Fail("the embedded content", "has another size than its descriptor");
    }
  }
};

// The host's sink as bytes arrive. The plugin is told of a refusal and must hand it back; the host remembers it anyway.
struct ByteDelivery {
  const ImageRegistry::Sink& sink;
  uint64_t room;  // bytes still wanted
  absl::Status refusal;

  static int32_t Write(void* ctx, const void* data, uint64_t size, berth_error* err) noexcept {
    auto* self = static_cast<ByteDelivery*>(ctx);
    if (self->refusal.ok()) self->Take(data, size);
    return FillAbiError(self->refusal, err);
  }
  void Take(const void* data, uint64_t size) noexcept {
    try {
      if (size > 0 && data == nullptr) {
        refusal = absl::InternalError("the plugin delivered no data with a size");
      } else if (size > room) {
        refusal = absl::OutOfRangeError("the plugin delivered more bytes than it was asked for");
      } else {
        refusal = sink(absl::string_view(static_cast<const char*>(data), size));
        room -= size;
      }
    } catch (...) {
      refusal = absl::ResourceExhaustedError("take fetched bytes: out of memory");
    }
  }
};

struct ReferenceDelivery : Delivery {
  std::vector<std::string> references;

  static void Put(void* ctx, berth_str text) noexcept {
    auto* self = static_cast<ReferenceDelivery*>(ctx);
    self->Take([&] {
      if (self->references.size() == kMaxReferences) self->reader.Fail("references", "are too many");
      std::string reference = self->reader.Text(text, "a reference");
      if (self->reader.ok()) self->references.push_back(std::move(reference));
    });
  }
};

class Adapter : public ImageRegistry {
 public:
  using Instance = PluginInstance<berth_registry>;

  explicit Adapter(std::unique_ptr<Instance> instance) : instance_(std::move(instance)) {}

  absl::StatusOr<ContentDescriptor> Resolve(const Call& call, const RegistryRequest& request) override {
    const AbiRequest raw(request);
    const berth_call raw_call = AbiCall(call);
    DescriptorDelivery delivery;
    const berth_content_sink sink{sizeof(sink), 0, &delivery, &DescriptorDelivery::Put};
    RETURN_IF_ERROR(delivery.Check(
        instance_->who(), instance_->Invoke("resolve", instance_->table().resolve, &raw_call, raw.get(), &sink)));
    return std::move(delivery.descriptor);
  }

  absl::Status Fetch(const Call& call, const RegistryRequest& request, const ContentDescriptor& what, uint64_t offset,
                     uint64_t length, const Sink& sink) override {
    const AbiRequest raw(request);
    const berth_call raw_call = AbiCall(call);
    const berth_content_descriptor descriptor{sizeof(descriptor),  0,         AbiStr(what.media_type),
                                              AbiStr(what.digest), what.size, AbiStr(what.data)};
    const berth_fetch_range range{sizeof(range), 0, &descriptor, offset, length};
    ByteDelivery delivery{sink, length, absl::OkStatus()};
    const berth_byte_sink raw_sink{sizeof(raw_sink), 0, &delivery, &ByteDelivery::Write};
    const absl::Status status =
        instance_->Invoke("fetch", instance_->table().fetch, &raw_call, raw.get(), &range, &raw_sink);
    if (!delivery.refusal.ok()) return delivery.refusal;
    RETURN_IF_ERROR(status);
    if (length != UINT64_MAX && delivery.room != 0) {
      return absl::DataLossError(absl::StrCat(instance_->who(), ": fetch ", what.digest, ": ", delivery.room, " of ",
                                              length, " bytes are missing"));
    }
    return absl::OkStatus();
  }

  absl::Status List(const Call& call, const std::function<void(const std::string&)>& visit) override {
    const berth_call raw_call = AbiCall(call);
    ReferenceDelivery delivery;
    const berth_str_sink sink{sizeof(sink), 0, &delivery, &ReferenceDelivery::Put};
    RETURN_IF_ERROR(
        delivery.CheckEach(instance_->who(), instance_->Invoke("list", instance_->table().list, &raw_call, &sink)));
    for (const std::string& reference : delivery.references) visit(reference);
    return absl::OkStatus();
  }

  absl::Status Ping(const Call& call) override {
    const berth_call raw_call = AbiCall(call);
    return instance_->Invoke("ping", instance_->table().ping, &raw_call);
  }

 private:
  const std::unique_ptr<Instance> instance_;
};

std::vector<PluginFunction> Required(const berth_registry& t) {
  return {{"resolve", t.resolve != nullptr}, {"fetch", t.fetch != nullptr}};
}

}  // namespace

absl::StatusOr<std::unique_ptr<ImageRegistry>> AdaptImageRegistry(const void* table, std::unique_ptr<PluginHost> host,
                                                                  std::shared_ptr<std::mutex> starting) {
  ASSIGN_OR_RETURN(auto instance,
                   PluginInstance<berth_registry>::Create(table, std::move(host), std::move(starting), &Required));
  return std::make_unique<Adapter>(std::move(instance));
}

}  // namespace berth
