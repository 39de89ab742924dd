import { DdiError } from '../errors.js'

/** A node of an EFI device path: UEFI 2.10, section 10.3. */
export interface DevicePathNode {
  readonly type: number
  readonly subType: number
  readonly data: Uint8Array
}

const headerSize = 4
const endType = 0x7f
const messagingType = 0x03
/** Of messaging nodes: sections 10.3.4.10 to 10.3.4.12, and 10.3.4.24. */
const subTypes = { mac: 0x0b, ipv4: 0x0c, ipv6: 0x0d, uri: 0x18 } as const

/**
 * Parses a device path up to its end node. Firmware is not trusted: lengths are checked against the bytes that exist.
 * @throws ERR_DDI_DEVICE_PATH if a node is malformed, or the end is missing
 */
export function parseDevicePath(bytes: Uint8Array): DevicePathNode[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const nodes: DevicePathNode[] = []
  for (let at = 0; at + headerSize <= bytes.length; ) {
    const [type, subType, length] = [view.getUint8(at), view.getUint8(at + 1), view.getUint16(at + 2, true)]
    if (length < headerSize || at + length > bytes.length)
      throw new DdiError(
        'ERR_DDI_DEVICE_PATH',
        `a node of the device path at byte ${at} claims ${length} of ${bytes.length - at} bytes`,
      )
    // The end of the path, or of its first instance.
    if (type === endType) return nodes
    nodes.push({ type, subType, data: bytes.subarray(at + headerSize, at + length) })
    at += length
  }
  throw new DdiError('ERR_DDI_DEVICE_PATH', `the device path of ${bytes.length} bytes has no end`)
}

/** The network that the firmware booted from. */
export interface NetworkPath {
  /** Of the card, as in /sys/class/net/…/address; null if the path names none that is Ethernet’s. */
  readonly mac: string | null
  /** The version of the internet protocol; null if the path does not say. */
  readonly protocol: 4 | 6 | null
  /** Null if it is what DHCP says. */
  readonly uri: string | null
}

/**
 * What a device path says of booting by URI.
 * @returns undefined for any other path: a disk’s, or one for TFTP
 */
export function networkPath(nodes: readonly DevicePathNode[]): NetworkPath | undefined {
  const last = (kind: keyof typeof subTypes) =>
    nodes.findLast(({ type, subType }) => type === messagingType && subType === subTypes[kind])
  const uri = last('uri')
  if (!uri) return undefined
  const end = uri.data.findLastIndex((byte) => byte !== 0) + 1
  return {
    mac: macOf(last('mac')?.data),
    protocol: last('ipv4') ? 4 : last('ipv6') ? 6 : null,
    uri: end === 0 ? null : Buffer.from(uri.data.subarray(0, end)).toString('latin1'),
  }
}

/** 32 bytes of address, and the type of the interface, of which 1 is Ethernet. */
function macOf(data: Uint8Array | undefined): string | null {
  if (data?.length !== 33 || data[32]! > 1) return null
  return [...data.subarray(0, 6)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')
}

/**
 * The device path of a `Boot####` variable, EFI_LOAD_OPTION: section 3.1.3.
 * @param bytes without the attributes that efivarfs puts before them
 * @throws ERR_DDI_DEVICE_PATH
 */
export function loadOptionPath(bytes: Uint8Array): DevicePathNode[] {
  const malformed = () => new DdiError('ERR_DDI_DEVICE_PATH', `truncated load option of ${bytes.length} bytes`)
  if (bytes.length < 6) throw malformed()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const pathLength = view.getUint16(4, true)
  let at = 6
  // The description, UTF-16 with a zero at its end.
  while (at + 2 <= bytes.length && view.getUint16(at, true) !== 0) at += 2
  at += 2
  if (at + pathLength > bytes.length) throw malformed()
  return parseDevicePath(bytes.subarray(at, at + pathLength))
}
