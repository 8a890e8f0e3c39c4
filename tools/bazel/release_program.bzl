"""A program that is built the same way whatever the rest is built with: optimised, stripped, and never under a sanitizer,
which cannot be linked statically. For what is carried in the binary, and for what tests run inside of containers."""

load("@rules_cc//cc:defs.bzl", "cc_binary")

def _release_impl(_settings, _attr):
    return {
        "//command_line_option:compilation_mode": "opt",
        "//command_line_option:copt": [],
        "//command_line_option:cxxopt": [],
        "//command_line_option:linkopt": [],
        "//command_line_option:strip": "always",
    }

_release = transition(
    implementation = _release_impl,
    inputs = [],
    outputs = [
        "//command_line_option:compilation_mode",
        "//command_line_option:copt",
        "//command_line_option:cxxopt",
        "//command_line_option:linkopt",
        "//command_line_option:strip",
    ],
)

def _impl(ctx):
    program = ctx.attr.program[0][DefaultInfo].files_to_run.executable
    out = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.run_shell(
        inputs = [program],
        outputs = [out],
        command = "strip -s -R .comment -R .note.gnu.property -o '%s' '%s'" % (out.path, program.path),
        mnemonic = "StripProgram",
    )
    return [DefaultInfo(files = depset([out]), executable = out)]

release_program = rule(
    implementation = _impl,
    attrs = {
        "program": attr.label(cfg = _release, mandatory = True, executable = True),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    },
    executable = True,
)

def bare_program(name, srcs, deps):
    """A release_program of a few kilobytes without any library, see //core/base:bare_call."""
    cc_binary(
        name = name + "_unstripped",
        srcs = srcs,
        copts = [
            "-std=c++20",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Os",
            "-ffreestanding",
            "-fno-asynchronous-unwind-tables",
            "-fno-exceptions",
            "-fno-pic",
            "-fno-rtti",
            "-fno-stack-protector",
            "-fno-tree-loop-distribute-patterns",  # no calls of memcpy for loops
            "-U_FORTIFY_SOURCE",
        ],
        features = ["-pic", "-supports_pic"],
        linkopts = ["-static", "-no-pie", "-nostdlib", "-nostartfiles", "-Wl,--build-id=none", "-Wl,--gc-sections"],
        tags = ["manual"],  # only as release_program builds it
        deps = deps,
    )
    release_program(name = name, program = ":" + name + "_unstripped")
