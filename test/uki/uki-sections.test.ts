import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { memorySource } from '../../lib/bytes/memory.js'
import type { Source } from '../../lib/bytes/source.js'
import { readKernelImage } from '../../lib/uki/kernel-image.js'
import { parsePe } from '../../lib/uki/pe.js'
import { appendSections } from '../../lib/uki/pe-sections.js'
import { mergeSbat } from '../../lib/uki/sbat.js'
import { type SectionFiles, sectionText, ukiSections } from '../../lib/uki/uki-sections.js'
import { temporaryFolder } from '../support/run.js'

const stubPath = '/usr/lib/systemd/boot/efi/linuxx64.efi.stub'
const stubBytes = readFileSync(stubPath)
const stub = { path: stubPath, bytes: stubBytes, pe: parsePe(stubBytes, stubBytes.length, stubPath) }

/** Something that has an EFI stub: systemd's, with text behind its headers. */
async function kernelWith(text: string, sbat = ''): Promise<Source> {
  const content = (words: string) => memorySource(Buffer.from(words))
  const sections = [
    { name: '.text2', content: content(text) },
    ...(sbat ? [{ name: '.sbat', content: content(sbat) }] : []),
  ]
  return appendSections(stubBytes, sections, stubPath)
}

async function bytesOf(source: Source): Promise<Buffer> {
  return Buffer.from(await source.read(0, source.size))
}

async function sectionsOf(files: SectionFiles, sbat?: string) {
  const kernelFile = await kernelWith('Linux version 6.1.2-arm64 (somebody)', sbat)
  const kernel = await readKernelImage(kernelFile, 'kernel')
  const parts = { commandLine: 'quiet', kernelVersion: kernel.version!, stub, kernel, kernelFile }
  return await ukiSections(files, { ...parts, initrd: memorySource(Buffer.from('initrd')) })
}

test('files become sections in the order of the specification, the kernel last', async () => {
  using folder = temporaryFolder()
  const file = (name: string, content = name) => {
    const path = join(folder.path, name)
    writeFileSync(path, content, 'latin1')
    return path
  }
  const sections = await sectionsOf({
    osRelease: file('os'),
    splash: file('bmp', 'BM'),
    deviceTree: file('dtb', '\xd0\x0d\xfe\xed'),
    microcode: file('ucode', '07070100'),
  })
  const found = new Map(
    await Promise.all(sections.map(async ({ name, content }) => [name, await bytesOf(content)] as const)),
  )
  assert.deepEqual([...found.keys()], ['.osrel', '.cmdline', '.uname', '.splash', '.dtb', '.initrd', '.linux'])
  const texts = ['.osrel', '.cmdline', '.uname', '.splash', '.dtb'].map((name) => found.get(name)!.toString('latin1'))
  assert.deepEqual(texts, ['os', 'quiet', '6.1.2-arm64', 'BM', '\xd0\x0d\xfe\xed'])
  // The kernel reads one archive behind the other, each from a multiple of four bytes on.
  assert.equal(found.get('.initrd')!.toString(), '07070100initrd')
  for (const name of ['splash', 'deviceTree', 'microcode'])
    await assert.rejects(sectionsOf({ [name]: file('text') }), { code: 'ERR_DDI_USAGE' }, name)
})

test('the lines of SBAT of stub, kernel and file are there once each', async () => {
  using folder = temporaryFolder()
  const header = 'sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n'
  const own = await sectionText(memorySource(stubBytes), stub.pe, '.sbat')
  assert.ok(!(await sectionsOf({})).some(({ name }) => name === '.sbat'), 'the stub has all of it')
  const path = join(folder.path, 'sbat')
  writeFileSync(path, `${header}acme,3,Acme,acme,1,https://acme.example\n`)
  const section = (await sectionsOf({ sbat: path }, `${header}linux,1,Linux,linux,6.1,https://kernel.org\n\0\0`)).find(
    ({ name }) => name === '.sbat',
  )!
  assert.equal(
    (await bytesOf(section.content)).toString(),
    `${own.trimEnd()}\nlinux,1,Linux,linux,6.1,https://kernel.org\nacme,3,Acme,acme,1,https://acme.example\n`,
  )
  assert.throws(() => mergeSbat(['acme,3\n']), { code: 'ERR_DDI_USAGE', message: /begins with a line of its version/ })
})

test('a kernel tells its version in its header, or as text anywhere in it', async () => {
  const far = `${'x'.repeat(5_000_000)}Linux version 6.6.0-far (a@b) #1`
  const versionOf = async (source: Source) => (await readKernelImage(source, 'kernel')).version
  assert.equal(await versionOf(await kernelWith(far)), '6.6.0-far')
  // Across the border of two steps.
  const border = 'x'.repeat(4 * 1024 * 1024 - 0x11400 - 10)
  assert.equal(await versionOf(await kernelWith(`${border}Linux version 6.6.0-border (a@b) #1`)), '6.6.0-border')
  assert.equal(await versionOf(await kernelWith('compressed')), null)
  await assert.rejects(readKernelImage(memorySource(Buffer.alloc(1000)), 'kernel'), { code: 'ERR_DDI_KERNEL_IMAGE' })
})
