// Hash trees and signatures, and the UUIDs that root hashes give to partitions.
import { stat, writeFile } from 'node:fs/promises'
import { concatSources } from '../bytes/concat.js'
import { createFile, openFile } from '../bytes/file.js'
import { zeroSource } from '../bytes/repeat.js'
import { sliceSource } from '../bytes/slice.js'
import { newSuperblock, writeTree } from '../verity/format.js'
import { rootHashUuids } from '../verity/root-hash.js'
import { encodeSignatureRecord } from '../verity/signature.js'
import type { Superblock } from '../verity/superblock.js'
import { layoutTree } from '../verity/tree.js'
import { workOn } from '../work.js'
import { type Bytes, type FileContents, sourceOf } from './contents.js'
import type { BuildContext } from './context.js'
import { verityPartner } from './draft.js'
import { derivedUuid, veritySalt } from './identifiers.js'
import type { PlacedDraft } from './layout.js'
import { sign } from './sign.js'

/** A draft with everything that it holds, and its final UUID. */
export interface ProtectedDraft extends PlacedDraft<Bytes> {
  /** In hexadecimal, if a hash tree covers it, or it is part of what does; else null. */
  readonly rootHash: string | null
}

/**
 * Makes the hash trees and signatures that the definitions ask for.
 * @throws ERR_DDI_IO, ERR_DDI_NO_SPACE, ERR_DDI_ABORTED, and what `sign` throws
 */
export async function protect(
  drafts: readonly PlacedDraft<Bytes>[],
  context: BuildContext,
): Promise<readonly ProtectedDraft[]> {
  const covered = new Map<PlacedDraft, ProtectedDraft>()
  for (const hash of drafts) {
    if (hash.definition.verity !== 'hash' || hash.there) continue
    const data = verityPartner(drafts, hash, 'data')!
    const signature = verityPartner(drafts, hash, 'signature')
    const tree = await hashTree(data, hash, context)
    const rootHash = Buffer.from(tree.rootHash).toString('hex')
    const uuids = rootHashUuids(tree.rootHash)
    covered.set(data, { ...data, rootHash, uuid: data.definition.uuid ?? uuids.data })
    covered.set(hash, { ...hash, rootHash, uuid: hash.definition.uuid ?? uuids.hash, contents: tree.contents })
    if (signature) {
      const contents = await signatureRecord(tree.rootHash, signature, context)
      covered.set(signature, { ...signature, rootHash, contents })
    }
  }
  for (const draft of drafts) {
    const rootHash = draft.definition.verity === 'signature' && !draft.there ? rootHashThere(drafts, draft) : undefined
    if (rootHash === undefined) continue
    const contents = await signatureRecord(rootHash, draft, context)
    covered.set(draft, { ...draft, rootHash: Buffer.from(rootHash).toString('hex'), contents })
  }
  return drafts.map((draft) => covered.get(draft) ?? { ...draft, rootHash: null })
}

/** The root hash of data that are on the disk already with their tree: both UUIDs are halves of it. */
function rootHashThere(drafts: readonly PlacedDraft<Bytes>[], signature: PlacedDraft<Bytes>): Uint8Array | undefined {
  const halves = (['data', 'hash'] as const).map((kind) => verityPartner(drafts, signature, kind)?.there?.uuid)
  return halves.includes(undefined) ? undefined : Buffer.from(halves.join('').replaceAll('-', ''), 'hex')
}

async function hashTree(
  data: PlacedDraft<Bytes>,
  hash: PlacedDraft<Bytes>,
  context: BuildContext,
): Promise<{ readonly rootHash: Uint8Array; readonly contents: FileContents }> {
  const { verityDataBlockSize: dataBlockSize, verityHashBlockSize: hashBlockSize } = hash.definition
  const superblock = newSuperblock(data.size, {
    ...{ dataBlockSize, hashBlockSize },
    salt: veritySalt(context.seed),
    uuid: derivedUuid(hash.uuid, 'verity-uuid'),
  })
  const path = hash.contentsPath
  const rootHash = await hashContents(data, superblock, path, context)
  return { rootHash, contents: { kind: 'file', path, size: layoutTree(superblock).end, isTemporary: true } }
}

/** Writes the hash tree of a partition that begins with its contents and is zeroes then. @returns the root hash */
async function hashContents(
  { contents, label }: PlacedDraft<Bytes>,
  superblock: Superblock,
  path: string,
  context: BuildContext,
): Promise<Uint8Array> {
  const size = superblock.dataBlocks * superblock.dataBlockSize
  const work = workOn(label, context)
  await using tree = await createFile(path, layoutTree(superblock).end)
  if (contents.kind === 'none') return await writeTree(superblock, zeroSource(size), tree, work)
  await using file = await openFile(contents.path)
  const length = Math.min(contents.size, size)
  const data = concatSources([sliceSource(sourceOf(contents, file), { start: 0, length }), zeroSource(size - length)])
  return await writeTree(superblock, data, tree, work)
}

async function signatureRecord(
  rootHash: Uint8Array,
  { contentsPath: path }: PlacedDraft<Bytes>,
  { signer, signal }: BuildContext,
): Promise<Bytes> {
  // Definitions that need a signer were refused without one.
  if (!signer) return { kind: 'none' }
  await writeFile(path, encodeSignatureRecord(await sign(rootHash, signer, { signal })))
  return { kind: 'file', path, size: (await stat(path)).size, isTemporary: true }
}
