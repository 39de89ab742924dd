import { array, boolean, described, either, integer, nullable, number, object, record, string, word } from './schema.js'

// What verbs have in common in their JSON (docs/json.md).

export const bytes = described(integer, 'in bytes')
export const uuid = described(string, 'in lower case')
export const hexadecimal = described(string, 'in hexadecimal')
export const path = described(string, 'a path, as it was given')

export const extent = object({
  device: described(
    nullable(string),
    'of a plan the node that it is a run of, of a super partition the device; null: the disk itself, or zeroes',
  ),
  start: described(nullable(integer), 'in bytes from the beginning of the device; null: zeroes that nothing stores'),
  length: bytes,
})

export const fileSystem = object({
  type: described(string, 'as blkid names it'),
  label: nullable(string),
  uuid: nullable(string),
  blockSize: described(nullable(bytes), 'the smallest blocks that it reads; null: not known'),
})

export const problem = object({ code: string, message: string })

export const volumeFields = {
  designator: nullable(string),
  architecture: nullable(string),
  uuid: nullable(uuid),
  typeUuid: nullable(uuid),
  label: nullable(string),
  flags: object({ readOnly: boolean, noAuto: boolean, growFileSystem: boolean }),
  size: bytes,
  extents: array(extent),
  defect: described(nullable(string), 'why it must not be used'),
}
export const volume = object(volumeFields)

export const dryRun = described(boolean, 'with --dry-run: nothing was written')
export const requested = described(nullable(integer), 'in bytes, the size that was asked for; null: none')

/** As a change left it. */
export const changedVolume = object({ ...volumeFields, requested, dryRun })

export const orphan = object({ uuid, extents: array(extent) })

export const plannedVolume = {
  designator: nullable(string),
  node: described(string, 'what its device is named after'),
  device: path,
  size: bytes,
  readOnly: boolean,
  verified: described(boolean, 'a root hash covers every byte'),
  noExec: boolean,
  growFileSystem: boolean,
  fileSystem: nullable(fileSystem),
}

export const attachment = object({
  name: string,
  image: path,
  volumes: array(object(plannedVolume)),
})

/** Of an image in a store. */
export const imageFields = {
  product: string,
  version: string,
  label: string,
  uuid,
  attributes: described(string, 'all 64 bits, as 0x and 16 hexadecimal digits'),
  priority: integer,
  tries: integer,
  good: boolean,
  keep: boolean,
  state: word('new', 'good', 'bad', 'off'),
  size: bytes,
  extents: array(extent),
}
export const image = object(imageFields)

/** Of what was downloaded. */
export const receivedFields = {
  size: bytes,
  downloaded: bytes,
  resumed: bytes,
  sha256: nullable(hexadecimal),
  compression: nullable(string),
}

export const logicalPartitionFields = {
  name: string,
  group: string,
  attributes: object({ readOnly: boolean, slotSuffixed: boolean, updated: boolean, disabled: boolean }),
  size: bytes,
  extents: array(extent),
}
export const logicalPartition = object(logicalPartitionFields)
/** As a change left it. */
export const changedPartition = object({ ...logicalPartitionFields, requested, dryRun })

/** Of logical partitions; without a limit, `maximumSize` is 0. */
export const groupFields = { name: string, maximumSize: bytes }

export const superFields = {
  partitions: array(logicalPartition),
  groups: array(object(groupFields)),
  devices: array(
    object({
      name: string,
      slotSuffixed: boolean,
      size: bytes,
      usableStart: bytes,
      alignment: bytes,
      alignmentOffset: bytes,
    }),
  ),
}

export const tree = {
  uuid,
  algorithm: string,
  salt: hexadecimal,
  dataBlockSize: bytes,
  hashBlockSize: bytes,
  dataBlocks: integer,
  hashStartBlock: integer,
  levels: integer,
  hash: extent,
}

export const sections = array(object({ name: string, size: bytes, offset: bytes, address: bytes }))

export const badBlocks = {
  level: described(either(word('data'), integer), 'of hash blocks, 0 being that right above the data'),
  first: described(integer, 'the number of the first of them'),
  count: integer,
}

/** Of a file in an image. */
export const fileFields = {
  path: described(string, 'from the root of the image, without a slash at the beginning'),
  kind: word('file', 'folder', 'link', 'block-device', 'character-device', 'fifo', 'socket'),
  mode: described(integer, 'permissions, with the set-ID and sticky bits'),
  uid: integer,
  gid: integer,
  size: bytes,
  modified: described(number, 'seconds since 1970'),
  target: described(nullable(string), 'where a link leads'),
}

/** What the files of an image say of it. */
export const contents = object({
  hostname: nullable(string),
  machineId: nullable(string),
  machineInfo: record(string),
  osRelease: record(string),
  initrdRelease: record(string),
  sysextRelease: record(string),
  confextRelease: record(string),
  uses: array(string),
})

export const initrdFields = {
  path,
  size: nullable(bytes),
  kernelVersion: described(nullable(string), 'that its modules are for'),
  isStripped: nullable(boolean),
}
