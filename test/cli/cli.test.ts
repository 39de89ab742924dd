import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { errorCodes } from '../../lib/index.js'
import { defineImage, emptyFile, flipBit, MiB, makeGptImage, makeVerityImage, typeUuids } from '../support/images.js'
import { makeIdentity } from '../support/keys.js'
import { attempt, cli, cliPath, packageRoot, run, temporaryFolder } from '../support/run.js'

test('wrong usage has status 2 and says what is wrong, on stderr', () => {
  const wrong = [
    ['inspekt', 'a'],
    ['--quiet', 'inspect', 'a'],
    ['Inspect', 'a'],
    ['help', 'none-such'],
    ['help', 'volume', 'none-such'],
    ['volume', 'none-such'],
    ['with', 'a', '--writable', 'ls'],
    ['inspect'],
    ['inspect', 'a', 'b'],
    ['inspect', '--nonsense', 'a'],
    ['inspect', '--json=yaml', 'a'],
    ['attach', '--name'],
    ['detach'],
    ['detach', 'a', '--all'],
    ['completion', 'csh'],
  ]
  for (const args of wrong) {
    const { status, stdout, stderr } = cli(...args)
    assert.equal(status, 2, args.join(' '))
    assert.equal(stdout, '', args.join(' '))
    assert.notEqual(stderr, '', args.join(' '))
  }
})

test('what commander cannot know is wrong usage with a code', () => {
  assert.match(cli('inspect', '--json=yaml', 'a').stderr, /pretty, short, off \(ERR_DDI_USAGE\)/)
  assert.match(cli('detach').stderr, /ERR_DDI_USAGE/)
})

test('what may be a mistyped verb gets a suggestion, what may be an image is attached, and help is help', () => {
  using folder = temporaryFolder()
  assert.match(cli('inspekt', 'image.raw').stderr, /unknown command 'inspekt'\n\(Did you mean inspect\?\)/)
  assert.match(cli('none/such').stderr, /^ddi-attach: cannot open none\/such: /)
  assert.match(cli('none-such.raw').stderr, /^ddi-attach: cannot open none-such\.raw: /)
  assert.match(cli('--name=x', 'none-such.raw').stderr, /^ddi-attach: cannot open none-such\.raw: /)
  writeFileSync(join(folder.path, 'inspekt'), 'x')
  const { stderr } = attempt(
    'sh',
    '-c',
    `cd "$1" && exec "$2" "$3" inspekt`,
    'sh',
    folder.path,
    process.execPath,
    cliPath,
  )
  assert.match(stderr, /ERR_DDI_NO_TABLE/)
  for (const [asked, usage] of [
    [[], '[attach] IMAGE | VERB …'],
    [['help'], '[attach] IMAGE | VERB …'],
    [['help', 'attach'], 'attach [options] <image>'],
    [['volume'], 'volume [options] [command]'],
    [['help', 'volume'], 'volume [options] [command]'],
    [['help', 'volume', 'create'], 'volume create [options] <disk>'],
    [['help', 'volume', 'create', 'disk.raw'], 'volume create [options] <disk>'],
    [['help', 'attach', 'image.raw', '--writable'], 'attach [options] <image>'],
  ] as const) {
    const { status, stdout } = cli(...asked)
    assert.deepEqual([status, stdout.split('\n')[0]], [0, `Usage: ddi-attach ${usage}`], asked.join(' '))
  }
})

test('where JSON is asked for, a failure is JSON on stdout too', () => {
  const { status, stdout, stderr } = cli('inspect', '--json=short', '/none/such')
  assert.equal(status, 1)
  assert.match(stderr, /^ddi-attach: cannot open /)
  const { message, ...rest } = JSON.parse(stdout).error
  assert.match(message, /^cannot open \/none\/such: ENOENT/)
  const unknownFields = { needed: null, free: null, partition: null, block: null }
  assert.deepEqual(rest, {
    ...{ code: 'ERR_DDI_NOT_FOUND', hint: null, errno: -2, syscall: 'open', path: '/none/such' },
    ...unknownFields,
  })
  const unknown = cli('inspect', '--json', 'pretty', '--nonsense', 'a')
  assert.deepEqual(JSON.parse(unknown.stdout), {
    error: {
      code: 'ERR_DDI_USAGE',
      message: "unknown option '--nonsense'",
      hint: null,
      errno: null,
      syscall: null,
      path: null,
      ...unknownFields,
    },
  })
  assert.equal(cli('inspect', '--json=off', '/none/such').stdout, '')
})

