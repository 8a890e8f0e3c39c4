#include "plugins/registry_oci/url.h"

#include <curl/curl.h>

#include <memory>

#include "plugins/registry_oci/text.h"

namespace berth::registry_oci {
namespace {

constexpr size_t kMaxUrl = 16 << 10;

struct CurlUrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using CurlUrl = std::unique_ptr<CURLU, CurlUrlDeleter>;

sdk::Status Malformed(std::string_view text, std::string_view why) {
  return sdk::InvalidArgument("\"" + Printable(text.substr(0, text.find('?'))) + "\": " + std::string(why));
}

std::string Part(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string out(text);
  curl_free(text);
  return out;
}

sdk::Result<Url> Parse(std::string_view base, std::string_view text) {
  if (text.size() > kMaxUrl) return Malformed(text.substr(0, 256), "longer than 16 KiB");
  for (const char c : text) {
    if (c <= ' ' || c == 0x7f) return Malformed(text, "has blanks or control characters in it");
  }
  const CurlUrl url(curl_url());
  if (url == nullptr) return sdk::ResourceExhausted("out of memory");
  if (!base.empty()) curl_url_set(url.get(), CURLUPART_URL, std::string(base).c_str(), 0);
  if (const CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, std::string(text).c_str(), 0); code != CURLUE_OK) {
    return Malformed(text, curl_url_strerror(code));
  }
  Url out;
  out.scheme = Part(url.get(), CURLUPART_SCHEME);
  if (out.scheme != "http" && out.scheme != "https") return Malformed(text, "neither http nor https");
  if (!Part(url.get(), CURLUPART_USER).empty() || !Part(url.get(), CURLUPART_PASSWORD).empty()) {
    return Malformed(out.scheme + "://...", "a user name and password do not belong into a URL");
  }
  out.host = Lowered(Part(url.get(), CURLUPART_HOST));
  out.port = Part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  out.path = Part(url.get(), CURLUPART_PATH);
  out.query = Part(url.get(), CURLUPART_QUERY);
  if (out.host.empty()) return Malformed(text, "names no host");
  return out;
}

}  // namespace

std::string Url::Authority() const {
  const bool usual = port == (scheme == "https" ? "443" : "80");
  return usual ? host : host + ":" + port;
}

std::string Url::Shown() const { return Printable(scheme + "://" + Authority() + path); }

std::string Url::ToString() const { return scheme + "://" + Authority() + path + (query.empty() ? "" : "?" + query); }

sdk::Result<Url> ParseUrl(std::string_view text) { return Parse("", text); }

sdk::Result<Url> ResolveUrl(const Url& base, std::string_view location) { return Parse(base.ToString(), location); }

std::string FormEncoded(const std::vector<std::pair<std::string, std::string>>& fields) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  const auto add = [&out](const std::string& text) {
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
          c == '_' || c == '~') {
        out += c;
      } else {
        out += {'%', kHex[byte >> 4], kHex[byte & 15]};
      }
    }
  };
  for (const auto& [name, value] : fields) {
    if (!out.empty()) out += '&';
    add(name);
    out += '=';
    add(value);
  }
  return out;
}

}  // namespace berth::registry_oci
