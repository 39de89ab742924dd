// Disks of public images, rebuilt small: types, numbers, order, gaps and sector sizes are those of the real ones.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatVerity, typeUuids, uuidsOf } from './images.js'
import type { Identity } from './keys.js'
import type { Layout, LayoutPartition } from './layouts.js'
import { signatureRecord } from './signature-record.js'

const types = {
  ...typeUuids,
  bios: '21686148-6449-6e6f-744e-656564454649',
  xbootldr: 'bc13c2ff-59e6-4262-a352-b275fd6f7172',
  swap: '0657fd6d-a4ab-43c4-84e5-0933c84b4f4f',
  flatcarUsr: '5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6',
  flatcarReserved: 'c95dc21a-df0e-4340-8d7b-26cbfa9a03e0',
  flatcarResize: '3884dd41-8582-4404-b9a8-e9b84f2df50e',
} as const

const noAuto = 63

/** What `layout-contents.sh` made in a folder. */
const heldIn = (folder: string) => (name: string) => join(folder, name)

/** Of the bare systems, BIOS and EFI alike, on a root that can be written. */
export function plainLayouts(folder: string): readonly Layout[] {
  const held = heldIn(folder)
  const flatcarUsr = { type: types.flatcarUsr, size: 6 } as const
  const bios = (number: number, start = 1): LayoutPartition => ({ number, type: types.bios, start, size: 1 })
  const esp = (number: number, start: number, label?: string): LayoutPartition => {
    return { number, type: types.esp, start, size: 2, from: held('esp'), ...(label !== undefined && { label }) }
  }
  return [
    {
      name: 'debian',
      source: 'debian-cloud-images, config_space: disk_config of gpt-bios and ESP at 14 and 15',
      partitions: [
        { number: 1, type: types.root, start: 8, size: 8, from: held('tree') },
        { ...bios(14), attributes: [2] },
        esp(15, 4),
      ],
    },
    {
      name: 'ubuntu',
      source: 'livecd-rootfs, live-build/ubuntu-cpc/hooks.d/base/disk-image-uefi.binary',
      partitions: [
        { number: 1, type: types.linuxGeneric, start: 12, size: 8, from: held('tree') },
        bios(14),
        esp(15, 2),
        { number: 16, type: types.xbootldr, start: 6, size: 4, from: held('boot') },
      ],
    },
    {
      name: 'fedora',
      source: 'OSInside/kiwi, kiwi/storage/disk.py: p.legacy, p.UEFI, p.lxboot, p.lxroot; subvolumes of Fedora',
      partitions: [
        { ...bios(1), label: 'p.legacy' },
        esp(2, 2, 'p.UEFI'),
        { number: 3, type: types.xbootldr, start: 6, size: 4, label: 'p.lxboot', from: held('boot') },
        { number: 4, type: types.root, start: 10, size: 24, label: 'p.lxroot', from: held('fedora') },
      ],
    },
    {
      name: 'arch',
      source: 'archlinux/arch-boxes, build.sh',
      partitions: [bios(1), esp(2, 2), { number: 3, type: types.root, start: 4, size: 24, from: held('arch') }],
    },
    {
      name: 'opensuse',
      source: 'OSInside/kiwi, kiwi/storage/disk.py, with btrfs_root_is_snapshot and gpt_hybrid_mbr',
      hybrid: 2,
      partitions: [
        { ...bios(1), label: 'p.legacy' },
        esp(2, 2, 'p.UEFI'),
        { number: 3, type: types.root, start: 4, size: 24, label: 'p.lxroot', from: held('opensuse') },
      ],
    },
    {
      name: 'flatcar',
      source: 'flatcar/scripts, build_library/disk_layout.json: ROOT-C has no blocks, and no number here',
      partitions: [
        esp(1, 2, 'EFI-SYSTEM'),
        { ...bios(2, 4), label: 'BIOS-BOOT' },
        {
          ...flatcarUsr,
          number: 3,
          start: 6,
          label: 'USR-A',
          uuid: '7130c94a-213a-4e5a-8e26-6cce9662f132',
          attributes: [48, 56],
          from: held('usr'),
        },
        { ...flatcarUsr, number: 4, start: 12, label: 'USR-B', uuid: 'e03dd35c-7c2d-4a47-b3fe-27f15780a57c' },
        { number: 6, type: types.linuxGeneric, start: 18, size: 4, label: 'OEM', from: held('oem') },
        { number: 7, type: types.flatcarReserved, start: 22, size: 2, label: 'OEM-CONFIG' },
        { number: 9, type: types.flatcarResize, start: 24, size: 8, label: 'ROOT', from: held('writable') },
      ],
    },
  ]
}