test('a command that cannot be run ends with the status that env gives it', () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.raw')
  run('mke2fs', '-q', '-t', 'ext4', path, '4M')
  const plain = join(folder.path, 'plain')
  writeFileSync(plain, '#!/bin/sh\n')
  for (const [command, code] of [
    ['none-such', 'ERR_DDI_COMMAND_NOT_FOUND'],
    ['/none/such', 'ERR_DDI_COMMAND_NOT_FOUND'],
    [plain, 'ERR_DDI_COMMAND_NOT_EXECUTABLE'],
  ] as const) {
    const { status, stderr } = cli('with', path, command)
    assert.match(stderr, new RegExp(code))
    assert.equal(status, attempt('env', command).status)
  }
})

test('numbers out of their range are refused by the name of their option, before anything happens', () => {
  using folder = temporaryFolder()
  const output = join(folder.path, 'new')
  const build = ['build', '--definitions', folder.path, '-o', output]
  const make = ['android', 'make', output, '--device-size=4M']
  const wrong: [string, ...string[]][] = [
    ['--sector-size', ...build, '--sector-size=256'],
    ['--sector-size', ...build, '--sector-size', '8192'],
    ['--size', ...build, '--size=-1'],
    ['--metadata-slots', ...make, '--metadata-slots', 'abc'],
    ['--metadata-slots', ...make, '--metadata-slots=0'],
    ['--connections', 'pull', 'http://localhost/x.raw', '--output', output, '--connections', '0'],
    ['--connections', 'pull', 'http://localhost/x.raw', '--output', output, '--connections=1e1'],
    ['--data-block-size', 'verity', 'format', '/dev/null', output, '--data-block-size=1000'],
    ['--data-blocks', 'verity', 'format', '/dev/null', output, '--data-blocks=none'],
    ['--slot', 'android', 'dump', output, '--slot=ab'],
    ['--owners', 'mount', output, output, '--owners=1:2'],
  ]
  for (const [option, ...args] of wrong) {
    const { status, stderr } = cli(...args)
    assert.equal(status, 2, args.join(' '))
    assert.match(stderr, new RegExp(`^ddi-attach: ${option}: .*\\(ERR_DDI_USAGE\\)\n$`))
    assert.ok(!existsSync(output))
  }
})

test('every verb explains itself, with examples', () => {
  const volumeVerbs = ['list', 'create', 'grow', 'shrink', 'remove', 'rename', 'check', 'defragment']
  const verbs = ['attach', 'inspect', 'plan', 'list', 'detach', 'verify', 'completion']
  for (const verb of [...verbs.map((one) => [one]), ...volumeVerbs.map((one) => ['volume', one])]) {
    const { status, stdout } = cli(...verb, '--help')
    assert.equal(status, 0)
    assert.match(stdout, /Examples:\n {2}/)
  }
  assert.match(cli('--help').stdout, /Exit status: 0 done/)
  assert.equal(
    cli('--version').stdout.trim(),
    JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')).version,
  )
})

test('images that are not acceptable have status 3, missing ones 1', () => {
  using folder = temporaryFolder()
  assert.equal(cli('inspect', emptyFile(join(folder.path, 'empty'), 0)).status, 3)
  assert.equal(cli('inspect', emptyFile(join(folder.path, 'zero'), MiB)).status, 3)
  assert.equal(cli('inspect', folder.path).status, 3)
  assert.equal(cli('inspect', join(folder.path, 'missing')).status, 1)
  const cut = join(folder.path, 'cut.raw')
  makeGptImage(cut, 16 * MiB, [{ type: typeUuids.root, size: MiB }])
  truncateSync(cut, 8 * MiB)
  const { status, stderr } = cli('inspect', cut)
  assert.equal(status, 3)
  assert.match(stderr, /truncated.*ERR_DDI_GPT_TRUNCATED/)
})

