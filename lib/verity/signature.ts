import type { KeyObject, webcrypto, X509Certificate } from 'node:crypto'
import { nodeCrypto } from '../bytes/crypto.js'
import { DdiError } from '../errors.js'

/** The contents of a verity signature partition (Discoverable Partitions Specification): JSON, then NULs to whole 4096 bytes. */
export interface SignatureRecord {
  readonly rootHash: Uint8Array
  /** A detached PKCS#7 (CMS) signature of the root hash in hexadecimal, DER. */
  readonly signature: Uint8Array
  /** SHA-256 of the signer’s certificate (DER), in hexadecimal. */
  readonly certificateFingerprint: string | null
}

/** The most bytes of a record that are read: an image alone does not decide how much memory it takes. */
export const largestRecord = 4 * 1024 * 1024
const padding = 4096

const refuseFormat = (what: string, cause?: unknown) =>
  new DdiError('ERR_DDI_SIGNATURE_FORMAT', `root hash signature: ${what}`, { cause })

/**
 * Parses the contents of a verity signature partition.
 * @param bytes at most {@link largestRecord}
 * @throws ERR_DDI_SIGNATURE_FORMAT
 */
export function parseSignatureRecord(bytes: Uint8Array): SignatureRecord {
  if (bytes.length > largestRecord) throw refuseFormat(`${bytes.length} bytes; a record has at most ${largestRecord}`)
  const end = bytes.indexOf(0)
  if (end >= 0 && bytes.subarray(end).some((byte) => byte !== 0)) throw refuseFormat('there is data after its end')
  let fields: Record<string, unknown>
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(end < 0 ? bytes : bytes.subarray(0, end))
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw new Error('it is not an object')
    fields = parsed as Record<string, unknown>
  } catch (error) {
    throw refuseFormat(`its JSON is malformed (${(error as Error).message.slice(0, 200)})`, error)
  }
  const { rootHash, signature, certificateFingerprint = null } = fields
  if (typeof rootHash !== 'string' || !/^([0-9a-f]{64}|[0-9a-f]{128})$/i.test(rootHash))
    throw refuseFormat('its rootHash is not a root hash in hexadecimal')
  if (typeof signature !== 'string' || !/^[A-Za-z0-9+/\s]+={0,2}$/.test(signature.trimEnd()))
    throw refuseFormat('its signature is not base64')
  if (certificateFingerprint !== null && typeof certificateFingerprint !== 'string')
    throw refuseFormat('its certificateFingerprint is not text')
  return { rootHash: Buffer.from(rootHash, 'hex'), signature: Buffer.from(signature, 'base64'), certificateFingerprint }
}

/** Encodes a record, padded with NULs. */
export function encodeSignatureRecord({ rootHash, signature, certificateFingerprint }: SignatureRecord): Uint8Array {
  const fields = {
    rootHash: Buffer.from(rootHash).toString('hex'),
    ...(certificateFingerprint !== null && { certificateFingerprint }),
    signature: Buffer.from(signature).toString('base64'),
  }
  const text = Buffer.from(JSON.stringify(fields))
  return Buffer.concat([text], Math.ceil(text.length / padding) * padding)
}

/** SHA-256 of a certificate, in lower-case hexadecimal as in records. */
export function certificateFingerprint(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase()
}

/** The certificates in a text, each in PEM. */
export function certificateBlocks(bytes: Uint8Array): readonly string[] {
  const text = Buffer.from(bytes).toString('latin1')
  return text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
}

/** Parses certificates in PEM, or one in DER. @param where they come from, for the error @throws ERR_DDI_CERTIFICATE */
export function parseCertificates(bytes: Uint8Array, where: string): readonly X509Certificate[] {
  const blocks = certificateBlocks(bytes)
  try {
    return (blocks.length > 0 ? blocks : [bytes]).map((block) => new (nodeCrypto().X509Certificate)(block))
  } catch (error) {
    throw new DdiError(
      'ERR_DDI_CERTIFICATE',
      `${where} is not an X.509 certificate in PEM or DER: ${(error as Error).message}`,
      { cause: error },
    )
  }
}

