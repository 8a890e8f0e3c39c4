#include "plugins/registry_oci/registry_host.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>
#include <system_error>

#include "plugins/registry_oci/hosts_toml.h"
#include "plugins/registry_oci/image_reference.h"
#include "plugins/registry_oci/text.h"

namespace berth::registry_oci {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxFile = 1 << 20;
constexpr size_t kMaxFiles = 64;  // certificates in one directory

// NOT_FOUND when there is none.
sdk::Result<std::string> ReadFile(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return sdk::NotFound(path + ": no such file");
  if (status.type() != fs::file_type::regular) return sdk::InvalidArgument(path + ": is no regular file");
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxFile + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) return sdk::PermissionDenied("read " + path + ": cannot be read");
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMaxFile) return sdk::ResourceExhausted(path + ": larger than 1 MiB");
  return text;
}

// "localhost:5000" is looked for as "localhost_5000_", too: not every file system takes colons.
std::vector<std::string> DirectoryNames(const std::string& registry) {
  std::vector<std::string> names;
  const size_t bracket = registry.rfind(']');
  const size_t colon = registry.find(':', bracket == std::string::npos ? 0 : bracket);
  if (colon != std::string::npos) {
    names.push_back(registry.substr(0, colon) + "_" + registry.substr(colon + 1) + "_");
  }
  names.push_back(registry);
  names.emplace_back("_default");
  return names;
}

std::optional<std::string> FindDirectory(const std::vector<std::string>& roots, const std::string& registry) {
  for (const std::string& root : roots) {
    for (const std::string& name : DirectoryNames(registry)) {
      std::error_code error;
      if (fs::is_directory(root + "/" + name, error)) return root + "/" + name;
    }
  }
  return std::nullopt;
}

std::string Upstream(const std::string& registry) {
  return registry == "docker.io" ? "registry-1.docker.io" : registry;
}

sdk::Result<std::string> ReadCertificates(const std::vector<std::string>& paths) {
  std::string pem;
  for (const std::string& path : paths) {
    BERTH_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
    if (text.find("-----BEGIN") == std::string::npos) return sdk::InvalidArgument(path + ": holds no PEM certificate");
    pem += text + "\n";
  }
  return pem;
}

// One server; as many entries as it has client certificates to be tried.
class HostBuilder {
 public:
  HostBuilder(const HostSearch& search, std::string registry, std::string directory)
      : search_(search), registry_(std::move(registry)), directory_(std::move(directory)) {}

  sdk::Status Add(const HostTable& table, const std::string& file, std::vector<RegistryHost>* out) const {
    RegistryHost host;
    const bool named = !table.url.empty();
    std::string url = named ? table.url : "https://" + Upstream(registry_);
    if (named && url.find("://") == std::string::npos) url = "https://" + url;
    sdk::Result<Url> base = ParseUrl(url);
    if (!base.ok()) return sdk::Annotate(base.status(), file);
    host.base = *base;
    if (host.base.host == "docker.io") host.base.host = "registry-1.docker.io";
    host.base.query.clear();
    SetPath(table.override_path, &host.base);
    host.pull = table.pull;
    host.resolve = table.resolve;
    const sdk::Result<Url> upstream = ParseUrl("https://" + Upstream(registry_));
    host.mirror = !upstream.ok() || host.base.Authority() != upstream->Authority();
    host.headers = table.headers;
    host.connect_timeout_ms = table.dial_timeout_ms.value_or(search_.connect_timeout_ms);
    host.tls.skip_verify = table.skip_verify.value_or(false);
    // Only a loopback host that nothing is said about.
    if (!named && IsLoopback(registry_)) {
      const bool tls_wanted = !table.ca.empty() || !table.client.empty() || table.skip_verify.has_value();
      host.http_fallback = true;
      if (!tls_wanted) host.tls.skip_verify = true;
    }
    std::vector<std::string> ca;
    for (const std::string& path : table.ca) ca.push_back(Absolute(path));
    BERTH_ASSIGN_OR_RETURN(host.tls.ca_pem, ReadCertificates(ca));
    if (table.client.empty()) out->push_back(host);
    for (const auto& [certificate, key] : table.client) {
      host.tls.client_cert = Absolute(certificate);
      host.tls.client_key = key.empty() ? host.tls.client_cert : Absolute(key);
      for (const std::string& path : {host.tls.client_cert, host.tls.client_key}) {
        BERTH_RETURN_IF_ERROR(sdk::Annotate(ReadFile(path).status(), file));
      }
      out->push_back(host);
    }
    return {};
  }

 private:
  static void SetPath(bool override_path, Url* base) {
    while (base->path.ends_with('/')) base->path.pop_back();
    if (!override_path && !base->path.ends_with("/v2")) base->path += "/v2";
  }

  std::string Absolute(const std::string& path) const {
    return path.starts_with('/') ? path : (fs::path(directory_) / path).lexically_normal().string();
  }

  const HostSearch& search_;
  const std::string registry_, directory_;
};

// As docker's certs.d: *.crt are trusted, NAME.cert goes with NAME.key.
sdk::Result<HostTable> CertificatesIn(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string extension = it->path().extension().string();
    if (extension == ".crt" || extension == ".cert" || extension == ".key") names.push_back(it->path().filename());
    if (names.size() > kMaxFiles) return sdk::ResourceExhausted(directory + ": more than 64 certificates and keys");
  }
  if (error) return sdk::ErrnoStatus(error.value(), "list " + directory);
  std::sort(names.begin(), names.end());
  HostTable table;
  for (const std::string& name : names) {
    if (name.ends_with(".crt")) table.ca.push_back(name);
    if (!name.ends_with(".cert")) continue;
    const std::string key = name.substr(0, name.size() - 5) + ".key";
    if (!std::binary_search(names.begin(), names.end(), key)) {
      return sdk::InvalidArgument(directory + "/" + name + ": there is no " + key + " beside it");
    }
    table.client.emplace_back(name, key);
  }
  return table;
}

}  // namespace

sdk::Result<std::vector<RegistryHost>> FindHosts(const HostSearch& search, const std::string& registry) {
  std::vector<RegistryHost> hosts;
  const std::optional<std::string> directory = FindDirectory(search.roots, registry);
  const HostBuilder builder(search, registry, directory.value_or(""));
  if (!directory) {
    BERTH_RETURN_IF_ERROR(builder.Add(HostTable(), registry, &hosts));
    return hosts;
  }
  const std::string file = *directory + "/hosts.toml";
  const sdk::Result<std::string> text = ReadFile(file);
  if (!text.ok() && text.status().code() != sdk::Code::kNotFound) return text.status();
  if (!text.ok()) {
    BERTH_ASSIGN_OR_RETURN(const HostTable table, CertificatesIn(*directory));
    BERTH_RETURN_IF_ERROR(builder.Add(table, *directory, &hosts));
    return hosts;
  }
  BERTH_ASSIGN_OR_RETURN(const HostsToml parsed, ParseHostsToml(*text, file));
  for (const std::string& key : parsed.unknown) search.warn(file + ": unknown key " + key);
  for (const HostTable& table : parsed.hosts) BERTH_RETURN_IF_ERROR(builder.Add(table, file, &hosts));
  BERTH_RETURN_IF_ERROR(builder.Add(parsed.server, file, &hosts));
  return hosts;
}

}  // namespace berth::registry_oci
