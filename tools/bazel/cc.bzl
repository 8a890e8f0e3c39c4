"""The rules our own C++ is built with: warnings are errors, exactly one place to change them."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")

# Debian's archives are not position-independent, so what is linked with them is not either.
_PROGRAM_LINKOPTS = ["-no-pie", "-static-libstdc++", "-static-libgcc"] + select({
    # Functions of equal code become one: what is not there is not in memory.
    "//core/base:release": ["-Wl,--icf=safe"],
    "//conditions:default": [],
})

_WARNINGS = select({
    # Built with clang, whose other warnings nobody keeps away.
    "//tools/bazel:fuzz": ["-w"],
    "//conditions:default": ["-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"],
}) + select({
    # GCC 12 reports std::string's own operator+ when it optimises (GCC bug 105651).
    "//core/base:release": ["-Wno-restrict"],
    "//conditions:default": [],
})

def berth_cc_library(name, copts = [], **kwargs):
    cc_library(name = name, copts = _WARNINGS + copts, linkstatic = True, **kwargs)

def berth_cc_binary(name, copts = [], linkopts = [], **kwargs):
    """A program that needs nothing but glibc at run time."""
    cc_binary(
        name = name,
        copts = _WARNINGS + copts,
        linkopts = _PROGRAM_LINKOPTS + linkopts,
        **kwargs
    )

def berth_cc_test(name, copts = [], deps = [], linkopts = [], tags = [], **kwargs):
    """A GoogleTest program. `size` says how long it may take; tests run as root on the real kernel."""
    cc_test(
        name = name,
        copts = _WARNINGS + copts,
        linkopts = ["-no-pie"] + linkopts,
        deps = deps + ["@gtest"],
        tags = tags + ["local"],
        **kwargs
    )

def berth_plugin(name, copts = [], deps = [], linkopts = [], **kwargs):
    """A plugin: one shared object that exports one symbol and needs only glibc.

    Shared libraries beside glibc come in by a pkg_config_library with `shared`; //plugins:linkage_test says who may.
    """
    cc_binary(
        name = name + ".so",
        copts = _WARNINGS + ["-fvisibility=hidden"] + copts,
        linkshared = True,
        deps = deps + ["//core/plugin/sdk", "//core/plugin/sdk:plugin.lds"],
        linkopts = [
            "-Wl,--version-script=$(location //core/plugin/sdk:plugin.lds)",
            "-Wl,-z,defs",
            "-static-libgcc",
        ] + linkopts + [
            # Bazel's toolchain names -lstdc++ itself, so -static-libstdc++ does nothing: the archive comes first, and
            # the shared object is left out because nothing needs it any more.
            "-l:libstdc++.a",
            "-Wl,--as-needed",
        ],
        **kwargs
    )
