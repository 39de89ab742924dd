#!/bin/bash
# Debian's cloud kernel with its modules, unpacked once and neither installed nor booted by anything else. Prints the folder:
# boot/vmlinuz-*, lib/modules/*, and vmlinux, which is the same kernel uncompressed.
#   cloud-kernel.sh [META-PACKAGE]: another kernel, without vmlinux
set -euo pipefail
PATH="$PATH:/usr/sbin:/sbin"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/ddi-test-kernel
package=$(apt-cache depends "${1:-linux-image-cloud-amd64}" | sed -n 's/^ *Depends: //p' | head -n 1)
mkdir -p "$cache"
# Tests that run at the same time unpack it once.
exec 9>"$cache/lock"
flock 9
if [ ! -e "$cache/$package/lib" ] || { [ $# -eq 0 ] && [ ! -e "$cache/$package/vmlinux" ]; }; then
  work=$(mktemp -d "$cache/new.XXXXXX")
  (cd "$work" && apt-get download -qq "$package" >&2 && dpkg-deb --extract ./*.deb . && rm -- *.deb)
  # Documentation/x86/boot.rst: where the compressed kernel lies in its file; the last four bytes are its size.
  [ $# -gt 0 ] || python3 - "$work"/boot/vmlinuz-* >"$work/vmlinux.lz4" <<'EXTRACT'
import struct, sys
image = open(sys.argv[1], 'rb').read()
offset, length = struct.unpack_from('<II', image, 0x248)
start = (image[0x1f1] + 1) * 512 + offset
sys.stdout.buffer.write(image[start : start + length - 4])
EXTRACT
  [ $# -gt 0 ] || lz4 -dc "$work/vmlinux.lz4" >"$work/vmlinux" 2>/dev/null || [ -s "$work/vmlinux" ]
  depmod --basedir "$work" "$(ls "$work/lib/modules")"
  rm -rf "${cache:?}/$package"
  mv "$work" "$cache/$package"
fi
echo "$cache/$package"
