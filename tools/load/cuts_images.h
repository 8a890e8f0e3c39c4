// The images of a node whose power is cut: several layers of many small files,
// whose every byte is known, so that what is on a disk can be compared with
// what ought to be.
#ifndef BERTH_TOOLS_LOAD_CUTS_IMAGES_H_
#define BERTH_TOOLS_LOAD_CUTS_IMAGES_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace berth {

inline constexpr int kCutsImages = 4;

// Of image 0 to kCutsImages - 1.
std::string CutsImage(int number);

// Adds all of them to the layout in `directory`. Neighbours share layers, all
// share the lowest.
absl::Status WriteCutsImages(const std::string& directory);

// The files of the image below /data by their names there, and what is in them.
std::map<std::string, std::string> CutsFiles(int number);

// Compares a rootfs of the image with that, and its /bin/busybox with this
// machine's. kDataLoss says what differs.
absl::Status CheckCutsRootfs(int number, const std::string& rootfs);

}  // namespace berth

#endif  // BERTH_TOOLS_LOAD_CUTS_IMAGES_H_