test('inspect --json has the documented shape', () => {
  using folder = temporaryFolder()
  const { path, rootHash, dataSize, dataStart } = makeVerityImage(folder.path)
  const inspected = JSON.parse(
    cli('inspect', path, '--root-hash', rootHash, '--architecture=x86-64', '--json=short').stdout,
  )
  assert.deepEqual(Object.keys(inspected), ['image', 'size', 'sectorSize', 'table', 'volumes', 'orphans', 'contents'])
  assert.deepEqual(Object.keys(inspected.table), ['type', 'uuid', 'source', 'problems'])
  const [data, hash] = inspected.volumes
  assert.deepEqual(data, {
    designator: 'root',
    architecture: 'x86-64',
    uuid: data.uuid,
    typeUuid: typeUuids.root,
    label: 'os_1',
    flags: { readOnly: false, noAuto: false, growFileSystem: false },
    size: dataSize,
    extents: [{ device: null, start: dataStart, length: dataSize }],
    defect: null,
    fileSystem: { type: 'erofs', label: null, uuid: data.fileSystem.uuid, blockSize: 4096 },
    verity: { rootHash, dataVolume: data.uuid, hashVolume: hash.uuid, signer: null },
    noExec: false,
  })
  assert.equal(hash.verity, null)
  const { stdout: pretty } = cli('inspect', path, '--json=pretty')
  assert.ok(pretty.split('\n').length > 20)
})

test('plan draws the tree, and touches nothing', () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  const { status, stdout } = cli('plan', path, '--root-hash', rootHash, '--architecture=x86-64', '--name=p')
  assert.equal(status, 0)
  const lines = stdout.trim().split('\n')
  assert.match(lines[0]!, /image\.raw {2}loop 32M ro, 512-byte sectors/)
  assert.match(lines[1]!, /^├─\/dev\/mapper\/ddi-p-root-data {2}linear/)
  assert.match(lines[2]!, new RegExp(`^│ └─/dev/mapper/ddi-p-root {2}verity .*${rootHash}`))
  assert.match(lines[3]!, /^└─\/dev\/mapper\/ddi-p-root-verity {2}linear/)
})

test('verify names bad blocks on stdout and has status 3', () => {
  using folder = temporaryFolder()
  const { path, rootHash, dataStart } = makeVerityImage(folder.path)
  const verify = (...args: string[]) => cli('verify', path, '--root-hash', rootHash, '--architecture=x86-64', ...args)
  assert.equal(verify().status, 0)
  flipBit(path, dataStart + 5 * 4096)
  flipBit(path, dataStart + 6 * 4096)
  const { status, stdout, stderr } = verify()
  assert.equal(status, 3)
  assert.equal(stdout, 'root: data blocks 5-6\n')
  assert.match(stderr, /ERR_DDI_VERITY_CORRUPT/)
  assert.deepEqual(JSON.parse(verify('--json=short').stdout).badBlocks, [
    { designator: 'root', level: 'data', first: 5, count: 2 },
  ])
})

test('volume verbs change a disk that sgdisk accepts, and say what they did', () => {
  using folder = temporaryFolder()
  const disk = join(folder.path, 'disk.raw')
  makeGptImage(disk, 64 * MiB, [])
  const volume = (verb: string, ...args: string[]) => {
    const { status, stdout, stderr } = cli('volume', verb, disk, ...args)
    assert.equal(status, 0, stderr)
    return stdout
  }
  const from = join(folder.path, 'content')
  writeFileSync(from, 'content')
  volume('create', '--type=root', '--architecture=x86-64', '--size=20M', '--label=acme_1', `--from=${from}`)
  volume('create', '--type', typeUuids.home, '--size=10MiB', '--label=home')
  assert.equal(volume('grow', 'acme_1', '--size', '+20M'), 'acme_1: 40M in 2 segments\n')
  assert.match(volume('list'), / home [^\n]*\n.* acme_1 \(1\) [^\n]*\n.* free [^\n]*\n/)
  const { volumes } = JSON.parse(volume('list', '--json=short'))
  assert.equal(volumes[0].size, 40 * MiB)
  assert.equal(readFileSync(disk).toString('latin1', volumes[0].extents[0].start).slice(0, 7), 'content')
  volume('rename', 'acme_1', '--label=acme_2')
  volume('remove', 'home')
  assert.equal(volume('shrink', 'acme_2', '--size=1.5M'), 'acme_2: 38.5M in 2 segments\n')
  assert.equal(volume('defragment'), 'acme_2: now in 1 segment\n')
  assert.equal(volume('check'), '')
  assert.match(run('sgdisk', '--verify', disk), /No problems found/)
  const refused: [number, string, ...string[]][] = [
    [1, 'grow', 'acme_2', '--size=1T'],
    [2, 'grow', 'acme_2', '--size=large'],
    [2, 'grow', 'nobody', '--size=1M'],
    [2, 'create', '--type=nonsense', '--size=1M'],
    [2, 'create', '--type=home', `--label=${'x'.repeat(37)}`, '--size=1M'],
    [2, 'create', '--type=home'],
    [2, 'rename', 'acme_2'],
    [2, 'rename', 'acme_2', '--uuid=1234'],
  ]
  for (const [expected, verb, ...args] of refused)
    assert.equal(cli('volume', verb, disk, ...args).status, expected, verb)
})

