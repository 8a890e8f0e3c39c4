// A pull worker as a program of its own, with a registry in memory instead of plugins. What it does beside its work is
// chosen by the name of the image:
//   app      an ordinary image of two layers
//   big      one layer of 64 MiB
//   crash    dies in the middle of a layer
//   hang     never answers, and does not hear that it is cancelled
//   confined answers with what /proc says of the process
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/file.h"
#include "core/image/pull_worker.h"
#include "core/image/testing/fakes.h"
#include "core/image/testing/tar_builder.h"

namespace berth {
namespace {

std::string Field(const std::string& text, absl::string_view name) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::StartsWith(line, name)) return std::string(line);
  }
  return "";
}

std::string Facts() {
  const std::string status = ReadFile("/proc/self/status").value_or("");
  const std::string limits = ReadFile("/proc/self/limits").value_or("");
  return absl::StrCat(Field(status, "NoNewPrivs:"), "\n", Field(status, "CapEff:"), "\n", Field(status, "CapBnd:"),
                      "\n", Field(limits, "Max core file size"), "\nOomScoreAdj:\t",
                      ReadFile("/proc/self/oom_score_adj").value_or(""), "Group:\t", getpgrp() == getpid() ? 1 : 0);
}

// "VmHWM: 1234 kB" and "VmRSS: ..." to the file that the test reads.
void NoteMemory(const char* when) {
  const char* path = getenv("TEST_WORKER_NOTES");
  if (path == nullptr) return;
  const std::string status = ReadFile("/proc/self/status").value_or("");
  if (FILE* file = fopen(path, "a"); file != nullptr) {
    fprintf(file, "%s %d %s %s\n", when, getpid(), Field(status, "VmHWM:").c_str(), Field(status, "VmRSS:").c_str());
    fclose(file);
  }
}

void Fill(FakeContent* content) {
  const auto tar = [](const std::string& name) { return TarBuilder().File(name, name).Build(); };
  content->AddImage("docker.io/library/app:latest", {tar("a"), tar("b")});
  content->AddImage("docker.io/library/crash:latest", {tar("crash")});
  const std::string crash = content->LayerDigest(0);
  const std::string block(1 << 20, 'x');
  std::string noise;
  for (int i = 0; i < 64; ++i) noise += block;
  content->AddImage("docker.io/library/big:latest", {TarBuilder().File("big", noise).Build()}, "",
                    [](const std::string& data) { return data; });
  const std::string big = content->LayerDigest(0);
  content->before_piece = [=](const Call&, const std::string& digest, uint64_t offset) {
    if (digest == crash) raise(SIGSEGV);
    if (digest == big && (offset == 0 || offset > 66'000'000)) NoteMemory(offset == 0 ? "begin" : "end");
    return absl::OkStatus();
  };
  content->before_resolve = [](const RegistryRequest& request) -> absl::Status {
    if (absl::StrContains(request.reference, "confined")) return absl::PermissionDeniedError(Facts());
    if (!absl::StrContains(request.reference, "hang")) return absl::OkStatus();
    NoteMemory("hang");
    for (;;) pause();
  };
}

int Main() {
  signal(SIGPIPE, SIG_IGN);
  if (absl::Status status = ConfinePullWorker(); !status.ok()) {
    fprintf(stderr, "%s\n", status.ToString().c_str());
    return 2;
  }
  FakeContent content;
  Fill(&content);
  return RunPullWorker(
             UniqueFd(kWorkerControlFd),
             [&](const RegistryPlugins&, size_t) -> absl::StatusOr<std::shared_ptr<ImageRegistry>> {
               return std::make_shared<FakeRegistry>(&content);
             }).ok()
             ? 0
             : 1;
}

}  // namespace
}  // namespace berth

int main() { return berth::Main(); }
