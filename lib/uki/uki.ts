import { basename, dirname, join, resolve } from 'node:path'
import { copy } from '../bytes/copy.js'
import { openFile } from '../bytes/file.js'
import { refuseExisting, refuseReplacing, writeNewFile } from '../bytes/new-file.js'
import { openScratchDirectory } from '../bytes/scratch.js'
import type { Source, Target } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { checkOptions, type OptionNames, pickOptions } from '../options.js'
import type { Work } from '../work.js'
import { type BootRequest, bootCommandLine } from './command-line.js'
import { type BuiltInitrd, type InitrdOptions, initrdOptionNames, initrdSettings } from './initrd.js'
import { composeInitrd } from './initrd-contents.js'
import { type KernelImage, readKernelImage } from './kernel-image.js'
import { kernelConfiguration } from './kernel-modules.js'
import { appendSections, peChecksum } from './pe-sections.js'
import { type SecureBootKey, signProgram } from './secure-boot.js'
import { canStrip } from './stage.js'
import { trustInputs } from './trust-files.js'
import { readStub, ukiSections } from './uki-sections.js'

/** Options of {@link buildUki}. */
export interface UkiOptions extends Omit<InitrdOptions, 'modulesFrom'>, BootRequest {
  /** The kernel, as `/boot/vmlinuz-6.1.0-50-amd64`. */
  readonly kernel: string
  /** Its modules. Default: `/lib/modules/VERSION` */
  readonly modulesFrom?: string
  /** The version of the kernel, where its image does not tell. */
  readonly uname?: string
  /** The program that starts the kernel. Default: that of systemd for the kernel's processor. */
  readonly stub?: string
  /** File that describes what boots, os-release(5). Default: one that names ddi and the kernel. */
  readonly osRelease?: string
  /** File with lines of SBAT besides those of stub and kernel. */
  readonly sbat?: string
  /** Picture that is shown, BMP. */
  readonly splash?: string
  /** File with a device tree. */
  readonly deviceTree?: string
  /** Archive with microcode, which the kernel loads first: cpio, not compressed. */
  readonly microcode?: string
  readonly secureBoot?: SecureBootKey
}
const { modulesFrom: _, ...sharedNames } = initrdOptionNames
const ukiOptionNames: OptionNames<UkiOptions> = {
  ...sharedNames,
  ...{ image: true, verify: true, network: true, rootHash: true, commandLine: true, product: true, store: true },
  ...{ kernel: true, modulesFrom: true, uname: true, stub: true, osRelease: true, sbat: true },
  ...{ splash: true, deviceTree: true, microcode: true, secureBoot: true },
}

/** A unified kernel image that was built. */
export interface BuiltUki extends BuiltInitrd {
  readonly commandLine: string
}

/**
 * Makes a unified kernel image that boots a machine from a downloaded image: UAPI.5. It takes the same bytes from the same input,
 * but for a signature, which says when it was made.
 * @throws ERR_DDI_USAGE, ERR_DDI_PE_FORMAT, ERR_DDI_PE_OVERLAP, ERR_DDI_PE_FULL for the stub, ERR_DDI_KERNEL_IMAGE,
 *   ERR_DDI_KERNEL_VERSION, ERR_DDI_ARCHITECTURE, ERR_DDI_KEY, and as `buildInitrd`; no file is left then
 */
export async function buildUki(path: string, options: UkiOptions): Promise<BuiltUki> {
  checkOptions(options, ukiOptionNames, 'buildUki')
  const { replace = false, secureBoot, certificates = [], keyring, signal, onProgress } = options
  const commandLine = bootCommandLine(options, {
    hasCertificate: certificates.length > 0,
    hasKeyring: keyring !== undefined,
    hasTar: options.tar === true,
  })
  if (!replace) await refuseExisting(path)
  await refuseReplacing(path, inputsOf(options))
  await using kernelFile = await openFile(options.kernel)
  const kernel = await readKernelImage(kernelFile, options.kernel)
  const kernelVersion = versionOf(kernel, options)
  const modulesFrom = options.modulesFrom ?? join('/lib/modules', kernelVersion)
  refuseOtherVersion(kernelVersion, modulesFrom)
  const stub = await readStub(options.stub, kernel.pe)
  await using scratch = await openScratchDirectory(path)
  const configuration = await kernelConfiguration(modulesFrom, join(dirname(options.kernel), `config-${kernelVersion}`))
  const settings = initrdSettings({ ...pickOptions(options, sharedNames), modulesFrom }, configuration)
  const initrd = await composeInitrd(scratch.path, settings)
  const sections = await ukiSections(options, { commandLine, kernelVersion, stub, initrd, kernel, kernelFile })
  const program = appendSections(stub.bytes, sections, stub.path)
  const unsigned = secureBoot ? join(scratch.path, 'unsigned.efi') : path
  await writeProgram(unsigned, program, { replace, signal, onProgress })
  if (secureBoot) {
    const signed = join(scratch.path, 'signed.efi')
    await signProgram(unsigned, signed, secureBoot, signal)
    await using file = await openFile(signed)
    await writeNewFile(path, file.size, (target) => copy(file, target, { signal }), { replace })
  }
  await using written = await openFile(path)
  return { path, size: written.size, kernelVersion, isStripped: await canStrip(), commandLine }
}

function inputsOf({ secureBoot, ...options }: UkiOptions): readonly string[] {
  const { kernel, stub, osRelease, sbat, splash, deviceTree, microcode } = options
  const all = [kernel, stub, osRelease, sbat, splash, deviceTree, microcode, secureBoot?.key, secureBoot?.certificate]
  return [...all.filter((path) => path !== undefined), ...trustInputs(options)]
}

/** @throws ERR_DDI_KERNEL_VERSION */
function versionOf({ version }: KernelImage, { kernel, uname }: UkiOptions): string {
  if (version !== null && uname !== undefined && version !== uname)
    throw new DdiError('ERR_DDI_KERNEL_VERSION', `${kernel} is Linux ${version}, not ${uname}`)
  const known = version ?? uname
  if (known === undefined)
    throw new DdiError('ERR_DDI_KERNEL_VERSION', `${kernel} does not tell its version: it has to be given`)
  return known
}

/** @throws ERR_DDI_KERNEL_VERSION */
function refuseOtherVersion(kernelVersion: string, modulesFrom: string): void {
  const modulesVersion = basename(resolve(modulesFrom))
  if (modulesVersion !== kernelVersion)
    throw new DdiError(
      'ERR_DDI_KERNEL_VERSION',
      `the kernel is Linux ${kernelVersion}, but the modules of ${modulesFrom} are for ${modulesVersion}: it could load none of them`,
    )
}

async function writeProgram(
  path: string,
  program: Source,
  { replace, signal, onProgress }: Work & { readonly replace: boolean },
): Promise<void> {
  const write = async (target: Target) => {
    await copy(program, target, { signal, onProgress })
    const { at, bytes } = await peChecksum(target, path)
    await target.write(at, bytes)
  }
  await writeNewFile(path, program.size, write, { replace })
}
