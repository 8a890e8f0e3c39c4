#include "tools/integration/token_server.h"

#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "tools/integration/registry_server.h"

namespace berth {
namespace {

using Json = nlohmann::json;
using registry_oci::ServedRequest;
using registry_oci::ServedResponse;

constexpr int kHalf = 32;  // bytes of each number of an ES256 signature

std::string Base64Url(const std::string& text) {
  std::string out = absl::WebSafeBase64Escape(text);
  while (!out.empty() && out.back() == '=') out.pop_back();
  return out;
}

// ES256 (RFC 7518 section 3.4): r and s, one after the other.
absl::StatusOr<std::string> Sign(const std::string& key_pem, const std::string& text) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(key_pem.data(), -1), &BIO_free);
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr), &EVP_PKEY_free);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  unsigned char der[256];
  size_t size = sizeof(der);
  if (key == nullptr || EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), der, &size, reinterpret_cast<const unsigned char*>(text.data()), text.size()) !=
          1) {
    return absl::InternalError("sign a token");
  }
  const unsigned char* at = der;
  const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> signature(
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size)), &ECDSA_SIG_free);
  unsigned char raw[2 * kHalf];
  if (signature == nullptr || BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), raw, kHalf) != kHalf ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), raw + kHalf, kHalf) != kHalf) {
    return absl::InternalError("take a signature apart");
  }
  return std::string(reinterpret_cast<const char*>(raw), sizeof(raw));
}

// The fields of a form or query.
std::map<std::string, std::string> Form(absl::string_view text) {
  std::map<std::string, std::string> out;
  for (absl::string_view pair : absl::StrSplit(text, '&')) {
    const std::vector<std::string> parts = absl::StrSplit(pair, absl::MaxSplits('=', 1));
    std::string value;
    for (size_t i = 0; parts.size() == 2 && i < parts[1].size(); ++i) {
      const bool escaped = parts[1][i] == '%' && i + 2 < parts[1].size();
      value += escaped ? absl::HexStringToBytes(parts[1].substr(i + 1, 2)) : parts[1].substr(i, 1);
      if (escaped) i += 2;
    }
    out[parts[0]] = value;
  }
  return out;
}

}  // namespace

absl::StatusOr<std::string> SignPullToken(const std::string& certificates, const std::string& repository) {
  ASSIGN_OR_RETURN(const std::string key, ReadFile(certificates + "/server.key"));
  ASSIGN_OR_RETURN(std::string certificate, ReadFile(certificates + "/server.crt"));
  certificate = absl::StrReplaceAll(
      certificate, {{"-----BEGIN CERTIFICATE-----", ""}, {"-----END CERTIFICATE-----", ""}, {"\n", ""}});
  const Json header = {{"typ", "JWT"}, {"alg", "ES256"}, {"x5c", {certificate}}};
  const time_t now = time(nullptr);
  Json claims = {{"iss", "berth-test"}, {"aud", "berth-test"}, {"sub", kRegistryUser},
                 {"exp", now + 300},    {"nbf", now - 60},     {"iat", now}};
  claims["access"] = Json::array();
  claims["access"].push_back({{"type", "repository"}, {"name", repository}, {"actions", {"pull"}}});
  const std::string text = absl::StrCat(Base64Url(header.dump()), ".", Base64Url(claims.dump()));
  ASSIGN_OR_RETURN(const std::string signature, Sign(key, text));
  return absl::StrCat(text, ".", Base64Url(signature));
}

TokenServer::TokenServer(std::string certificates)
    : certificates_(std::move(certificates)),
      server_(std::make_unique<registry_oci::ScriptedServer>(
          [this](const ServedRequest& request) { return Answer(request); })) {}

ServedResponse TokenServer::Answer(const ServedRequest& request) const {
  const bool post = request.method == "POST";
  const size_t query = request.target.find('?');
  const auto form = Form(post ? request.body : request.target.substr(query == std::string::npos ? 0 : query + 1));
  const auto field = [&](const char* name) {
    const auto it = form.find(name);
    return it == form.end() ? std::string() : it->second;
  };
  const std::string basic = "Basic " + absl::Base64Escape(absl::StrCat(kRegistryUser, ":", kRegistryPassword));
  ServedResponse response;
  if (post ? field("refresh_token") != kIdentityToken : request.Header("authorization") != basic) {
    response.status = 401;
    response.body = R"({"details":"who are you?"})";
    return response;
  }
  // "repository:NAME:pull"
  const std::vector<std::string> scope = absl::StrSplit(field("scope"), ':');
  const auto token = SignPullToken(certificates_, scope.size() == 3 ? scope[1] : "");
  response.status = token.ok() ? 200 : 500;
  response.body = Json{{post ? "access_token" : "token", token.value_or("")}}.dump();
  return response;
}

}  // namespace berth
