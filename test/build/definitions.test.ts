import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseDefinition, readDefinitions } from '../../lib/build/definitions.js'
import { temporaryFolder } from '../support/run.js'

const specifiers = {
  osRelease: new Map([
    ['IMAGE_ID', 'acme'],
    ['IMAGE_VERSION', '1.4'],
  ]),
  architecture: 'x86-64',
}

const parse = (...lines: readonly string[]) => parseDefinition(lines.join('\n'), 'one.conf', specifiers)

test('comments, continued lines and specifiers are read as systemd reads them', () => {
  const { label, copyFiles, excludeFiles, makeDirectories, sizeMin, typeUuid } = parse(
    '# before',
    '[Partition]',
    ' Type = root',
    'Format=ext4',
    '; between',
    'Label=%M_%A_%a%%',
    'CopyFiles=/etc:/x/../y',
    'CopyFiles=/usr',
    'ExcludeFiles=/etc/a/ \\',
    '# within',
    '  /etc/b',
    'MakeDirectories=/one //two/',
    '',
    'SizeMinBytes=1.5M',
  )
  assert.equal(typeUuid, '4f68bce3-e8cd-4db1-96e7-fbcaf984b709')
  assert.equal(label, 'acme_1.4_x86-64%')
  assert.deepEqual(copyFiles, [
    { source: '/etc', target: '/y' },
    { source: '/usr', target: '/usr' },
  ])
  assert.deepEqual(excludeFiles, ['/etc/a/', '/etc/b'])
  assert.deepEqual(makeDirectories, ['/one', '/two/'])
  assert.equal(sizeMin, 1572864)
})

test('an error names the file, the line and the option', () => {
  const cases: readonly [RegExp, ...string[]][] = [
    [/^one\.conf:1: Type= comes before \[Partition\]$/, 'Type=root'],
    [/^one\.conf:2: unknown section \[Other\]/, '[Partition]', '[Other]'],
    [/^one\.conf:4: Label=: /, '[Partition]', 'Type=root', 'Label=\\', '%z'],
    [/^one\.conf:3: "__proto__=x" is not NAME=VALUE$/, '[Partition]', 'Type=root', '__proto__=x'],
    [/^one\.conf:3: constructor= is not supported$/, '[Partition]', 'Type=root', 'constructor=x'],
    [
      /^one\.conf: SizeMinBytes= is more than SizeMaxBytes=$/,
      ...'[Partition] Type=root SizeMinBytes=8K SizeMaxBytes=4K'.split(' '),
    ],
  ]
  for (const [message, ...lines] of cases)
    assert.throws(() => parse(...lines), { code: 'ERR_DDI_DEFINITION', message }, String(message))
})

test('definitions of a directory come in the order of their names, and pair up by match key', async () => {
  using folder = temporaryFolder()
  const write = (name: string, ...lines: string[]) =>
    writeFileSync(join(folder.path, name), ['[Partition]', ...lines].join('\n'))
  write('20-b.conf', 'Type=root-verity', 'Verity=hash', 'VerityMatchKey=k')
  write('10-a.conf', 'Type=root', 'Verity=data', 'VerityMatchKey=k')
  write('00-no', 'nonsense')
  const names = async () => (await readDefinitions([folder.path], specifiers)).map(({ path }) => path.slice(-9))
  assert.deepEqual(await names(), ['10-a.conf', '20-b.conf'])
  write('30-c.conf', 'Type=root', 'Verity=data', 'VerityMatchKey=k')
  await assert.rejects(names(), { code: 'ERR_DDI_DEFINITION', message: /more than one partition with Verity=data/ })
  write('30-c.conf', 'Type=usr', 'Verity=data', 'VerityMatchKey=other')
  await assert.rejects(names(), { code: 'ERR_DDI_DEFINITION', message: /no partition with Verity=hash/ })
})

test('what systemd has and ddi has not is refused with the reason', () => {
  const cases: readonly [string, RegExp][] = [
    ['EncryptKDF=scrypt', /EncryptKDF=: "scrypt" is not one of argon2id, pbkdf2 and minimal$/],
    ['FileSystemSectorSize=4096', /FileSystemSectorSize= is supported for vfat/],
    ['Integrity=inline', /Integrity= is not supported: .* dm-integrity$/],
    ['IntegrityAlgorithm=hmac-sha256', /IntegrityAlgorithm= is not supported: .* dm-integrity$/],
    ['BlockDeviceReplace=/', /BlockDeviceReplace= is not supported: .* btrfs replace does that$/],
    ['TPM2PCRs=7', /TPM2PCRs= is not supported: nothing is bound to a TPM2/],
    ['KeyFile=/key', /KeyFile= needs Encrypt=/],
    ['VolumeLabel=x', /VolumeLabel= needs Encrypt=/],
    ['VolumeName=x', /VolumeName= is not supported: nothing is opened/],
    ['AddValidateFS=yes', /AddValidateFS=: marks for systemd-validatefs are not made/],
    [
      'CopyFiles=/a:/b:fsverity=copy',
      /CopyFiles=: only SOURCE, SOURCE:TARGET and SOURCE:TARGET:fsverity=off are supported/,
    ],
    ['Encrypt=key-file+tpm2', /Encrypt=: key-file\+tpm2 is not supported: .* first boot$/],
  ]
  for (const [line, message] of cases)
    assert.throws(() => parse('[Partition]', 'Type=root', line), { code: 'ERR_DDI_DEFINITION', message }, line)
  parse('[Partition]', 'Type=root', 'AddValidateFS=no', 'CopyFiles=/a:/b:fsverity=off')
})

