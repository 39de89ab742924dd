import { parseDefinition } from '../../../lib/build/definitions.js'
import type { Target } from '../target.js'

const specifiers = { osRelease: new Map([['ID', '../%M']]), architecture: 'x86-64' }

export default {
  seeds: [Buffer.from('[Partition]\nType=root\nFormat=ext4\nCopyFiles=/\nLabel=x\nSizeMinBytes=10M\n')],
  large: [
    `A=${' '.repeat(300_000)}x`,
    `${'a '.repeat(100_000)}`,
    `${'\\\n'.repeat(100_000)}`,
    `[${' '.repeat(300_000)}`,
    `Type=root\nFormat=ext4\n${'CopyFiles=/\nExcludeFiles=/a\nMakeDirectories=/b\n'.repeat(30_000)}`,
  ].map((text) => () => Buffer.from(`[Partition]\n${text}`)),
  words: [
    ...[
      '[Partition]\n',
      'Type=root\n',
      'Format=erofs\n',
      'CopyFiles=/a:/../../etc\n',
      'SizeMinBytes=1P\n',
      'Verity=hash\n',
    ],
    ...['VerityMatchKey=x\n', '\\\n', '%M', '%%', '%', 'Flags=0xffffffffffffffff\n', 'MaxSegmentBytes=0\n', 'UUID='],
    ...['MountPoint=/a:ro\n', 'EncryptedVolume=a:/b:c\n', 'Encrypt=yes\n', 'Subvolumes=/a:ro,nodatacow /b\n'],
    ...['MakeSymlinks=/a:b /c:%M\n', 'Compression=zstd\n', 'Format=empty\n', 'CopyBlocks=auto\n', 'Flags=0b1\n'],
    ...['SupplementFor=x\n', 'ExcludeFilesTarget=/a/\n', 'VerityDataBlockSizeBytes=512\n', 'Priority=-2147483648\n'],
    ...['Weight=-1\n', 'SplitName=../x\n', 'ExcludeFiles=/a b\n', 'Minimize=best\n', '__proto__=1\n'],
  ],
  run: (bytes) => parseDefinition(bytes.toString('utf8'), 'x.conf', specifiers),
} satisfies Target
