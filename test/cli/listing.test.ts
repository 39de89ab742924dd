// What the command line shows of images that are not made for it.
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { readIndex } from '../../lib/cli/verb-index.js'
import { makeDisk, rawEntry } from '../support/gpt.js'
import { MiB, makeGptImage, makeTree, typeUuids, writeAt } from '../support/images.js'
import { attempt, cli, packageRoot, run, temporaryFolder } from '../support/run.js'

const { verbs } = JSON.parse(readFileSync(join(packageRoot, 'dist/cli/verbs.json'), 'utf8')) as ReturnType<
  typeof readIndex
>

interface Listed {
  readonly volumes: readonly {
    readonly label: string
    readonly uuid: string
    readonly fileSystem?: { readonly label: string } | null
  }[]
  readonly nested?: readonly { readonly label: string; readonly within: string }[]
}

test('volumes of tables in volumes are listed on request, with the volume that they lie in', () => {
  using folder = temporaryFolder()
  const [inner, path] = [join(folder.path, 'inner.raw'), join(folder.path, 'disk.raw')]
  makeGptImage(inner, 4 * MiB, [{ type: typeUuids.root, size: MiB, label: 'inside' }])
  makeGptImage(path, 16 * MiB, [{ type: typeUuids.linuxGeneric, size: 4 * MiB, label: 'holder', from: inner }])
  const list = (...args: string[]) => JSON.parse(cli('volume', 'list', path, '--json=short', ...args).stdout) as Listed
  assert.equal(list().nested, null)
  const { volumes, nested } = list('--nested')
  assert.deepEqual(
    nested?.map(({ label, within }) => [label, within]),
    [['inside', volumes[0]!.uuid]],
  )
  assert.match(cli('volume', 'list', path, '--nested').stdout, /WITHIN.*inside .*[0-9a-f-]{36} +[0-9a-f-]{36}/s)
})

test('bits that say which system boots are shown where the type defines them', () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  const [kernel, flatcar] = ['fe3a2a5d-4f32-41a7-b725-accc3285a309', '5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6']
  makeGptImage(path, 16 * MiB, [
    { type: kernel, size: MiB, label: 'KERN-A', attributes: [48, 49, 53, 56] },
    { type: flatcar, size: MiB, label: 'USR-A', attributes: [48, 57, 60] },
    { type: typeUuids.root, size: MiB, label: 'root', attributes: [48, 56, 59] },
  ])
  const shown = cli('inspect', path).stdout
  for (const line of [/KERN-A .* priority=3,tries=2,good /, /USR-A .* ro,priority=1 /, / root .* grow /])
    assert.match(shown, line)
})

test('an isohybrid ISO with a GPT is read by its GPT, as blkid does', () => {
  using folder = temporaryFolder()
  const [path, esp] = [join(folder.path, 'image.iso'), join(folder.path, 'esp')]
  writeFileSync(esp, Buffer.alloc(MiB))
  run(
    ...([
      'xorriso',
      '-as',
      'mkisofs',
      '-quiet',
      '-o',
      path,
      '-appended_part_as_gpt',
      '-partition_offset',
      '16',
    ] as const),
    ...['-append_partition', '2', 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B', esp, makeTree(folder.path)],
  )
  const { table, volumes } = JSON.parse(cli('inspect', path, '--json=short').stdout) as Listed & {
    readonly table: { readonly uuid: string }
  }
  const blkid = attempt('blkid', '-p', '-o', 'export', path).stdout
  assert.match(blkid, /^TYPE=iso9660$/m)
  assert.equal(/^PTUUID=(.*)$/m.exec(blkid)?.[1], table.uuid)
  const { partitiontable } = JSON.parse(run('sfdisk', '--json', path)) as {
    readonly partitiontable: { readonly partitions: readonly { readonly uuid: string }[] }
  }
  const uuids = partitiontable.partitions.map(({ uuid }) => uuid.toLowerCase())
  assert.deepEqual(
    volumes.map(({ uuid }) => uuid),
    uuids,
  )
})

// That of `isohybrid --uefi`: its first partition begins with the MBR, which protects nothing.
test('an ISO whose GPT no MBR protects is a file system, as blkid says, whatever that GPT says', () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.iso')
  run('xorriso', '-as', 'mkisofs', '-quiet', '-V', 'HYBRID', '-o', path, makeTree(folder.path))
  assert.match(attempt('blkid', '-p', path).stdout, / TYPE="iso9660"/)
  const iso = readFileSync(path)
  const whole = { ...rawEntry(typeUuids.linuxGeneric), first: 0n, last: 63n }
  for (const entries of [[], [whole]]) {
    const disk = makeDisk({ sectorSize: 512, sectors: iso.length / 512, entries })
    writeAt(path, 512, disk.subarray(512, 8 * 512))
    const { volumes, table } = JSON.parse(cli('inspect', path, '--json=short').stdout) as Listed & {
      readonly table: { readonly type: string; readonly problems: readonly { readonly code: string }[] }
    }
    const labels = volumes.map(({ fileSystem }) => fileSystem?.label)
    const problems = table.problems.map(({ code }) => code)
    assert.deepEqual([table.type, problems, labels], ['none', ['ERR_DDI_GPT_LEFTOVER'], ['HYBRID']])
  }
})

test('a directory is read where an image is, and nothing in it passes for verified', () => {
  using folder = temporaryFolder()
  const tree = makeTree(folder.path)
  const image = join(folder.path, 'image.raw')
  run('mksquashfs', tree, image, '-noappend', '-quiet', '-no-progress')
  for (const verb of [['list-files'], ['digest'], ['copy-from', 'etc/os-release']]) {
    const [name, ...args] = verb as [string, ...string[]]
    assert.equal(cli(name, tree, ...args).stdout, cli(name, image, ...args).stdout, name)
  }
  mkdirSync(join(folder.path, 'outside'))
  copyFileSync(image, join(folder.path, 'outside/file'))
  run('ln', '-s', '../outside/file', join(tree, 'link'))
  assert.match(cli('copy-from', tree, 'link').stderr, /ERR_DDI_NOT_FOUND/)
  for (const option of [`--root-hash=${'ab'.repeat(32)}`, '--image-policy=root=signed', '--signature=userspace'])
    assert.match(cli('list-files', tree, option).stderr, /is a directory.*has no effect.*ERR_DDI_USAGE/)
})

test('every table is printed as scripts want it', () => {
  const folder = join(packageRoot, 'lib/cli')
  const text = (...names: readonly string[]) => readFileSync(join(folder, ...names), 'utf8')
  const modules = readdirSync(folder).filter((name) => name.endsWith('.ts') && name !== 'table.ts')
  const printers = modules
    .filter((name) => text(name).includes('printTable('))
    .flatMap((name) => [...text(name).matchAll(/^export async function (print\w+)/gm)].map(([, printer]) => printer!))
  assert.ok(printers.includes('printAttachment'))
  const printsTable = new RegExp(`\\b(${['printTable', ...printers].join('|')})\\(`)
  const printing = verbs.filter(({ name }) => printsTable.test(text('verbs', `${name.replace(' ', '/')}.ts`)))
  assert.ok(printing.length > 10)
  for (const { name, options } of printing) {
    const flags = options.map((one) => one.flags)
    // Of some, the output is a file.
    assert.ok(flags.includes('-o, --output <columns>') || flags.includes('-o, --output <file>'), name)
    for (const flag of ['-n, --noheadings', '-b, --bytes']) assert.ok(flags.includes(flag), `${name} ${flag}`)
  }
})
