#include "core/oci/process.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/base/path.h"
#include "core/base/status.h"
#include "core/oci/apparmor.h"
#include "core/oci/capabilities.h"
#include "core/oci/environment.h"

namespace berth::oci {
namespace {

constexpr char kDefaultPath[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

bool HasNul(const std::string& text) { return text.find('\0') != std::string::npos; }

absl::Status CheckVariable(const runtime::v1::KeyValue& variable) {
  const std::string& key = variable.key();
  if (key.empty() || key.find('=') != std::string::npos || HasNul(key)) {
    return absl::InvalidArgumentError(
        absl::StrCat("envs: \"", absl::CHexEscape(key.substr(0, 128)), "\" is no name of an environment variable"));
  }
  if (HasNul(variable.value()))
    return absl::InvalidArgumentError(absl::StrCat("envs: the value of ", key, " has a NUL"));
  return absl::OkStatus();
}

// CRI lets a value be any bytes, but config.json is JSON and crun and runc take nothing but UTF-8 in it. What is not
// UTF-8 becomes U+FFFD, as under other runtimes: one binary key of a secret must not keep a pod from starting.
std::string AsUtf8(const std::string& value) {
  if (std::none_of(value.begin(), value.end(), [](char c) { return c & 0x80; })) return value;
  const std::string text = nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false).get<std::string>();
}

absl::StatusOr<std::vector<std::string>> EnvironmentOf(const SpecInput& input) {
  Environment environment;
  environment.Set(kDefaultPath);
  if (!input.hostname.empty()) environment.Set("HOSTNAME=" + input.hostname);
  if (input.config.tty()) environment.Set("TERM=xterm");
  for (const std::string& entry : input.image.env) {
    if (!HasNul(entry)) environment.Set(entry);
  }
  for (const runtime::v1::KeyValue& variable : input.config.envs()) {
    RETURN_IF_ERROR(CheckVariable(variable));
    environment.Set(absl::StrCat(variable.key(), "=", AsUtf8(variable.value())));
  }
  return environment.entries();
}

absl::StatusOr<std::string> WorkingDirectory(const SpecInput& input) {
  std::string directory = input.config.working_dir();
  if (directory.empty()) {
    directory = input.image.working_dir;
    // Image builders write it relative to the root now and then.
    if (directory.empty() || directory[0] != '/') directory.insert(0, "/");
  }
  RETURN_IF_ERROR(CheckAbsolutePath(directory, "working_dir"));
  return directory;
}

absl::StatusOr<nlohmann::json> CapabilitiesJson(const SpecInput& input) {
  const auto& security = input.config.linux().security_context();
  ASSIGN_OR_RETURN(const CapabilitySets sets,
                   ResolveCapabilities(security.capabilities(), security.privileged(), input.host.capabilities));
  const std::vector<std::string> names = CapabilityNames(sets.bounding);
  nlohmann::json json = {{"bounding", names}, {"effective", names}, {"permitted", names}};
  if (sets.ambient != 0) {
    json["inheritable"] = CapabilityNames(sets.ambient);
    json["ambient"] = CapabilityNames(sets.ambient);
  }
  return json;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> CommandLine(const runtime::v1::ContainerConfig& config,
                                                     const ContainerDefaults& image) {
  std::vector<std::string> line(config.command().begin(), config.command().end());
  if (line.empty()) line = image.entrypoint;
  if (config.args_size() > 0) {
    line.insert(line.end(), config.args().begin(), config.args().end());
  } else if (config.command_size() == 0) {
    line.insert(line.end(), image.cmd.begin(), image.cmd.end());
  }
  if (line.empty() || line[0].empty()) {
    return absl::InvalidArgumentError("no command specified: neither the container nor its image names one");
  }
  if (std::any_of(line.begin(), line.end(), HasNul)) {
    return absl::InvalidArgumentError("command and args: a string has a NUL");
  }
  return line;
}

nlohmann::json UserJson(const ResolvedUser& user) {
  return {{"uid", user.uid}, {"gid", user.gid}, {"additionalGids", user.additional_gids}};
}

absl::StatusOr<nlohmann::json> ProcessJson(const SpecInput& input) {
  const auto& security = input.config.linux().security_context();
  nlohmann::json process = {{"terminal", input.config.tty()}, {"noNewPrivileges", security.no_new_privs()}};
  ASSIGN_OR_RETURN(process["args"], CommandLine(input.config, input.image));
  ASSIGN_OR_RETURN(process["env"], EnvironmentOf(input));
  ASSIGN_OR_RETURN(process["cwd"], WorkingDirectory(input));
  ASSIGN_OR_RETURN(process["capabilities"], CapabilitiesJson(input));
  ASSIGN_OR_RETURN(const std::string profile, AppArmorProfile(security, input.host.apparmor));
  if (!profile.empty()) process["apparmorProfile"] = profile;
  if (!input.labels.process.empty()) process["selinuxLabel"] = input.labels.process;
  if (input.config.linux().has_resources()) {
    const int64_t wanted = input.config.linux().resources().oom_score_adj();
    if (wanted < -1000 || wanted > 1000) {
      return absl::InvalidArgumentError(absl::StrCat("resources: oom_score_adj is ", wanted));
    }
    process["oomScoreAdj"] = std::max<int64_t>(wanted, input.host.min_oom_score_adj.value_or(-1000));
  }
  return process;
}

}  // namespace berth::oci
