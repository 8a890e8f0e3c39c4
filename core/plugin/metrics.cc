#include "core/plugin/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/status.h"

namespace berth {
namespace {

bool IsName(absl::string_view name) {
  if (name.empty() || name.size() > 64 || !absl::ascii_islower(name[0])) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_'; });
}

void AppendLabel(std::string& out, absl::string_view key, absl::string_view value) {
  absl::StrAppend(&out, out.empty() ? "" : ",", key, "=\"");
  for (const char c : value) {
    if (c == '\n') {
      out += "\\n";
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  out += '"';
}

}  // namespace

absl::Status PluginMetrics::CounterAdd(const std::string& instance, const std::string& name, Labels labels, double by) {
  if (!(by >= 0)) return absl::InvalidArgumentError(absl::StrCat("metric ", name, ": a counter never falls"));
  return Update(Type::kCounter, instance, name, std::move(labels), by);
}

absl::Status PluginMetrics::GaugeSet(const std::string& instance, const std::string& name, Labels labels,
                                     double value) {
  return Update(Type::kGauge, instance, name, std::move(labels), value);
}

absl::Status PluginMetrics::Update(Type type, const std::string& instance, const std::string& name, Labels labels,
                                   double value) {
  if (!IsName(name)) return absl::InvalidArgumentError("a metric's name is not [a-z][a-z0-9_]*");
  std::sort(labels.begin(), labels.end());
  std::string text;
  AppendLabel(text, "instance", instance);
  for (const auto& [key, label] : labels) {
    if (!IsName(key) || key == "instance") {
      return absl::InvalidArgumentError(absl::StrCat("metric ", name, ": a label key is not [a-z][a-z0-9_]*"));
    }
    AppendLabel(text, key, label);
  }
  const std::lock_guard lock(mutex_);
  const auto family = families_.find(name);
  if (family != families_.end() && family->second.type != type) {
    return absl::InvalidArgumentError(absl::StrCat("metric ", name, ": is a counter and a gauge"));
  }
  if (family != families_.end()) {
    if (const auto series = family->second.series.find(text); series != family->second.series.end()) {
      series->second = type == Type::kCounter ? series->second + value : value;
      return absl::OkStatus();
    }
  }
  size_t& count = series_of_[instance];
  if (count == kMaxSeries) {
    return absl::ResourceExhaustedError(absl::StrCat("metric ", name, ": ", instance, " has ", kMaxSeries, " series"));
  }
  ++count;
  families_.try_emplace(name, Family{type, {}}).first->second.series[text] = value;
  return absl::OkStatus();
}

std::string PluginMetrics::Text() const {
  std::string out;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, family] : families_) {
    absl::StrAppend(&out, "# TYPE berth_plugin_", name, family.type == Type::kCounter ? " counter\n" : " gauge\n");
    for (const auto& [labels, value] : family.series) {
      absl::StrAppendFormat(&out, "berth_plugin_%s{%s} %.17g\n", name, labels, value);
    }
  }
  return out;
}

}  // namespace berth
