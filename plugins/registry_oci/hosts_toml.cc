#include "plugins/registry_oci/hosts_toml.h"

#include <algorithm>
#include <exception>
#include <map>
#include <set>
#include <sstream>
#include <toml.hpp>

#include "plugins/registry_oci/text.h"

namespace berth::registry_oci {
namespace {

constexpr size_t kMaxFile = 256 << 10, kMaxHosts = 64;
constexpr int kMaxNesting = 16;
constexpr double kDayMs = 86'400'000;

// toml11 descends once per bracket and per dot of a key: a file of these would exhaust the stack.
bool NestsTooDeep(std::string_view text) {
  int depth = 0, dots = 0;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      quote = 0;
      dots = 0;
    } else if (quote != 0) {
      if (c == '\\' && quote == '"') ++i;
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '#') {
      while (i + 1 < text.size() && text[i + 1] != '\n') ++i;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxNesting) return true;
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    } else if (c == '.' && ++dots > 1000) {
      return true;
    }
  }
  return false;
}

// RFC 3629: no overlong forms, no surrogates. toml11 3.7 reads beyond its buffer to report a string that is not.
bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto byte = [&](size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0; };
    const unsigned lead = byte(i);
    const size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (size == 0) return false;
    for (size_t k = 1; k < size; ++k) {
      if ((byte(i + k) & 0xc0) != 0x80) return false;
    }
    const unsigned second = byte(i + 1);
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f)) return false;
    if ((lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) return false;
    i += size;
  }
  return true;
}

// Thrown and caught in this file, as toml11 throws anyway.
struct Fault : std::exception {
  Fault(const toml::value& at, std::string text) : line(at.location().line()), message(std::move(text)) {}
  const char* what() const noexcept override { return message.c_str(); }
  size_t line;
  std::string message;
};

// Visible bytes, blanks and what is beyond ASCII: a line break would begin another header field.
bool IsHeaderText(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (static_cast<unsigned char>(c) >= ' ' && c != 0x7f) || c == '\t'; });
}

