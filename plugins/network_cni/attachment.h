// A pod's attachment to one network, in a form that outlives the daemon and the configuration file it came from: DEL
// and CHECK must run with what ADD was run with.
#ifndef BERTH_PLUGINS_NETWORK_CNI_ATTACHMENT_H_
#define BERTH_PLUGINS_NETWORK_CNI_ATTACHMENT_H_

#include <string>
#include <string_view>
#include <vector>

#include "berth/sdk/status.h"
#include "plugins/json/bounded_json.h"
#include "plugins/network_cni/config_list.h"

namespace berth::network_cni {

struct Attachment {
  std::string container_id;  // the pod's
  std::string ifname;
  std::string args;          // CNI_ARGS
  json::Value capabilities;  // what the list's plugins declare, runtime_args.h
  ConfigList list;
  json::Value result;  // of ADD; null: ADD did not end well
  std::string netns;   // a path, "" when it is gone. Not kept: it is another one after each reboot
};

std::string EncodeAttachments(const std::vector<Attachment>& attachments);
sdk::Result<std::vector<Attachment>> DecodeAttachments(std::string_view text, std::string_view what);

// What CNI allows as container id and what is safe as a file's name: [A-Za-z0-9][A-Za-z0-9_.-]{0,127}.
bool IsContainerId(std::string_view id);

}  // namespace berth::network_cni

#endif  // BERTH_PLUGINS_NETWORK_CNI_ATTACHMENT_H_
