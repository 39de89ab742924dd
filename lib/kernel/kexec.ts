import { open } from 'node:fs/promises'
import { addon, rebootCommands } from '../../bindings/addon.js'
import { systemError } from '../errors.js'

/** A kernel to be started by this one. */
export interface NextKernel {
  /** The paths of its file and of its initrd. */
  readonly kernel: string
  readonly initrd: string
  readonly commandLine: string
}

const why = 'ERR_DDI_KEXEC' as const
/** ENOSYS: this kernel has no kexec; EPERM: it may not; ENOEXEC and others: of that kernel, it wants none. */
const codes = {
  ...{ EPERM: why, EACCES: why, ENOSYS: why, ENOEXEC: why, EINVAL: why, EOPNOTSUPP: why, EADDRNOTAVAIL: why },
  ...{ EKEYREJECTED: why, EKEYREVOKED: why, EKEYEXPIRED: why, ENOKEY: why, ENOPKG: why, EBADMSG: why, ENODATA: why },
  EBUSY: 'ERR_DDI_BUSY',
} as const

/**
 * Loads a kernel, which {@link startLoadedKernel} starts.
 * @throws ERR_DDI_KEXEC, with the `errno` of kexec_file_load(2); ERR_DDI_NOT_FOUND, ERR_DDI_LIMIT
 */
export async function loadKernel({ kernel, initrd, commandLine }: NextKernel): Promise<void> {
  const what = `cannot load the kernel ${kernel}`
  try {
    await using image = await open(kernel, 'r')
    await using archive = await open(initrd, 'r')
    await addon().kexecFileLoad(image.fd, kernel, archive.fd, commandLine)
  } catch (error) {
    throw systemError(error, what, { ...codes, ENOENT: 'ERR_DDI_NOT_FOUND' })
  }
}

/** Ends this kernel, flushed, and starts the one that was loaded. @throws ERR_DDI_KEXEC */
export async function startLoadedKernel(): Promise<void> {
  await addon()
    .reboot(rebootCommands.kexec)
    .catch((error: unknown) => {
      throw systemError(error, 'cannot start the kernel that was loaded', codes)
    })
}
