// The names under which an image of a layout is served.
#ifndef BERTH_PLUGINS_REGISTRY_LAYOUT_IMAGE_NAMES_H_
#define BERTH_PLUGINS_REGISTRY_LAYOUT_IMAGE_NAMES_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::registry_layout {

// A reference split into its parts, in the normal form in which the host asks: "docker.io/library/busybox", "1.36".
struct ImageName {
  std::string repository;
  std::string tag;  // "latest" when the text had none

  std::string Full() const { return repository + ":" + tag; }
};

// Reads a full reference or its familiar form ("busybox", "user/app:2", "quay.io/a/b:1@sha256:..."); a digest is
// dropped. Nothing when it is not a reference.
std::optional<ImageName> ParseImageName(std::string_view text);

// "sha256:" and 64 lowercase hex digits.
bool IsSha256(std::string_view digest);

// What an image says about its own name.
struct NameSources {
  std::string ref_name;                // annotation org.opencontainers.image.ref.name
  std::string containerd_name;         // annotation io.containerd.image.name
  std::vector<std::string> repo_tags;  // RepoTags of a docker archive
  bool only_image = false;             // of its layout or archive
};

// The full names, without repeats:
//  1. containerd_name and repo_tags, read as references.
//  2. ref_name with a ':' or '/': read as a reference.
//  3. Any other ref_name is a tag of the repository that `path` spells; unless rule 1 gave a name already. When `path`
//     spells none, ref_name is read as a reference.
//  4. An only image without any of these: `path`, read as a reference.
// `path`: of the layout or archive below the configured directory, without ".tar".
std::vector<std::string> ImageNames(const NameSources& sources, std::string_view path);

}  // namespace berth::registry_layout

#endif  // BERTH_PLUGINS_REGISTRY_LAYOUT_IMAGE_NAMES_H_
