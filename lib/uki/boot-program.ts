import { readFile, realpath } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
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
 * The boot program as the build left it, with Node.js and the native modules that it loads.
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
  const addons = nativeModules()
  const programs = [{ path: node, from: await realpath(process.execPath) }, ...others, ...addons.programs]
  return {
    files: [
      ...programs.map((one): TreeFile => ({ ...one, kind: 'program' })),
      ...addons.scripts.map((one): TreeFile => ({ ...one, kind: 'copy' })),
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

/** The addon, and the packages that are not in the bundle, as far as they are loaded. */
function nativeModules(): { readonly programs: readonly CopiedFile[]; readonly scripts: readonly CopiedFile[] } {
  const require = createRequire(import.meta.url)
  const { resolve } = require('node-gyp-build') as { readonly resolve: (root: string) => string }
  try {
    const ffi = createRequire(require.resolve('ffi-rs'))
    const triple = `${process.platform}-${process.arch}-gnu`
    const platform = `@yuuang/ffi-rs-${triple}`
    const gyp = dirname(require.resolve('node-gyp-build/package.json'))
    const scripts = [
      ...packageFiles('node-gyp-build', gyp, ['package.json', 'index.js', 'node-gyp-build.js']),
      ...packageFiles('ffi-rs', dirname(require.resolve('ffi-rs')), ['package.json', 'index.js']),
      ...packageFiles(platform, dirname(ffi.resolve(platform)), ['package.json']),
    ]
    const prebuild = `${home}/prebuilds/${process.platform}-${process.arch}/ddi.glibc.node`
    const programs = [
      { path: prebuild, from: resolve(packageRoot) },
      ...packageFiles(platform, dirname(ffi.resolve(platform)), [basename(ffi.resolve(platform))]),
    ]
    return { programs, scripts }
  } catch (error) {
    throw new DdiError('ERR_DDI_ADDON_MISSING', 'a native module of this package is not installed: run npm rebuild', {
      cause: error,
    })
  }
}

function packageFiles(name: string, directory: string, files: readonly string[]): CopiedFile[] {
  return files.map((file) => ({ path: `${home}/node_modules/${name}/${file}`, from: join(directory, file) }))
}
