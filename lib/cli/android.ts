import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  noAttributes,
  type PartitionAttributes,
  type PartitionGroup,
  slotSuffix,
  withSlotSuffixes,
} from '../android/metadata.js'
import { encodeSparse, expand } from '../android/sparse.js'
import { readSuper, type SuperSlot } from '../android/super.js'
import { activate } from '../attach/activate.js'
import { openSuper } from '../attach/super.js'
import { makeSuper, type SuperPartition } from '../build/super.js'
import { copy } from '../bytes/copy.js'
import { extentSource, totalLength } from '../bytes/extents.js'
import { type FileSource, openFile } from '../bytes/file.js'
import { writeNewFile } from '../bytes/new-file.js'
import type { Run, Source } from '../bytes/source.js'
import { findSuper, type Super } from '../disk/super.js'
import { findByName, ownOrigin, requireWhole, type Volume, type WholeVolume } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import { dissect } from '../image/dissect.js'
import { type OpenOptions, openImage } from '../image/open.js'
import { plan } from '../image/plan.js'
import { parseNewSize, parseSize } from '../size.js'
import { printAttachment } from './attach.js'
import { untilInterrupted } from './interrupt.js'
import type { JsonOption } from './options.js'
import { formatSize, note, print, printJson, printLayout, printTable } from './output.js'
import { progressBar } from './progress.js'

export interface SlotOption {
  readonly slot: number
}

interface SuperOptions extends JsonOption, SlotOption {
  /** The volume of a GPT that is the super partition. */
  readonly volume?: string
}

export async function runDump(path: string, { json, slot, volume }: SuperOptions): Promise<void> {
  await using file = await openFile(path)
  const { source } = await expand(file)
  const found = await readSuper(extentSource(source, await findSuper(source, path, volume)), slot)
  for (const { message } of found.problems) note(message)
  if (json === 'off') await printSuper(path, found)
  else {
    const { geometry, metadata, copy, problems } = found
    printJson(
      {
        image: path,
        slot,
        copy,
        geometry,
        ...describeMetadata(found),
        problems: problems.map(describeProblem),
        flags: metadata.flags,
      },
      json,
    )
  }
}

function describeProblem({ code, message }: DdiError) {
  return { code, message }
}

function describeMetadata({ metadata, slot }: Pick<SuperSlot, 'metadata' | 'slot'>) {
  const { partitions, groups, devices } = withSlotSuffixes(metadata, slot)
  return {
    partitions: partitions.map(({ name, attributes, group, extents }) => ({
      name,
      group,
      attributes,
      size: totalLength(extents),
      extents: extents.map((extent) =>
        extent.kind === 'zero'
          ? { device: null, start: null, length: extent.length }
          : { device: devices[extent.base]!.name, start: extent.start, length: extent.length },
      ),
    })),
    groups: groups.map(({ name, maximumSize }) => ({ name, maximumSize })),
    devices,
  }
}

async function printSuper(path: string, found: SuperSlot): Promise<void> {
  const { geometry, slot, copy } = found
  const metadata = withSlotSuffixes(found.metadata, slot)
  const { partitions, groups, devices } = metadata
  print(
    `${path}: Android super partition, metadata 10.${metadata.minorVersion}, slot ${slotSuffix(slot).slice(1)} of ${geometry.slotCount} ` +
      `(${copy} copy), ${formatSize(geometry.metadataSize)} a copy, ${geometry.blockSize}-byte blocks\n`,
  )
  await printTable(
    ['PARTITION', 'GROUP', 'SIZE', 'EXTENTS', 'FLAGS'],
    partitions.map(({ name, group, extents, attributes }) => [
      name,
      group,
      formatSize(totalLength(extents)),
      extents.length,
      attributeNames(attributes),
    ]),
  )
  print('')
  await printTable(
    ['GROUP', 'SIZE', 'MAXIMUM'],
    groups.map(({ name, maximumSize }) => [
      name,
      formatSize(totalLength(partitions.filter(({ group }) => group === name).flatMap(({ extents }) => extents))),
      maximumSize ? formatSize(maximumSize) : null,
    ]),
  )
  for (const [base, { name, size, usableStart }] of devices.entries()) {
    const pieces = partitions.flatMap(({ name, extents }) =>
      extents.flatMap((extent, n) =>
        extent.kind === 'linear' && extent.base === base
          ? [{ ...extent, owner: `${name}${extents.length > 1 ? ` (${n})` : ''}` }]
          : [],
      ),
    )
    print(`\n${name}: ${formatSize(size)}`)
    await printLayout([{ start: 0, length: usableStart, owner: base === 0 ? 'metadata' : 'unused' }, ...pieces], size)
  }
}

