import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFileSystem } from '../build/file-system.js'
import { alignUp } from '../bytes/runs.js'
import { DdiError, systemError } from '../errors.js'
import { inspectUki, type UkiFacts } from '../uki/inspect.js'
import { removableName } from '../uki/machine.js'

const MiB = 2 ** 20

/** A UKI, and what it says of the store that it boots from. */
export interface UkiToInstall extends UkiFacts {
  /** Where the firmware looks for it: `EFI/BOOT/BOOTX64.EFI`. */
  readonly removablePath: string
}

/** @throws ERR_DDI_PE_FORMAT if it is no UKI, ERR_DDI_ARCHITECTURE for a processor that has no removable path here, and as `inspectUki` */
export async function readUki(path: string): Promise<UkiToInstall> {
  const facts = await inspectUki(path)
  if (!facts.sections.some(({ name }) => name === '.linux'))
    throw new DdiError('ERR_DDI_PE_FORMAT', `${path} is no UKI: it has no kernel in a section .linux`)
  const name = removableName(facts.architecture)
  if (name === undefined)
    throw new DdiError('ERR_DDI_ARCHITECTURE', `${path} is for ${facts.architecture}: no machine here boots that`)
  return { ...facts, removablePath: `EFI/BOOT/${name}` }
}

/** Room for the UKI, its next version beside it while that is written, and one of other kinds; all of them are FAT32. */
export function usualSize(ukiSize: number): number {
  return Math.max(64 * MiB, alignUp(3 * ukiSize, MiB))
}

/**
 * Makes the file system of an EFI partition, with a UKI at the removable path.
 * @param directory for it, temporary
 * @param size in bytes
 * @returns the path of a file that has it
 * @throws ERR_DDI_NO_SPACE if the UKI does not fit, ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING, ERR_DDI_ABORTED
 */
export async function makeEfiFileSystem(
  directory: string,
  { path: uki, removablePath, size: ukiSize }: UkiToInstall,
  { size, uuid, signal }: { readonly size: number; readonly uuid: string; readonly signal?: AbortSignal | undefined },
): Promise<string> {
  if (ukiSize + MiB > size)
    throw new DdiError('ERR_DDI_NO_SPACE', `${uki} has ${ukiSize} bytes, and the EFI partition would have ${size}`, {
      needed: ukiSize,
      free: size,
    })
  const tree = join(directory, 'efi')
  try {
    await mkdir(join(tree, 'EFI/BOOT'), { recursive: true })
    await copyFile(uki, join(tree, removablePath))
  } catch (error) {
    throw systemError(error, `cannot copy ${uki}`, { ENOENT: 'ERR_DDI_NOT_FOUND' })
  }
  const path = join(directory, 'efi.fat')
  await makeFileSystem({ path, format: 'vfat', tree, label: 'ESP', uuid, epoch: null }, size, signal)
  return path
}
