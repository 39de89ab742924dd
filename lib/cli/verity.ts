import { type Signer, sign } from '../build/sign.js'
import { type FormattedTree, formatFile } from '../build/tree.js'
import { extentSource, linear } from '../bytes/extents.js'
import { openFile } from '../bytes/file.js'
import { writeNewFile } from '../bytes/new-file.js'
import { DdiError } from '../errors.js'
import { sideFiles } from '../image/root-hash-sources.js'
import { parseSize } from '../size.js'
import { parseRootHash } from '../verity/root-hash.js'
import { encodeSignatureRecord, parseCertificates } from '../verity/signature.js'
import { digestLengths, type HashAlgorithm, readSuperblock, type Superblock } from '../verity/superblock.js'
import { checkRootHash, checkTreeFits, layoutTree } from '../verity/tree.js'
import { verifyTree } from '../verity/verify.js'
import { readGiven } from './given-file.js'
import { untilInterrupted } from './interrupt.js'
import type { JsonOption } from './options.js'
import { print, printJson } from './output.js'
import { progressBar } from './progress.js'
import { nameBlocks } from './verify.js'

export interface FormatVerbOptions extends JsonOption {
  readonly append?: boolean
  readonly hash: string
  readonly salt?: string
  readonly dataBlockSize: string
  readonly hashBlockSize: string
  readonly dataBlocks?: string
  readonly uuid?: string
  readonly rootHashFile?: string
  readonly force?: boolean
}

export async function runFormat(data: string, hash: string | undefined, options: FormatVerbOptions): Promise<void> {
  if (hash !== undefined && options.append) throw new DdiError('ERR_DDI_USAGE', 'either a hash file, or --append')
  const to = options.append ? null : (hash ?? sideFiles(data, 'verity')[0]!)
  const dataBlockSize = parseSize(options.dataBlockSize)
  const replace = options.force ?? false
  const bar = await progressBar('hashing')
  const formatted = await formatFile(data, to, {
    algorithm: parseAlgorithm(options.hash),
    dataBlockSize,
    hashBlockSize: parseSize(options.hashBlockSize),
    replace,
    onProgress: bar.update,
    signal: untilInterrupted(),
    ...(options.salt !== undefined && { salt: parseSalt(options.salt) }),
    ...(options.uuid !== undefined && { uuid: options.uuid }),
    ...(options.dataBlocks !== undefined && { dataSize: parseCount(options.dataBlocks) * dataBlockSize }),
  }).finally(() => bar.stop())
  const rootHash = Buffer.from(formatted.rootHash).toString('hex')
  if (options.rootHashFile !== undefined)
    await writeNewFile(options.rootHashFile, 0, (target) => target.write(0, Buffer.from(`${rootHash}\n`)), { replace })
  if (options.json !== 'off') printJson({ ...describe(formatted), rootHash, file: to ?? data }, options.json)
  else print(rootHash)
}

function describe({ superblock, hash }: Pick<FormattedTree, 'superblock' | 'hash'>) {
  const { uuid, algorithm, salt, dataBlockSize, hashBlockSize, dataBlocks } = superblock
  const { hashStartBlock, levels } = layoutTree(superblock)
  return {
    uuid,
    algorithm,
    salt: Buffer.from(salt).toString('hex'),
    dataBlockSize,
    hashBlockSize,
    dataBlocks,
    hashStartBlock,
    levels: levels.length,
    hash,
  }
}

function parseAlgorithm(text: string): HashAlgorithm {
  if (!Object.hasOwn(digestLengths, text))
    throw new DdiError('ERR_DDI_USAGE', `--hash=${text}: one of ${Object.keys(digestLengths).join(', ')}`)
  return text as HashAlgorithm
}

/** Hexadecimal, or `-` for none, as veritysetup takes it. */
function parseSalt(text: string): Uint8Array {
  if (text !== '-' && !/^([0-9a-f]{2})*$/i.test(text))
    throw new DdiError('ERR_DDI_USAGE', `--salt=${text}: whole bytes in hexadecimal, or -`)
  return text === '-' ? new Uint8Array() : Buffer.from(text, 'hex')
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text))
    throw new DdiError('ERR_DDI_USAGE', `${JSON.stringify(text)} is no number of blocks`)
  return Number(text)
}