function attributeNames({ readOnly, slotSuffixed, updated, disabled }: PartitionAttributes): string {
  return Object.entries({ ro: readOnly, suffixed: slotSuffixed, updated, disabled })
    .flatMap(([name, set]) => (set ? [name] : []))
    .join(',')
}

export interface MakeVerbOptions extends JsonOption {
  readonly deviceSize?: string
  readonly metadataSize: string
  readonly metadataSlots: string
  readonly blockSize: string
  readonly alignment: string
  readonly alignmentOffset: string
  readonly superName: string
  readonly device?: readonly string[]
  readonly group?: readonly string[]
  readonly partition?: readonly string[]
  readonly image?: readonly string[]
  readonly sparse?: boolean
  readonly virtualAb?: boolean
  readonly autoSlotSuffixing?: boolean
  readonly force?: boolean
}

/** A size of which 0 is one too. */
function parseAmount(text: string): number {
  return /^0+$/.test(text) ? 0 : parseSize(text)
}

/** `a:b:c` as its parts. @throws ERR_DDI_USAGE for too few or too many */
function parseFields(option: string, text: string, form: string, fewest: number): string[] {
  const fields = text.split(':')
  if (fields.length < fewest || fields.length > form.split(':').length || fields[0] === '')
    throw new DdiError('ERR_DDI_USAGE', `--${option}=${text}: write it as ${form}`)
  return fields
}

/** `a=b` as its two sides. @throws ERR_DDI_USAGE */
function parsePair(option: string, text: string, form: string): readonly [string, string] {
  const [, left, right] = /^([^=]+)=(.+)$/.exec(text) ?? []
  if (!left || !right) throw new DdiError('ERR_DDI_USAGE', `--${option}=${text}: write it as ${form}`)
  return [left, right]
}

export async function runMake(output: string, options: MakeVerbOptions): Promise<void> {
  const slotSuffixed = options.autoSlotSuffixing ?? false
  const alignment = { alignment: parseSize(options.alignment), alignmentOffset: parseAmount(options.alignmentOffset) }
  const devices = (options.device ?? []).map((text) => {
    const [name, size, own, offset] = parseFields('device', text, 'NAME:SIZE[:ALIGNMENT[:OFFSET]]', 2) as [
      string,
      string,
      string?,
      string?,
    ]
    return {
      name,
      size: parseSize(size),
      alignment: own === undefined ? alignment.alignment : parseSize(own),
      alignmentOffset: offset === undefined ? alignment.alignmentOffset : parseAmount(offset),
    }
  })
  if (options.deviceSize !== undefined)
    devices.unshift({ name: options.superName, size: parseSize(options.deviceSize), ...alignment })
  const [first, ...others] = devices.map((device) => ({
    ...device,
    slotSuffixed: slotSuffixed && device.name !== 'super',
  }))
  if (!first) throw new DdiError('ERR_DDI_USAGE', 'give --device-size, or a --device or more')
  const groups = (options.group ?? []).map((text): PartitionGroup => {
    const [name, size] = parseFields('group', text, 'NAME:MAXIMUM', 2) as [string, string]
    return { name, slotSuffixed, maximumSize: parseAmount(size) }
  })
  const images = new Map<string, FileSource>()
  const used = new Set<string>()
  try {
    for (const text of options.image ?? []) {
      const [name, path] = parsePair('image', text, 'NAME=FILE')
      images.set(name, await openFile(path))
    }
    const partitions: SuperPartition[] = []
    for (const text of options.partition ?? []) {
      const [name, attribute, size, group] = parseFields('partition', text, 'NAME:ATTRIBUTES:SIZE[:GROUP]', 3) as [
        string,
        string,
        string,
        string?,
      ]
      const image = images.get(name)
      used.add(name)
      partitions.push({
        name,
        size: parseAmount(size),
        attributes: { ...parseAttributes(attribute), slotSuffixed },
        ...(group !== undefined && { group }),
        ...(image && { image: (await expand(image)).source }),
      })
    }
    const stray = [...images.keys()].find((name) => !used.has(name))
    if (stray !== undefined)
      throw new DdiError('ERR_DDI_USAGE', `--image=${stray}=…: there is no --partition=${stray}:…`)
    if (others.length > 0) await mkdir(output, { recursive: true })
    const geometry = {
      metadataSize: parseSize(options.metadataSize),
      slotCount: Number(options.metadataSlots),
      blockSize: parseSize(options.blockSize),
    }
    const metadata = await makeSuper(
      output,
      { geometry, devices: [first, ...others], groups, partitions, flags: options.virtualAb ? 1 : 0 },
      { sparse: options.sparse ?? false, replace: options.force ?? false, signal: untilInterrupted() },
    )
    if (options.json !== 'off') printJson(describeMetadata({ metadata, slot: 0 }), options.json)
  } finally {
    for (const image of images.values()) await image.close()
  }
}

