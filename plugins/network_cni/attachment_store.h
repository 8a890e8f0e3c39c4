// Attachments on disk from before the first ADD until the last DEL, one file per pod: what was begun is known after any
// crash, even if nobody received Setup's answer.
#ifndef BERTH_PLUGINS_NETWORK_CNI_ATTACHMENT_STORE_H_
#define BERTH_PLUGINS_NETWORK_CNI_ATTACHMENT_STORE_H_

#include <string>
#include <vector>

#include "berth/sdk/status.h"
#include "plugins/network_cni/attachment.h"

namespace berth::network_cni {

// Each Save adds a line to the pod's file, and the last one that is whole counts.
//
// Any thread, as long as no two work on one pod. Not synced to the disk: a power cut may lose the last writes.
class AttachmentStore {
 public:
  explicit AttachmentStore(std::string dir) : dir_(std::move(dir)) {}

  sdk::Status Save(const std::string& pod_id, const std::vector<Attachment>& attachments) const;
  // kNotFound: nothing was begun for this pod. kDataLoss, kInvalidArgument: something was, and the file is damaged.
  sdk::Result<std::vector<Attachment>> Load(const std::string& pod_id) const;
  sdk::Status Remove(const std::string& pod_id) const;
  // The pods there are files for.
  sdk::Result<std::vector<std::string>> PodIds() const;

 private:
  std::string PathOf(const std::string& pod_id) const { return dir_ + "/" + pod_id + ".json"; }

  const std::string dir_;
};

}  // namespace berth::network_cni

#endif  // BERTH_PLUGINS_NETWORK_CNI_ATTACHMENT_STORE_H_
