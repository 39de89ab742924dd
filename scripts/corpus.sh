#!/bin/bash
# What takes minutes, or comes from elsewhere: layouts of 200 random sets of definitions, new and on disks with partitions, against
# systemd-repart; and the definitions of public projects (test/corpus/definitions.ts says where they come from).
. "$(dirname "$0")/setup.sh"
needs systemd-repart=systemd sfdisk=fdisk sgdisk=gdisk git=git
build
node dist/test/corpus/definitions.js
DDI_SPACE_SETS=200 node --test dist/test/build/space.test.js
