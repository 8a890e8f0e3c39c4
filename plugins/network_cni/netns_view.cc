#include "plugins/network_cni/netns_view.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <vector>

#include "berth/sdk/unique_fd.h"

namespace berth::network_cni {
namespace {

using sdk::ErrnoStatus;
using sdk::Result;
using sdk::Status;
using sdk::UniqueFd;

constexpr size_t kMaxMessages = 65536;  // of one answer

// A request: header, the family's own struct, 32-bit attributes.
template <class Body>
class Request {
 public:
  Request(uint16_t type, uint16_t flags, const Body& body) {
    bytes_.resize(NLMSG_LENGTH(sizeof(Body)));
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    memcpy(bytes_.data(), &header, sizeof(header));
    memcpy(bytes_.data() + NLMSG_HDRLEN, &body, sizeof(body));
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }

  Request& Add(uint16_t type, int32_t value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + RTA_SPACE(sizeof(value)));
    const rtattr attribute{RTA_LENGTH(sizeof(value)), type};
    memcpy(bytes_.data() + at, &attribute, sizeof(attribute));
    memcpy(bytes_.data() + at + RTA_LENGTH(0), &value, sizeof(value));
    return *this;
  }

  const std::vector<char>& Bytes() {
    const auto size = static_cast<uint32_t>(bytes_.size());
    memcpy(bytes_.data(), &size, sizeof(size));  // nlmsg_len comes first
    return bytes_;
  }

 private:
  std::vector<char> bytes_;
};

// The value of an attribute of a message whose own struct is `body` bytes long.
std::optional<std::string> Attribute(const nlmsghdr* message, size_t body, uint16_t wanted) {
  if (message->nlmsg_len < NLMSG_LENGTH(body)) return std::nullopt;
  const char* at = reinterpret_cast<const char*>(message) + NLMSG_SPACE(body);
  const char* const end = reinterpret_cast<const char*>(message) + message->nlmsg_len;
  while (at + sizeof(rtattr) <= end) {
    rtattr attribute;
    memcpy(&attribute, at, sizeof(attribute));
    if (attribute.rta_len < sizeof(rtattr) || attribute.rta_len > end - at) break;
    if ((attribute.rta_type & NLA_TYPE_MASK) == wanted) {
      return std::string(at + RTA_LENGTH(0), attribute.rta_len - RTA_LENGTH(0));
    }
    at += RTA_ALIGN(attribute.rta_len);
  }
  return std::nullopt;
}

class RouteSocket {
 public:
  static Result<RouteSocket> Open() {
    UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!fd) return ErrnoStatus("open a netlink socket");
    const int on = 1;
    // Without it the kernel ignores the target namespace of a dump and answers about ours.
    if (setsockopt(fd.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) != 0) {
      return ErrnoStatus("ask netlink for strict checking");
    }
    const timeval patience{5, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return RouteSocket(std::move(fd));
  }

  // Sends, and gives each message of the answer to `take`.
  Status Ask(const std::vector<char>& request, const std::function<void(const nlmsghdr*)>& take) {
    if (send(fd_.get(), request.data(), request.size(), 0) < 0) return ErrnoStatus("send a netlink request");
    std::vector<char> buffer(32768);  // the largest piece of a dump
    for (size_t messages = 0; messages < kMaxMessages;) {
      const ssize_t n = recv(fd_.get(), buffer.data(), buffer.size(), MSG_TRUNC);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return ErrnoStatus("receive a netlink answer");
      if (static_cast<size_t>(n) > buffer.size()) return sdk::Internal("a netlink answer was cut");
      auto left = static_cast<unsigned>(n);
      for (auto* m = reinterpret_cast<const nlmsghdr*>(buffer.data()); NLMSG_OK(m, left);
           m = NLMSG_NEXT(m, left), ++messages) {
        if (m->nlmsg_type == NLMSG_DONE) return {};
        if (m->nlmsg_type == NLMSG_ERROR) {
          int error;
          memcpy(&error, NLMSG_DATA(m), sizeof(error));
          return error == 0 ? Status() : ErrnoStatus(-error, "netlink");
        }
        take(m);
        if ((m->nlmsg_flags & NLM_F_MULTI) == 0) return {};
      }
    }
    return sdk::ResourceExhausted("a netlink answer without end");
  }

