#!/bin/bash
# A machine boots Debian from one URL, on a new machine that has nothing: builds ddi, a Debian tree, an image of it that is signed,
# and a UKI that trusts the signer; serves both, and switches on an emulated PC whose firmware knows nothing but DHCP. Prints its
# console until it says `login:`.
. "$(dirname "$0")/setup.sh"
needs debootstrap=debootstrap mkfs.erofs=erofs-utils xz=xz-utils mksquashfs=squashfs-tools busybox=busybox-static \
  openssl=openssl dnsmasq=dnsmasq-base qemu-system-x86_64=qemu-system-x86 /usr/share/OVMF/OVMF_CODE_4M.fd=ovmf \
  /usr/lib/systemd/boot/efi/linuxx64.efi.stub=systemd-boot-efi ip=iproute2 setpriv=util-linux lz4=lz4 depmod=kmod \
  python3=python3 strip=binutils
build
kernel=$(bash test/kernel/cloud-kernel.sh)
ddi=$PWD/dist/cli/main.js
power_on=$PWD/dist/test/boot/machine/power-on.js
ddi-attach() { node "$ddi" "$@"; }
show() {
  printf '\n$ %s\n' "$*"
  "$@"
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir www repart.d

printf '\n# Debian, with systemd as its init\n'
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
show debootstrap --variant=minbase --include=systemd-sysv,udev,dbus bookworm tree "$mirror" >debootstrap.log ||
  { tail debootstrap.log >&2; exit 1; }
tail -n 1 debootstrap.log
rm -rf tree/var/cache/apt/archives/*.deb tree/var/lib/apt/lists/*
echo acme >tree/etc/hostname

printf '\n# who signs, and what the image is to be\n'
show openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=acme -days 30 2>/dev/null
printf '[Partition]\nType=root\nFormat=erofs\nCopyFiles=/\nVerity=data\nVerityMatchKey=root\n' >repart.d/10-root.conf
printf '[Partition]\nType=root-verity\nVerity=hash\nVerityMatchKey=root\n' >repart.d/20-root-verity.conf
printf '[Partition]\nType=root-verity-sig\nVerity=signature\nVerityMatchKey=root\n' >repart.d/30-root-verity-sig.conf

show ddi-attach build --definitions repart.d --root tree -o www/acme_1.raw --key key.pem --certificate cert.pem
show xz -T0 -1 www/acme_1.raw
show ddi-attach uki build -o www/acme.efi --kernel "$kernel"/boot/vmlinuz-* --modules-from "$kernel"/lib/modules/* \
  --certificate cert.pem --image acme_1.raw.xz --network dhcp --cmdline 'console=ttyS0 ddi.volatile=overlay'

printf '\n# the firmware gets http://10.99.0.1/acme.efi by DHCP\n'
node "$power_on" "$work" acme.efi 'login:'
