#!/bin/bash
# What takes minutes: layouts of 200 random sets of definitions, new and on disks with partitions, against systemd-repart.
. "$(dirname "$0")/setup.sh"
needs systemd-repart=systemd sfdisk=fdisk sgdisk=gdisk
build
DDI_SPACE_SETS=200 node --test dist/test/build/space.test.js
