// Metrics that plugins count, as text for Prometheus.
#ifndef BERTH_CORE_PLUGIN_METRICS_H_
#define BERTH_CORE_PLUGIN_METRICS_H_

#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace berth {

// Thread-safe.
class PluginMetrics {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;
  static constexpr size_t kMaxSeries = 1000;  // of one instance: what a faulty plugin can cost

  // `berth_plugin_NAME{instance="...",labels}`. kInvalidArgument for a name or label key that is not [a-z][a-z0-9_]*, a
  // counter that would fall, or a name that is of the other type; kResourceExhausted beyond kMaxSeries.
  absl::Status CounterAdd(const std::string& instance, const std::string& name, Labels labels, double by);
  absl::Status GaugeSet(const std::string& instance, const std::string& name, Labels labels, double value);

  // Text exposition format 0.0.4.
  std::string Text() const;

 private:
  enum class Type { kCounter, kGauge };
  struct Family {
    Type type;
    std::map<std::string, double> series;  // by the text of its labels
  };
  absl::Status Update(Type type, const std::string& instance, const std::string& name, Labels labels, double value);

  mutable std::mutex mutex_;
  std::map<std::string, Family> families_;
  std::map<std::string, size_t> series_of_;  // by instance
};

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_METRICS_H_