test('labels cannot speak to the terminal', () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.raw')
  makeGptImage(path, 16 * MiB, [{ type: typeUuids.root, size: MiB, label: 'a\u001b[31mred\u202e' }])
  const { stdout } = cli('inspect', path)
  assert.ok(!stdout.includes('\u001b') && !stdout.includes('\u202e'))
  assert.match(stdout, /a\\u\{1b\}\[31mred\\u\{202e\}/)
})

test('the man page knows every verb, option and exit status', () => {
  const page = readFileSync(join(packageRoot, 'dist/ddi-attach.8'), 'utf8').replaceAll('\\-', '-')
  const script = cli('completion', 'bash').stdout
  const { verbs: known } = JSON.parse(readFileSync(join(packageRoot, 'dist/cli/verbs.json'), 'utf8')) as {
    readonly verbs: readonly { readonly name: string }[]
  }
  const verbs = known.map(({ name }) => name)
  const options = new Set(script.match(/--[a-z-]+/g))
  for (const word of [...verbs, ...options]) assert.ok(page.includes(word), word)
  const { stderr } = attempt(
    'man',
    '--warnings',
    '-E',
    'UTF-8',
    '-l',
    '-Tutf8',
    '-Z',
    join(packageRoot, 'dist/ddi-attach.8'),
  )
  assert.equal(stderr, '')
})

