#!/bin/bash
# What quickstart.sh shows, in a kernel with device-mapper.
set -euo pipefail
ddi=$PWD/dist/cli/main.js
ddi-attach() { node "$ddi" "$@"; }
show() {
  printf '\n$ %s\n' "$*"
  "$@"
}
work=$(mktemp -d)
cd "$work"
cleanup() {
  mountpoint -q "$work/mounted" && umount "$work/mounted"
  ddi-attach detach os_1.raw >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

# A file system of a real tree, its hash tree, and both in a GPT, with the UUIDs that follow from the root hash.
mkfs.erofs data.erofs /etc/apt >/dev/null
truncate -s %4096 data.erofs
: >data.verity
root_hash=$(veritysetup format data.erofs data.verity | sed -n 's/^Root hash:[[:space:]]*//p')
uuid() { sed -E 's/(.{8})(.{4})(.{4})(.{4})(.{12})/\1-\2-\3-\4-\5/' <<<"$1"; }
truncate -s 16M os_1.raw
case $(uname -m) in
  aarch64) types=(b921b045-1df0-41c3-af44-4c6f280d3fae df3300ce-d69f-4c92-978c-9bfb0f38d820) ;;
  *) types=(4f68bce3-e8cd-4db1-96e7-fbcaf984b709 2c7357ed-ebd2-46d9-aec1-23d437ec2bf5) ;;
esac
sgdisk -n 1:2048:+4M -t "1:${types[0]}" -u "1:$(uuid "${root_hash:0:32}")" -c 1:os_1 \
  -n 2:0:+4M -t "2:${types[1]}" -u "2:$(uuid "${root_hash: -32}")" -c 2:os_1 os_1.raw >/dev/null 2>&1
dd if=data.erofs of=os_1.raw bs=1M seek=1 conv=notrunc status=none
dd if=data.verity of=os_1.raw bs=1M seek=5 conv=notrunc status=none
echo "$root_hash" >os_1.roothash

show ddi-attach inspect os_1.raw
show ddi-attach os_1.raw
mkdir mounted
show mount -o ro /dev/mapper/ddi-os_1-root mounted
show ls mounted
show umount mounted
show ddi-attach detach os_1.raw

printf '\n# one byte of the image is changed\n'
printf '!' | dd of=os_1.raw bs=1 seek=$((1024 * 1024 + 4096 + 100)) conv=notrunc status=none
show ddi-attach os_1.raw
echo 3 >/proc/sys/vm/drop_caches
printf '\n$ cat /dev/mapper/ddi-os_1-root > /dev/null\n'
cat /dev/mapper/ddi-os_1-root >/dev/null || echo "# the kernel refuses the block that was changed"
printf '\n$ ddi-attach verify os_1.raw\n'
ddi-attach verify os_1.raw || echo "# exit status $?: the image is not acceptable"
show ddi-attach detach os_1.raw
