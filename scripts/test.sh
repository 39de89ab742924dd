#!/bin/bash
# Makes the machine ready, checks the code, runs all tests. Ends with a line "N passed, N failed".
. "$(dirname "$0")/setup.sh"
needs sgdisk=gdisk sfdisk=fdisk parted=parted veritysetup=cryptsetup-bin systemd-dissect=systemd-container systemd-repart=systemd \
  xorriso=xorriso mkfs.erofs=erofs-utils mksquashfs=squashfs-tools mkfs.ext4=e2fsprogs blkid=util-linux strace=strace man=man-db \
  fio=fio openssl=openssl swtpm=swtpm tpm2_pcrread=tpm2-tools mkfs.xfs=xfsprogs udevadm=udev setpriv=util-linux 7zz=7zip \
  img2simg=android-sdk-libsparse-utils mcopy=mtools mkfs.vfat=dosfstools mkfs.btrfs=btrfs-progs setfattr=attr \
  qemu-system-x86_64=qemu-system-x86 cpio=cpio busybox=busybox-static lz4=lz4 qemu-img=qemu-utils depmod=kmod \
  dnsmasq=dnsmasq-base linux.uml=user-mode-linux /usr/share/OVMF/OVMF_CODE_4M.fd=ovmf strip=binutils sbsign=sbsigntool \
  /usr/lib/systemd/boot/efi/linuxx64.efi.stub=systemd-boot-efi nginx=nginx-light setfacl=acl gpg=gnupg zstd=zstd \
  efibootmgr=efibootmgr curl=curl xz=xz-utils bzip2=bzip2 ip=iproute2 socat=socat jq=jq dot=graphviz chromium=chromium script=bsdutils zsh=zsh fish=fish \
  aarch64-linux-gnu-g++=g++-aarch64-linux-gnu qemu-aarch64=qemu-user aarch64-linux-gnu-objdump=binutils-aarch64-linux-gnu /lib/x86_64-linux-musl/libc.so=musl
needs_kernel
build --prebuild --sanitize
npm run --silent check >&2

counts=$(mktemp -d)
trap 'rm -rf "$counts"' EXIT
status=0

# run_tests NAME COMMAND FILE…: what hangs is a failure like others, and not the end of the whole run.
run_tests() {
  local name=$1 command=$2
  shift 2
  $command --test-timeout=900000 --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter="$PWD/scripts/count-reporter.mjs" --test-reporter-destination="$counts/$name" "$@"
}

# The same, but files with a failure run once more, by themselves: what passes then is named at the end.
run_tests_again() {
  local name=$1 command=$2 failed
  run_tests "$@" && return
  mapfile -t failed < <(node -p "[...new Set(JSON.parse(fs.readFileSync('$counts/$name')).failures.flatMap(({ file }) => file ?? []))].join('\n')")
  [ -n "${failed[*]}" ] || return 1
  echo "== once more: ${failed[*]}"
  run_tests "$name-again" "$command" "${failed[@]}"
}

on_this_machine() {
  # Two files at a time: many tests wait, for a server that is away or a machine that boots.
  node --test --test-concurrency=2 "$@"
}

in_the_kernel() {
  in_kernel node --test --test-concurrency=1 "$@"
}

mapfile -t kernel_tests < <(find dist/test/kernel -maxdepth 1 -name '*.test.js' | sort)
mapfile -t host_tests < <(find dist/test -name '*.test.js' -not -regex 'dist/test/kernel/[^/]*' | sort)

: >"$counts/kernel"
: >"$counts/fuzz"
# user-mode-linux is a kernel of its own: its tests run beside those of this machine, and are shown after them.
if ! has_device_mapper; then
  run_tests_again kernel in_the_kernel "${kernel_tests[@]}" >"$counts/output" 2>&1 &
  kernel=$!
  trap 'kill $kernel 2>/dev/null || true; rm -rf "$counts"' EXIT
fi

echo "== tests on this machine"
run_tests_again host on_this_machine "${host_tests[@]}" || status=1

echo "== hostile bytes: each parser is a test"
# One seed, so that a run can be repeated; `npm run fuzz` takes a new one each time.
node dist/test/fuzz/fuzz.js --seed 1 --seconds 60 --report "$counts/fuzz" || status=1

echo "== tests in a kernel with device-mapper: $(kernel_name)"
if has_device_mapper; then
  run_tests_again kernel in_the_kernel "${kernel_tests[@]}" || status=1
else
  tail --pid=$kernel -n +1 -f -s 0.2 "$counts/output"
  wait "$kernel" || status=1
fi

node scripts/count-tests.mjs "$(kernel_name)" "$counts" || status=1
exit $status
