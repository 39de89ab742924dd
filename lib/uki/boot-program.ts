import { existsSync } from 'node:fs'
import { readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { addonPath } from '../../bindings/addon.js'
import { packageRoot } from '../../bindings/package-root.js'
import { DdiError, systemError } from '../errors.js'
import { findLibraries, type Libraries } from './libraries.js'
import type { TreeFile } from './stage.js'

/** Where the package is in the initrd, relative to /usr. */
const home = 'lib/ddi'

/** What the boot program opens by name as it runs. */
const openedLibraries = ['libblkid.so.1', 'liblz4.so.1', 'liblzma.so.5', 'libzstd.so.1']

export interface CopiedFile {
  /** Relative to /usr. */
  readonly path: string
  /** On this machine. */
  readonly from: string
}

/** A program with the libraries that it needs. */
export interface BootProgram {
  /** Relative to /usr, but for libraries. */
  readonly files: readonly TreeFile[]
  readonly libraries: Libraries
}

/**
 * The boot program as the build left it, with Node.js and the native addon.
 * @param node where it goes, relative to /usr
 * @param others programs besides Node.js, by their paths relative to /usr
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_ADDON_MISSING, ERR_DDI_LIBRARY_MISSING, ERR_DDI_ELF
 */
export async function bootProgram(node: string, others: readonly CopiedFile[]): Promise<BootProgram> {
  const bundle = join(packageRoot, 'dist')
  // scripts/bundle.mjs writes it.
  const list = await readFile(join(bundle, 'boot/files.json'), 'utf8').catch((error: unknown) => {
    throw systemError(error, 'the package has no boot program', { ENOENT: 'ERR_DDI_NOT_FOUND' })
  })
  const programs = [{ path: node, from: await realpath(process.execPath) }, ...others, nativeAddon()]
  return {
    files: [
      ...programs.map((one): TreeFile => ({ ...one, kind: 'program' })),
      { path: `${home}/package.json`, kind: 'content', content: '{"type":"module"}\n' },
      ...(JSON.parse(list) as readonly string[]).map(
        (name): TreeFile => ({ path: `${home}/dist/${name}`, kind: 'copy', from: join(bundle, name) }),
      ),
      // What is beside the program is found from there, as in the package.
      { path: `${home}/boot`, kind: 'link', target: 'dist/boot' },
    ],
    libraries: await findLibraries(
      programs.map(({ from }) => from),
      openedLibraries,
    ),
  }
}

/** @throws ERR_DDI_ADDON_MISSING */
function nativeAddon(): CopiedFile {
  const from = addonPath()
  if (!existsSync(from))
    throw new DdiError('ERR_DDI_ADDON_MISSING', `the native addon of this package is not there: ${from}`)
  return { path: `${home}/prebuilds/${process.platform}-${process.arch}/ddi.node`, from }
}
