#!/bin/bash
# Measures ddi against its peers, each pair in one run, and fails if a target is missed.
. "$(dirname "$0")/setup.sh"
needs sgdisk=gdisk sfdisk=fdisk partx=util-linux veritysetup=cryptsetup-bin mkfs.erofs=erofs-utils nginx=nginx-light curl=curl zstd=zstd \
  linux.uml=user-mode-linux dnsmasq=dnsmasq-base busybox=busybox-static mksquashfs=squashfs-tools cpio=cpio gpg=gnupg \
  lz4=lz4 depmod=kmod python3=python3 strip=binutils /usr/lib/systemd/boot/efi/linuxx64.efi.stub=systemd-boot-efi ip=iproute2 \
  xz=xz-utils /lib/systemd/systemd-pull=systemd-container /usr/bin/time=time openssl=openssl taskset=util-linux aarch64-linux-gnu-g++=g++-aarch64-linux-gnu
needs_kernel
build --prebuild
status=0
node dist/bench/startup.js || status=1
node dist/bench/install.js || status=1
node dist/bench/verify.js || status=1
node dist/bench/volumes.js || status=1
node dist/bench/store.js || status=1
node dist/bench/sysupdate.js || status=1
node dist/bench/format.js || status=1
node dist/bench/build.js || status=1
node dist/bench/pull.js || status=1
echo "# kernel: $(kernel_name)"
in_kernel node dist/bench/attach.js || status=1
in_kernel node dist/bench/chain.js || status=1
node dist/bench/boot.js || status=1
exit $status
