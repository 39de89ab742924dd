import type { X509Certificate } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode, systemError } from '../errors.js'
import { parseCertificates } from '../verity/signature.js'

/** Where certificates lie that may sign root hashes, as systemd looks for them: a name in one folder hides it in later ones. */
export const certificateFolders = [
  '/etc/verity.d',
  '/run/verity.d',
  '/usr/local/lib/verity.d',
  '/usr/lib/verity.d',
] as const

/**
 * The certificates that may sign root hashes: those of the folders (`NAME.crt`), and those of more files.
 * @param files paths of PEM or DER files
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_CERTIFICATE
 */
export async function trustedCertificates(
  files: readonly string[] = [],
  folders: readonly string[] = certificateFolders,
): Promise<readonly X509Certificate[]> {
  const found = new Map<string, string>()
  for (const folder of folders)
    for (const name of (await namesIn(folder)).sort())
      if (name.endsWith('.crt') && !found.has(name)) found.set(name, join(folder, name))
  const paths = [...files, ...found.values()]
  const read = async (path: string) => {
    try {
      return parseCertificates(await readFile(path), path)
    } catch (error) {
      throw systemError(error, `cannot read certificate ${path}`, { ENOENT: 'ERR_DDI_NOT_FOUND' })
    }
  }
  return (await Promise.all(paths.map(read))).flat()
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw systemError(error, `cannot list ${folder}`)
  }
}
