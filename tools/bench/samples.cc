#include "tools/bench/samples.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace berth {

double Samples::Percentile(double share) const {
  std::vector<double> sorted = values_;
  std::sort(sorted.begin(), sorted.end());
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::min(sorted.size(), std::max<size_t>(rank, 1)) - 1];
}

Samples& Results::Sampled(const std::string& row) {
  if (by_row_.count(row) == 0) order_.push_back(row);
  return by_row_[row];
}

const Samples* Results::Find(const std::string& row) const {
  const auto found = by_row_.find(row);
  return found == by_row_.end() ? nullptr : &found->second;
}

std::string Table(const std::vector<Results>& results) {
  std::vector<std::string> rows;
  for (const Results& result : results) {
    for (const std::string& row : result.rows()) {
      if (std::find(rows.begin(), rows.end(), row) == rows.end()) rows.push_back(row);
    }
  }
  std::string table = "| |", line = "|---|";
  for (const Results& result : results) {
    absl::StrAppend(&table, " ", result.runtime(), " p50 | p90 |");
    line += "---:|---:|";
  }
  absl::StrAppend(&table, "\n", line, "\n");
  for (const std::string& row : rows) {
    absl::StrAppend(&table, "| ", row, " |");
    for (const Results& result : results) {
      const Samples* samples = result.Find(row);
      if (samples == nullptr || samples->empty()) {
        table += " - | - |";
      } else {
        absl::StrAppendFormat(&table, " %.1f | %.1f |", samples->Percentile(0.5), samples->Percentile(0.9));
      }
    }
    table += "\n";
  }
  return table;
}

}  // namespace berth
