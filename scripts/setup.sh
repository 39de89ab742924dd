# Sourced by the scripts that people run: makes a new Debian machine ready, and does nothing on one that is.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# needs COMMAND=PACKAGE…: installs the packages of the commands, or the files that are named by their path, that are missing
needs() {
  local pair missing=()
  PATH="$PATH:/usr/sbin:/sbin"
  for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || [[ $pair = /* && -e ${pair%%=*} ]] || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "please install: ${missing[*]}" >&2
    exit 1
  fi
  echo "installing: ${missing[*]}" >&2
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# build [--prebuild]: the dependencies as locked, then the package
build() {
  needs g++=g++ make=make python3=python3
  if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --no-audit --no-fund --loglevel=error >&2
  fi
  node scripts/build.mjs "$@"
}

# True if this kernel can do the work; else user-mode-linux does it.
has_device_mapper() {
  [ "$(id -u)" -eq 0 ] && [ -e /dev/mapper/control ] && dmsetup targets 2>/dev/null | grep -q '^verity'
}

needs_kernel() {
  needs dmsetup=dmsetup losetup=mount
  has_device_mapper || needs linux.uml=user-mode-linux modprobe=kmod
}

# in_kernel COMMAND…: in a kernel that has device-mapper
in_kernel() {
  if has_device_mapper; then
    "$@"
  else
    bash test/kernel/run-in-uml.sh "$@"
  fi
}

kernel_name() {
  if has_device_mapper; then
    echo "this machine's own kernel, $(uname -r)"
  else
    echo "user-mode-linux $(dpkg-query -W -f '${Version}' user-mode-linux 2>/dev/null): this machine's kernel has no dm-verity that we may use"
  fi
}
