import type { X509Certificate } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { readSmallFile } from '../bytes/small-file.js'
import { systemCode, systemError } from '../errors.js'
import { parseCertificates } from '../verity/signature.js'

/** Directories of certificates that may sign root hashes, as systemd has them: a name in one hides the same name in later ones. */
const certificateDirectories = [
  '/etc/verity.d',
  '/run/verity.d',
  '/usr/local/lib/verity.d',
  '/usr/lib/verity.d',
] as const

/**
 * Reads the certificates that may sign root hashes: those in directories (`NAME.crt`), and in further files.
 * @param files paths of PEM or DER files
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_FILE_KIND, ERR_DDI_CERTIFICATE
 */
export async function trustedCertificates(
  files: readonly string[] = [],
  directories: readonly string[] = certificateDirectories,
): Promise<readonly X509Certificate[]> {
  const found = new Map<string, string>()
  for (const directory of directories)
    for (const name of (await namesIn(directory)).sort())
      if (name.endsWith('.crt') && !found.has(name)) found.set(name, join(directory, name))
  const paths = [...files, ...found.values()]
  return (await Promise.all(paths.map(async (path) => parseCertificates(await readSmallFile(path), path)))).flat()
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw systemError(error, `cannot list ${directory}`)
  }
}
