import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls'
import { readIfThere, readSmallFile } from '../bytes/small-file.js'
import { DdiError } from '../errors.js'
import { systemAuthorities } from '../system-authorities.js'
import { certificateBlocks } from '../verity/signature.js'
import { type ClientIdentity, identityOf } from './certificates.js'

/**
 * The certificate authorities of this machine, as OpenSSL and curl find them: in the file SSL_CERT_FILE and the directories SSL_CERT_DIR if
 * the environment names any, or else in the system’s file; and those in NODE_EXTRA_CA_CERTS.
 * @returns PEM; undefined if there are none, where those that Node.js comes with have to do
 * @throws ERR_DDI_CERTIFICATE if a file that is named has none, ERR_DDI_NOT_FOUND, ERR_DDI_PERMISSION
 */
async function machineAuthorities(environment: NodeJS.ProcessEnv): Promise<readonly string[] | undefined> {
  const { SSL_CERT_FILE: file, SSL_CERT_DIR: directories, NODE_EXTRA_CA_CERTS: extra } = environment
  const named = [
    ...(file ? await certificatesIn(file) : []),
    ...(directories ? await hashedCertificates(directories.split(':')) : []),
  ]
  const found = file || directories ? named : await firstOf(systemAuthorities)
  return found && [...found, ...(extra ? await certificatesIn(extra) : [])]
}

async function certificatesIn(path: string): Promise<readonly string[]> {
  const found = certificateBlocks(await readSmallFile(path))
  if (found.length === 0) throw new DdiError('ERR_DDI_CERTIFICATE', `${path} has no certificate in PEM`)
  return found
}

/** As `openssl rehash` names them; where a directory or a file cannot be read, there is none. */
async function hashedCertificates(directories: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(
    directories.map(async (directory) => {
      const names = await readdir(directory).catch(() => [])
      const hashed = names.filter((name) => /^[0-9a-f]{8}\.\d+$/.test(name))
      return await Promise.all(hashed.map((name) => readSmallFile(join(directory, name)).catch(() => Buffer.alloc(0))))
    }),
  )
  return found.flat().flatMap(certificateBlocks)
}

async function firstOf(paths: readonly string[]): Promise<readonly string[] | undefined> {
  for (const path of paths) {
    const bytes = await readIfThere(path)
    if (bytes) return certificateBlocks(bytes)
  }
  return undefined
}

/** What connections to servers are made with: the certificates of the client only to its own. */
export interface SecureContexts {
  readonly own: SecureContext
  readonly others: SecureContext
}

/** @param authorities to trust besides, PEM @throws ERR_DDI_CERTIFICATE, ERR_DDI_NOT_FOUND, ERR_DDI_PERMISSION */
export async function secureContexts(
  authorities: string | undefined,
  client: ClientIdentity | undefined,
): Promise<SecureContexts> {
  const machine = await machineAuthorities(process.env)
  const given = authorities === undefined ? [] : certificateBlocks(Buffer.from(authorities))
  // Each costs time, and many are in both.
  const ca = machine || authorities ? { ca: [...new Set([...(machine ?? rootCertificates), ...given])] } : {}
  const others = createSecureContext(ca)
  return { others, own: client ? createSecureContext({ ...ca, ...identityOf(client) }) : others }
}
