import { createHash, getHashes } from 'node:crypto'
import { DdiError } from '../errors.js'

// Commands of a TPM 2.0 as bytes: Trusted Platform Module Library, part 1, 18 (structure), part 2 (constants), part 3 (commands).

/** Sends a command, and returns its response. */
export type Transmit = (command: Uint8Array) => Promise<Uint8Array>

const tags = { noSessions: 0x8001, sessions: 0x8002 } as const
const commands = { getCapability: 0x17a, pcrExtend: 0x182 } as const
const pcrsCapability = 5
/** The session that authorizes by a password, which for a PCR is empty. */
const passwordSession = 0x40000009

/** The algorithms of banks, by their numbers: TPM_ALG_ID. */
const algorithms: ReadonlyMap<number, { readonly name: string; readonly openssl: string }> = new Map(
  (
    [
      [0x04, 'sha1'],
      [0x0b, 'sha256'],
      [0x0c, 'sha384'],
      [0x0d, 'sha512'],
      [0x12, 'sm3_256', 'sm3'],
      [0x27, 'sha3_256', 'sha3-256'],
      [0x28, 'sha3_384', 'sha3-384'],
      [0x29, 'sha3_512', 'sha3-512'],
    ] as const
  ).map(([number, name, openssl = name]) => [number, { name, openssl }]),
)

/** The digest that goes into one bank. */
export interface BankDigest {
  readonly algorithm: string
  readonly digest: Uint8Array
}

/**
 * Extends a PCR by a text, in each bank that is active.
 * @returns what it was extended by
 * @throws ERR_DDI_TPM if it refuses, or answers nonsense
 */
export async function extendPcr(transmit: Transmit, pcr: number, text: string): Promise<readonly BankDigest[]> {
  const selections = parseSelections(await transmit(getPcrsCommand()))
  const active = selections.filter(({ selected }) => ((selected[pcr >> 3] ?? 0) & (1 << (pcr & 7))) !== 0)
  const banks = active.flatMap(({ algorithm: number }) => {
    const algorithm = algorithms.get(number)
    // A bank whose algorithm nobody here knows is left alone.
    if (!algorithm || !getHashes().includes(algorithm.openssl)) return []
    return [{ number, algorithm: algorithm.name, digest: createHash(algorithm.openssl).update(text).digest() }]
  })
  if (banks.length === 0) throw malformed(`no bank with PCR ${pcr} is active`)
  responseBody(await transmit(extendCommand(pcr, banks)))
  return banks.map(({ algorithm, digest }) => ({ algorithm, digest }))
}

function command(tag: number, code: number, body: Buffer): Buffer {
  const header = Buffer.alloc(10)
  header.writeUInt16BE(tag, 0)
  header.writeUInt32BE(header.length + body.length, 2)
  header.writeUInt32BE(code, 6)
  return Buffer.concat([header, body])
}

function numbers32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index)
  return bytes
}

/** TPM2_GetCapability of the one property that says which PCRs there are. */
function getPcrsCommand(): Buffer {
  return command(tags.noSessions, commands.getCapability, numbers32(pcrsCapability, 0, 1))
}

/** TPM2_PCR_Extend */
function extendCommand(
  pcr: number,
  banks: readonly { readonly number: number; readonly digest: Uint8Array }[],
): Buffer {
  // Of the session: its handle, no nonce, no attributes, no password.
  const session = Buffer.concat([numbers32(passwordSession), Buffer.alloc(5)])
  const digests = banks.map(({ number, digest }) => Buffer.concat([Buffer.from([number >> 8, number & 255]), digest]))
  const parts = [numbers32(pcr, session.length), session, numbers32(banks.length), ...digests]
  return command(tags.sessions, commands.pcrExtend, Buffer.concat(parts))
}

/** What follows the header of a response. @throws ERR_DDI_TPM unless it says success */
function responseBody(response: Uint8Array): Buffer {
  const bytes = Buffer.from(response.buffer, response.byteOffset, response.length)
  if (bytes.length < 10) throw malformed(`a response has ${bytes.length} bytes`)
  const [size, code] = [bytes.readUInt32BE(2), bytes.readUInt32BE(6)]
  if (size !== bytes.length) throw malformed(`a response of ${bytes.length} bytes claims ${size}`)
  if (code !== 0) throw malformed(`it answers 0x${code.toString(16)}`)
  return bytes.subarray(10)
}

/** The PCRs of a bank. */
export interface PcrSelection {
  readonly algorithm: number
  /** One bit a PCR, the first in the lowest bit of the first byte. */
  readonly selected: Uint8Array
}

/** The banks that a response to TPM2_GetCapability lists. @throws ERR_DDI_TPM */
export function parseSelections(response: Uint8Array): readonly PcrSelection[] {
  const body = responseBody(response)
  if (body.length < 9 || body.readUInt32BE(1) !== pcrsCapability) throw malformed('it does not say which PCRs it has')
  const found: PcrSelection[] = []
  const count = body.readUInt32BE(5)
  for (let at = 9; found.length < count; ) {
    const length = body[at + 2]
    if (length === undefined || at + 3 + length > body.length) throw malformed('its list of PCRs ends early')
    found.push({ algorithm: body.readUInt16BE(at), selected: body.subarray(at + 3, at + 3 + length) })
    at += 3 + length
  }
  return found
}

function malformed(what: string): DdiError {
  return new DdiError('ERR_DDI_TPM', `TPM: ${what}`)
}
