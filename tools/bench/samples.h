// Measured values and their percentiles.
#ifndef BERTH_TOOLS_BENCH_SAMPLES_H_
#define BERTH_TOOLS_BENCH_SAMPLES_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace berth {

class Samples {
 public:
  void Add(double value) { values_.push_back(value); }
  bool empty() const { return values_.empty(); }
  // The smallest value that at least `share` of the values do not exceed (nearest rank). Not of an empty set.
  double Percentile(double share) const;

 private:
  std::vector<double> values_;
};

// What was measured of one runtime: by row, in the order of the rows' first appearance.
class Results {
 public:
  explicit Results(std::string runtime) : runtime_(std::move(runtime)) {}
  const std::string& runtime() const { return runtime_; }
  // Many values, reported as p50 and p90.
  Samples& Sampled(const std::string& row);
  // One value.
  void Set(const std::string& row, double value) { Sampled(row).Add(value); }
  const std::vector<std::string>& rows() const { return order_; }
  const Samples* Find(const std::string& row) const;

 private:
  std::string runtime_;
  std::vector<std::string> order_;
  std::map<std::string, Samples> by_row_;
};

// A Markdown table: a row for each that any of the results has, a column pair for each runtime.
std::string Table(const std::vector<Results>& results);

}  // namespace berth

#endif  // BERTH_TOOLS_BENCH_SAMPLES_H_
