#include "plugins/registry_oci/login.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "plugins/registry_oci/text.h"

namespace berth::registry_oci {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Takes both alphabets, with and without padding, as clients write all of them.
std::optional<std::string> Decode(std::string_view text) {
  text = Trimmed(text);
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    if (c == '-') c = '+';
    if (c == '_') c = '/';
    const size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xff);
  }
  return out;
}

// "https://index.docker.io/v1/", "registry.example.org:5000" and the like to the host that references name.
std::string HostOfAddress(std::string_view address) {
  if (const size_t scheme = address.find("://"); scheme != std::string_view::npos) address.remove_prefix(scheme + 3);
  std::string host = Lowered(address.substr(0, address.find('/')));
  if (host == "index.docker.io" || host == "registry-1.docker.io") host = "docker.io";
  return host;
}

// RFC 6750 section 2.1: what may stand behind "Bearer".
bool IsBearerToken(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

std::string Base64(std::string_view bytes) {
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j) bits = bits << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0);
    for (size_t j = 0; j < 4; ++j) out += i + j <= bytes.size() ? kAlphabet[bits >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

sdk::Result<Login> ReadLogin(const sdk::RegistryCredentials& credentials, std::string_view host) {
  if (!credentials.server_address.empty() && HostOfAddress(credentials.server_address) != HostOfAddress(host)) {
    return Login();
  }
  Login login{credentials.username, credentials.password, credentials.identity_token, credentials.registry_token};
  if (!IsBearerToken(login.registry_token)) {
    return sdk::InvalidArgument("the registry_token of the credentials is no bearer token");
  }
  if (login.HasPassword() || credentials.auth.empty()) return login;
  std::optional<std::string> pair = Decode(credentials.auth);
  const size_t colon = pair ? pair->find(':') : std::string::npos;
  if (colon == std::string::npos) {
    return sdk::InvalidArgument("the auth of the credentials is not the base64 form of USER:PASSWORD");
  }
  login.username = pair->substr(0, colon);
  login.password = pair->substr(colon + 1);
  // Old docker clients padded with NUL bytes.
  while (login.password.ends_with('\0')) login.password.pop_back();
  return login;
}

}  // namespace berth::registry_oci
