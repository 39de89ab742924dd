import { concatSources } from '../bytes/concat.js'
import { memorySource } from '../bytes/memory.js'
import { sliceSource } from '../bytes/slice.js'
import { readSmallFile } from '../bytes/small-file.js'
import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import type { KernelImage } from './kernel-image.js'
import { machineName, machineOf } from './machine.js'
import { mostHeaderBytes, type Pe, parsePe } from './pe.js'
import type { NewSection } from './pe-sections.js'
import { mergeSbat } from './sbat.js'

/** The program that starts the kernel of a UKI. */
export interface Stub {
  readonly path: string
  readonly bytes: Buffer
  readonly pe: Pe
}

const stubs = '/usr/lib/systemd/boot/efi'

/**
 * @param given path; undefined: systemd's for the processor of the kernel
 * @throws ERR_DDI_PE_FORMAT, ERR_DDI_PE_OVERLAP, ERR_DDI_ARCHITECTURE, ERR_DDI_LIBRARY_MISSING if there is none
 */
export async function readStub(given: string | undefined, kernel: Pe): Promise<Stub> {
  const machine = machineOf(kernel.machine)
  if (machine?.node !== process.arch)
    throw new DdiError(
      'ERR_DDI_ARCHITECTURE',
      `the kernel is for ${machineName(kernel.machine)}, and Node.js of this machine, which goes into the initrd, for ${process.arch}`,
    )
  const path = given ?? `${stubs}/${machine.stub}`
  const bytes = await readSmallFile(path).catch((error: unknown) => {
    if (given !== undefined || !(error instanceof DdiError) || error.code !== 'ERR_DDI_NOT_FOUND') throw error
    throw new DdiError('ERR_DDI_LIBRARY_MISSING', `there is no ${path}: install systemd-boot-efi`, { cause: error })
  })
  const pe = parsePe(bytes, bytes.length, path)
  if (pe.machine !== kernel.machine)
    throw new DdiError(
      'ERR_DDI_ARCHITECTURE',
      `${path} is for ${machineName(pe.machine)}, and the kernel for ${machineName(kernel.machine)}`,
    )
  return { path, bytes, pe }
}

/** The files of a UKI that have sections of their own. */
export interface SectionFiles {
  readonly osRelease?: string
  readonly sbat?: string
  readonly splash?: string
  readonly deviceTree?: string
  readonly microcode?: string
}

/** What goes into every UKI. */
export interface UkiParts {
  readonly commandLine: string
  readonly kernelVersion: string
  readonly stub: Stub
  readonly kernel: KernelImage
  readonly kernelFile: Source
  readonly initrd: Source
}

/**
 * The sections of a UKI: UAPI.5, and systemd-stub(7).
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_FILE_KIND, ERR_DDI_USAGE for SBAT
 */
export async function ukiSections(files: SectionFiles, parts: UkiParts): Promise<NewSection[]> {
  const { commandLine, kernelVersion, kernel, kernelFile, initrd } = parts
  const read = async (name: string, path: string | undefined): Promise<NewSection[]> =>
    path === undefined ? [] : [{ name, content: memorySource(requireKind(name, await readSmallFile(path), path)) }]
  // All stubs know microcode at the beginning of an initrd; only those from systemd 256 on, a section for it.
  const microcode = await read('.ucode', files.microcode)
  const osRelease = await read('.osrel', files.osRelease)
  return [
    ...(osRelease.length > 0 ? osRelease : [text('.osrel', defaultOsRelease(kernelVersion))]),
    text('.cmdline', commandLine),
    text('.uname', kernelVersion),
    ...(await sbatSection(files.sbat, parts)),
    ...(await read('.splash', files.splash)),
    ...(await read('.dtb', files.deviceTree)),
    { name: '.initrd', content: concatSources([...microcode.map(({ content }) => padded(content)), initrd]) },
    // The last, and as large as the kernel says that it is: stubs may start it where it lies.
    {
      name: '.linux',
      content: kernelFile,
      virtualSize: Math.max(kernelFile.size, kernel.pe.imageSize),
      isCode: true,
    },
  ]
}

/** How the files of sections begin that something else than a person reads. */
const beginnings: Readonly<Record<string, { readonly magic: Buffer; readonly what: string }>> = {
  '.splash': { magic: Buffer.from('BM'), what: 'a picture (BMP)' },
  '.dtb': { magic: Buffer.from('d00dfeed', 'hex'), what: 'a device tree' },
  '.ucode': { magic: Buffer.from('070701'), what: 'an archive (cpio, not compressed) with microcode' },
}

/** @throws ERR_DDI_USAGE */
function requireKind(name: string, bytes: Buffer, path: string): Buffer {
  const expected = beginnings[name]
  if (!expected || bytes.subarray(0, expected.magic.length).equals(expected.magic)) return bytes
  throw new DdiError('ERR_DDI_USAGE', `${path} is not ${expected.what}`)
}

function text(name: string, content: string): NewSection {
  return { name, content: memorySource(Buffer.from(content)) }
}

function defaultOsRelease(kernelVersion: string): string {
  return `ID=ddi\nNAME=ddi\nPRETTY_NAME="ddi, Linux ${kernelVersion}"\nVERSION_ID=${kernelVersion}\n`
}

/** Of stub, kernel and a file; nothing if that is what the stub has. */
async function sbatSection(path: string | undefined, { stub, kernel, kernelFile }: UkiParts): Promise<NewSection[]> {
  const own = await sectionText(memorySource(stub.bytes), stub.pe, '.sbat')
  const given = path === undefined ? '' : (await readSmallFile(path)).toString('utf8')
  const merged = mergeSbat([own, await sectionText(kernelFile, kernel.pe, '.sbat'), given])
  return merged === mergeSbat([own]) ? [] : [text('.sbat', merged)]
}

/** @param name for errors @throws as {@link parsePe} */
export async function readPe(source: Source, name: string): Promise<Pe> {
  return parsePe(await source.read(0, Math.min(mostHeaderBytes, source.size)), source.size, name)
}

/** The section of a name that a stub takes: the last one, before the sections of further profiles. */
function sectionNamed({ sections }: Pe, name: string) {
  const profiles = sections.findIndex((one) => one.name === '.profile')
  return sections.slice(0, profiles < 0 ? undefined : profiles).findLast((one) => one.name === name)
}

/** What a section holds. @throws ERR_DDI_PE_FORMAT if there is none */
export function sectionSource(source: Source, pe: Pe, name: string): Source {
  const section = sectionNamed(pe, name)
  if (!section) throw new DdiError('ERR_DDI_PE_FORMAT', `there is no section ${name}`)
  const { raw, virtualSize } = section
  return sliceSource(source, { start: raw.start, length: Math.min(raw.length, virtualSize) })
}

const longestText = 65536

/** The text of a section up to its first NUL; empty if there is none. */
export async function sectionText(source: Source, pe: Pe, name: string): Promise<string> {
  const section = sectionNamed(pe, name)
  if (!section) return ''
  const length = Math.min(section.raw.length, section.virtualSize, longestText)
  const bytes = await source.read(section.raw.start, length)
  return Buffer.from(bytes).toString('utf8').replace(/\0.*$/s, '')
}

/** Members of archives begin at multiples of four bytes. */
function padded(source: Source): Source {
  return concatSources([source, memorySource(new Uint8Array(-source.size & 3))].filter(({ size }) => size > 0))
}