export interface HashOffsetOption {
  readonly hashOffset: string
}

/** The superblock in a hash file, and where its tree lies. */
async function openTree(path: string, { hashOffset }: HashOffsetOption) {
  const file = await openFile(path)
  try {
    const start = hashOffset === '0' ? 0 : parseSize(hashOffset)
    if (start >= file.size)
      throw new DdiError('ERR_DDI_USAGE', `--hash-offset=${hashOffset}: ${path} has ${file.size} bytes`)
    const run = { start, length: file.size - start }
    const source = extentSource(file, linear([run]))
    const superblock: Superblock = await readSuperblock(source)
    return { file, run, source, superblock, [Symbol.asyncDispose]: () => file.close() }
  } catch (error) {
    await file.close()
    throw error
  }
}

export async function runVerifyTree(
  dataPath: string,
  hashPath: string,
  rootHashText: string,
  options: JsonOption & HashOffsetOption,
): Promise<void> {
  const rootHash = parseRootHash(rootHashText)
  await using data = await openFile(dataPath)
  await using tree = await openTree(hashPath, options)
  const { superblock } = tree
  checkTreeFits(superblock, data.size, tree.run.length)
  await checkRootHash(superblock, data, tree.source, rootHash)
  const bad: { level: 'data' | number; first: number; count: number }[] = []
  const bar = await progressBar('verifying')
  const counts = await verifyTree(superblock, data, tree.source, {
    onBadBlocks: (blocks) => (options.json === 'off' ? print(nameBlocks(dataPath, blocks)) : void bad.push(blocks)),
    onProgress: bar.update,
    signal: untilInterrupted(),
  }).finally(() => bar.stop())
  if (options.json !== 'off') printJson({ data: dataPath, hash: hashPath, ...counts, badBlocks: bad }, options.json)
  if (counts.badDataBlocks + counts.badHashBlocks > 0)
    throw new DdiError(
      'ERR_DDI_VERITY_CORRUPT',
      `${dataPath}: ${counts.badDataBlocks} of ${superblock.dataBlocks} data blocks and ${counts.badHashBlocks} hash blocks are bad`,
    )
}

export async function runDumpTree(path: string, options: JsonOption & HashOffsetOption): Promise<void> {
  await using tree = await openTree(path, options)
  const facts = describe({
    superblock: tree.superblock,
    hash: { start: tree.run.start, length: layoutTree(tree.superblock).end },
  })
  if (options.json !== 'off') printJson(facts, options.json)
  else
    for (const [name, value] of Object.entries(facts)) if (typeof value !== 'object') print(`${name}: ${value || '-'}`)
}

export interface SignVerbOptions {
  readonly certificate: string
  readonly key?: string
  readonly signer?: string
  readonly record?: boolean
  readonly force?: boolean
}

export async function runSign(rootHash: string, output: string, options: SignVerbOptions): Promise<void> {
  const hex = /^[0-9a-f]+$/i.test(rootHash) ? rootHash : (await readGiven(rootHash)).toString()
  const record = await sign(parseRootHash(hex), await signerOf(options))
  const contents = options.record ? encodeSignatureRecord(record) : record.signature
  await writeNewFile(output, 0, (target) => target.write(0, contents), { replace: options.force ?? false })
}

/** @throws ERR_DDI_USAGE, ERR_DDI_CERTIFICATE, and as {@link readGiven} */
export async function signerOf({
  certificate: path,
  key,
  signer,
}: Omit<SignVerbOptions, 'record' | 'force'>): Promise<Signer> {
  const [certificate] = parseCertificates(await readGiven(path), path)
  if (!certificate || (key === undefined) === (signer === undefined))
    throw new DdiError('ERR_DDI_USAGE', 'give --certificate, and either --key or --signer')
  return signer === undefined
    ? { kind: 'key', key: await readGiven(key!), certificate }
    : { kind: 'command', command: signer, certificate }
}
