// Finds out whether this kernel and this file system carry overlay mounts, before an image is pulled onto them.
#ifndef BERTH_PLUGINS_SNAPSHOT_OVERLAY_PROBE_H_
#define BERTH_PLUGINS_SNAPSHOT_OVERLAY_PROBE_H_

#include <string>

#include "berth/sdk/status.h"

namespace berth::snapshot_overlay {

// Makes an overlay in `directory`, an empty one on the file system in question, and deletes a file in it. The mount is
// attached nowhere (fsopen(2), kernel 5.2), so a crash leaves nothing but files. The error says what is missing: the
// kernel's overlayfs, CAP_SYS_ADMIN, or what the file system below has to do for an upper layer.
sdk::Status ProbeOverlay(const std::string& directory);

// Whether overlayfs takes id-mapped layers here: Linux 5.19. The file system below has to allow id-mapped mounts too,
// which the kernel says when one is made.
bool KernelMapsLayers();

}  // namespace berth::snapshot_overlay

#endif  // BERTH_PLUGINS_SNAPSHOT_OVERLAY_PROBE_H_
