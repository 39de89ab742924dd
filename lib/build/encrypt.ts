// LUKS2 without device-mapper: cryptsetup writes the header, and the data are encrypted here.
import { createCipheriv } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { persistDiscards } from '../../bindings/cryptsetup.js'
import { createFile, openFile } from '../bytes/file.js'
import { guardSource } from '../bytes/guard.js'
import { runTool } from '../tool.js'
import { throwIfAborted, workOn } from '../work.js'
import { type Bytes, type FileContents, sourceOf } from './contents.js'
import type { BuildContext } from './context.js'
import { luksUuid } from './identifiers.js'
import type { PlacedDraft } from './layout.js'
import type { PartitionDefinition } from './partition-definition.js'
import { luksHeaderSize } from './wishes.js'

// One slot costs as much on every machine: what cryptsetup would measure here is nothing to those that unlock the image.
const derivations: Readonly<Record<PartitionDefinition['encryptKdf'], readonly string[]>> = {
  argon2id: ['--pbkdf=argon2id', '--pbkdf-force-iterations=4', '--pbkdf-memory=262144', '--pbkdf-parallel=4'],
  pbkdf2: ['--pbkdf=pbkdf2', '--hash=sha512', '--pbkdf-force-iterations=1000000'],
  minimal: ['--pbkdf=pbkdf2', '--hash=sha512', '--pbkdf-force-iterations=1000'],
}

/**
 * Encrypts what a partition holds.
 * @throws ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING, ERR_DDI_IO, ERR_DDI_NO_SPACE, ERR_DDI_ABORTED
 */
export async function encrypt(plain: Bytes, draft: PlacedDraft, context: BuildContext): Promise<FileContents> {
  const { sectorSize, signal } = context
  const { volumeLabel, encryptKdf, discard } = draft.definition
  const keyFile = draft.definition.keyFile ?? context.keyFile
  const path = `${draft.contentsPath}.luks`
  const volumeKey = draft.volumeKey!
  const keyPath = `${path}.key`
  const sector = Math.max(512, sectorSize)
  await using file = await createFile(path, draft.size)
  try {
    await writeFile(keyPath, volumeKey, { mode: 0o600, flag: 'wx' })
    const format = ['--batch-mode', '--type=luks2', `--uuid=${luksUuid(draft.uuid)}`, `--sector-size=${sector}`]
    const key = ['--cipher=aes-xts-plain64', '--key-size=512', `--volume-key-file=${keyPath}`, `--key-file=${keyFile}`]
    const command = [
      'cryptsetup',
      'luksFormat',
      ...format,
      ...key,
      ...derivations[encryptKdf],
      ...(volumeLabel === null ? [] : [`--label=${volumeLabel}`]),
      `--offset=${luksHeaderSize / 512}`,
      path,
    ]
    await runTool({ command: command as [string, ...string[]], package: 'cryptsetup-bin' }, signal)
    if (discard) await persistDiscards(path)
  } finally {
    await rm(keyPath, { force: true })
  }
  if (plain.kind === 'file') await encryptFile(plain, file, { volumeKey, sector, label: draft.label }, context)
  return { kind: 'file', path, size: draft.size, isTemporary: true }
}

const step = 4 * 1024 * 1024

interface Cipher {
  readonly volumeKey: Uint8Array
  /** In bytes. */
  readonly sector: number
  readonly label: string
}

async function encryptFile(
  plain: FileContents,
  target: Awaited<ReturnType<typeof createFile>>,
  { volumeKey, sector, label }: Cipher,
  context: BuildContext,
): Promise<void> {
  const { onProgress, signal } = workOn(label, context)
  await using file = await openFile(plain.path)
  const source = guardSource(sourceOf(plain, file))
  for (let done = 0; done < source.size; ) {
    throwIfAborted(signal)
    const bytes = await source.read(done, Math.min(step, source.size - done))
    const whole = Buffer.alloc(Math.ceil(bytes.length / sector) * sector)
    whole.set(bytes)
    for (let at = 0; at < whole.length; at += sector)
      encryptSector(whole.subarray(at, at + sector), volumeKey, (done + at) / 512)
    await target.write(luksHeaderSize + done, whole)
    done += bytes.length
    onProgress?.({ done, total: source.size })
  }
  await target.flush()
}

/** aes-xts-plain64, in place. @param number of the sector, in units of 512 bytes whatever its size */
function encryptSector(sector: Buffer, volumeKey: Uint8Array, number: number): void {
  const tweak = Buffer.alloc(16)
  tweak.writeBigUInt64LE(BigInt(number))
  createCipheriv('aes-256-xts', volumeKey, tweak).update(sector).copy(sector)
}
