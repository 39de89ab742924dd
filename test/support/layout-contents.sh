#!/bin/bash
# Makes what the partitions of public images hold, each by its own tool, in a kernel that can mount it: layout-contents.sh DIRECTORY
set -euo pipefail
cd "$1"

mkdir -p os/{etc,usr/lib,home,boot,efi,var/tmp} boot.d/loader oem.d/bin at
echo ID=layout >os/usr/lib/os-release
echo box >os/etc/hostname
head -c 1M /dev/urandom >os/usr/lib/large
# What a first boot makes: the system itself is in /usr.
cp -a os state
rm -r state/usr/lib

ext4() { # FILE LABEL TREE
  mkfs.ext4 -q -L "$2" -d "$3" "$1"
}

erofs() { # FILE TREE: whole blocks
  mkfs.erofs "$1" "$2" >/dev/null
  truncate --size=%4096 "$1"
}

btrfs_of() { # FILE COMMAND: in its top directory
  mkfs.btrfs --quiet --mixed "$1"
  mount "$1" at
  (cd at && "${@:2}" >/dev/null)
  umount at
}

locked() { # FILE COMMAND: of an open LUKS volume, /dev/mapper/to-fill
  cryptsetup luksFormat --batch-mode --type=luks2 --pbkdf=pbkdf2 --pbkdf-force-iterations=1000 --luks2-metadata-size=16k \
    --luks2-keyslots-size=512k "$1" passphrase
  cryptsetup open --key-file=passphrase "$1" to-fill
  "${@:2}" >/dev/null
  cryptsetup close to-fill
}

tree() { cp -a "../$1/." .; }

fedora() {
  btrfs subvolume create root
  btrfs subvolume create home
  btrfs subvolume create var
  cp -a ../os/. root
}

opensuse() {
  btrfs subvolume create @
  mkdir -p @/.snapshots/1
  btrfs subvolume create @/home
  btrfs subvolume create @/.snapshots/1/snapshot
  cp -a ../os/. @/.snapshots/1/snapshot
  btrfs subvolume set-default @/.snapshots/1/snapshot
}

first_boot() {
  btrfs subvolume create var
  tree state
}

flatcar_usr() {
  btrfs property set . compression zstd
  tree os/usr
}

printf secret >passphrase
truncate --size=2M esp esp-4096 locked-swap
truncate --size=4M boot
truncate --size=8M tree writable locked-ext4
truncate --size=18M oem flatcar-usr
truncate --size=24M arch fedora opensuse first-boot home
truncate --size=28M locked-root

mkfs.vfat -n UEFI esp >/dev/null
mmd -i esp ::/EFI
mkfs.vfat -S 4096 -n UEFI esp-4096 >/dev/null
mmd -i esp-4096 ::/EFI
erofs usr os/usr
erofs whole os
ext4 tree cloudimg-rootfs os
ext4 writable ROOT state
ext4 boot BOOT boot.d
btrfs_of arch tree os
btrfs_of fedora fedora
btrfs_of opensuse opensuse
btrfs_of oem tree oem.d
btrfs_of flatcar-usr flatcar_usr
btrfs_of first-boot tree state
btrfs_of home mkdir user
locked locked-root btrfs_of /dev/mapper/to-fill first_boot
locked locked-ext4 ext4 /dev/mapper/to-fill root state
locked locked-swap mkswap /dev/mapper/to-fill
# Flatcar: the tree is behind what it covers, with a superblock, and the root hash in the kernel.
veritysetup format --hash-offset=$(stat --format=%s flatcar-usr) flatcar-usr flatcar-usr | sed -n 's/^Root hash:\s*//p' >flatcar-usr.roothash
