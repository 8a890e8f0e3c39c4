#include "plugins/network_cni/plugin_chain.h"

#include "plugins/network_cni/result_version.h"
#include "plugins/network_cni/runtime_args.h"
#include "plugins/network_cni/version.h"

namespace berth::network_cni {
namespace {

using json::Value;
using sdk::Call;
using sdk::Result;
using sdk::Status;

// The plugin's configuration as the specification wants it on standard input.
Value Complete(const ConfigList& list, const Value& plugin) {
  Value config = plugin;
  config["cniVersion"] = list.version;
  config["name"] = list.name;
  config.erase("cniVersions");  // of a .conf, which is a list and a plugin in one
  return config;
}

Invocation Make(const char* command, const Attachment& a, const Value& plugin, const Value& previous) {
  Invocation run{command, a.list.name, Complete(a.list, plugin), a.container_id, a.netns, a.ifname, a.args};
  Value runtime_config = RuntimeConfig(plugin, a.capabilities);
  if (!runtime_config.is_null()) run.config["runtimeConfig"] = std::move(runtime_config);
  run.config.erase("prevResult");
  if (!previous.is_null()) run.config["prevResult"] = previous;
  return run;
}

Status Summary(const std::vector<Status>& errors) {
  if (errors.empty()) return {};
  if (errors.size() == 1) return errors[0];
  return Status(errors[0].code(),
                errors[0].message() + " (and " + std::to_string(errors.size() - 1) + " more plugins failed)");
}

}  // namespace

Status Add(const PluginRunner& runner, const Call& call, Attachment& attachment) {
  Value result;
  for (const Value& plugin : attachment.list.plugins) {
    BERTH_RETURN_IF_ERROR(call.Check());
    const Invocation run = Make("ADD", attachment, plugin, result);
    BERTH_ASSIGN_OR_RETURN(result, runner.Run(call, run));
    const std::string what =
        "CNI plugin " + json::StringMember(plugin, "type") + ": ADD for network " + attachment.list.name;
    if (!result.is_object()) return sdk::Internal(what + " ended well but without a result");
    // A plugin may answer in the version it likes best; the next one, CHECK and DEL get the configuration's.
    Result<Value> converted = ConvertResult(std::move(result), attachment.list.version);
    if (!converted.ok()) return sdk::Internal(what + " answered with " + converted.status().message());
    result = *std::move(converted);
  }
  attachment.result = std::move(result);
  return {};
}

Status Del(const PluginRunner& runner, const Call& call, const Attachment& attachment) {
  const Value previous = AtLeast(attachment.list.version, 0, 4) ? attachment.result : Value();
  std::vector<Status> errors;
  for (auto plugin = attachment.list.plugins.rbegin(); plugin != attachment.list.plugins.rend(); ++plugin) {
    Status done = runner.Run(call, Make("DEL", attachment, *plugin, previous)).status();
    if (!done.ok()) errors.push_back(std::move(done));
  }
  return Summary(errors);
}

Status Check(const PluginRunner& runner, const Call& call, const Attachment& attachment) {
  if (attachment.list.disable_check || !AtLeast(attachment.list.version, 0, 4)) return {};
  if (attachment.result.is_null()) return sdk::FailedPrecondition("no result of ADD to check the network against");
  for (const Value& plugin : attachment.list.plugins) {
    BERTH_RETURN_IF_ERROR(runner.Run(call, Make("CHECK", attachment, plugin, attachment.result)).status());
  }
  return {};
}

Status AskStatus(const PluginRunner& runner, const Call& call, const ConfigList& list) {
  if (!AtLeast(list.version, 1, 1)) return {};
  for (const Value& plugin : list.plugins) {
    BERTH_RETURN_IF_ERROR(runner.Run(call, Invocation{"STATUS", list.name, Complete(list, plugin)}).status());
  }
  return {};
}

Status CollectGarbage(const PluginRunner& runner, const Call& call, const ConfigList& list,
                      const std::vector<std::pair<std::string, std::string>>& valid) {
  if (list.disable_gc || !AtLeast(list.version, 1, 1)) return {};
  Value attachments = Value::array();
  for (const auto& [id, ifname] : valid) attachments.push_back(Value{{"containerID", id}, {"ifname", ifname}});
  std::vector<Status> errors;
  for (const Value& plugin : list.plugins) {
    Invocation run{"GC", list.name, Complete(list, plugin)};
    run.config["cni.dev/valid-attachments"] = attachments;
    run.config["cni.dev/attachments"] = attachments;  // the name in the specification's text before 1.1 was final
    Status done = runner.Run(call, run).status();
    if (!done.ok()) errors.push_back(std::move(done));
  }
  return Summary(errors);
}

}  // namespace berth::network_cni
