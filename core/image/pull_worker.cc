#include "core/image/pull_worker.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/status.h"
#include "core/image/layer_pipeline.h"
#include "core/image/pull_channel.h"
#include "core/image/sync_queue.h"
#include "core/oci/image_spec.h"
#include "proto/berth/pull/v1/pull.pb.h"

namespace berth {
namespace {

using pull::v1::FromWorker;
using pull::v1::Start;
using pull::v1::ToWorker;

constexpr int kMaxIndexDepth = 4;
constexpr int kProgressMillis = 1000;

RegistryPlugins PluginsOf(const Start& start) {
  RegistryPlugins plugins;
  plugins.directories.assign(start.plugin_directories().begin(), start.plugin_directories().end());
  plugins.root = start.root();
  plugins.state = start.state();
  for (const auto& registry : start.registries())
    plugins.instances.push_back({registry.name(), registry.config_json()});
  return plugins;
}

RegistryRequest RequestOf(const Start& start) {
  RegistryRequest request;
  request.reference = start.reference();
  request.platform = {start.os(), start.architecture(), start.variant()};
  const auto& from = start.credentials();
  request.credentials = {from.username(),       from.password(),       from.auth(),
                         from.server_address(), from.identity_token(), from.registry_token()};
  request.annotations.insert(start.annotations().begin(), start.annotations().end());
  request.runtime_handler = start.runtime_handler();
  return request;
}

oci::Platform PlatformOf(const Start& start) { return {start.os(), start.architecture(), start.variant(), ""}; }

// One request's life in the worker. The main thread receives; layers run on threads of their own.
class Session {
 public:
  Session(UniqueFd control, const RegistryFactory& factory)
      : control_(std::move(control)), factory_(factory), channel_(control_.get()), cancel_(eventfd(0, EFD_CLOEXEC)) {}

  ~Session() {
    Cancel();
    for (std::thread& thread : threads_) thread.join();
  }

  absl::Status Run() {
    absl::Status status = Serve();
    if (status.ok()) return status;
    FromWorker message;
    message.mutable_failed()->set_code(static_cast<int>(status.code()));
    message.mutable_failed()->set_message(std::string(status.message()));
    (void)channel_.Send(message);
    return status;
  }

 private:
  struct Resolution {
    ContentDescriptor target;
    std::string manifest_media_type, manifest_digest, manifest_json, config_json;
  };

  absl::Status Serve() {
    if (!cancel_) return ErrnoStatus("eventfd");
    ToWorker message;
    do {
      RETURN_IF_ERROR(Wait(-1));
    } while (!Next(&message));
    if (!message.has_start()) return absl::InvalidArgumentError("the daemon does not begin with Start");
    start_ = std::move(*message.mutable_start());
    request_ = RequestOf(start_);
    call_.cancel_fd = cancel_.get();
    call_.deadline_ns = start_.deadline_ns();
    // While this thread works, nobody reads the socket: closing it must still end the work.
    std::thread watcher([this] { WatchForHangup(); });
    const absl::Status resolved = ResolveAndReport();
    StopWatching();
    watcher.join();
    RETURN_IF_ERROR(resolved);
    return ServeLayers();
  }

  // -- the socket

  absl::Status Wait(int timeout_ms) {
    pollfd poll_fd{control_.get(), POLLIN, 0};
    const int ready = poll(&poll_fd, 1, timeout_ms);
    if (ready < 0 && errno != EINTR) return ErrnoStatus("poll");
    return ready > 0 ? channel_.ReadAvailable() : absl::OkStatus();
  }

  bool Next(ToWorker* message) {
    std::optional<std::string> frame = channel_.NextFrame();
    return frame && message->ParseFromString(*frame);
  }

  void WatchForHangup() {
    pollfd fds[2] = {{control_.get(), POLLRDHUP, 0}, {watch_end_.get(), POLLIN, 0}};
    while (poll(fds, 2, -1) < 0 && errno == EINTR) {
    }
    if (fds[0].revents != 0) Cancel();
  }

  void StopWatching() { Signal(watch_end_.get()); }
  void Cancel() {
    Signal(cancel_.get());
    const std::lock_guard<std::mutex> lock(mutex_);
    cancelled_ = true;
    wake_.notify_all();
  }
  static void Signal(int event_fd) {
    const uint64_t one = 1;
    (void)!write(event_fd, &one, sizeof(one));
  }

  // -- manifest and configuration

