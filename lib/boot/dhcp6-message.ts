import { isIPv6 } from 'node:net'

/** A message of DHCPv6 (RFC 8415), as far as a client has to do with it. */
export interface Dhcp6Message {
  readonly type: number
  /** 24 bits. */
  readonly transaction: number
  readonly options: readonly Dhcp6Option[]
}

export interface Dhcp6Option {
  readonly code: number
  readonly data: Buffer
}

/** Section 7.3. */
export const messageTypes = { solicit: 1, advertise: 2, request: 3, reply: 7, informationRequest: 11 } as const

/** Section 21; of DNS RFC 3646, of boot files RFC 5970. */
export const optionCodes = {
  clientId: 1,
  serverId: 2,
  addressesOf: 3,
  address: 5,
  requested: 6,
  elapsedTime: 8,
  status: 13,
  nameServers: 23,
  bootFileUrl: 59,
} as const

export function encodeMessage({ type, transaction, options }: Dhcp6Message): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(transaction)
  head.writeUInt8(type)
  return Buffer.concat([head, encodeOptions(options)])
}

function encodeOptions(options: readonly Dhcp6Option[]): Buffer {
  return Buffer.concat(
    options.flatMap(({ code, data }) => {
      const head = Buffer.alloc(4)
      head.writeUInt16BE(code)
      head.writeUInt16BE(data.length, 2)
      return [head, data]
    }),
  )
}

/** @returns undefined if it is malformed: whoever is on the network may send anything */
export function parseMessage(bytes: Buffer): Dhcp6Message | undefined {
  if (bytes.length < 4) return undefined
  const options = parseOptions(bytes.subarray(4))
  return options && { type: bytes.readUInt8(), transaction: bytes.readUIntBE(1, 3), options }
}

function parseOptions(bytes: Buffer): readonly Dhcp6Option[] | undefined {
  const options: Dhcp6Option[] = []
  for (let at = 0; at < bytes.length; ) {
    if (at + 4 > bytes.length) return undefined
    const end = at + 4 + bytes.readUInt16BE(at + 2)
    if (end > bytes.length) return undefined
    options.push({ code: bytes.readUInt16BE(at), data: bytes.subarray(at + 4, end) })
    at = end
  }
  return options
}

export function optionData(options: readonly Dhcp6Option[], code: number): Buffer | undefined {
  return options.find((option) => option.code === code)?.data
}

/** What a server gives a client. */
export interface Given6 {
  /** The first address with a lifetime, if there is any. */
  readonly address: string | null
  readonly nameServers: readonly string[]
  readonly bootFileUrl: string | null
}

/** @returns undefined if the server refuses (section 21.13) */
export function givenBy({ options }: Dhcp6Message): Given6 | undefined {
  if (refuses(options)) return undefined
  const servers = optionData(options, optionCodes.nameServers) ?? Buffer.alloc(0)
  const url = optionData(options, optionCodes.bootFileUrl)?.toString('latin1') ?? ''
  return {
    address: addressIn(options) ?? null,
    nameServers: Array.from({ length: Math.floor(servers.length / 16) }, (_, index) =>
      addressText(servers.subarray(index * 16, index * 16 + 16)),
    ),
    bootFileUrl: /^[\x21-\x7e]{1,4096}$/.test(url) ? url : null,
  }
}

/** Identity, two times, and options: section 21.4; those of an address: section 21.6. */
function addressIn(options: readonly Dhcp6Option[]): string | undefined {
  const identity = optionData(options, optionCodes.addressesOf)
  const inner = identity && identity.length >= 12 ? parseOptions(identity.subarray(12)) : undefined
  if (!inner || refuses(inner)) return undefined
  const given = inner.find(
    ({ code, data }) => code === optionCodes.address && data.length >= 24 && data.readUInt32BE(20) > 0,
  )
  const text = given && addressText(given.data.subarray(0, 16))
  // Neither that of a group, nor of the card itself, nor one that leads to this machine.
  return text !== undefined && isIPv6(text) && !/^(ff|fe[89ab]|0:0:0:0:0:0:0:[01]$)/.test(text) ? text : undefined
}

function refuses(options: readonly Dhcp6Option[]): boolean {
  const status = optionData(options, optionCodes.status)
  return status !== undefined && (status.length < 2 || status.readUInt16BE() !== 0)
}

function addressText(bytes: Buffer): string {
  return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':')
}
