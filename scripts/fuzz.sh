#!/bin/bash
# Gives hostile bytes to every parser: npm run fuzz -- [--seconds N] [--target NAME]… (test/fuzz/fuzz.ts has them all)
. "$(dirname "$0")/setup.sh"
needs mkfs.erofs=erofs-utils mksquashfs=squashfs-tools mkfs.ext4=e2fsprogs xz=xz-utils zstd=zstd lz4=lz4 qemu-img=qemu-utils bzip2=bzip2
build --sanitize
exec node dist/test/fuzz/fuzz.js "$@"
