// Disks of public systems that verify what they run, rebuilt small, after their first boot. What they hold is signed here.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatVerity, uuidsOf } from './images.js'
import type { Identity } from './keys.js'
import { type Layout, type LayoutPartition, partitionTypes as types } from './layouts.js'
import { signatureRecord } from './signature-record.js'

// What systemd-repart 252 sets by default: hash trees and what they cover are read-only, file systems that can be written grow.
const [growFileSystem, readOnly, noAuto] = [59, 60, 63]
/** Of a signature partition, in MiB. */
const record = 1 / 64

/** @param folder in which `layout-contents.sh` made what they hold @param identity that signs */
export function verifiedLayouts(folder: string, identity: Identity): readonly Layout[] {
  const held = (name: string) => join(folder, name)
  const esp: LayoutPartition = { number: 1, type: types.esp, start: 1, size: 2, label: 'esp', from: held('esp') }
  const usr = makeCovered(folder, held('usr'), identity)
  const locked = { type: types.swap, start: 20, size: 2, from: held('locked-swap') } as const
  return [
    {
      name: 'mkosi',
      source: 'systemd/mkosi@70ce10d1323d: docs/root-verity.md; SectorSize=4096',
      sectorSize: 4096,
      partitions: [
        { ...esp, from: held('esp-4096') },
        ...covered(makeCovered(folder, held('whole'), identity), 'root', {
          ...{ number: 2, start: 4, label: 'image_1', dataLabel: 'image_1_root' },
        }),
      ],
    },
    {
      name: 'particleos',
      source: 'systemd/particleos@9e3fc044fe6c: mkosi.repart, mkosi.extra/usr/lib/repart.d',
      partitions: [
        esp,
        ...covered(usr, 'usr', { number: 2, start: 4, label: 'ParticleOS_1' }),
        ...empty({ number: 5, start: 12 }),
        { ...locked, number: 8, label: 'ParticleOS-swap' },
        {
          ...{ number: 9, type: types.root, start: 22, size: 28, label: 'ParticleOS-root' },
          ...{ attributes: [growFileSystem], from: held('locked-root') },
        },
        {
          ...{ number: 10, type: types.home, start: 50, size: 24, label: 'ParticleOS-home' },
          ...{ attributes: [growFileSystem], from: held('home') },
        },
      ],
    },
    gnomeOs(held, esp, usr),
    {
      name: 'incus-os',
      source: 'lxc/incus-os@de2717305758: mkosi.repart, mkosi.images/base/mkosi.extra/usr/lib/repart.d',
      partitions: [
        esp,
        { number: 2, type: types.linuxGeneric, start: 3, size: 1, label: 'seed-data' },
        ...covered(usr, 'usr', { number: 3, start: 4, label: 'IncusOS_202511' }),
        ...empty({ number: 6, start: 12 }),
        { ...locked, number: 9, label: 'swap' },
        {
          ...{ number: 10, type: types.root, start: 22, size: 8, label: 'root-x86-64' },
          ...{ attributes: [growFileSystem], from: held('locked-ext4') },
        },
        { number: 11, type: types.linuxGeneric, start: 30, size: 4, label: 'local-data' },
      ],
    },
  ]
}

/** No signatures, and names of its own for what is free: the root hash is on the kernel command line. */
function gnomeOs(held: (name: string) => string, esp: LayoutPartition, { rootHash, data, tree }: Covered): Layout {
  const uuids = uuidsOf(rootHash)
  return {
    name: 'gnome-os',
    source:
      'GNOME/gnome-build-meta@062fb923e0dd: files/secure-repart-config/main, elements/gnomeos/signed-boot.bst; without a TPM',
    usrHash: rootHash,
    partitions: [
      esp,
      {
        ...{ number: 2, type: types.usrVerity, start: 4, size: 1, label: 'gnomeos_usr_v_50' },
        ...{ uuid: uuids.hash, attributes: [readOnly], from: tree },
      },
      {
        ...{ number: 3, type: types.usr, start: 5, size: 4, label: 'gnomeos_usr_50' },
        ...{ uuid: uuids.data, attributes: [growFileSystem], from: data },
      },
      {
        ...{ number: 4, type: types.usrVerity, start: 9, size: 1, label: 'gnomeos_usr_v_empty' },
        attributes: [readOnly],
      },
      {
        ...{ number: 5, type: types.usr, start: 10, size: 4, label: 'gnomeos_usr_empty' },
        attributes: [growFileSystem],
      },
      {
        ...{ number: 6, type: types.root, start: 14, size: 24, label: 'root' },
        ...{ attributes: [growFileSystem], from: held('first-boot') },
      },
    ],
  }
}

/** A file system with its hash tree and the record of its signature, as files. */
interface Covered {
  readonly rootHash: string
  readonly data: string
  readonly tree: string
  readonly signature: string
}

function makeCovered(folder: string, data: string, identity: Identity): Covered {
  const { rootHash, hashPath } = formatVerity(data, `${data}.tree`)
  const signature = `${data}.sig`
  writeFileSync(signature, signatureRecord(folder, rootHash, identity))
  return { rootHash, data, tree: hashPath, signature }
}

/** Where the first of some partitions is. */
interface First {
  readonly number: number
  readonly start: number
}

function covered(
  { rootHash, data, tree, signature }: Covered,
  kind: 'root' | 'usr',
  { number, start, label, dataLabel = label }: First & { readonly label: string; readonly dataLabel?: string },
): readonly LayoutPartition[] {
  const uuids = uuidsOf(rootHash)
  return [
    {
      ...{ number, type: types[`${kind}VeritySig`], start, size: record, label: `${label}_verity_sig` },
      from: signature,
    },
    {
      ...{ number: number + 1, type: types[`${kind}Verity`], start: start + 1, size: 1, label: `${label}_verity` },
      ...{ uuid: uuids.hash, attributes: [readOnly], from: tree },
    },
    {
      ...{ number: number + 2, type: types[kind], start: start + 2, size: 4, label: dataLabel },
      ...{ uuid: uuids.data, attributes: [readOnly], from: data },
    },
  ]
}

/** Room for the next version. */
function empty({ number, start }: First): readonly LayoutPartition[] {
  const label = '_empty'
  return [
    { number, type: types.usrVeritySig, start, size: record, label },
    {
      ...{ number: number + 1, type: types.usrVerity, start: start + 1, size: 1, label },
      attributes: [readOnly, noAuto],
    },
    {
      ...{ number: number + 2, type: types.usr, start: start + 2, size: 4, label },
      attributes: [growFileSystem, noAuto],
    },
  ]
}
