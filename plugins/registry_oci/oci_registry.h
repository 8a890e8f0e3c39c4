// Serves images from network registries: the pulling half of the OCI distribution specification.
#ifndef BERTH_PLUGINS_REGISTRY_OCI_OCI_REGISTRY_H_
#define BERTH_PLUGINS_REGISTRY_OCI_OCI_REGISTRY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "berth/sdk/image_registry.h"
#include "plugins/registry_oci/host_session.h"
#include "plugins/registry_oci/http_client.h"
#include "plugins/registry_oci/image_reference.h"
#include "plugins/registry_oci/registry_host.h"

namespace berth::registry_oci {

// Thread-safe.
class OciRegistry final {
 public:
  struct Options {
    HostSearch hosts;
    HttpClient::Options http;
    int retries = 3;                      // after the first attempt, where another one makes sense
    int64_t backoff_ms = 250;             // before the first retry; four times as long before each further one
    int64_t max_retry_after_ms = 30'000;  // a server that wants a longer pause is given up
  };

  explicit OciRegistry(Options options) : options_(std::move(options)), client_(options_.http) {}

  // As sdk::ImageRegistry. Resolve reads the hosts directory; the manifest comes embedded in its answer.
  sdk::Result<sdk::ContentDescriptor> Resolve(const sdk::Call& call, const sdk::RegistryRequest& request);
  // kUnavailable after a transfer that broke: the caller goes on from where it was.
  sdk::Status Fetch(const sdk::Call& call, const sdk::RegistryRequest& request, const sdk::ContentDescriptor& what,
                    uint64_t offset, uint64_t length, const sdk::ImageRegistry::Sink& sink);

 private:
  // The servers of one repository with one client's credentials.
  struct Session {
    ImageReference reference;
    sdk::RegistryCredentials credentials;
    Login login;
    std::vector<std::unique_ptr<HostSession>> hosts;
  };
  using SessionPtr = std::shared_ptr<Session>;
  using Attempt = std::function<Reply(HostSession& host)>;

  sdk::Result<SessionPtr> Begin(const sdk::RegistryRequest& request);
  sdk::Result<SessionPtr> Current(const sdk::RegistryRequest& request);
  sdk::Status AskHosts(const sdk::Call& call, const Session& session, bool RegistryHost::*capability,
                       const Attempt& attempt);
  bool AskOnce(const Session& session, bool RegistryHost::*capability, const Attempt& attempt, sdk::Status* status,
               int64_t* retry_after_ms);

  const Options options_;
  HttpClient client_;
  std::mutex mutex_;
  SessionPtr session_;  // the last one
};

}  // namespace berth::registry_oci

#endif  // BERTH_PLUGINS_REGISTRY_OCI_OCI_REGISTRY_H_
