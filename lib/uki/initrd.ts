import { basename, resolve } from 'node:path'
import { copy } from '../bytes/copy.js'
import { writeNewFile } from '../bytes/new-file.js'
import { openScratchDirectory } from '../bytes/scratch.js'
import { settledEpoch } from '../epoch.js'
import { checkOptions, type OptionNames, pickOptions } from '../options.js'
import { type Work, workNames } from '../work.js'
import { composeInitrd, type InitrdSettings } from './initrd-contents.js'
import { kernelConfiguration } from './kernel-modules.js'
import { canStrip } from './stage.js'
import { type TrustOptions, trustInputs, trustOptionNames } from './trust-files.js'

/** Of whatever an initrd is made from. */
export interface InitrdFilesOptions extends Work, TrustOptions {
  /** With GNU tar, for roots that are archives. Default: false. */
  readonly tar?: boolean
  /** Seconds since 1970, for all times. Default: SOURCE_DATE_EPOCH, else now. */
  readonly epoch?: number
  /** Replaces a file that exists. Default: false. */
  readonly replace?: boolean
}
export const initrdFilesOptionNames: OptionNames<InitrdFilesOptions> = {
  ...trustOptionNames,
  ...{ tar: true, epoch: true, replace: true },
  ...workNames,
}

/** Options of {@link buildInitrd}. */
export interface InitrdOptions extends InitrdFilesOptions {
  /** The modules of the kernel: `/lib/modules/6.1.0-50-amd64`. */
  readonly modulesFrom: string
  /** Modules besides the usual ones, and what they need. */
  readonly modules?: readonly string[]
  /** With mkfs.vfat, mcopy and efibootmgr: for machines that install themselves by `ddi.install=`. Default: false. */
  readonly installer?: boolean
}
export const initrdOptionNames: OptionNames<InitrdOptions> = {
  ...initrdFilesOptionNames,
  modulesFrom: true,
  modules: true,
  installer: true,
}

/** An initrd that was built. */
export interface BuiltInitrd {
  readonly path: string
  /** In bytes. */
  readonly size: number
  /** The version of the kernel that its modules are for. */
  readonly kernelVersion: string
  /** Whether symbols were left out, by binutils: else it is larger than need be. */
  readonly isStripped: boolean
}

/**
 * Makes an initrd that boots a machine from a downloaded image: a cpio archive.
 * @throws ERR_DDI_MODULES, ERR_DDI_NO_MODULE, ERR_DDI_LIBRARY_MISSING, ERR_DDI_TOOL, ERR_DDI_NOT_FOUND, ERR_DDI_EXISTS,
 *   ERR_DDI_NO_SPACE, ERR_DDI_ABORTED; no file is left then
 */
export async function buildInitrd(path: string, options: InitrdOptions): Promise<BuiltInitrd> {
  checkOptions(options, initrdOptionNames, 'buildInitrd')
  const { modulesFrom, replace = false, signal, onProgress } = options
  await using scratch = await openScratchDirectory(path)
  const archive = await composeInitrd(scratch.path, initrdSettings(options, await kernelConfiguration(modulesFrom)))
  await writeNewFile(path, archive.size, (target) => copy(archive, target, { signal, onProgress }), {
    replace,
    from: trustInputs(options),
  })
  return { path, size: archive.size, kernelVersion: basename(resolve(modulesFrom)), isStripped: await canStrip() }
}

/** Fills in defaults. @param configuration of the kernel; null: unknown @throws ERR_DDI_USAGE */
export function initrdSettings(options: InitrdOptions, configuration: string | null): InitrdSettings {
  const { modulesFrom, modules = [], tar = false, installer = false, signal } = options
  return {
    modulesFrom: resolve(modulesFrom),
    configuration,
    modules,
    trust: pickOptions(options, trustOptionNames),
    tar,
    installer,
    epoch: timeOf(options),
    signal,
  }
}

/** The time that all files have, in seconds since 1970. @throws ERR_DDI_USAGE */
export function timeOf({ epoch }: InitrdFilesOptions): number {
  return settledEpoch(epoch) ?? Math.floor(Date.now() / 1000)
}