type Pkijs = typeof import('pkijs')

/** What is signed: the root hash in hexadecimal, without a line end. */
function signedBytes(rootHash: Uint8Array): Buffer {
  return Buffer.from(Buffer.from(rootHash).toString('hex'), 'latin1')
}

function toArrayBuffer(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer
}

/**
 * Parses a private key.
 * @param key PEM
 * @param passphrase if it is encrypted
 * @throws ERR_DDI_KEY if it is malformed, encrypted otherwise, or not the certificate’s
 */
export function parsePrivateKey(
  key: string | Uint8Array,
  certificate: X509Certificate,
  passphrase?: string,
): KeyObject {
  let parsed: KeyObject
  try {
    const secret = passphrase === undefined ? {} : { passphrase }
    parsed = nodeCrypto().createPrivateKey({ key: typeof key === 'string' ? key : Buffer.from(key), ...secret })
  } catch (error) {
    throw new DdiError('ERR_DDI_KEY', `the private key cannot be read: ${(error as Error).message}`, { cause: error })
  }
  if (certificate.checkPrivateKey(parsed)) return parsed
  throw new DdiError('ERR_DDI_KEY', 'the private key does not belong to the certificate')
}

/**
 * Signs a root hash, as systemd-repart does: detached, over SHA-256, without signed attributes and certificates.
 * @param key RSA or EC, PEM
 * @param certificate of the key
 * @returns PKCS#7 in DER
 * @throws ERR_DDI_KEY if the key is malformed, of an unsupported type, or not the certificate’s
 */
export async function signRootHash(
  rootHash: Uint8Array,
  key: string | Uint8Array,
  certificate: X509Certificate,
): Promise<Uint8Array> {
  const pkijs = await import('pkijs')
  const privateKey = parsePrivateKey(key, certificate)
  const issued = pkijs.Certificate.fromBER(toArrayBuffer(certificate.raw))
  const content = toArrayBuffer(signedBytes(rootHash))
  const signed = new pkijs.SignedData({
    version: 1,
    encapContentInfo: new pkijs.EncapsulatedContentInfo({ eContentType: pkijs.ContentInfo.DATA }),
    signerInfos: [
      new pkijs.SignerInfo({
        version: 1,
        sid: new pkijs.IssuerAndSerialNumber({ issuer: issued.issuer, serialNumber: issued.serialNumber }),
      }),
    ],
  })
  await signed.sign(await importKey(privateKey), 0, 'SHA-256', content)
  // The kernel’s PKCS#7 parser knows RSA signatures only by the algorithm of the key.
  if (privateKey.asymmetricKeyType === 'rsa') signed.signerInfos[0]!.signatureAlgorithm = rsaEncryption(pkijs)
  const info = new pkijs.ContentInfo({ contentType: pkijs.ContentInfo.SIGNED_DATA, content: signed.toSchema(true) })
  return new Uint8Array(info.toSchema().toBER(false))
}

function rsaEncryption(pkijs: Pkijs) {
  // With parameters that are NULL (RFC 3370, section 3.2).
  return pkijs.AlgorithmIdentifier.fromBER(Buffer.from('300d06092a864886f70d0101010500', 'hex'))
}

const curves: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' }

