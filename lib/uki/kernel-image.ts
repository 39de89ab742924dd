import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { mostHeaderBytes, type Pe, parsePe } from './pe.js'

/** A kernel that the firmware can start. */
export interface KernelImage {
  readonly pe: Pe
  /** As `uname -r` says it; null: the image does not tell. */
  readonly version: string | null
}

/** Offsets in a bzImage: Documentation/arch/x86/boot.rst. */
const bzImage = { magic: 0x202, versionPointer: 0x20e, base: 0x200 } as const
const longestVersion = 128
const step = 4 * 1024 * 1024

/**
 * @param name for errors
 * @throws ERR_DDI_KERNEL_IMAGE
 */
export async function readKernelImage(source: Source, name: string): Promise<KernelImage> {
  const head = await source.read(0, Math.min(mostHeaderBytes, source.size))
  let pe: Pe
  try {
    pe = parsePe(head, source.size, name)
  } catch (error) {
    throw new DdiError('ERR_DDI_KERNEL_IMAGE', `${name} is no kernel that a firmware starts: it has no EFI stub`, {
      cause: error,
    })
  }
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length)
  if (bytes.toString('latin1', bzImage.magic, bzImage.magic + 4) !== 'HdrS')
    return { pe, version: await versionIn(source) }
  const at = bzImage.base + bytes.readUInt16LE(bzImage.versionPointer)
  const text = bytes.toString('latin1', at, at + longestVersion)
  return { pe, version: /^([!-~]+)[ \0]/.exec(text)?.[1] ?? null }
}

/** What the kernel prints first lies in it as text, unless it is compressed: that of arm64 usually is not. */
async function versionIn(source: Source): Promise<string | null> {
  for (let at = 0; at < source.size; at += step - longestVersion) {
    const bytes = await source.read(at, Math.min(step, source.size - at))
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
    const [, version] = /Linux version ([0-9][!-~]{0,100}) \(/.exec(text) ?? []
    if (version !== undefined) return version
  }
  return null
}
