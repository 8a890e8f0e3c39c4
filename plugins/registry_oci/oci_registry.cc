#include "plugins/registry_oci/oci_registry.h"

#include <poll.h>

#include <algorithm>
#include <random>
#include <string_view>
#include <tuple>
#include <utility>

#include "plugins/registry_oci/content_range.h"
#include "plugins/registry_oci/text.h"

namespace berth::registry_oci {
namespace {

using sdk::Call;
using sdk::ContentDescriptor;
using sdk::Result;
using sdk::Status;

constexpr uint64_t kMaxManifest = 4 << 20;

constexpr char kManifestTypes[] =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

bool IsManifestType(std::string_view type) {
  return type.find(".manifest.") != std::string_view::npos || type.find(".index.") != std::string_view::npos;
}

// The media type, where the server names one; a server that says text/plain knows nothing about it.
std::string MediaTypeOf(const HttpResponse& response) {
  const std::string field = response.Header("content-type");
  const std::string type = Lowered(Trimmed(field.substr(0, field.find(';'))));
  return type.starts_with("application/vnd.") ? Printable(type) : "";
}

auto Fields(const sdk::RegistryCredentials& c) {
  return std::tie(c.username, c.password, c.auth, c.server_address, c.identity_token, c.registry_token);
}

// Between half of `ms` and all of it, so that nodes that were refused together do not come back together.
int64_t WithJitter(int64_t ms) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  return ms / 2 + static_cast<int64_t>(random() % static_cast<uint64_t>(ms / 2 + 1));
}

Status Sleep(const Call& call, int64_t ms) {
  pollfd cancel{call.cancel_fd, POLLIN, 0};
  poll(&cancel, call.cancel_fd >= 0 ? 1 : 0, static_cast<int>(ms));
  return call.Check();
}

}  // namespace

Result<OciRegistry::SessionPtr> OciRegistry::Begin(const sdk::RegistryRequest& request) {
  auto session = std::make_shared<Session>();
  BERTH_ASSIGN_OR_RETURN(session->reference, ParseReference(request.reference));
  const std::string& registry = session->reference.host;
  session->credentials = request.credentials;
  BERTH_ASSIGN_OR_RETURN(session->login, ReadLogin(request.credentials, registry));
  BERTH_ASSIGN_OR_RETURN(std::vector<RegistryHost> hosts, FindHosts(options_.hosts, registry));
  for (RegistryHost& host : hosts) {
    session->hosts.push_back(
        std::make_unique<HostSession>(client_, std::move(host), session->login, registry, session->reference.path));
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  session_ = session;
  return session;
}

Result<OciRegistry::SessionPtr> OciRegistry::Current(const sdk::RegistryRequest& request) {
  BERTH_ASSIGN_OR_RETURN(const ImageReference reference, ParseReference(request.reference));
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (session_ != nullptr && session_->reference.host == reference.host &&
        session_->reference.path == reference.path && Fields(session_->credentials) == Fields(request.credentials)) {
      return session_;
    }
  }
  return Begin(request);
}

// One try at each host in order, until one answers. True: there is nothing better than *status.
bool OciRegistry::AskOnce(const Session& session, bool RegistryHost::*capability, const Attempt& attempt,
                          Status* status, int64_t* retry_after_ms) {
  const auto usable = [&](const auto& host) { return host->host().*capability; };
  // Who could not be reached a moment ago is passed over as long as there are others.
  const bool any_up = std::any_of(session.hosts.begin(), session.hosts.end(),
                                  [&](const auto& host) { return usable(host) && !host->down(); });
  *status = sdk::FailedPrecondition("no host in its hosts.toml has this capability");
  std::string before;
  for (const auto& host : session.hosts) {
    if (!usable(host) || (any_up && host->down())) continue;
    Reply reply = attempt(*host);
    if (reply.status.ok() || reply.body_begun) {
      *status = reply.status;
      return true;
    }
    *retry_after_ms = std::max(*retry_after_ms, reply.retry_after_ms);
    // The last in the order is the registry itself: its answer is the one that counts.
    *status = Status(reply.status.code(), before + reply.status.message(), reply.status.sys_errno());
    if (reply.status.code() == sdk::Code::kCancelled || reply.status.code() == sdk::Code::kDeadlineExceeded)
      return true;
    before = status->message() + "; ";
  }
  return status->code() != sdk::Code::kUnavailable;
}