  absl::Status ResolveAndReport() {
    ASSIGN_OR_RETURN(Resolution found, Resolve());
    FromWorker message;
    auto* resolved = message.mutable_resolved();
    resolved->set_target_digest(found.target.digest);
    resolved->set_manifest_media_type(found.manifest_media_type);
    resolved->set_manifest_digest(found.manifest_digest);
    resolved->set_manifest(std::move(found.manifest_json));
    resolved->set_config(std::move(found.config_json));
    return channel_.Send(message);
  }

  absl::StatusOr<Resolution> Resolve() {
    const RegistryPlugins plugins = PluginsOf(start_);
    if (plugins.instances.empty()) return absl::FailedPreconditionError("no image registry is configured");
    Resolution found;
    std::vector<std::string> misses;
    for (size_t i = 0; i < plugins.instances.size() && registry_ == nullptr; ++i) {
      auto registry = factory_(plugins, i);
      if (!registry.ok()) return registry.status();
      auto target = (*registry)->Resolve(call_, request_);
      if (target.ok()) {
        registry_ = *std::move(registry);
        found.target = *std::move(target);
      } else if (absl::IsNotFound(target.status())) {
        misses.emplace_back(target.status().message());  // names the registry, as all errors of a plugin do
      } else {
        return target.status();
      }
    }
    if (registry_ == nullptr) return absl::NotFoundError(absl::StrJoin(misses, "; "));
    RETURN_IF_ERROR(Annotate(FollowToManifest(&found), "manifest"));
    ASSIGN_OR_RETURN(manifest_, oci::ParseManifest(found.manifest_json, found.manifest_media_type));
    auto config = FetchDocument(ToContent(manifest_.config), fetch_);
    if (!config.ok()) return Annotate(config.status(), "image configuration");
    found.config_json = *std::move(config);
    ASSIGN_OR_RETURN(config_, oci::ParseImageConfig(found.config_json));
    RETURN_IF_ERROR(oci::CheckImage(manifest_, config_, PlatformOf(start_)));
    return found;
  }

  // From what the reference names, through indexes, to the manifest for this platform.
  absl::Status FollowToManifest(Resolution* found) {
    ContentDescriptor at = found->target;
    for (int depth = 0; depth < kMaxIndexDepth; ++depth) {
      ASSIGN_OR_RETURN(std::string json, FetchDocument(at, fetch_));
      if (at.digest.empty()) at.digest = Digest::Of(json).ToString();
      if (depth == 0) RETURN_IF_ERROR(CheckTarget(at.digest, &found->target));
      const bool known = oci::IsIndexMediaType(at.media_type) || oci::IsManifestMediaType(at.media_type);
      auto kind = oci::DocumentKind::kManifest;
      if (known) {
        if (oci::IsIndexMediaType(at.media_type)) kind = oci::DocumentKind::kIndex;
      } else if (at.media_type.empty()) {
        ASSIGN_OR_RETURN(kind, oci::KindOfDocument(json));
      } else {
        return absl::InvalidArgumentError(
            absl::StrCat("\"", at.media_type, "\" is neither an image's manifest nor an index"));
      }
      if (kind == oci::DocumentKind::kManifest) {
        found->manifest_media_type = at.media_type;
        found->manifest_digest = at.digest;
        found->manifest_json = std::move(json);
        return absl::OkStatus();
      }
      ASSIGN_OR_RETURN(const oci::Index index, oci::ParseIndex(json, at.media_type));
      ASSIGN_OR_RETURN(const oci::Descriptor next, oci::SelectPlatform(index, PlatformOf(start_)));
      at = ToContent(next);
    }
    return absl::InvalidArgumentError("indexes within indexes without end");
  }

  // A reference by digest has promised what comes; the registry does not decide that.
  absl::Status CheckTarget(const std::string& digest, ContentDescriptor* target) const {
    target->digest = digest;
    const size_t at = start_.reference().find('@');
    if (at == std::string::npos || start_.reference().substr(at + 1) == digest) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("the registry answered with ", digest));
  }

  // -- layers

