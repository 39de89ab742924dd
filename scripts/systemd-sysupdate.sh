#!/bin/bash
# Builds systemd-sysupdate, which Debian 12 leaves out, of Debian's source of its systemd, for bench/sysupdate.ts; prints its path.
# Takes minutes. usage: scripts/systemd-sysupdate.sh DIRECTORY
set -euo pipefail
mkdir -p "$1/lists/partial"
directory=$(realpath "$1")
as_root=$([ "$(id -u)" = 0 ] || echo sudo)
sed 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >"$directory/debian.sources"
sources=(-o "Dir::Etc::sourcelist=$directory/debian.sources" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$directory/lists")
{
  $as_root apt-get install -y --no-install-recommends meson ninja-build gperf g++ pkg-config python3-jinja2 \
    libcap-dev libmount-dev libfdisk-dev libblkid-dev libssl-dev
  apt-get "${sources[@]}" update
  cd "$directory"
  apt-get "${sources[@]}" source --download-only systemd
  tar -xf systemd_*.orig.tar.gz
  cd systemd-*/
  # Nothing that it does not need: each of these would want a library of its own.
  mapfile -t others < <(sed -n "s/^option('\([a-z0-9-]*\)', type : 'combo', choices : \['auto', 'true', 'false'\].*/\1/p" meson_options.txt |
    grep -vE '^(fdisk|openssl|blkid|sysupdate)$')
  off=()
  for name in "${others[@]}"; do off+=("-D$name=false"); done
  meson setup build -Dmode=release -Dtests=false -Dman=false -Dhtml=false -Dtranslations=false \
    -Dsysupdate=true -Dopenssl=true -Dfdisk=true -Dblkid=true "${off[@]}"
  ninja -C build systemd-sysupdate
} >&2
realpath "$directory"/systemd-*/build/systemd-sysupdate
