#!/bin/bash
# What takes minutes, or comes from elsewhere: layouts of 200 random sets of definitions, new and on disks with partitions, against
# systemd-repart; the definitions of public projects; and what inspect says of the images of other projects' tests, against blkid
# and fdisk (test/corpus says which). Projects are cloned into build/corpus once, or DDI_CORPUS names a folder with OWNER/NAME.
. "$(dirname "$0")/setup.sh"
needs systemd-repart=systemd sfdisk=fdisk sgdisk=gdisk blkid=util-linux git=git xz=xz-utils setpriv=util-linux
build
node dist/test/corpus/definitions.js
node dist/test/corpus/images.js
DDI_SPACE_SETS=200 node --test dist/test/build/space.test.js
