#!/bin/bash
# The main job once through, on a new machine: builds ddi, makes a small verity-protected image out of a real directory
# tree, attaches it, mounts it, lists a file, shows what a flipped byte does, detaches.
. "$(dirname "$0")/setup.sh"
needs sgdisk=gdisk veritysetup=cryptsetup-bin mkfs.erofs=erofs-utils
needs_kernel
build
echo "# kernel: $(kernel_name)"
in_kernel bash scripts/quickstart-run.sh