test('docs/errors.md lists every code, and every code has a test', () => {
  const page = readFileSync(join(packageRoot, 'docs/errors.md'), 'utf8')
  const tests = readdirSync(join(packageRoot, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => readFileSync(join(packageRoot, 'test', name), 'utf8'))
    .join('\n')
  for (const [code, [kind, meaning]] of Object.entries(errorCodes)) {
    assert.ok(page.includes(`| \`${code}\` | ${kind} | ${meaning} |`), code)
    assert.ok(tests.includes(code), `${code} has no test`)
  }
})

test('the packed package installs with neither compiler nor scripts, and its portable parts need no addon', () => {
  using folder = temporaryFolder()
  const packed = run('npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', folder.path, packageRoot)
    .trim()
    .split('\n')
    .at(-1)!
  const app = join(folder.path, 'app')
  mkdirSync(app)
  writeFileSync(join(app, 'package.json'), '{"type":"module"}')
  const bin = join(folder.path, 'bin')
  mkdirSync(bin)
  for (const name of ['node', 'npm', 'npx', 'sh', 'env', 'cp', 'rm'])
    run('ln', '-s', run('which', name).trim(), join(bin, name))
  // Nothing else in PATH: no compiler, no make, no python.
  const inApp = (command: string) =>
    attempt('env', '-i', `PATH=${bin}`, `HOME=${process.env['HOME']}`, 'sh', '-c', `cd ${app} && ${command}`)
  const installed = inApp(`npm install --ignore-scripts --no-audit --no-fund --prefer-offline ../${packed}`)
  assert.equal(installed.status, 0, installed.stderr)
  // With scripts, what cannot be compiled here is left out, and the rest installs all the same.
  const scripted = inApp(`cp -r . ../scripted && cd ../scripted && rm -rf node_modules package-lock.json &&
    npm install --no-audit --no-fund --prefer-offline ../${packed} && node -e "import('ddi').then(ddi => console.log(typeof ddi.attach))"`)
  assert.equal(scripted.status, 0, scripted.stderr)
  assert.match(scripted.stdout, /^function$/m)
  const imported = inApp(`node -e "import('ddi').then(ddi => console.log(typeof ddi.attach))"`)
  assert.equal(imported.stdout, 'function\n', imported.stderr)
  const { path } = makeVerityImage(folder.path)
  const inspected = inApp(`npx ddi-attach inspect ${path} --json=short`)
  assert.equal(JSON.parse(inspected.stdout).volumes?.length, 2, inspected.stderr)
  const addonFolder = join(app, 'node_modules/ddi/prebuilds')
  assert.ok(existsSync(addonFolder))
  rmSync(addonFolder, { recursive: true })
  writeFileSync(
    join(app, 'portable.js'),
    `import { openFile, readGpt } from 'ddi/gpt'\nimport 'ddi/verity'\nimport 'ddi'\nconst f = await openFile('${path}')\nconsole.log((await readGpt(f)).table.partitions.length)\nawait f.close()\n`,
  )
  const without = inApp('node portable.js')
  assert.equal(without.stdout, '2\n', without.stderr)
  const refused = inApp(`npx ddi-attach inspect ${path}`)
  assert.equal(refused.status, 1)
  assert.match(
    refused.stderr,
    /prebuilds\/linux-x64\/ddi\.node.*To compile it here: npm .* npx node-gyp rebuild.*ERR_DDI_ADDON_MISSING/s,
  )
})

test('a table has the columns that are asked for, as lsblk’s', () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 16 * MiB, [
    { type: typeUuids.linuxGeneric, size: 3 * MiB, label: 'one' },
    { type: typeUuids.linuxGeneric, size: MiB + 4096, label: 'two' },
  ])
  const sizes = run('sh', '-c', `sfdisk --json "$1" | grep -o '"size": [0-9]*' | cut -d' ' -f2`, 'sh', path)
  const [one, two] = sizes
    .trim()
    .split('\n')
    .map((sectors) => Number(sectors) * 512)
  for (const verb of ['inspect', 'volume list']) {
    const words = verb.split(' ')
    assert.equal(cli(...words, path, '-n', '-b', '-o', 'LABEL,size').stdout, `one  ${one}\ntwo  ${two}\n`)
    assert.equal(cli(...words, path, '--output=size').stdout, 'SIZE\n3M\n1.0M\n')
    const wrong = cli(...words, path, '-o', 'LABEL,COLOUR')
    assert.equal(wrong.status, 2)
    assert.match(wrong.stderr, /--output: there is no column COLOUR: the columns are VOLUME, .*UUID/)
  }
})

test('whatever is forced, a file is not replaced by what is made of it', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  emptyFile(at('system.img'), MiB)
  const before = readFileSync(at('system.img'))
  const { key, certificate } = makeIdentity(folder.path, 'owner')
  const definitions = defineImage(folder.path, { '1': ['Type=home', 'CopyBlocks=/system.img'] })
  const build = ['build', '--definitions', definitions, '--root', folder.path, '--force', '-o']
  for (const words of [
    ['android', 'convert', at('system.img'), at('system.img'), '--sparse', '--force'],
    [
      'android',
      'make',
      at('system.img'),
      '--device-size=8M',
      '--partition=a:none:0',
      `--image=a=${at('system.img')}`,
      '--force',
    ],
    [...build, at('system.img')],
    [...build, key, '--key', key, '--certificate', certificate],
    ['verity', 'format', at('system.img'), at('system.img'), '--force'],
  ]) {
    const { status, stderr } = cli(...words)
    assert.equal(status, 2, `${words.join(' ')}: ${stderr}`)
  }
  assert.ok(readFileSync(at('system.img')).equals(before))
  assert.match(readFileSync(key, 'utf8'), /PRIVATE KEY/)
})

test('a verb that downloads nothing loads no code that would', () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 8 * MiB, [{ type: typeUuids.linuxGeneric, size: MiB, label: 'one' }])
  const loaded = join(folder.path, 'loaded.cjs')
  writeFileSync(loaded, "process.on('exit', () => console.error(process.moduleLoadList.join('\\n')))")
  for (const verb of ['inspect', 'plan', 'volume list', 'store list', 'verity dump']) {
    const { stderr } = attempt(process.execPath, '--require', loaded, cliPath, ...verb.split(' '), path)
    assert.match(stderr, /^NativeModule fs$/m)
    assert.doesNotMatch(stderr, /^NativeModule (https?2?|tls|readline)$/m, verb)
  }
})
