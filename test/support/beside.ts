// Images with a /usr that a root hash covers, and volumes beside it that none covers.
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { emptyFile, formatVerity, MiB, makeGptImage, typeUuids, uuidsOf } from './images.js'
import { run } from './run.js'

const uncovered = { root: typeUuids.root, home: typeUuids.home, var: '4d21b016-b534-45c2-a9fb-5c16e091fd2d' } as const

/** A /usr, the tree that covers it, and its root hash. */
export function makeUsr(folder: string) {
  const [path, tree] = [join(folder, 'usr.erofs'), join(folder, 'usr')]
  mkdirSync(join(tree, 'bin'), { recursive: true })
  run('mkfs.erofs', '--quiet', path, tree)
  return { path, ...formatVerity(path, join(folder, 'usr.tree')) }
}

/** An image with that, and an ext4 for each tree that nothing covers. */
export function makeBeside(
  { path: usr, hashPath, rootHash }: ReturnType<typeof makeUsr>,
  path: string,
  trees: Readonly<Partial<Record<keyof typeof uncovered, string>>>,
): string {
  const uuids = uuidsOf(rootHash)
  const others = Object.entries(trees).map(([name, tree]) => {
    const from = emptyFile(`${path}.${name}`, 2 * MiB)
    run('mkfs.ext4', '-q', '-d', tree, from)
    return { type: uncovered[name as keyof typeof uncovered], size: 2 * MiB, from }
  })
  makeGptImage(path, 16 * MiB, [
    { type: typeUuids.usr, size: statSync(usr).size, uuid: uuids.data, from: usr },
    { type: typeUuids.usrVerity, size: MiB, uuid: uuids.hash, from: hashPath },
    ...others,
  ])
  return path
}

/** A tree with a program that says where it lies, at each path. */
export function makePrograms(folder: string, ...paths: readonly string[]): string {
  for (const path of paths) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), '#!/bin/sh\necho run\n', { mode: 0o755 })
  }
  return folder
}
