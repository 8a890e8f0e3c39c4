"""C++ from .proto files with the distribution's protoc: no toolchain, nothing downloaded.

Sources include what is made by its path from the root: `proto/cri/v1/api.pb.h`, `proto/cri/v1/api.grpc.pb.h`.
"""

load("@rules_cc//cc:defs.bzl", "cc_library")

_PROTOC = "/usr/bin/protoc"
_GRPC_PLUGIN = "/usr/bin/grpc_cpp_plugin"

# Generated code is not ours to keep free of warnings.
_COPTS = ["-w"]

def berth_proto_library(name, src, grpc = False, deps = [], protos = [], **kwargs):
    """A cc_library of one .proto file's messages and, with `grpc`, of its services.

    Args:
      name: the library.
      src: the .proto file, in this package.
      grpc: also generate the client stubs and server interfaces of its services.
      deps: other berth_proto_library targets it imports from.
      protos: the .proto files of those, as labels, so that protoc may read them.
      **kwargs: visibility and the like.
    """
    stem = src[:-len(".proto")]
    headers, sources = [stem + ".pb.h"], [stem + ".pb.cc"]
    cmd = _PROTOC + " --proto_path=. --cpp_out=$(GENDIR)"
    if grpc:
        headers.append(stem + ".grpc.pb.h")
        sources.append(stem + ".grpc.pb.cc")
        cmd += " --plugin=protoc-gen-grpc=" + _GRPC_PLUGIN + " --grpc_out=$(GENDIR)"
    native.genrule(
        name = name + "_cpp",
        srcs = [src] + protos,
        outs = headers + sources,
        cmd = cmd + " $(location " + src + ")",
        message = "Generating C++ from " + src,
        visibility = ["//visibility:private"],
    )
    cc_library(
        name = name,
        srcs = sources,
        hdrs = headers,
        copts = _COPTS,
        linkstatic = True,
        deps = deps + (["@grpcpp"] if grpc else ["@protobuf"]),
        **kwargs
    )
