import { type PartitionAttributes, slotSuffix, withSlotSuffixes } from '../android/metadata.js'
import type { SuperSlot } from '../android/super.js'
import { openSuper } from '../attach/super.js'
import { totalLength } from '../bytes/extents.js'
import type { Super } from '../disk/super.js'
import type { WholeVolume } from '../disk/volume.js'
import { dryRunOption } from './dry-run.js'
import { describeExtents } from './extents.js'
import { given } from './given.js'
import { counted, formatSize, print, printJson } from './output.js'
import { printLayout } from './pictures/layout.js'
import { noteRounded } from './rounded.js'
import { isTableAlone, printTable, type TableValues } from './table.js'
import { slot, text } from './values.js'
import { argument, flag, type JsonValues, option, type ValuesOf } from './verb.js'

export const superArgument = argument(
  '<image>',
  'super partition: image file, sparse or not, block device, or a disk with one in its GPT',
)
export const logicalArgument = argument('<name>', 'name of the logical partition')

export const slotOption = {
  slot: option('--slot <slot>', 'which metadata to use: that of slot a, b, … or 0, 1, …', slot, 'a'),
}

export const superOptions = {
  volume: option('--volume <name>', 'label or UUID of the volume of a GPT that is the super partition', text),
  ...slotOption,
}

/** Of verbs that change a super partition. */
export const superChangeOptions = {
  ...superOptions,
  ...dryRunOption,
  allSlots: flag('--all-slots', 'change every slot; all have to be the same, as `android make` leaves them'),
}

type ChangeValues = ValuesOf<typeof superChangeOptions>

export function openSuperWith(path: string, { slot, allSlots, volume, dryRun }: ChangeValues): Promise<Super> {
  return openSuper(path, { slot: allSlots ? 'all' : slot, dryRun, ...given({ volume }) })
}

/** Opens a super partition for one change of a logical partition, and prints that as the change left it. */
export async function changeSuper(
  path: string,
  options: ChangeValues & JsonValues,
  change: (one: Super) => Promise<{ readonly partition: WholeVolume; readonly requested: number }>,
): Promise<void> {
  const { json, dryRun } = options
  await using opened = await openSuperWith(path, options)
  const { partition, requested } = await change(opened)
  const { size, extents } = partition
  const name = partition.label!
  noteRounded(name, requested, size, opened.unit)
  const count = counted(extents.length, 'extent')
  if (json !== 'off') printJson({ ...describeLogical(opened, name), requested, dryRun }, json)
  else print(`${name}: ${dryRun ? 'would have ' : ''}${formatSize(size)} in ${count}`)
}

/** @param name as the metadata have it */
export function describeLogical({ metadata, slot }: Super, name: string) {
  const index = metadata.partitions.findIndex((one) => one.name === name)
  return describeMetadata({ metadata, slot }).partitions[index]
}

export function describeMetadata({ metadata, slot }: Pick<SuperSlot, 'metadata' | 'slot'>) {
  const { partitions, groups, devices } = withSlotSuffixes(metadata, slot)
  return {
    partitions: partitions.map(({ name, attributes, group, extents }) => ({
      name,
      group,
      attributes,
      size: totalLength(extents),
      extents: describeExtents(
        extents,
        devices.map((device) => device.name),
      ),
    })),
    groups: groups.map(({ name, maximumSize }) => ({ name, maximumSize })),
    devices,
  }
}

/** The partitions, and around them, unless a script asks for their table alone, all else. */
export async function printSuper(path: string, found: SuperSlot, table: TableValues): Promise<void> {
  const { geometry, slot, copy } = found
  const metadata = withSlotSuffixes(found.metadata, slot)
  const { partitions, groups } = metadata
  const isAlone = isTableAlone(table)
  if (!isAlone)
    print(
      `${path}: Android super partition, metadata 10.${metadata.minorVersion}, slot ${slotSuffix(slot).slice(1)} of ${geometry.slotCount} ` +
        `(${copy} copy), ${formatSize(geometry.metadataSize)} a copy, ${geometry.blockSize}-byte blocks\n`,
    )
  await printTable(
    ['PARTITION', 'GROUP', 'SIZE', 'EXTENTS', 'FLAGS'],
    partitions.map(({ name, group, extents, attributes }) => [
      name,
      group,
      { bytes: totalLength(extents) },
      extents.length,
      attributeNames(attributes),
    ]),
    table,
  )
  if (isAlone) return
  print('')
  await printTable(
    ['GROUP', 'SIZE', 'MAXIMUM'],
    groups.map(({ name, maximumSize }) => [
      name,
      { bytes: totalLength(partitions.filter(({ group }) => group === name).flatMap(({ extents }) => extents)) },
      maximumSize ? { bytes: maximumSize } : null,
    ]),
    table,
  )
  await printDevices(metadata, table.bytes)
}

async function printDevices({ partitions, devices }: SuperSlot['metadata'], bytes: boolean | undefined): Promise<void> {
  for (const [base, { name, size, usableStart }] of devices.entries()) {
    const pieces = partitions.flatMap(({ name, extents }) =>
      extents.flatMap((extent, n) =>
        extent.kind === 'linear' && extent.base === base
          ? [{ ...extent, owner: `${name}${extents.length > 1 ? ` (${n})` : ''}` }]
          : [],
      ),
    )
    print(`\n${name}: ${formatSize(size)}`)
    await printLayout(
      [{ start: 0, length: usableStart, owner: base === 0 ? 'metadata' : 'unused' }, ...pieces],
      size,
      bytes,
    )
  }
}

function attributeNames({ readOnly, slotSuffixed, updated, disabled }: PartitionAttributes): string {
  return Object.entries({ ro: readOnly, suffixed: slotSuffixed, updated, disabled })
    .flatMap(([name, set]) => (set ? [name] : []))
    .join(',')
}
