// Texts as crun 1.8.1 and runc 1.1.5 print them.
#include "plugins/executor_oci/error_text.h"

#include <gtest/gtest.h>

namespace berth::executor_oci {
namespace {

using sdk::Code;

TEST(ErrorText, PlainLinesAreKept) {
  EXPECT_EQ(ErrorText("executable file `nosuch` not found in $PATH: No such file or directory\n"),
            "executable file `nosuch` not found in $PATH: No such file or directory");
  EXPECT_EQ(ErrorText("setns(pid=3930, CLONE_NEWUSER): No such process\nfail startup\n"),
            "setns(pid=3930, CLONE_NEWUSER): No such process; fail startup");
  EXPECT_EQ(ErrorText(""), "");
  EXPECT_EQ(ErrorText("\n \n"), "");
}

TEST(ErrorText, LogfmtGivesTheMessageOfErrors) {
  EXPECT_EQ(ErrorText("time=\"2026-11-21T07:22:48Z\" level=error msg=\"runc create failed: exec: \\\"nosuch\\\": "
                      "executable file not found in $PATH\"\n"),
            "runc create failed: exec: \"nosuch\": executable file not found in $PATH");
  EXPECT_EQ(ErrorText("time=\"x\" level=warning msg=\"Setting back failed\"\ntime=\"x\" level=error msg=denied\n"),
            "denied");
  EXPECT_EQ(ErrorText("time=\"x\" level=warning msg=\"only this\"\n"), "only this");
  EXPECT_EQ(ErrorText("time=\"x\" level=error msg=\"unterminated \\"), "unterminated \\");
}

TEST(ErrorText, JsonGivesTheMessageOfErrors) {
  EXPECT_EQ(ErrorText("{\"msg\":\"one\",\"level\":\"warning\",\"time\":\"\"}\n"
                      "{\"msg\":\"two\",\"level\":\"error\",\"time\":\"\"}\n"
                      "{\"msg\":\"two\",\"level\":\"error\",\"time\":\"\"}\n"),
            "two");
  EXPECT_EQ(ErrorText("{\"msg\": 3}"), "{\"msg\": 3}");
  EXPECT_EQ(ErrorText("{broken"), "{broken");
}

TEST(ErrorText, IsBoundedUtf8InOneLine) {
  EXPECT_EQ(ErrorText("a\xff\x01\xc3(\xed\xa0\x80z"), "a? ?(???z");
  EXPECT_EQ(ErrorText("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
  std::string text(5000, 'x');
  for (int i = 0; i < 400; ++i) text += "\xc3\xbc";
  text += "the cause";
  const std::string cut = ErrorText(text);
  EXPECT_LE(cut.size(), 703u);
  EXPECT_EQ(cut.substr(0, 3), "...");
  EXPECT_EQ(cut.substr(cut.size() - 9), "the cause");
  EXPECT_EQ(static_cast<unsigned char>(cut[3]), 0xc3) << "never half a character";
}

TEST(CodeOfText, UnknownContainers) {
  for (const char* text : {"error opening file `/run/x/c1/status`: No such file or directory",
                           "cannot open directory '/run/x/c1': No such file or directory", "container does not exist",
                           "exec failed: container does not exist", "container `c1` does not exist"}) {
    EXPECT_TRUE(IsUnknownContainer(text, "c1")) << text;
    EXPECT_EQ(CodeOfText("start", text, "c1"), Code::kNotFound) << text;
  }
  EXPECT_FALSE(IsUnknownContainer("error opening file `/nofile`: No such file or directory", "c1"));
  EXPECT_FALSE(IsUnknownContainer("error opening file `/run/x/c12/status`: No such file or directory", "c1"));
}

TEST(CodeOfText, TheProgramInTheContainer) {
  for (const char* text :
       {"executable file `nosuch` not found in $PATH: No such file or directory",
        "runc create failed: unable to start container process: exec: \"nosuch\": executable file not found in $PATH",
        "runc create failed: unable to start container process: exec: \"/bin/x\": stat /bin/x: no such file or "
        "directory"}) {
    EXPECT_EQ(CodeOfText("create", text, "c1"), Code::kNotFound) << text;
    EXPECT_EQ(CodeOfText("exec", text, "c1"), Code::kNotFound) << text;
  }
  EXPECT_EQ(CodeOfText("create", "open executable: Operation not permitted", "c1"), Code::kPermissionDenied);
  EXPECT_EQ(CodeOfText("create", "runc create failed: exec: \"/proc\": permission denied", "c1"),
            Code::kPermissionDenied);
}

TEST(CodeOfText, States) {
  for (const char* text :
       {"the container `c1` is paused", "container `c1` is not running", "cannot start an already running container",
        "cannot start a container that has stopped", "exec failed: cannot exec in a stopped container",
        "exec failed: cannot exec in a paused container (use --ignore-paused to override)", "container not paused",
        "the container `c1` is not in `created` or `stopped` state", "unknown version specified",
        "cannot open `/run/x/c1/exec.fifo`: No such file or directory",
        "writing file `memory.limit_in_bytes`: Device or resource busy"}) {
    EXPECT_EQ(CodeOfText("start", text, "c1"), Code::kFailedPrecondition) << text;
  }
  EXPECT_EQ(CodeOfText("create", "container `c1` already exists", "c1"), Code::kAlreadyExists);
  EXPECT_EQ(CodeOfText("create", "runc create failed: container with given ID already exists", "c1"),
            Code::kAlreadyExists);
}

TEST(CodeOfText, TheRest) {
  EXPECT_EQ(CodeOfText("update", "writing file `cpu.cfs_quota_us`: Invalid argument", "c1"), Code::kInvalidArgument);
  EXPECT_EQ(CodeOfText("create", "mkdir `/x`: No space left on device", "c1"), Code::kResourceExhausted);
  EXPECT_EQ(CodeOfText("create", "something new", "c1"), Code::kInternal);
}

}  // namespace
}  // namespace berth::executor_oci