async function importKey(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const curve = curves[key.asymmetricKeyDetails?.namedCurve ?? '']
  const algorithm =
    key.asymmetricKeyType === 'rsa'
      ? { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
      : key.asymmetricKeyType === 'ec' && curve
        ? { name: 'ECDSA', namedCurve: curve }
        : undefined
  if (!algorithm)
    throw new DdiError(
      'ERR_DDI_KEY',
      `keys of type ${key.asymmetricKeyType} are not supported: use RSA, or EC on P-256, P-384 or P-521`,
    )
  return await nodeCrypto().webcrypto.subtle.importKey(
    'pkcs8',
    key.export({ type: 'pkcs8', format: 'der' }),
    algorithm,
    false,
    ['sign'],
  )
}

// RFC 5754, RFC 5758, RFC 4055.
const digests: ReadonlySet<string> = new Set([1, 2, 3].map((n) => `2.16.840.1.101.3.4.2.${n}`))
const pss = '1.2.840.113549.1.1.10'
const signatureAlgorithms: ReadonlySet<string> = new Set([
  // RSA, by itself and with SHA-256, SHA-384 and SHA-512
  ...[1, 11, 12, 13].map((n) => `1.2.840.113549.1.1.${n}`),
  // the same of ECDSA; some write the type of the key alone
  ...[2, 3, 4].map((n) => `1.2.840.10045.4.3.${n}`),
  '1.2.840.10045.2.1',
])

/**
 * Refuses a signature over a digest that others can find collisions of, whoever made it: SHA-1, MD5.
 * @param signature PKCS#7 in DER
 * @throws ERR_DDI_SIGNATURE_FORMAT, ERR_DDI_SIGNATURE_UNTRUSTED
 */
export async function refuseWeakSignature(signature: Uint8Array): Promise<void> {
  const pkijs = await import('pkijs')
  refuseWeak(pkijs, parseSigned(pkijs, signature))
}

function refuseWeak(pkijs: Pkijs, { signerInfos }: InstanceType<Pkijs['SignedData']>): void {
  for (const { digestAlgorithm, signatureAlgorithm } of signerInfos) {
    const { algorithmId } = signatureAlgorithm
    const used = [digestAlgorithm.algorithmId]
    if (algorithmId === pss) used.push(pssDigest(pkijs, signatureAlgorithm.algorithmParams))
    const weak = used.find((one) => !digests.has(one))
    if (weak !== undefined || (algorithmId !== pss && !signatureAlgorithms.has(algorithmId)))
      throw new DdiError(
        'ERR_DDI_SIGNATURE_UNTRUSTED',
        `the root hash is signed by the algorithm ${weak ?? algorithmId}: only SHA-256, SHA-384 and SHA-512 under RSA or ECDSA are trusted`,
      )
  }
}

/** Without parameters it is SHA-1. */
function pssDigest(pkijs: Pkijs, schema: unknown): string {
  try {
    return new pkijs.RSASSAPSSParams(schema === undefined ? {} : { schema }).hashAlgorithm.algorithmId
  } catch (error) {
    throw refuseFormat(`the parameters of its algorithm are malformed (${(error as Error).message})`, error)
  }
}

/**
 * Verifies a signature of a root hash.
 * @param signature PKCS#7 in DER; certificates in it are ignored
 * @param trusted the certificates that may sign
 * @param now the time at which the certificate has to be valid
 * @returns the certificate that signed
 * @throws ERR_DDI_SIGNATURE_FORMAT, ERR_DDI_SIGNATURE_UNTRUSTED if no trusted certificate signed, or over a weak digest, ERR_DDI_SIGNATURE_EXPIRED if
 *   the certificate is not valid now, ERR_DDI_SIGNATURE_WRONG if it is not a signature of this root hash
 */
export async function verifyRootHashSignature(
  rootHash: Uint8Array,
  signature: Uint8Array,
  trusted: readonly X509Certificate[],
  now: Date = new Date(),
): Promise<X509Certificate> {
  const pkijs = await import('pkijs')
  const signed = parseSigned(pkijs, signature)
  const signer = signed.signerInfos[0]
  if (!signer || signed.signerInfos.length !== 1)
    throw refuseFormat(`${signed.signerInfos.length} signers instead of one`)
  if (signed.encapContentInfo.eContent) throw refuseFormat('it has content of its own, and must be detached')
  refuseWeak(pkijs, signed)
  const sid: unknown = signer.sid
  const certificate = trusted.find((one) => isSigner(pkijs, sid, one))
  if (!certificate)
    throw new DdiError(
      'ERR_DDI_SIGNATURE_UNTRUSTED',
      `none of the ${trusted.length} trusted certificates signed the root hash`,
    )
  if (now < new Date(certificate.validFrom) || now > new Date(certificate.validTo))
    throw new DdiError(
      'ERR_DDI_SIGNATURE_EXPIRED',
      `the signer’s certificate, ${name(certificate)}, is valid from ${certificate.validFrom} to ${certificate.validTo}`,
    )
  signed.certificates = [pkijs.Certificate.fromBER(toArrayBuffer(certificate.raw))]
  let isValid = false
  let cause: unknown
  try {
    isValid = await signed.verify({ signer: 0, data: toArrayBuffer(signedBytes(rootHash)), checkChain: false })
  } catch (error) {
    cause = error
  }
  if (!isValid)
    throw new DdiError(
      'ERR_DDI_SIGNATURE_WRONG',
      `the signature by ${name(certificate)} is not of root hash ${Buffer.from(rootHash).toString('hex')}`,
      { cause },
    )
  return certificate
}

/**
 * Who signed something, as its signature says: nothing is verified.
 * @param signature PKCS#7 in DER, with certificates; there may be bytes behind it
 * @throws ERR_DDI_SIGNATURE_FORMAT
 */
export async function signersOf(signature: Uint8Array): Promise<readonly X509Certificate[]> {
  const pkijs = await import('pkijs')
  const signed = parseSigned(pkijs, signature.subarray(0, derLength(signature)))
  try {
    const certificates = (signed.certificates ?? []).map(
      (one) => new (nodeCrypto().X509Certificate)(Buffer.from(one.toSchema().toBER())),
    )
    return certificates.filter((one) => signed.signerInfos.some(({ sid }) => isSigner(pkijs, sid, one)))
  } catch (error) {
    throw refuseFormat(`its certificates are malformed (${(error as Error).message})`, error)
  }
}

function name({ subject }: X509Certificate): string {
  return JSON.stringify(subject.replaceAll('\n', ', '))
}

function parseSigned(pkijs: Pkijs, bytes: Uint8Array): InstanceType<Pkijs['SignedData']> {
  const length = derLength(bytes)
  if (length !== bytes.length)
    throw refuseFormat(
      length === undefined ? 'it is not DER' : `${bytes.length} bytes, not ${length} as its header says`,
    )
  try {
    const info = pkijs.ContentInfo.fromBER(toArrayBuffer(bytes))
    if (info.contentType !== pkijs.ContentInfo.SIGNED_DATA) throw new Error(`its content type is ${info.contentType}`)
    return new pkijs.SignedData({ schema: info.content })
  } catch (error) {
    throw refuseFormat(`its PKCS#7 is malformed (${(error as Error).message})`, error)
  }
}

/** The length of the SEQUENCE that DER begins with; undefined if it does not begin with one. */
function derLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < 2 || bytes[0] !== 0x30) return undefined
  const first = bytes[1]!
  if (first < 0x80) return 2 + first
  const count = first & 0x7f
  if (count === 0 || count > 4 || bytes.length < 2 + count) return undefined
  return bytes.subarray(2, 2 + count).reduce((sum, byte) => sum * 256 + byte, 0) + 2 + count
}

function isSigner(pkijs: Pkijs, sid: unknown, certificate: X509Certificate): boolean {
  const parsed = pkijs.Certificate.fromBER(toArrayBuffer(certificate.raw))
  if (sid instanceof pkijs.IssuerAndSerialNumber)
    return sid.issuer.isEqual(parsed.issuer) && sid.serialNumber.isEqual(parsed.serialNumber)
  const extension = parsed.extensions?.find(({ extnID }) => extnID === '2.5.29.14')
  const wanted = (sid as { valueBlock?: { valueHexView?: Uint8Array } }).valueBlock?.valueHexView
  const own = (extension?.parsedValue as { valueBlock?: { valueHexView?: Uint8Array } } | undefined)?.valueBlock
    ?.valueHexView
  return wanted !== undefined && own !== undefined && Buffer.from(wanted).equals(own)
}
