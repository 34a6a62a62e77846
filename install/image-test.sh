#!/usr/bin/env bash
# Builds and tests singularity.def here: with Apptainer (or Singularity) where there is one; else, as root, in a chroot over a base made by
# debootstrap, with the sections of the file run as Apptainer would. Leaves build/image/: the .sif, or `root`; `base` is kept for the next time.
# Called by `make image-test`.   usage: install/image-test.sh [DIR]
set -euo pipefail
cd "$(dirname "$0")/.."
def=$PWD/singularity.def
mkdir -p "${1:-build/image}"
out=$(realpath "${1:-build/image}")
log=$out/log
: >"$log"

step() { # step TEXT COMMAND...: one line with its time; the log's end only where it fails
  local begun=$SECONDS text=$1
  shift
  printf '%s ... ' "$text"
  if ! "$@" >>"$log" 2>&1 </dev/null; then
    printf 'failed\n'
    tail -n 30 "$log"
    echo "image-test: stopped at: $text; whole log: $log" >&2
    exit 1
  fi
  printf '%d s\n' $((SECONDS - begun))
}
section() { sed -n "/^%$1\$/,/^%/{/^%/d;p}" "$def"; }

# What any shell can tell of the file without building it.
lint() {
  local name
  for name in files post environment runscript test labels help; do
    [ -n "$(section "$name")" ] || { echo "no %$name"; return 1; }
  done
  for name in post environment runscript test; do
    section "$name" | sh -n || { echo "in %$name"; return 1; }
    ! command -v shellcheck || section "$name" | shellcheck -s sh -e SC2148 - || { echo "in %$name"; return 1; }
  done
  while read -r source target; do
    [ -z "$source" ] || { [ -e "$source" ] && [ "${target#/}" != "$target" ]; } || { echo "%files: $source $target"; return 1; }
  done < <(section files)
}
step "lint" lint

apptainer=$(command -v apptainer || command -v singularity || true)
if [ -n "$apptainer" ]; then
  fakeroot=()
  [ "$(id -u)" = 0 ] || fakeroot=(--fakeroot)
  step "build, with its test" "$apptainer" build --force "${fakeroot[@]}" "$out/mpicamnet.sif" "$def"
  step "run" "$apptainer" run "$out/mpicamnet.sif" --version
  echo "image: $out/mpicamnet.sif, $(du -h "$out/mpicamnet.sif" | cut -f 1)"
  exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
  echo "image-test: needs Apptainer, or root and debootstrap (apt-get install debootstrap)" >&2
  exit 1
fi

suite=$(sed -n 's/^From: debian:\([a-z]*\)-slim$/\1/p' "$def")
base=$out/base-$suite root=$out/root
# The base uses what this machine uses: its mirror of the same suite, where it has one, and its certificates, proxy and settings of pip.
make_base() {
  local mirror
  mirror=$(apt-cache policy 2>/dev/null | sed -n "s,^ *[0-9-]* \(http[^ ]*\) $suite/main .*,\1,p" | head -n 1)
  rm -rf "$base.new"
  debootstrap --variant=minbase "$suite" "$base.new" ${mirror:+"$mirror"}
  [ -z "$mirror" ] || apt-cache policy | sed -n "s,^ *[0-9-]* \(http[^ ]*\) \(${suite}[^/]*\)/main .*,deb \1 \2 main,p" | sort -u >"$base.new/etc/apt/sources.list"
  apt-config dump Acquire | grep -E '^Acquire::(https?::|Retries|Check-)' | grep -v '""' >"$base.new/etc/apt/apt.conf.d/99-as-outside" || true
  cp -L "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$base.new/etc/outside.crt" || true
  python3 -m pip config list | sed -n "s/^global\.\(index-url\|extra-index-url\|proxy\|trusted-host\)='\(.*\)'$/\1 = \2/p" | grep -v file: |
    cat <(echo "[global]"; [ ! -s "$base.new/etc/outside.crt" ] || echo "cert = /etc/outside.crt") - >"$base.new/etc/pip.conf" || true
  mv "$base.new" "$base"
}
# Processes, mounts and shared memory of what runs in there end with it.
# shellcheck disable=SC2016 # the inner shell expands them
inside() {
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb ${http_proxy:+http_proxy="$http_proxy"} \
    ${https_proxy:+https_proxy="$https_proxy"} unshare --mount --pid --fork --kill-child --ipc --propagation private sh -c '
      r=$1; shift
      mount --rbind /dev "$r/dev" && mount -t proc proc "$r/proc" && mount -t tmpfs tmpfs "$r/dev/shm" && mount --rbind /sys "$r/sys"
      cp -L /etc/resolv.conf /etc/hosts "$r/etc/"
      exec chroot "$r" "$@"' sh "$root" "$@"
}
copy_files() {
  while read -r source target; do
    [ -z "$source" ] || { mkdir -p "$(dirname "$root$target")" && cp -fLr "$source" "$root$target"; }
  done < <(section files)
  mkdir -p "$root/.singularity.d"
  for name in post environment runscript test; do
    { echo '#!/bin/sh'; section "$name"; } >"$root/.singularity.d/$name"
    chmod 755 "$root/.singularity.d/$name"
  done
}
within() { inside sh -c '. /.singularity.d/environment; exec "$@"' sh "$@"; }

[ -d "$base" ] || step "base $suite" make_base
rm -rf "$root"
step "copy of the base" cp -a --reflink=auto "$base" "$root"
step "%files" copy_files
step "%post" inside sh -ex /.singularity.d/post
step "%test" within /.singularity.d/test
step "%runscript --version" within /.singularity.d/runscript --version
echo "image: $root, $(du -sh "$root" | cut -f 1)"