 private:
  explicit RouteSocket(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

// The number by which this namespace knows the other one; the kernel drops it together with that one.
Result<int32_t> NamespaceId(RouteSocket& route, int netns_fd) {
  rtgenmsg any{};
  any.rtgen_family = AF_UNSPEC;
  const auto current = [&]() -> Result<int32_t> {
    int32_t id = NETNSA_NSID_NOT_ASSIGNED;
    Request request(RTM_GETNSID, 0, any);
    request.Add(NETNSA_FD, netns_fd);
    BERTH_RETURN_IF_ERROR(route.Ask(request.Bytes(), [&](const nlmsghdr* m) {
      const auto value = Attribute(m, sizeof(rtgenmsg), NETNSA_NSID);
      if (value && value->size() == sizeof(id)) memcpy(&id, value->data(), sizeof(id));
    }));
    return id;
  };
  BERTH_ASSIGN_OR_RETURN(const int32_t known, current());
  if (known >= 0) return known;
  Request request(RTM_NEWNSID, NLM_F_ACK, any);
  request.Add(NETNSA_FD, netns_fd).Add(NETNSA_NSID, -1);
  const Status made = route.Ask(request.Bytes(), [](const nlmsghdr*) {});
  if (!made.ok() && made.sys_errno() != EEXIST) return made;
  BERTH_ASSIGN_OR_RETURN(const int32_t id, current());
  if (id < 0) return sdk::Internal("the kernel gave the network namespace no id");
  return id;
}

std::string AddressText(const std::string& bytes) {
  char text[INET6_ADDRSTRLEN] = "";
  if (bytes.size() == 4) inet_ntop(AF_INET, bytes.data(), text, sizeof(text));
  if (bytes.size() == 16) inet_ntop(AF_INET6, bytes.data(), text, sizeof(text));
  return text;
}

Result<NetnsView> Look(int netns_fd) {
  NetnsView view;
  BERTH_ASSIGN_OR_RETURN(RouteSocket route, RouteSocket::Open());
  BERTH_ASSIGN_OR_RETURN(const int32_t id, NamespaceId(route, netns_fd));
  Request links(RTM_GETLINK, NLM_F_DUMP, ifinfomsg{});
  links.Add(IFLA_TARGET_NETNSID, id);
  BERTH_RETURN_IF_ERROR(route.Ask(links.Bytes(), [&](const nlmsghdr* m) {
    if (const auto name = Attribute(m, sizeof(ifinfomsg), IFLA_IFNAME)) view.interfaces.insert(name->c_str());
  }));
  Request addresses(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{});
  addresses.Add(IFA_TARGET_NETNSID, id);
  BERTH_RETURN_IF_ERROR(route.Ask(addresses.Bytes(), [&](const nlmsghdr* m) {
    // Of a point-to-point link IFA_ADDRESS is the other end.
    auto address = Attribute(m, sizeof(ifaddrmsg), IFA_LOCAL);
    if (!address) address = Attribute(m, sizeof(ifaddrmsg), IFA_ADDRESS);
    if (address) view.addresses.insert(AddressText(*address));
  }));
  return view;
}

}  // namespace

Result<NetnsView> LookIntoNetns(const std::string& path) {
  const UniqueFd netns(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!netns) return sdk::Annotate(ErrnoStatus("open"), "look into network namespace " + path);
  Result<NetnsView> view = Look(netns.get());
  if (view.ok()) return view;
  return sdk::Annotate(view.status(), "look into network namespace " + path);
}

}  // namespace berth::network_cni
