#!/bin/bash
# Runs a command inside user-mode-linux, a real kernel as a plain process, over this machine's own root file system.
# The command's output comes out here, and its exit status is ours.
#   run-in-uml.sh COMMAND [ARGUMENT…]     UML_MEMORY: of the kernel, 2G by default; UML_LOG: a file for its messages
set -euo pipefail

command -v linux.uml >/dev/null || { echo "run-in-uml.sh: no linux.uml: apt-get install user-mode-linux" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/output"

{
  echo '#!/bin/bash'
  export -p
  printf 'work=%q\ncd %q\ncommand=(' "$work" "$PWD"
  printf '%q ' "$@"
  printf ')\n'
  cat <<'INIT'
# The kernel's first process: mounts, modules, the command, and off.
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/shm
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o size=80% tmpfs /run
# Temporary files belong to this kernel: hostfs has no extended attributes, and the host no use for them.
mkdir -p /run/tmp /run/modules/lib/modules
mount --bind /usr/lib/uml/modules /run/modules/lib/modules
# What the kernel asks for by itself (a dm target, a file system) is loaded from there too.
printf '#!/bin/sh\nexec /sbin/modprobe -d /run/modules "$@"\n' >/run/modprobe
chmod 755 /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
for module in loop dm-mod dm-verity erofs squashfs; do /run/modprobe "$module"; done
export TMPDIR=/run/tmp DDI_IN_UML=1 PATH="$PATH:/usr/sbin:/sbin"
"${command[@]}" </dev/null >>"$work/output" 2>&1
echo $? >"$work/status"
sync
echo o >/proc/sysrq-trigger
sleep 60
INIT
} >"$work/init"
chmod 755 "$work/init"

linux.uml root=/dev/root rootfstype=hostfs rootflags=/ rw "init=$work/init" con=null con0=null,fd:1 \
  "mem=${UML_MEMORY:-2G}" </dev/null >"${UML_LOG:-$work/kernel}" 2>&1 &
kernel=$!
tail --pid=$kernel -n +1 -f -s 0.1 "$work/output"
wait "$kernel" || true
if [ ! -s "$work/status" ]; then
  echo "run-in-uml.sh: the kernel ended before the command did; its last words:" >&2
  tail -n 30 "${UML_LOG:-$work/kernel}" >&2
  exit 1
fi
exit "$(cat "$work/status")"
