// More disks of public systems, rebuilt small: what their tables say of them decides what they are used for.
import { type Layout, type LayoutPartition, partitionTypes as types } from './layouts.js'

/** Files with file systems. */
export interface Contents {
  readonly esp: string
  /** Of a system. */
  readonly tree: string
}

const [priority, tries, successful, growFileSystem] = [48, 52, 56, 59]
const sector = 1 / 2048

/** A disk, and the labels of what is used of it. */
export interface OtherLayout extends Layout {
  readonly used: Readonly<Record<string, string>>
}

/** A partition of 2 MiB that is filled is an ESP. */
type Described = readonly [type: string, label: string, size: number, isFilled?: 'filled' | undefined]

/** Partitions one after the other, from 1 MiB on. */
type Row = (...of: readonly Described[]) => readonly LayoutPartition[]

export function otherLayouts({ esp, tree }: Contents): readonly OtherLayout[] {
  const row: Row = (...of) => {
    let start = 1
    return of.map(([type, label, size, isFilled], index) => {
      const partition = { number: index + 1, type, label, start, size }
      start += size
      return isFilled ? { ...partition, from: size === 2 ? esp : tree } : partition
    })
  }
  return [...typed(row), ...untyped(row), azureOsGuard(row), bottlerocket(row), chromeOs(esp, tree)]
}

/** Whose types say what they are for. */
function typed(row: Row): readonly OtherLayout[] {
  return [
    {
      name: 'fedora-coreos',
      source:
        'coreos/coreos-assembler@05db482e6439: src/osbuild-manifests/coreos.osbuild.x86_64.mpp.yaml; root is an XFS',
      partitions: row(
        [types.bios, 'BIOS-BOOT', 1],
        [types.esp, 'EFI-SYSTEM', 2, 'filled'],
        [types.xbootldr, 'boot', 4, 'filled'],
        [types.root, 'root', 4, 'filled'],
      ),
      used: { root: 'root', xbootldr: 'boot', esp: 'EFI-SYSTEM' },
    },
    {
      name: 'fedora-iot',
      source: 'osbuild/images@1146ec23cd9c: data/distrodefs/fedora/imagetypes.yaml, iot_base_partition_tables',
      partitions: row(
        [types.esp, 'EFI System Partition', 2, 'filled'],
        [types.linuxGeneric, 'boot', 4, 'filled'],
        [types.linuxGeneric, 'root', 4, 'filled'],
      ),
      used: { esp: 'EFI System Partition' },
    },
    {
      name: 'azure-linux',
      source: 'microsoft/azurelinux@003d710194ae: toolkit/imageconfigs/core-efi.json',
      partitions: row([types.esp, 'boot', 2, 'filled'], [types.linuxGeneric, 'rootfs', 4, 'filled']),
      used: { root: 'rootfs', esp: 'boot' },
    },
    {
      name: 'steamos',
      source: 'Valve’s repair_device.sh, as copies of it on GitHub have its table; slot B before the first update',
      partitions: row(
        [types.esp, 'esp', 2, 'filled'],
        [types.basicData, 'efi-A', 1],
        [types.basicData, 'efi-B', 1],
        [types.root, 'rootfs-A', 4, 'filled'],
        [types.root, 'rootfs-B', 4],
        [types.var, 'var-A', 4, 'filled'],
        [types.var, 'var-B', 4],
        [types.home, 'home', 4, 'filled'],
      ),
      used: { root: 'rootfs-A', var: 'var-A', home: 'home', esp: 'esp' },
    },
    {
      name: 'ubuntu-core',
      source: 'canonical/pc-gadget@feb107aa7032: gadget.yaml; the other partitions are made at the first boot',
      partitions: row([types.bios, 'BIOS Boot', 1], [types.esp, 'ubuntu-seed', 2, 'filled']),
      used: { esp: 'ubuntu-seed' },
    },
    {
      name: 'nixos-store',
      source: 'NixOS/nixpkgs@1b592cdeb46e: nixos/modules/image/repart-verity-store.nix; the root hash is in the UKI',
      partitions: row(
        [types.esp, 'esp', 2, 'filled'],
        [types.usrVerity, 'store-verity', 1],
        [types.usr, 'store', 4, 'filled'],
      ),
      used: { usr: 'store', esp: 'esp' },
    },
  ]
}