bool IsHeaderName(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

class TableReader {
 public:
  TableReader(const toml::value& table, std::string path, std::vector<std::string>* unknown)
      : table_(table), path_(std::move(path)), unknown_(unknown) {
    if (!table.is_table()) throw Fault(table, path_ + ": expected a table");
  }

  const toml::value* Take(const std::string& key) {
    taken_.insert(key);
    const auto found = table_.as_table().find(key);
    return found == table_.as_table().end() ? nullptr : &found->second;
  }
  std::string Name(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }

  std::string Text(const toml::value& value, const std::string& key) const {
    if (!value.is_string()) throw Fault(value, Name(key) + ": expected a string");
    std::string text = value.as_string().str;
    if (text.find('\0') != std::string::npos) throw Fault(value, Name(key) + ": has a NUL byte in it");
    return text;
  }
  std::optional<bool> Bool(const std::string& key) {
    const toml::value* value = Take(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_boolean()) throw Fault(*value, Name(key) + ": expected true or false");
    return value->as_boolean();
  }
  // A string, or an array of them.
  std::vector<std::string> Texts(const std::string& key) {
    const toml::value* value = Take(key);
    if (value == nullptr) return {};
    return TextsOf(*value, key);
  }
  std::vector<std::string> TextsOf(const toml::value& value, const std::string& key) const {
    if (value.is_string()) return {Text(value, key)};
    if (!value.is_array()) throw Fault(value, Name(key) + ": expected a string or an array of strings");
    std::vector<std::string> out;
    for (const toml::value& item : value.as_array()) out.push_back(Text(item, key));
    return out;
  }
  void ReportUnknown() {
    for (const auto& [key, value] : table_.as_table()) {
      if (taken_.count(key) != 0) continue;
      unknown_->push_back(Printable(Name(key)) + " (line " + std::to_string(value.location().line()) + ")");
    }
  }

 private:
  const toml::value& table_;
  const std::string path_;
  std::vector<std::string>* const unknown_;
  std::set<std::string> taken_;
};

void ReadCapabilities(TableReader& in, HostTable* out) {
  const toml::value* value = in.Take("capabilities");
  if (value == nullptr) return;
  const std::vector<std::string> names = in.TextsOf(*value, "capabilities");
  out->pull = out->resolve = false;
  for (const std::string& name : names) {
    if (name == "pull") {
      out->pull = true;
    } else if (name == "resolve") {
      out->resolve = true;
    } else if (name != "push") {
      throw Fault(*value, in.Name("capabilities") + ": \"" + Printable(name) + "\" is none of pull, resolve, push");
    }
  }
}

// "both.pem", ["both.pem", ["one.cert", "one.key"]].
void ReadClient(TableReader& in, HostTable* out) {
  const toml::value* value = in.Take("client");
  if (value == nullptr) return;
  if (value->is_string()) {
    out->client.emplace_back(in.Text(*value, "client"), "");
    return;
  }
  if (!value->is_array()) throw Fault(*value, in.Name("client") + ": expected a string or an array");
  for (const toml::value& item : value->as_array()) {
    const std::vector<std::string> pair = in.TextsOf(item, "client");
    if (pair.empty() || pair.size() > 2) {
      throw Fault(item, in.Name("client") + ": expected a certificate, or a certificate and a key");
    }
    out->client.emplace_back(pair[0], pair.size() == 2 ? pair[1] : "");
  }
}

void ReadHeaders(TableReader& in, HostTable* out) {
  const toml::value* value = in.Take("header");
  if (value == nullptr) return;
  if (!value->is_table()) throw Fault(*value, in.Name("header") + ": expected a table");
  const std::map<std::string, toml::value> sorted(value->as_table().begin(), value->as_table().end());
  for (const auto& [name, values] : sorted) {
    const std::string key = "header." + Printable(name);
    if (!IsHeaderName(name)) throw Fault(values, in.Name(key) + ": is no name of a header field");
    for (std::string& text : in.TextsOf(values, key)) {
      if (!IsHeaderText(text)) throw Fault(values, in.Name(key) + ": has control characters in it");
      out->headers.emplace_back(name, std::move(text));
    }
  }
}

void ReadHost(TableReader& in, HostTable* out) {
  ReadCapabilities(in, out);
  out->ca = in.Texts("ca");
  ReadClient(in, out);
  out->skip_verify = in.Bool("skip_verify");
  ReadHeaders(in, out);
  out->override_path = in.Bool("override_path").value_or(false);
  if (const toml::value* value = in.Take("dial_timeout"); value != nullptr) {
    out->dial_timeout_ms = ParseDurationMs(in.Text(*value, "dial_timeout"));
    if (!out->dial_timeout_ms || *out->dial_timeout_ms == 0) {
      throw Fault(*value, in.Name("dial_timeout") + ": expected a duration such as \"10s\" or \"1m30s\"");
    }
  }
}

HostsToml ReadFile(const toml::value& root) {
  HostsToml out;
  TableReader top(root, "", &out.unknown);
  if (const toml::value* server = top.Take("server"); server != nullptr) out.server.url = top.Text(*server, "server");
  ReadHost(top, &out.server);
  if (const toml::value* hosts = top.Take("host"); hosts != nullptr) {
    if (!hosts->is_table()) throw Fault(*hosts, "host: expected tables [host.\"URL\"]");
    if (hosts->as_table().size() > kMaxHosts) throw Fault(*hosts, "host: more than 64 hosts");
    // toml11 keeps tables unordered; where each begins gives the file's order back.
    std::map<std::pair<size_t, size_t>, HostTable> ordered;
    for (const auto& [url, value] : hosts->as_table()) {
      TableReader table(value, "host.\"" + Printable(url) + "\"", &out.unknown);
      HostTable host;
      host.url = url;
      if (url.empty()) throw Fault(value, "host: a host without a URL");
      ReadHost(table, &host);
      table.ReportUnknown();
      ordered.emplace(std::pair(value.location().line(), value.location().column()), std::move(host));
    }
    for (auto& [place, host] : ordered) out.hosts.push_back(std::move(host));
  }
  top.ReportUnknown();
  std::sort(out.unknown.begin(), out.unknown.end());
  return out;
}

}  // namespace

std::optional<int64_t> ParseDurationMs(std::string_view text) {
  static const std::map<std::string_view, double> kUnits = {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
  double total = 0;
  if (text.empty() || text.size() > 64) return std::nullopt;
  while (!text.empty()) {
    const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
    const std::string_view number = text.substr(0, digits);
    text.remove_prefix(digits);
    const size_t letters = std::min(text.find_first_of("0123456789."), text.size());
    const auto unit = kUnits.find(text.substr(0, letters));
    text.remove_prefix(letters);
    if (number.empty() || number == "." || unit == kUnits.end()) return std::nullopt;
    if (std::count(number.begin(), number.end(), '.') > 1) return std::nullopt;
    std::istringstream stream{std::string(number)};
    stream.imbue(std::locale::classic());
    double value = 0;
    if (!(stream >> value)) return std::nullopt;
    total += value * unit->second;
    if (total > kDayMs) return std::nullopt;
  }
  return static_cast<int64_t>(total);
}

sdk::Result<HostsToml> ParseHostsToml(std::string_view text, const std::string& file) {
  if (text.size() > kMaxFile) return sdk::ResourceExhausted(file + ": larger than 256 KiB");
  if (!IsUtf8(text)) return sdk::InvalidArgument(file + ": not UTF-8");
  if (NestsTooDeep(text)) return sdk::InvalidArgument(file + ": nests too deep");
  try {
    std::istringstream stream{std::string(text)};
    return ReadFile(toml::parse(stream, file));
  } catch (const Fault& fault) {
    return sdk::InvalidArgument(file + ":" + std::to_string(fault.line) + ": " + fault.message);
  } catch (const toml::exception& e) {
    // Its text quotes the source, where headers have secrets.
    return sdk::InvalidArgument(file + ":" + std::to_string(e.location().line()) + ": not TOML");
  } catch (const std::exception&) {
    return sdk::InvalidArgument(file + ": not TOML");
  }
}

}  // namespace berth::registry_oci
