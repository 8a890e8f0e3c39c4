// What the conformance suites share: a plugin file, a scratch directory, and the host around them.
#ifndef BERTH_CORE_PLUGIN_CONFORMANCE_PLUGIN_UNDER_TEST_H_
#define BERTH_CORE_PLUGIN_CONFORMANCE_PLUGIN_UNDER_TEST_H_

#include <functional>
#include <memory>
#include <string>

#include "core/bus/event_bus.h"
#include "core/config/config_value.h"
#include "core/plugin/plugins.h"
#include "gtest/gtest.h"

namespace berth {

// A new empty directory, removed with all that is in it.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Configuration of an instance that keeps all it has in `directory`, which exists.
using ConfigMaker = std::function<ConfigValue::Table(const std::string& directory)>;

// The module in the file `so` ("plugins/mine/mine.so", as in the test's `data`) with services of its own.
class PluginUnderTest {
 public:
  explicit PluginUnderTest(const std::string& so, SupervisorService* supervisor = nullptr);

  const std::string& name() const { return name_; }
  const std::string& scratch() const { return scratch_.path(); }
  Plugins& plugins() { return *plugins_; }

 private:
  ScratchDirectory scratch_;
  EventBus bus_;
  PluginMetrics metrics_;
  std::string name_;
  std::unique_ptr<Plugins> plugins_;
};

// EXPECTs of the kinds' suites about configuration: a key that the plugin does not know is reported.
void ExpectUnknownKeyReported(PluginUnderTest& plugin, const ConfigMaker& config,
                              const std::function<absl::Status(const ConfigValue::Table&)>& make);

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_CONFORMANCE_PLUGIN_UNDER_TEST_H_
