#include "core/oci/selinux_policy.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace berth::oci {
namespace {

// The value of `KEY = "VALUE"` in a file of such lines, as selinux(8) has them; "" if there is none.
std::string ValueOf(absl::string_view text, absl::string_view key) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::pair<absl::string_view, absl::string_view> halves = absl::StrSplit(line, absl::MaxSplits('=', 1));
    if (absl::StripAsciiWhitespace(halves.first) != key) continue;
    absl::string_view value = absl::StripAsciiWhitespace(halves.second);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    return std::string(value);
  }
  return "";
}

std::string OfThePolicy(const std::string& etc) {
  const std::string type = ValueOf(ReadFile(etc + "/config").value_or(""), "SELINUXTYPE");
  return absl::StrCat(etc, "/", type.empty() ? "targeted" : type, "/contexts/lxc_contexts");
}

absl::StatusOr<SelinuxContext> ContextOf(const std::string& text, const std::string& key) {
  auto context = ParseSelinuxContext(ValueOf(text, key));
  if (!context.ok()) return Annotate(context.status(), key);
  return context;
}

}  // namespace

bool SelinuxIsOn(const SelinuxPlaces& places) { return access((places.fs + "/enforce").c_str(), F_OK) == 0; }

absl::StatusOr<std::optional<SelinuxContexts>> ReadSelinuxContexts(const SelinuxPlaces& places) {
  if (!SelinuxIsOn(places)) return std::nullopt;
  std::string path = places.contexts;
  auto text = ReadFile(path);
  if (!text.ok()) {
    path = OfThePolicy(places.etc);
    text = ReadFile(path);
  }
  absl::Status status = text.status();
  if (status.ok()) {
    auto process = ContextOf(*text, "process"), file = ContextOf(*text, "file");
    if (process.ok() && file.ok()) return SelinuxContexts{*std::move(process), *std::move(file)};
    status = Annotate(process.ok() ? file.status() : process.status(), path);
  }
  return absl::FailedPreconditionError(
      absl::StrCat("SELinux: what its policy gives to containers is not known: ", status.message(),
                   "; install the policy of containers (container-selinux) or set [pod] enable_selinux = false"));
}

}  // namespace berth::oci
