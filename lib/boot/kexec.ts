import { release } from 'node:os'
import { join } from 'node:path'
import { copy } from '../bytes/copy.js'
import { openFile } from '../bytes/file.js'
import { writeNewFile } from '../bytes/new-file.js'
import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { loadKernel, type NextKernel, startLoadedKernel } from '../kernel/kexec.js'
import { wordsOf } from '../kernel-command-line.js'
import { readPe, sectionSource, sectionText } from '../uki/uki-sections.js'
import { throwIfAborted } from '../work.js'
import type { BootContext } from './context.js'
import { findImageKernel, type ImageKernel } from './image-kernel.js'
import { initrdForKernel } from './kexec-initrd.js'
import { readModuleTable } from './modules.js'
import { bootScratch } from './scratch.js'

/**
 * Starts the kernel that an image brings in place of this one; that one boots the same image, and starts no other. What fails is told:
 * the image boots with the kernel that runs then.
 * @param label of an image of a store, whose try is taken
 * @param sysroot where it is mounted
 * @returns if it has no kernel, `ddi.kexec=` does not want it, or it cannot be started
 * @throws ERR_DDI_ABORTED
 */
export async function kexecImage(context: BootContext, label: string, sysroot: string): Promise<void> {
  const { parameters, log, signal } = context
  if (parameters.kexec === 'never') return
  const running = release()
  try {
    const kernel = await findImageKernel(sysroot, parameters.insecure)
    if (!kernel || (parameters.kexec === 'auto' && kernel.version === running)) return
    await using scratch = await bootScratch(context.root, 'kexec')
    await loadKernel(await nextKernel(context, kernel, { label, directory: scratch.path, running }))
    throwIfAborted(signal)
    log.say(`starting Linux ${kernel.version} of ${label}`)
    await startLoadedKernel()
  } catch (error) {
    throwIfAborted(signal)
    if (!(error instanceof DdiError)) throw error
    log.say(`the kernel of ${label} is not started, Linux ${running} goes on: ${error.message} (${error.code})`)
  }
}

interface NextBoot {
  readonly label: string
  /** For files, temporary. */
  readonly directory: string
  /** The version of the kernel that runs. */
  readonly running: string
}

async function nextKernel(
  { root, parameters }: BootContext,
  { path, kind, hasInitrd, modulesFrom }: ImageKernel,
  { label, directory, running }: NextBoot,
): Promise<NextKernel> {
  const [kernel, initrd] = [kind === 'uki' ? join(directory, 'linux') : path, join(directory, 'initrd')]
  await using file = await openFile(path)
  const pe = kind === 'uki' ? await readPe(file, path) : undefined
  if (pe) await writeWhole(kernel, sectionSource(file, pe, '.linux'))
  if (pe && hasInitrd) {
    await writeWhole(initrd, sectionSource(file, pe, '.initrd'))
    return {
      kernel,
      initrd,
      commandLine: nextCommandLine(await sectionText(file, pe, '.cmdline'), parameters.text, label),
    }
  }
  if (modulesFrom === null)
    throw new DdiError(
      'ERR_DDI_MODULES',
      `the image has no modules for its kernel ${path.slice(path.lastIndexOf('/') + 1)}`,
    )
  const { modules } = await readModuleTable(join(root, 'lib/modules', running))
  await writeWhole(initrd, await initrdForKernel(root, modulesFrom, [...modules.keys()]))
  return { kernel, initrd, commandLine: nextCommandLine(parameters.text, '', label) }
}

async function writeWhole(path: string, source: Source): Promise<void> {
  await writeNewFile(path, source.size, (target) => copy(source, target))
}

/**
 * The kernel command line for an image that has been chosen, and whose boot has been counted.
 * @param own what the kernel is to get anyway
 * @param ours what this kernel got: what is said there of images and their trust holds for that one, too
 */
export function nextCommandLine(own: string, ours: string, label: string): string {
  const kept = wordsOf(ours)
    .filter((word) => /^(ddi\.|roothash=|usrhash=|systemd\.image_policy=)/.test(word))
    .map((word) => (/\s/.test(word) ? `"${word}"` : word))
  // A quote that is left open would take what follows for its own value.
  const closed = (own.match(/"/g)?.length ?? 0) % 2 === 0 ? own.trim() : `${own.trim()}"`
  return [closed, ...kept, `ddi.image=${label}`, 'ddi.kexec=never'].join(' ').trim()
}
