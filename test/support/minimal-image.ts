// The images of systemd's TEST-50-DISSECT, made small: a squashfs with tree and signature beside it, and in a GPT, of root and of usr.
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { formatVerity, MiB, makeGptImage, typeUuids, uuidsOf } from './images.js'
import { makeIdentity } from './keys.js'
import { run } from './run.js'

export interface MinimalImages {
  /** `minimal_0.raw`, with `.verity`, `.roothash` and `.roothash.p7s` beside it. */
  readonly raw: string
  readonly gpt: string
  readonly usrGpt: string
  readonly rootHash: string
  readonly certificate: string
}

/** A squashfs of a tree. */
export function makeSquashfs(tree: string, path: string): string {
  run('mksquashfs', tree, path, '-noappend', '-quiet', '-no-progress')
  truncateSync(path, Math.ceil(statSync(path).size / 4096) * 4096)
  return path
}

/** Files with these texts, in a folder. @returns its path */
export function writeTree(folder: string, files: Readonly<Record<string, string>>): string {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

/** @param folder for all of them */
export function makeMinimalImages(folder: string): MinimalImages {
  const at = (name: string) => join(folder, name)
  const tree = writeTree(at('tree'), {
    'usr/lib/os-release': `${readFileSync('/usr/lib/os-release', 'utf8')}MARKER=1\n`,
    'usr/bin/cat': 'program',
    ...{ 'etc/hostname': 'minimal\n', 'usr/lib/systemd/systemd': '' },
  })
  chmodSync(join(tree, 'usr/bin/cat'), 0o755)
  symlinkSync('../usr/lib/os-release', join(tree, 'etc/os-release'))
  const raw = makeSquashfs(tree, at('minimal_0.raw'))
  const { rootHash } = formatVerity(raw, at('minimal_0.verity'))
  writeFileSync(at('minimal_0.roothash'), rootHash)
  const { key, certificate } = makeIdentity(folder, 'signer')
  const signature = at('minimal_0.roothash.p7s')
  const by = ['-inkey', key, '-signer', certificate, '-outform', 'der', '-out', signature]
  run('openssl', 'smime', '-sign', '-nocerts', '-noattr', '-binary', '-in', at('minimal_0.roothash'), ...by)
  // Theirs has no fingerprint of the certificate.
  const record = JSON.stringify({ rootHash, signature: readFileSync(signature).toString('base64') })
  writeFileSync(at('record'), record)
  const { data, hash } = uuidsOf(rootHash)
  const gpt = (name: string, types: readonly [string, string, string], label: string) => {
    makeGptImage(at(name), 16 * MiB, [
      { type: types[0], size: statSync(raw).size, uuid: data, label: `${label} Partition`, from: raw },
      { type: types[1], size: MiB, uuid: hash, label: 'Verity Partition', from: at('minimal_0.verity') },
      { type: types[2], size: 16384, label: 'Signature Partition', from: at('record') },
    ])
    return at(name)
  }
  const { root, rootVerity, rootVeritySig, usr, usrVerity, usrVeritySig } = typeUuids
  return {
    ...{ raw, rootHash, certificate },
    gpt: gpt('minimal_0.gpt', [root, rootVerity, rootVeritySig], 'Root'),
    usrGpt: gpt('minimal_0.usr.gpt', [usr, usrVerity, usrVeritySig], 'Usr'),
  }
}

/** A copy of an image that has files beside it, with those. */
export function copyWithSideFiles(path: string, to: string): string {
  for (const ending of ['.raw', '.verity', '.roothash', '.roothash.p7s'])
    copyFileSync(path.replace(/\.raw$/, ending), to.replace(/\.raw$/, ending))
  return to
}

export interface Extension {
  readonly path: string
  /** Of what it can be used as. */
  readonly uses: readonly string[]
  /** The release file in it. */
  readonly release: string
  /** Of the tree beside it. */
  readonly rootHash?: string
}

/** Extension images of each kind, two with trees beside them. */
export function makeExtensions(folder: string): readonly Extension[] {
  const any = 'ID=_any\nARCHITECTURE=_any\n'
  return (
    [
      ['app0', 'sysext', 'ID=debian\nSYSEXT_IMAGE_ID=app\n', true],
      ['conf0', 'confext', 'ID=debian\nCONFEXT_IMAGE_ID=app\n', true],
      ['app-nodistro', 'sysext', any, false],
      ['service-scoped-test', 'confext', any, false],
    ] as const
  ).map(([name, kind, text, hasTree]) => {
    const release = `${kind === 'sysext' ? 'usr/lib' : 'etc'}/extension-release.d/extension-release.${name}`
    const path = makeSquashfs(writeTree(join(folder, `${name}.d`), { [release]: text }), join(folder, `${name}.raw`))
    const extension = { path, release, uses: ['system', 'portable'].map((scope) => `${kind}-${scope}`) }
    if (!hasTree) return extension
    const { rootHash } = formatVerity(path, join(folder, `${name}.verity`))
    writeFileSync(join(folder, `${name}.roothash`), rootHash)
    return { ...extension, rootHash }
  })
}
