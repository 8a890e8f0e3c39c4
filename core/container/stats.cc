// What a container uses, in CRI's messages.
#include <optional>

#include "core/base/clock.h"
#include "core/container/containers.h"
#include "core/stats/cgroup_stats.h"

namespace berth {
namespace {

void Fill(const PressureLine& line, runtime::v1::PsiData* out) {
  out->set_total(line.total_ns);
  out->set_avg10(line.avg10);
  out->set_avg60(line.avg60);
  out->set_avg300(line.avg300);
}

void Fill(const Pressure& pressure, runtime::v1::PsiStats* out) {
  Fill(pressure.some, out->mutable_some());
  Fill(pressure.full, out->mutable_full());
}

void Fill(const MemoryStats& memory, runtime::v1::MemoryUsage* out) {
  out->mutable_working_set_bytes()->set_value(memory.working_set_bytes);
  out->mutable_available_bytes()->set_value(memory.available_bytes);
  out->mutable_usage_bytes()->set_value(memory.usage_bytes);
  out->mutable_rss_bytes()->set_value(memory.rss_bytes);
  out->mutable_page_faults()->set_value(memory.page_faults);
  out->mutable_major_page_faults()->set_value(memory.major_page_faults);
}

void Fill(const CgroupStats& stats, CpuRate& rate, runtime::v1::ContainerStats* out) {
  if (stats.cpu_ns) {
    out->mutable_cpu()->set_timestamp(stats.at_unix_ns);
    out->mutable_cpu()->mutable_usage_core_nano_seconds()->set_value(*stats.cpu_ns);
    if (const std::optional<uint64_t> cores = rate.Add(MonotonicNanos(), *stats.cpu_ns); cores) {
      out->mutable_cpu()->mutable_usage_nano_cores()->set_value(*cores);
    }
    if (stats.cpu_pressure) Fill(*stats.cpu_pressure, out->mutable_cpu()->mutable_psi());
  }
  if (stats.memory) {
    out->mutable_memory()->set_timestamp(stats.at_unix_ns);
    Fill(*stats.memory, out->mutable_memory());
    if (stats.memory_pressure) Fill(*stats.memory_pressure, out->mutable_memory()->mutable_psi());
  }
  if (stats.swap) {
    out->mutable_swap()->set_timestamp(stats.at_unix_ns);
    out->mutable_swap()->mutable_swap_usage_bytes()->set_value(stats.swap->usage_bytes);
    out->mutable_swap()->mutable_swap_available_bytes()->set_value(stats.swap->available_bytes);
  }
  if (stats.io_pressure) {
    out->mutable_io()->set_timestamp(stats.at_unix_ns);
    Fill(*stats.io_pressure, out->mutable_io()->mutable_psi());
  }
}

}  // namespace

void Containers::ReadStats(Container& container, runtime::v1::ContainerStats* out) const {
  const std::shared_ptr<const ContainerView> view = container.view();
  const state::v1::Container& record = view->record;
  runtime::v1::ContainerAttributes* attributes = out->mutable_attributes();
  attributes->set_id(record.id());
  *attributes->mutable_metadata() = view->config->metadata();
  *attributes->mutable_labels() = view->config->labels();
  *attributes->mutable_annotations() = view->config->annotations();
  // The group of one that has ended stays for a moment, with nobody in it.
  const bool alive = record.state() == state::v1::Container::CREATED || record.state() == state::v1::Container::RUNNING;
  if (alive && !record.cgroup_path().empty()) {
    Fill(ReadCgroupStats(*env_.cgroups, record.cgroup_path()), container.cpu_rate(), out);
  }
  const Handler* handler = container.pod()->handler();
  if (handler == nullptr || record.snapshot_key().empty()) return;
  const std::optional<MeasuredUsage> written =
      container.disk_usage().Get([&] { return handler->snapshotter->Usage(ExecutorCall(), record.snapshot_key()); });
  if (!written) return;
  runtime::v1::FilesystemUsage* layer = out->mutable_writable_layer();
  layer->set_timestamp(written->at_unix_ns);
  layer->mutable_fs_id()->set_mountpoint(handler->snapshotter->root());
  layer->mutable_used_bytes()->set_value(written->usage.bytes);
  layer->mutable_inodes_used()->set_value(written->usage.inodes);
}

}  // namespace berth