/** Whose own boot loaders know what is what. */
function untyped(row: Row): readonly OtherLayout[] {
  return [
    {
      name: 'talos',
      source:
        'siderolabs/talos@ad8823176e75: internal/pkg/partition/partition.go, cmd/installer/pkg/install/install.go',
      partitions: row(
        [types.esp, 'EFI', 2, 'filled'],
        [types.bios, 'BIOS', 1],
        [types.linuxGeneric, 'BOOT', 4, 'filled'],
        [types.linuxGeneric, 'META', 1],
      ),
      used: { esp: 'EFI' },
    },
    {
      name: 'haos',
      source:
        'home-assistant/operating-system@f58c959e69d7: buildroot-external/genimage/partitions-os-gpt.cfg, hdimage-hybrid.cfg',
      hybrid: 1,
      partitions: row(
        [types.esp, 'hassos-boot', 2, 'filled'],
        [types.linuxGeneric, 'hassos-kernel0', 4, 'filled'],
        [types.linuxGeneric, 'hassos-system0', 4, 'filled'],
        [types.linuxGeneric, 'hassos-kernel1', 1],
        [types.linuxGeneric, 'hassos-system1', 1],
        [types.linuxGeneric, 'hassos-bootstate', 1],
        [types.linuxGeneric, 'hassos-overlay', 4, 'filled'],
        [types.linuxGeneric, 'hassos-data', 4, 'filled'],
      ),
      used: { esp: 'hassos-boot' },
    },
    {
      name: 'kairos',
      source: 'kairos-io/kairos-agent@96f93a04a554: pkg/constants/constants.go, pkg/partitioner/disk.go',
      partitions: row(
        [types.esp, 'efi', 2, 'filled'],
        [types.linuxGeneric, 'oem', 4, 'filled'],
        [types.linuxGeneric, 'recovery', 4, 'filled'],
        [types.linuxGeneric, 'state', 4, 'filled'],
        [types.linuxGeneric, 'persistent', 4, 'filled'],
      ).map((one) => (one.label === 'efi' ? { ...one, attributes: [0] } : one)),
      used: { esp: 'efi' },
    },
  ]
}

function azureOsGuard(row: Row): OtherLayout {
  const partitions = row(
    [types.esp, 'esp', 2, 'filled'],
    [types.linuxGeneric, 'boot-a', 4, 'filled'],
    [types.usr, 'usr-a', 4, 'filled'],
    [types.usrVerity, 'usr-hash-a', 1],
    [types.root, 'root-a', 4, 'filled'],
    [types.linuxGeneric, 'boot-b', 1],
    [types.usr, 'usr-b', 4],
    [types.usrVerity, 'usr-hash-b', 1],
    [types.root, 'root-b', 4],
  )
  return {
    name: 'azure-osguard',
    source: 'microsoft/azurelinux@0d334352cddd: toolkit/imageconfigs/files/osguard/repart.d',
    partitions: partitions.map((one) =>
      one.type === types.root || one.type === types.usr ? { ...one, attributes: [growFileSystem] } : one,
    ),
    used: { root: 'root-a', usr: 'usr-a', esp: 'esp' },
  }
}

/** In two banks; the data partition has no label before its first boot. */
function bottlerocket(row: Row): OtherLayout {
  const bank = (name: 'A' | 'B', isFilled?: 'filled') =>
    [
      [types.bottlerocketBoot, `BOTTLEROCKET-BOOT-${name}`, 4, isFilled],
      [types.bottlerocketRoot, `BOTTLEROCKET-ROOT-${name}`, 4, isFilled],
      [types.bottlerocketHash, `BOTTLEROCKET-HASH-${name}`, 1],
      [types.bottlerocketReserved, `BOTTLEROCKET-RESERVED-${name}`, 1],
    ] as const
  const partitions = row(
    [types.bios, 'BIOS-BOOT', 4],
    [types.esp, 'EFI-SYSTEM', 2, 'filled'],
    ...bank('A', 'filled'),
    [types.bottlerocketEfiBackup, 'EFI-BACKUP', 2],
    ...bank('B'),
    [types.bottlerocketPrivate, 'BOTTLEROCKET-PRIVATE', 1],
    [types.bottlerocketData, '', 1],
  )
  return {
    name: 'bottlerocket',
    source: 'bottlerocket-os/twoliter@dbba40736e1a: twoliter/embedded/partyplanner, rpm2img',
    partitions: partitions.map((one) =>
      one.label === 'BOTTLEROCKET-BOOT-A' ? { ...one, attributes: [priority, successful] } : one,
    ),
    used: { esp: 'EFI-SYSTEM' },
  }
}

/** Its numbers are not in the order of the disk, and what a board has no use for is one sector. */
function chromeOs(esp: string, tree: string): OtherLayout {
  const unused = (number: number, label: string, type: string, at: number): LayoutPartition => {
    return { number, type, label, start: at * sector, size: sector }
  }
  return {
    name: 'chromeos',
    source:
      'apple-corps/cros-scripts@18c21b235a72, a copy of chromium’s crosutils: build_library/legacy_disk_layout.json',
    partitions: [
      { number: 1, type: types.linuxGeneric, label: 'STATE', start: 22, size: 4, from: tree },
      {
        ...{ number: 2, type: types.chromeOsKernel, label: 'KERN-A', start: 2, size: 2 },
        attributes: [priority, tries, successful],
      },
      { number: 3, type: types.chromeOsRoot, label: 'ROOT-A', start: 18, size: 4, from: tree },
      { number: 4, type: types.chromeOsKernel, label: 'KERN-B', start: 4, size: 2 },
      { number: 5, type: types.chromeOsRoot, label: 'ROOT-B', start: 14, size: 4 },
      unused(6, 'KERN-C', types.chromeOsKernel, 65),
      unused(7, 'ROOT-C', types.chromeOsRoot, 66),
      { number: 8, type: types.linuxGeneric, label: 'OEM', start: 6, size: 4, from: tree },
      unused(9, 'reserved', types.chromeOsReserved, 67),
      unused(10, 'reserved', types.chromeOsReserved, 68),
      unused(11, 'RWFW', types.chromeOsFirmware, 64),
      { number: 12, type: types.esp, label: 'EFI-SYSTEM', start: 10, size: 2, from: esp },
    ],
    used: { esp: 'EFI-SYSTEM' },
  }
}
