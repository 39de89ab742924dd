import { DdiError } from '../errors.js'
import { parseAddress } from '../pull/address.js'
import type { ClientIdentity } from '../pull/certificates.js'
import { credentialsIn } from '../pull/netrc.js'
import type { PullOptions } from '../pull/options.js'
import { given } from './given.js'
import { readGiven } from './given-file.js'
import { untilInterrupted } from './interrupt.js'
import { header, size, text, verifyMode, wholeNumber } from './values.js'
import { option, repeatable, type ValuesOf } from './verb.js'

/** Of downloads: how they are verified, and how they reach the server. */
export const pullOptions = {
  verify: option(
    '--verify <how>',
    'no, checksum (by SHA256SUMS or URL.sha256), signature (of the checksums), or a SHA-256',
    verifyMode,
    'signature',
  ),
  keyring: option(
    '--keyring <file>',
    'OpenPGP keys for signatures (default: import-pubring in /etc/systemd or /usr/lib/systemd)',
    text,
  ),
  maxSize: option('--max-size <size>', 'most bytes of the image, unpacked', size, '64G'),
  maxMemory: option(
    '--max-memory <size>',
    'largest dictionary of a packed image, which unpacking keeps in memory',
    size,
    '128M',
  ),
  rateLimit: option('--rate-limit <size>', 'most bytes a second', size),
  connections: option('--connections <count>', 'download this many parts of the file at once', wholeNumber(1, 64), '1'),
  header: repeatable('--header <line>', 'extra request header, NAME: VALUE', header),
  netrc: option('--netrc <file>', 'user names and passwords for servers: netrc(5)', text),
  ca: option('--ca <file>', 'extra certificate authorities, PEM or DER (default: those of this machine alone)', text),
  cert: option('--cert <file>', 'client certificate, PEM, or PKCS#12 with its key', text),
  key: option('--key <file>', 'private key of --cert, PEM (default: in the file of the certificate)', text),
  keyPassphraseFile: option(
    '--key-passphrase-file <file>',
    'its first line decrypts the key, or the PKCS#12 file',
    text,
  ),
  retries: option(
    '--retries <count>',
    'restart a transfer that makes no progress this many times in a row',
    wholeNumber(0, 999_999),
    '5',
  ),
  retryUntil: option(
    '--retry-until <seconds>',
    'restart it besides until so much time has passed without progress',
    wholeNumber(0, 999_999_999),
    '0',
  ),
  connectTimeout: option('--connect-timeout <seconds>', 'for connecting', wholeNumber(0, 999_999), '30'),
  stallTimeout: option(
    '--stall-timeout <seconds>',
    'for a response, and for each next byte of it',
    wholeNumber(0, 999_999),
    '60',
  ),
}

/** @param address that the credentials are for, if there is only one */
export async function pullWork(
  address: string | undefined,
  options: ValuesOf<typeof pullOptions>,
): Promise<PullOptions> {
  const {
    verify,
    keyring,
    maxSize,
    maxMemory,
    rateLimit,
    connections,
    retries,
    retryUntil,
    connectTimeout,
    stallTimeout,
  } = options
  const { ca, netrc } = options
  const stall = stallTimeout * 1000
  const client = await identityOf(options)
  const credentials =
    netrc === undefined || address === undefined
      ? undefined
      : credentialsIn(await readText(netrc), parseAddress(address).url.hostname)
  const authorities = ca === undefined ? undefined : await readGiven(ca)
  return {
    verify,
    headers: Object.fromEntries(options.header),
    connections,
    retries,
    retryTime: retryUntil * 1000,
    timeouts: { connect: connectTimeout * 1000, headers: stall, stall },
    maxSize,
    maxMemory,
    signal: untilInterrupted(),
    ...given({ keyring, rateLimit, authorities, client, credentials }),
  }
}

async function identityOf(options: ValuesOf<typeof pullOptions>): Promise<ClientIdentity | undefined> {
  const { cert, key, keyPassphraseFile } = options
  if (cert === undefined) {
    if (key === undefined && keyPassphraseFile === undefined) return undefined
    throw new DdiError('ERR_DDI_USAGE', '--key and --key-passphrase-file need --cert')
  }
  const bytes = await readGiven(cert)
  const passphrase = keyPassphraseFile === undefined ? undefined : (await readText(keyPassphraseFile)).split('\n')[0]!
  const secret = given({ passphrase })
  // DER begins with a sequence.
  if (bytes[0] === 0x30 && key === undefined) return { pkcs12: bytes, ...secret }
  return { certificate: bytes.toString(), key: key === undefined ? bytes.toString() : await readText(key), ...secret }
}

async function readText(path: string): Promise<string> {
  return (await readGiven(path)).toString()
}