function parseAttributes(text: string): Partial<PartitionAttributes> {
  const known: Readonly<Record<string, keyof PartitionAttributes | undefined>> = {
    readonly: 'readOnly',
    disabled: 'disabled',
    updated: 'updated',
  }
  const attributes: Partial<Record<keyof PartitionAttributes, boolean>> = {}
  for (const name of text.split(',')) {
    if (name === 'none' || name === '') continue
    const attribute = known[name]
    if (!attribute)
      throw new DdiError('ERR_DDI_USAGE', `attribute ${JSON.stringify(name)}: none, readonly, updated or disabled`)
    attributes[attribute] = true
  }
  return attributes
}

export interface AddVerbOptions extends SuperOptions {
  readonly size?: string
  readonly from?: string
  readonly group?: string
  readonly attributes: string
}

/** Opens a super partition for one change, and tells the partition that it left. */
async function change(
  path: string,
  { json, slot, volume }: SuperOptions,
  how: (one: Super) => Promise<WholeVolume>,
): Promise<void> {
  await using opened = await openSuper(path, { slot, ...(volume !== undefined && { volume }) })
  const { label: name, size, extents } = await how(opened)
  const { metadata } = opened
  const described = describeMetadata({ metadata, slot }).partitions[
    metadata.partitions.findIndex((one) => one.name === name)
  ]
  if (json !== 'off') printJson(described, json)
  else print(`${name}: ${formatSize(size)} in ${extents.length} ${extents.length === 1 ? 'extent' : 'extents'}`)
}

export async function runAdd(path: string, name: string, options: AddVerbOptions): Promise<void> {
  const file = options.from === undefined ? undefined : await openFile(options.from)
  try {
    const from = file && (await expand(file)).source
    const size = options.size === undefined ? from?.size : parseAmount(options.size)
    if (size === undefined) throw new DdiError('ERR_DDI_USAGE', 'give --size, or --from a file whose size it takes')
    const attributes = { ...noAttributes, ...parseAttributes(options.attributes) }
    const head = { label: name, attributes, ...(options.group !== undefined && { group: options.group }) }
    await change(path, options, (one) => one.create(head, size, { signal: untilInterrupted(), ...(from && { from }) }))
  } finally {
    await file?.close()
  }
}

export async function runResize(
  path: string,
  name: string,
  options: SuperOptions & { size: string; force?: boolean },
): Promise<void> {
  await change(path, options, (one) => {
    const partition = one.find(name)
    const size = parseNewSize(options.size, partition.size)
    return one.resize(partition, size, { force: options.force ?? false })
  })
}