Status OciRegistry::AskHosts(const Call& call, const Session& session, bool RegistryHost::*capability,
                             const Attempt& attempt) {
  int64_t backoff_ms = options_.backoff_ms;
  for (int retries = 0;; ++retries) {
    Status status;
    int64_t retry_after_ms = 0;
    if (AskOnce(session, capability, attempt, &status, &retry_after_ms) || retries == options_.retries ||
        retry_after_ms > options_.max_retry_after_ms) {
      return status;
    }
    BERTH_RETURN_IF_ERROR(
        sdk::Annotate(Sleep(call, std::max(retry_after_ms, WithJitter(backoff_ms))), status.message()));
    backoff_ms *= 4;
  }
}

Result<ContentDescriptor> OciRegistry::Resolve(const Call& call, const sdk::RegistryRequest& request) {
  BERTH_RETURN_IF_ERROR(call.Check());
  BERTH_ASSIGN_OR_RETURN(const SessionPtr session, Begin(request));
  const ImageReference& reference = session->reference;
  const bool by_digest = !reference.digest.empty();
  const std::string resource = "manifests/" + (by_digest ? reference.digest : reference.tag);
  ContentDescriptor found;
  const Status status =
      AskHosts(call, *session, by_digest ? &RegistryHost::pull : &RegistryHost::resolve, [&](HostSession& host) {
        found = {};
        Status refused;
        const auto check_size = [&](uint64_t size) {
          if (size <= kMaxManifest) return Status();
          return sdk::InvalidArgument(host.host().base.Shown() + ": the manifest is larger than 4 MiB");
        };
        Reply reply = host.Get(call, resource, {{"Accept", kManifestTypes}},
                               {[&](const HttpResponse& head) {
                                  const std::optional<uint64_t> size = ParseUint(head.Header("content-length"));
                                  return check_size(size.value_or(0));
                                },
                                [&](std::string_view data) {
                                  found.data.append(data);
                                  return check_size(found.data.size());
                                }});
        // Nothing of it has gone anywhere: what broke in the middle may begin again.
        reply.body_begun = false;
        if (!reply.status.ok()) return reply;
        found.media_type = MediaTypeOf(reply.response);
        const std::string digest = reply.response.Header("docker-content-digest");
        found.digest = by_digest ? reference.digest : IsDigest(digest) ? digest : "";
        found.size = found.data.size();
        if (found.data.empty()) {
          // A connection that closes before Content-Length looks like this.
          reply.status = sdk::Unavailable(host.host().base.Shown() + ": the manifest is empty");
        }
        return reply;
      });
  BERTH_RETURN_IF_ERROR(status);
  return found;
}

Status OciRegistry::Fetch(const Call& call, const sdk::RegistryRequest& request, const ContentDescriptor& what,
                          uint64_t offset, uint64_t length, const sdk::ImageRegistry::Sink& sink) {
  BERTH_RETURN_IF_ERROR(call.Check());
  if (!IsDigest(what.digest)) return sdk::InvalidArgument("\"" + Printable(what.digest) + "\" is no digest");
  if (offset > what.size || (length != UINT64_MAX && length > what.size - offset)) {
    return sdk::OutOfRange("bytes " + std::to_string(offset) + "+" + std::to_string(length) + " of " +
                           std::to_string(what.size) + " were asked for");
  }
  const ByteRange range{offset, std::min(length, what.size - offset)};
  BERTH_ASSIGN_OR_RETURN(const SessionPtr session, Current(request));
  const std::string resource = (IsManifestType(what.media_type) ? "manifests/" : "blobs/") + what.digest;
  HostSession::Headers headers;
  if (IsManifestType(what.media_type)) headers.emplace_back("Accept", what.media_type);
  const bool whole = offset == 0 && range.length == what.size;
  if (range.length == 0 && !whole) return {};
  if (!whole) headers.emplace_back("Range", range.RequestField());
  return AskHosts(call, *session, &RegistryHost::pull, [&](HostSession& host) {
    RangeCutter cutter(range, sink);
    Reply reply = host.Get(call, resource, headers,
                           {[&](const HttpResponse& head) { return cutter.Begin(head); },
                            [&](std::string_view data) { return cutter.Take(data); }});
    reply.body_begun = cutter.delivered() > 0 || cutter.refused();
    if (reply.status.ok() || cutter.done()) reply.status = cutter.End();
    return reply;
  });
}

}  // namespace berth::registry_oci
