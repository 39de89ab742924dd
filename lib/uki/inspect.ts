import type { X509Certificate } from 'node:crypto'
import { openFile } from '../bytes/file.js'
import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { parseOsRelease } from '../image/os-release.js'
import { certificateFingerprint, signersOf } from '../verity/signature.js'
import { machineName } from './machine.js'
import type { Pe } from './pe.js'
import { readPe, sectionText } from './uki-sections.js'

/** A section of a unified kernel image. */
export interface UkiSection {
  readonly name: string
  /** In bytes, without what fills it up. */
  readonly size: number
  /** Where it lies in the file, in bytes. */
  readonly offset: number
  /** Where it lies in memory, from the beginning of the image, in bytes. */
  readonly address: number
}

/** Who signed a unified kernel image. */
export interface UkiSignature {
  readonly subject: string
  readonly issuer: string
  /** SHA-256, in hexadecimal. */
  readonly fingerprint: string
}

/** What a UKI says of itself; null where it does not. */
export interface UkiFacts {
  readonly path: string
  /** In bytes. */
  readonly size: number
  /** As partition types name it: `x86-64`, `arm64`. */
  readonly architecture: string
  readonly sections: readonly UkiSection[]
  readonly commandLine: string | null
  readonly osRelease: Readonly<Record<string, string>> | null
  readonly kernelVersion: string | null
  readonly sbat: string | null
  /** Who signed it for Secure Boot, as it says: it is not verified. */
  readonly signatures: readonly UkiSignature[]
}

/** Reads what a UKI says of itself. @throws ERR_DDI_PE_FORMAT, ERR_DDI_PE_OVERLAP, ERR_DDI_NOT_FOUND */
export async function inspectUki(path: string): Promise<UkiFacts> {
  await using file = await openFile(path)
  const pe = await readPe(file, path)
  const read = async (name: string) =>
    pe.sections.some((one) => one.name === name) ? (await sectionText(file, pe, name)).trimEnd() : null
  const osRelease = await read('.osrel')
  return {
    path,
    size: file.size,
    architecture: machineName(pe.machine),
    sections: pe.sections.map(({ name, raw, virtualAddress, virtualSize }) => ({
      name,
      size: Math.min(raw.length, virtualSize),
      offset: raw.start,
      address: virtualAddress,
    })),
    commandLine: await read('.cmdline'),
    osRelease: osRelease === null ? null : Object.fromEntries(parseOsRelease(osRelease)),
    kernelVersion: await read('.uname'),
    sbat: await read('.sbat'),
    signatures: (await signers(file, pe, path)).map((one) => ({
      subject: one.subject,
      issuer: one.issuer,
      fingerprint: certificateFingerprint(one),
    })),
  }
}

/** WIN_CERT_TYPE_PKCS_SIGNED_DATA */
const pkcsSignedData = 2
const certificateHeader = 8
const largestSignature = 1024 * 1024

/** The table of certificates: PE Format, "The Attribute Certificate Table". */
async function signers(file: Source, { signature }: Pe, path: string): Promise<readonly X509Certificate[]> {
  if (!signature) return []
  if (signature.length > largestSignature)
    throw new DdiError('ERR_DDI_PE_FORMAT', `${path} has a signature of ${signature.length} bytes`)
  const bytes = await file.read(signature.start, signature.length)
  const table = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const found: X509Certificate[] = []
  for (let at = 0; at + certificateHeader <= table.length; ) {
    const length = table.readUInt32LE(at)
    if (length < certificateHeader || at + length > table.length)
      throw new DdiError('ERR_DDI_PE_FORMAT', `${path} has a malformed table of certificates`)
    if (table.readUInt16LE(at + 6) === pkcsSignedData)
      found.push(...(await signersOf(table.subarray(at + certificateHeader, at + length))))
    // Each begins at a multiple of eight bytes.
    at += Math.ceil(length / 8) * 8
  }
  return found
}