/** Of the systems that verify what they run. */
export function verifiedLayouts(folder: string, identity: Identity): readonly Layout[] {
  const held = heldIn(folder)
  const esp: LayoutPartition = { number: 1, type: types.esp, start: 1, size: 2, label: 'esp', from: held('esp') }
  const covered = (kind: 'root' | 'usr', data: string) => {
    const { rootHash, hashPath } = formatVerity(data, `${data}.tree`)
    const [uuids, record] = [uuidsOf(rootHash), `${data}.sig`]
    writeFileSync(record, signatureRecord(folder, rootHash, identity))
    const sig = kind === 'root' ? types.rootVeritySig : types.usrVeritySig
    const tree = kind === 'root' ? types.rootVerity : types.usrVerity
    return (label: string, first: number, start: number): readonly LayoutPartition[] => [
      { number: first, type: sig, start, size: 1, label: `${label}_verity_sig`, from: record },
      {
        ...{ number: first + 1, type: tree, start: start + 1, size: 1, label: `${label}_verity` },
        ...{ uuid: uuids.hash, from: hashPath },
      },
      { number: first + 2, type: types[kind], start: start + 2, size: 4, label, uuid: uuids.data, from: data },
    ]
  }
  const usr = covered('usr', held('usr'))
  const empty = (first: number, start: number): readonly LayoutPartition[] => [
    { number: first, type: types.usrVeritySig, start, size: 1, label: '_empty' },
    { number: first + 1, type: types.usrVerity, start: start + 1, size: 1, label: '_empty', attributes: [noAuto] },
    { number: first + 2, type: types.usr, start: start + 2, size: 4, label: '_empty', attributes: [noAuto] },
  ]
  const swap = (number: number, start: number, label?: string): LayoutPartition => {
    return {
      number,
      type: types.swap,
      start,
      size: 2,
      from: held('locked-swap'),
      ...(label !== undefined && { label }),
    }
  }
  return [
    {
      name: 'mkosi',
      source: 'systemd/mkosi, docs/root-verity.md, with SectorSize=4096',
      sectorSize: 4096,
      partitions: [{ ...esp, from: held('esp-4096') }, ...covered('root', held('whole'))('image_1', 2, 4)],
    },
    {
      name: 'particleos',
      source: 'systemd/particleos, mkosi.repart and mkosi.extra/usr/lib/repart.d, after its first boot',
      partitions: [
        esp,
        ...usr('ParticleOS_1', 2, 4),
        ...empty(5, 12),
        swap(8, 20, 'ParticleOS-swap'),
        { number: 9, type: types.root, start: 22, size: 28, label: 'ParticleOS-root', from: held('locked-root') },
        { number: 10, type: types.home, start: 50, size: 24, label: 'ParticleOS-home', from: held('home') },
      ],
    },
    {
      name: 'gnome-os',
      source: 'GNOME/gnome-build-meta, files/gnomeos, after its first boot without a TPM',
      partitions: [
        esp,
        ...usr('gnomeos_usr_50', 2, 4),
        ...empty(5, 12),
        { number: 8, type: types.root, start: 20, size: 24, label: 'root', attributes: [59], from: held('first-boot') },
      ],
    },
    {
      name: 'incus-os',
      source: 'lxc/incus-os, mkosi.repart and mkosi.images/base/mkosi.extra/usr/lib/repart.d, after its first boot',
      partitions: [
        esp,
        { number: 2, type: types.linuxGeneric, start: 3, size: 1, label: 'seed-data' },
        ...usr('IncusOS_202511', 3, 4),
        ...empty(6, 12),
        swap(9, 20),
        { number: 10, type: types.root, start: 22, size: 8, from: held('locked-ext4') },
        { number: 11, type: types.linuxGeneric, start: 30, size: 4, label: 'local-data' },
      ],
    },
  ]
}
