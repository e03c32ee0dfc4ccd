#!/bin/sh
# Runs a command in a Debian of its own that lies in ROOT, with the repository at /frazil and what is built at
# /frazil-target. The mounts are in a namespace of the command's own: they are gone when it ends, however it ends, and
# nobody else ever sees them.
set -e
[ "$#" -gt 4 ] || { echo "usage: $0 ROOT REPOSITORY TARGET FOLDER COMMAND [ARGUMENT...]" >&2; exit 2; }
exec unshare --mount --pid --fork --kill-child sh -ec '
  root=$1 repository=$2 target=$3 folder=$4
  shift 4
  mkdir -p "$root/frazil" "$root/frazil-target"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount --bind "$repository" "$root/frazil"
  mount --bind "$target" "$root/frazil-target"
  export HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  unset TMPDIR
  exec chroot "$root" sh -ec "cd \"\$1\"; shift; exec \"\$@\"" sh "/frazil/$folder" "$@"
' sh "$@"
