// Disks of bare public systems, rebuilt small: types, numbers, order, names and attributes of partitions are those of the real ones.
import { join } from 'node:path'
import { type Layout, type LayoutPartition, partitionTypes as types } from './layouts.js'

/** On a root that can be written, for BIOS and EFI alike. @param folder in which `layout-contents.sh` made what they hold */
export function plainLayouts(folder: string): readonly Layout[] {
  const held = (name: string) => join(folder, name)
  const esp = (number: number, start: number, label?: string): LayoutPartition => {
    return { number, type: types.esp, start, size: 2, from: held('esp'), ...(label !== undefined && { label }) }
  }
  const kiwi = [{ number: 1, type: types.bios, start: 1, size: 2, label: 'p.legacy' }, esp(2, 3, 'p.UEFI')]
  return [
    {
      name: 'debian',
      source:
        'mozi1924/debian-cloud-images@1bdd74255e5d (a copy: the original is not on GitHub): config_space/trixie/hooks/partition.AMD64',
      partitions: [
        { number: 1, type: types.root, start: 6, size: 8, label: '', from: held('tree') },
        { number: 14, type: types.bios, start: 1, size: 3, label: '' },
        esp(15, 4, ''),
      ],
    },
    {
      name: 'ubuntu',
      source:
        'lubuntu-team/livecd-rootfs@172e00ebcd83 (a copy): live-build/ubuntu-cpc/hooks.d/base/disk-image-uefi.binary. That of 24.04, ' +
        'which added partition 16, was not to be had: it lies as scripts that take such images apart say',
      partitions: [
        { number: 1, type: types.linuxGeneric, start: 11, size: 8, from: held('tree') },
        { number: 14, type: types.bios, start: 1, size: 4 },
        esp(15, 5),
        { number: 16, type: types.xbootldr, start: 7, size: 4, from: held('boot') },
      ],
    },
    {
      name: 'fedora',
      source:
        't2linux/fedora-kiwi-descriptions@391d65ff7ff2 (a copy): teams/cloud/cloud.xml, Cloud-Base-Generic; ' +
        'OSInside/kiwi@fb48da9ce921: kiwi/storage/disk.py',
      partitions: [
        ...kiwi,
        { number: 3, type: types.xbootldr, start: 5, size: 4, label: 'p.lxboot', from: held('boot') },
        { number: 4, type: types.root, start: 9, size: 24, label: 'p.lxroot', from: held('fedora') },
      ],
    },
    {
      name: 'arch',
      source: 'archlinux/arch-boxes@7f733af26fe9: build.sh',
      partitions: [
        { number: 1, type: types.bios, start: 1, size: 1, label: 'BIOS boot partition' },
        esp(2, 2, 'EFI system partition'),
        { number: 3, type: types.root, start: 4, size: 24, label: 'Arch Linux root', from: held('arch') },
      ],
    },
    {
      name: 'opensuse',
      source:
        'OSInside/kiwi@fb48da9ce921: build-tests/x86/tumbleweed/test-image-MicroOS/appliance.kiwi, kiwi/storage/disk.py, ' +
        'kiwi/volume_manager/btrfs.py. The description that MicroOS itself is built from was not to be had',
      partitions: [
        ...kiwi,
        { number: 3, type: types.root, start: 5, size: 24, label: 'p.lxroot', from: held('opensuse') },
      ],
    },
    {
      name: 'flatcar',
      source:
        'flatcar/scripts@ab6d76d957b8: build_library/disk_layout.json, disk_util (numbers 5 and 8 are blank); ' +
        'flatcar/seismograph@7ac56da1b03d: src/firmware/include/gpt.h',
      partitions: [
        esp(1, 2, 'EFI-SYSTEM'),
        { number: 2, type: types.bios, start: 4, size: 2, label: 'BIOS-BOOT' },
        {
          ...{ number: 3, type: types.flatcarUsr, start: 6, size: 20, label: 'USR-A', from: held('flatcar-usr') },
          // cgpt counts priorities from bit 48, and 56 says that it has booted.
          ...{ uuid: '7130c94a-213a-4e5a-8e26-6cce9662f132', attributes: [48, 56] },
        },
        {
          ...{ number: 4, type: types.flatcarUsr, start: 26, size: 20, label: 'USR-B' },
          uuid: 'e03dd35c-7c2d-4a47-b3fe-27f15780a57c',
        },
        { number: 6, type: types.linuxGeneric, start: 46, size: 18, label: 'OEM', from: held('oem') },
        { number: 7, type: types.flatcarReserved, start: 64, size: 2, label: 'OEM-CONFIG' },
        { number: 9, type: types.flatcarResize, start: 66, size: 8, label: 'ROOT', from: held('writable') },
      ],
    },
  ]
}
