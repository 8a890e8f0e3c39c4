# Sourced by the scripts in tools/: where Bazel keeps its things when there is no home directory, as in some CI runners.
if [[ -z ${HOME-} || ! -w ${HOME-} ]]; then
  export HOME=/var/tmp/berth-build
  mkdir -p "$HOME"
fi
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