test('an empty line begins a list anew, and a drop-in adds to those before it', () => {
  const dropIn = (...lines: string[]) => [{ path: 'd.conf', text: ['[Partition]', ...lines].join('\n') }]
  const text = '[Partition]\nMakeDirectories=/a /b\nMountPoint=/x:ro\nLabel=one'
  const merged = (...lines: string[]) => parseDefinition(text, 'one.conf', specifiers, dropIn(...lines))
  assert.deepEqual(merged('MakeDirectories=/c').makeDirectories, ['/a', '/b', '/c'])
  assert.deepEqual(merged('MakeDirectories=', 'MakeDirectories=/c', 'Label=two').makeDirectories, ['/c'])
  assert.deepEqual([merged('MountPoint=').mountPoints, merged('Label=two').label], [[], 'two'])
  assert.throws(() => merged('Label=%z'), { message: /^d\.conf:2: Label=: the specifier %z is not supported$/ })
})

test('sets like those of mkosi, ParticleOS, IncusOS and installers are read, or refused for a TPM2 alone', async () => {
  const verity = (type: string, kind: string) => [`Type=${type}`, `Verity=${kind}`, 'VerityMatchKey=usr']
  const sets: Readonly<Record<string, readonly (readonly string[])[]>> = {
    'mkosi’s extensions': [
      ['Type=root', 'Format=erofs', 'CopyFiles=/usr/', 'Verity=data', 'VerityMatchKey=root', 'Minimize=best'],
      ['Type=root-verity', 'Verity=hash', 'VerityMatchKey=root', 'Minimize=best'],
      ['Type=root-verity-sig', 'Verity=signature', 'VerityMatchKey=root'],
    ],
    'an A/B image of /usr': [
      ['Type=esp', 'Format=vfat', 'CopyFiles=/efi:/', 'CopyFiles=/boot:/', 'SizeMinBytes=1G', 'SizeMaxBytes=1G'],
      [...verity('usr-verity-sig', 'signature'), 'Label=%M_%A_verity_sig', 'SplitName=%t.%U'],
      [...verity('usr-verity', 'hash'), 'SizeMinBytes=100M', 'SizeMaxBytes=100M', 'SplitName=%t.%U'],
      [...verity('usr', 'data'), 'Format=erofs', 'CopyFiles=/usr:/', 'Compression=zstd', 'SizeMaxBytes=1G'],
      ['Type=usr', 'Label=_empty', 'SizeMinBytes=5G', 'SizeMaxBytes=20G', 'Weight=1000'],
    ],
    'an installer that copies itself': [
      ['Type=usr-verity-sig', 'Label=%M_%A_verity_sig', 'CopyBlocks=auto'],
      ['Type=usr-verity', 'CopyBlocks=auto', 'SizeMinBytes=64M', 'SizeMaxBytes=64M'],
      ['Type=usr', 'CopyBlocks=auto', 'ReadOnly=yes', 'NoAuto=off'],
      [
        'Type=swap',
        'Format=swap',
        'SizeMinBytes=64M',
        'SizeMaxBytes=1G',
        'Priority=1',
        'Weight=333',
        'FactoryReset=yes',
      ],
    ],
    'btrfs with snapshots': [
      ['Type=esp', 'Format=vfat', 'MountPoint=/boot/efi', 'SizeMinBytes=750M', 'SizeMaxBytes=4G'],
      [
        ...['Type=root', 'Format=btrfs', 'Compression=zstd', 'CompressionLevel=1', 'GrowFileSystem=off'],
        ...['Subvolumes=/@ /@/home /nix:nodatacow /@/.snapshots/1/snapshot:ro', 'MakeDirectories=/@ /@/home'],
        ...['DefaultSubvolume=/@/.snapshots/1/snapshot', 'MountPoint=/:subvol=@', 'MountPoint=/home:subvol=@/home'],
        ...['Encrypt=key-file', 'EncryptedVolume=root::tpm2-device=auto', 'ExcludeFiles=/ignition /etc/sudoers.d/'],
      ],
    ],
  }
  for (const [name, definitions] of Object.entries(sets)) {
    using folder = temporaryFolder()
    for (const [index, lines] of definitions.entries())
      writeFileSync(join(folder.path, `${10 + index}.conf`), ['[Partition]', ...lines].join('\n'))
    assert.equal((await readDefinitions([folder.path], specifiers)).length, definitions.length, name)
    writeFileSync(join(folder.path, '99.conf'), '[Partition]\nType=home\nFormat=btrfs\nEncrypt=tpm2\n')
    await assert.rejects(readDefinitions([folder.path], specifiers), { message: /99\.conf:4: Encrypt=: tpm2 is not/ })
  }
})
