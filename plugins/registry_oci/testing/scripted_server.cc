#include "plugins/registry_oci/testing/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "plugins/registry_oci/text.h"

namespace berth::registry_oci {
namespace {

// Up to and including `end`; false at the end of the connection.
bool ReadUntil(int fd, const std::string& end, std::string* buffer, std::string* out) {
  for (;;) {
    const size_t at = buffer->find(end);
    if (at != std::string::npos) {
      *out = buffer->substr(0, at + end.size());
      buffer->erase(0, at + end.size());
      return true;
    }
    char chunk[4096];
    const ssize_t n = recv(fd, chunk, sizeof(chunk), 0);
    if (n <= 0) return false;
    buffer->append(chunk, static_cast<size_t>(n));
  }
}

bool ReadBytes(int fd, size_t size, std::string* buffer, std::string* out) {
  while (buffer->size() < size) {
    char chunk[4096];
    const ssize_t n = recv(fd, chunk, sizeof(chunk), 0);
    if (n <= 0) return false;
    buffer->append(chunk, static_cast<size_t>(n));
  }
  *out = buffer->substr(0, size);
  buffer->erase(0, size);
  return true;
}

ServedRequest ParseHead(const std::string& head) {
  ServedRequest request;
  const size_t line_end = head.find("\r\n");
  const std::string line = head.substr(0, line_end);
  const size_t first = line.find(' '), second = line.rfind(' ');
  request.method = line.substr(0, first);
  if (first != std::string::npos && second > first) request.target = line.substr(first + 1, second - first - 1);
  for (size_t at = line_end + 2; at < head.size();) {
    const size_t end = head.find("\r\n", at);
    const std::string field = head.substr(at, end - at);
    if (const size_t colon = field.find(':'); colon != std::string::npos) {
      request.headers[Lowered(field.substr(0, colon))] = std::string(Trimmed(field.substr(colon + 1)));
    }
    at = end + 2;
  }
  return request;
}

// False when the client has closed.
bool SendAll(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = send(fd, data.data(), data.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    data.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

void WaitForClose(int fd) {
  char byte;
  while (recv(fd, &byte, 1, 0) > 0) {
  }
}

}  // namespace

ScriptedServer::ScriptedServer(Handler handler)
    : handler_(std::move(handler)), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener_.get(), raw, size) != 0 || listen(listener_.get(), 64) != 0 ||
      getsockname(listener_.get(), raw, &size) != 0) {
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

ScriptedServer::~ScriptedServer() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
    for (const int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
}

std::vector<ServedRequest> ScriptedServer::requests() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return requests_;
}

int ScriptedServer::Count(const std::string& target) const {
  const std::vector<ServedRequest> all = requests();
  return static_cast<int>(std::count_if(
      all.begin(), all.end(), [&](const ServedRequest& request) { return request.target.starts_with(target); }));
}

void ScriptedServer::Accept() {
  for (int number = 1;; ++number) {
    const int fd = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closing_) {
      close(fd);
      return;
    }
    open_.insert(fd);
    threads_.emplace_back([this, fd, number] { Serve(fd, number); });
  }
}

void ScriptedServer::Serve(int fd, int number) {
  std::string buffer, head;
  char first = 0;
  if (recv(fd, &first, 1, MSG_PEEK) == 1 && first == 0x16) {
    // A TLS handshake: as servers that do not speak it answer.
    SendAll(fd, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    shutdown(fd, SHUT_RDWR);
  }
  while (ReadUntil(fd, "\r\n\r\n", &buffer, &head)) {
    ServedRequest request = ParseHead(head);
    request.connection = number;
    const size_t size = static_cast<size_t>(std::atoll(request.Header("content-length").c_str()));
    if (!ReadBytes(fd, size, &buffer, &request.body)) break;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      requests_.push_back(request);
    }
    const ServedResponse response = handler_(request);
    Send(fd, response, request.method == "HEAD");
    if (response.hang || response.hang_after_body || response.cut_after >= 0 || !response.raw.empty()) break;
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  open_.erase(fd);
  close(fd);
}

void ScriptedServer::Send(int fd, const ServedResponse& response, bool head) {
  if (response.hang) return WaitForClose(fd);
  std::string text = "HTTP/1.1 " + std::to_string(response.status) + " X\r\n";
  for (const auto& [name, value] : response.headers) text += name + ": " + value + "\r\n";
  const int64_t size = response.body_size >= 0 ? response.body_size : static_cast<int64_t>(response.body.size());
  text += "Content-Length: " + std::to_string(size) + "\r\n\r\n";
  if (!response.raw.empty()) text = response.raw;
  const std::string body = head || !response.raw.empty() ? "" : response.body;
  if (response.drip_ms > 0) {
    if (!SendAll(fd, text)) return;
    for (const char c : body) {
      std::this_thread::sleep_for(std::chrono::milliseconds(response.drip_ms));
      if (!SendAll(fd, {&c, 1})) return;
    }
    return;
  }
  text += body;
  if (response.cut_after >= 0) text.resize(std::min(text.size(), static_cast<size_t>(response.cut_after)));
  SendAll(fd, text);
  if (response.hang_after_body) WaitForClose(fd);
}

}  // namespace berth::registry_oci
