"""System libraries as cc_library targets: flags from pkg-config, archives preferred over shared objects.

Everything but glibc is linked statically: a `-lfoo` for which the distribution ships `libfoo.a` becomes that
archive, put in one linker group because the archives refer to each other. With BERTH_LINK=shared in the
environment the shared objects are used instead: thread sanitizer must see the boundary of code it did not compile.
"""

_GLIBC = ["c", "m", "dl", "pthread", "rt", "resolv"]

# In the compiler's own directory, not among the distribution's archives.
_COMPILER = ["atomic"]

def _pkg_config(ctx, args):
    r = ctx.execute(["pkg-config"] + args)
    if r.return_code != 0:
        fail("%s: pkg-config %s: %s(run tools/setup to install what Berth builds with)" %
             (ctx.name, " ".join(args), r.stderr))
    return [t for t in r.stdout.strip().split(" ") if t]

def _archive_dir(ctx):
    r = ctx.execute(["gcc", "-print-multiarch"])
    if r.return_code != 0:
        fail("%s: gcc -print-multiarch: %s" % (ctx.name, r.stderr))
    return "/usr/lib/" + r.stdout.strip()

def _static_linkopts(ctx, flags):
    archives = _archive_dir(ctx)
    seen, group, rest = {}, [], []
    for flag in flags:
        if flag in seen:
            continue
        seen[flag] = True
        lib = flag[2:] if flag.startswith("-l") else None
        if ctx.attr.only and lib and lib not in ctx.attr.only:
            continue
        if lib in _COMPILER or (lib and lib not in _GLIBC and ctx.path("%s/lib%s.a" % (archives, lib)).exists):
            group.append("-l:lib%s.a" % lib)
        else:
            rest.append(flag)
    if group:
        group = ["-Wl,--start-group"] + group + ["-Wl,--end-group"]
    return group + rest

def _impl(ctx):
    for header in ctx.attr.headers:
        if not ctx.path("/usr/include/" + header).exists:
            fail("%s: /usr/include/%s is missing (run tools/setup)" % (ctx.name, header))
    cflags, linkopts = [], []
    unnamed = ["-l" + lib for lib in ctx.attr.unnamed]
    if ctx.attr.modules:
        cflags = _pkg_config(ctx, ["--cflags"] + ctx.attr.modules)
        if ctx.attr.shared or ctx.os.environ.get("BERTH_LINK", "static") == "shared":
            linkopts = _pkg_config(ctx, ["--libs"] + ctx.attr.modules) + unnamed
        else:
            linkopts = _static_linkopts(ctx, _pkg_config(ctx, ["--libs", "--static"] + ctx.attr.modules) + unnamed)
    defines = [f[2:] for f in cflags if f.startswith("-D") and not f.startswith("-DNOMINMAX")]
    ctx.file("BUILD.bazel", """
cc_library(
    name = "%s",
    defines = %s,
    linkopts = %s,
    visibility = ["//visibility:public"],
)
""" % (ctx.name, repr(defines), repr(linkopts)))

pkg_config_library = repository_rule(
    implementation = _impl,
    local = True,
    environ = ["PATH", "PKG_CONFIG_PATH", "BERTH_LINK"],
    attrs = {
        "modules": attr.string_list(),
        "headers": attr.string_list(),
        # Keep only these of the static libraries: for an archive of which Berth uses a part that needs no other.
        "only": attr.string_list(),
        # Libraries that the modules need and their pkg-config files forget to name.
        "unnamed": attr.string_list(),
        # Link the shared object all the same: for plugins, which are files of their own.
        "shared": attr.bool(),
    },
)