  absl::Status ServeLayers() {
    bool closed = false;
    uint64_t reported = 0;
    int64_t report_at = MonotonicNanos();
    for (;;) {
      ToWorker message;
      while (Next(&message)) {
        if (message.has_layer()) RETURN_IF_ERROR(AddLayer(message.layer()));
        closed |= message.has_close();
      }
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!failure_.ok()) return failure_;
        if (closed && jobs_.empty() && running_ == 0) return absl::OkStatus();
      }
      const uint64_t bytes = progress_.load(std::memory_order_relaxed);
      if (bytes != reported && MonotonicNanos() >= report_at) {
        FromWorker progress;
        progress.mutable_progress()->set_bytes(bytes);
        RETURN_IF_ERROR(channel_.Send(progress));
        reported = bytes;
        report_at = MonotonicNanos() + int64_t{kProgressMillis} * 1'000'000;
      }
      RETURN_IF_ERROR(WaitForSocketOrThreads());
    }
  }

  absl::Status WaitForSocketOrThreads() {
    pollfd fds[2] = {{control_.get(), POLLIN, 0}, {done_.get(), POLLIN, 0}};
    if (poll(fds, 2, kProgressMillis) < 0 && errno != EINTR) return ErrnoStatus("poll");
    if (fds[1].revents != 0) {
      uint64_t count;
      (void)!read(done_.get(), &count, sizeof(count));
    }
    return fds[0].revents != 0 ? channel_.ReadAvailable() : absl::OkStatus();
  }

  struct Job {
    uint32_t index;
    WhiteoutStyle whiteouts;
    UniqueFd directory;
  };

  absl::Status AddLayer(const pull::v1::Layer& layer) {
    Job job{layer.index(), static_cast<WhiteoutStyle>(layer.whiteouts()), channel_.NextDescriptor()};
    if (!job.directory || layer.index() >= manifest_.layers.size())
      return absl::InvalidArgumentError("the daemon asked for a layer that is none, or without its directory");
    const std::lock_guard<std::mutex> lock(mutex_);
    jobs_.push_back(std::move(job));
    wake_.notify_one();
    if (idle_ < jobs_.size() && threads_.size() < std::max(start_.max_parallel_layers(), 1u))
      threads_.emplace_back([this] { LayerThread(); });
    return absl::OkStatus();
  }

  void LayerThread() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      ++idle_;
      wake_.wait(lock, [&] { return cancelled_ || !jobs_.empty(); });
      --idle_;
      if (cancelled_) return;
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      ++running_;
      lock.unlock();
      absl::Status status = UnpackOne(&job);
      lock.lock();
      if (!status.ok()) End(status);
    }
  }

  // A layer that has been unpacked counts as running until it is on the disk; its thread goes on with the next.
  absl::Status UnpackOne(Job* job) {
    LayerRequest layer;
    layer.blob = manifest_.layers[job->index];
    layer.diff_id = config_.diff_ids[job->index];
    layer.dir_fd = job->directory.get();
    layer.whiteouts = job->whiteouts;
    layer.max_bytes = start_.max_layer_bytes();
    const std::string what = absl::StrCat("layer ", job->index + 1, " of ", manifest_.layers.size(), " (",
                                          layer.blob.digest.ToString(), ")");
    auto unpacked = PullLayer(layer, fetch_, &progress_);
    if (!unpacked.ok()) return Annotate(unpacked.status(), what);
    RETURN_IF_ERROR(Failpoint("image.layer.unpacked"));
    sync_.Add(std::move(job->directory), [this, what, index = job->index, result = *unpacked](absl::Status status) {
      status = status.ok() ? ReportLayer(index, result) : Annotate(status, what);
      const std::lock_guard<std::mutex> lock(mutex_);
      End(status);
    });
    return absl::OkStatus();
  }

  absl::Status ReportLayer(uint32_t index, const UnpackResult& result) {
    FromWorker message;
    auto* done = message.mutable_layer_done();
    done->set_index(index);
    done->set_entries(result.entries);
    done->set_bytes(result.bytes);
    return channel_.Send(message);
  }

  // Of one layer; with mutex_ held.
  void End(const absl::Status& status) {
    --running_;
    if (failure_.ok()) failure_ = status;
    Signal(done_.get());
  }

  UniqueFd control_;
  const RegistryFactory& factory_;
  PullChannel channel_;
  UniqueFd cancel_;
  const UniqueFd watch_end_{eventfd(0, EFD_CLOEXEC)};
  const UniqueFd done_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};

  Start start_;
  RegistryRequest request_;
  Call call_;
  std::shared_ptr<ImageRegistry> registry_;  // the one that has the image
  const BlobFetcher fetch_ = [this](const ContentDescriptor& what, uint64_t offset, const ImageRegistry::Sink& sink) {
    return registry_->Fetch(call_, request_, what, offset, UINT64_MAX, sink);
  };
  oci::Manifest manifest_;
  oci::ImageConfig config_;
  std::atomic<uint64_t> progress_{0};

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  size_t idle_ = 0, running_ = 0;
  bool cancelled_ = false;
  absl::Status failure_;
  std::vector<std::thread> threads_;
  SyncQueue sync_;  // the first to go: what it calls uses all the others
};

}  // namespace

absl::Status RunPullWorker(UniqueFd control, const RegistryFactory& factory) {
  return Session(std::move(control), factory).Run();
}

}  // namespace berth
