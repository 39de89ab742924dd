#!/bin/bash
# Makes docs/recording.svg, at the top of the README: what the quickstart prints, as it ran now.
. "$(dirname "$0")/setup.sh"
needs sgdisk=gdisk veritysetup=cryptsetup-bin mkfs.erofs=erofs-utils
needs_kernel
build
in_kernel bash scripts/quickstart-run.sh >build/recording.txt 2>&1
node scripts/recording.mjs <build/recording.txt >docs/recording.svg