export async function runRemovePartition(path: string, name: string, { slot, volume }: SuperOptions): Promise<void> {
  await using opened = await openSuper(path, { slot, ...(volume !== undefined && { volume }) })
  await opened.remove(opened.find(name))
}

export interface ImageVerbOptions extends JsonOption, SlotOption {
  readonly device?: readonly string[]
}

function openOptions({ slot, device = [] }: ImageVerbOptions): OpenOptions {
  return { slot, devices: Object.fromEntries(device.map((text) => parsePair('device', text, 'NAME=PATH'))) }
}

/** The logical partitions of the names given, else all that have bytes and are not disabled. */
function chosen(volumes: readonly Volume[], names: readonly string[], path: string): readonly WholeVolume[] {
  const logical = volumes.filter((volume) => ownOrigin(volume).kind === 'logical').map(requireWhole)
  const found =
    names.length > 0
      ? names.map((name) => findByName(logical, name, path))
      : logical.filter(({ size, flags }) => size > 0 && !flags.noAuto)
  if (found.length === 0)
    throw new DdiError('ERR_DDI_NOTHING_TO_ATTACH', `${path} has no logical partition that has bytes`)
  return found
}

export async function runExtract(
  path: string,
  names: readonly string[],
  options: ImageVerbOptions & { readonly output: string; readonly sparse?: boolean; readonly force?: boolean },
): Promise<void> {
  await using image = await openImage(path, openOptions(options))
  const signal = untilInterrupted()
  await mkdir(options.output, { recursive: true })
  const written: { name: string; path: string; size: number }[] = []
  for (const { label, size, extents } of chosen(image.volumes, names, path)) {
    const name = label!
    const to = join(options.output, `${name}.img`)
    const source = extentSource(image.source, extents)
    await writeOut(source, to, name, { ...options, signal })
    written.push({ name, path: to, size })
    if (options.json === 'off') print(`${to}: ${formatSize(size)}`)
  }
  if (options.json !== 'off') printJson({ image: path, extracted: written }, options.json)
}

export async function runAttachLogical(
  path: string,
  names: readonly string[],
  options: ImageVerbOptions & { readonly name?: string; readonly readWrite?: boolean },
): Promise<void> {
  await using image = await openImage(path, openOptions(options))
  const planned = plan(await dissect(image), {
    volumes: chosen(image.volumes, names, path).map(({ label }) => label!),
    writable: options.readWrite ?? false,
    ...(options.name !== undefined && { name: options.name }),
  })
  await printAttachment(await activate(planned, { signal: untilInterrupted() }), options)
}

export async function runConvert(
  path: string,
  output: string,
  { sparse: toSparse = false, force = false }: { readonly sparse?: boolean; readonly force?: boolean },
): Promise<void> {
  await using file = await openFile(path)
  const { source, sparse } = await expand(file)
  const signal = untilInterrupted()
  await sparse?.verify({ signal })
  const written = sparse ? { written: sparse.written } : {}
  await writeOut(source, output, 'converting', { sparse: toSparse, force, signal, ...written })
}

interface WriteOutOptions {
  /** As an Android sparse image. */
  readonly sparse?: boolean
  readonly force?: boolean
  /** What of a sparse image is to be written. Default: all. */
  readonly written?: readonly Run[]
  readonly signal: AbortSignal
}

/** Writes bytes to a new file, with a bar. */
async function writeOut(source: Source, path: string, title: string, options: WriteOutOptions): Promise<void> {
  const { sparse = false, force = false, written, signal } = options
  const bar = await progressBar(title)
  const progress = { signal, onProgress: bar.update }
  await writeNewFile<unknown>(
    path,
    sparse ? 0 : source.size,
    (target) =>
      sparse
        ? encodeSparse(source, target, { ...progress, ...(written && { written }) })
        : copy(source, target, { sparse: true, ...progress }),
    { replace: force },
  ).finally(() => bar.stop())
}
