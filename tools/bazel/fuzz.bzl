"""A fuzz target: one function that takes any bytes, run over its corpus as a test and by libFuzzer."""

load("//tools/bazel:cc.bzl", "berth_cc_binary", "berth_cc_library", "berth_cc_test")

def berth_fuzz_target(name, deps, srcs = None):
    """`srcs` (NAME_fuzz.cc) defines LLVMFuzzerTestOneInput; the corpus is testdata/fuzz/NAME.

    Makes NAME_fuzz_test, which replays the corpus and some mutations of it, and NAME_fuzzer, libFuzzer's program, which
    needs `--config=fuzz`: tools/fuzz builds and runs it. No two targets have the same name.
    """
    berth_cc_library(
        name = name + "_fuzz",
        testonly = True,
        srcs = srcs or [name + "_fuzz.cc"],
        deps = deps,
        alwayslink = True,
    )
    berth_cc_test(
        name = name + "_fuzz_test",
        size = "small",
        srcs = ["//tools/fuzzing:replay_test.cc"],
        data = ["//testdata/fuzz:" + name],
        local_defines = ['FUZZ_CORPUS=\\"testdata/fuzz/%s\\"' % name],
        deps = [":%s_fuzz" % name, "//core/base:file"],
    )
    berth_cc_binary(
        name = name + "_fuzzer",
        testonly = True,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["fuzzer", "manual"],
        deps = [":%s_fuzz" % name],
    )
