// Calls that can take long can be aborted, and tell how far they have come.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import ts from 'typescript'
import * as ddi from '../lib/index.js'
import { calls } from './support/calls.js'
import { checker, declared } from './support/declarations.js'
import { MiB, makeGptImage, typeUuids } from './support/images.js'
import { temporaryFolder } from './support/run.js'

/** Asynchronous calls that take neither signal nor onProgress, by the reason. */
const quick: Readonly<Record<string, string>> = {
  'reads or writes as many bytes as the caller says': `Source.read Target.read Target.write Target.flush FileSource.read FileTarget.read
    FileTarget.write FileTarget.flush FileTarget.truncate SparseSource.read UnnamedVolume.read UnnamedVolume.write UnnamedVolume.flush`,
  'opens, or closes': `openTreeFile TreeFile.close openFile openFileForWriting openRoot openSparse Root.open FileSource.close FileTarget.close Image.close Root.close
    Disk.close Super.close VolumeTable.close Store.close`,
  'reads tables, headers or marks, whose sizes are capped': `openImage imageOn openDisk openSuper openStore readDisk readStore readGpt scanGpt
    readSuper readMetadataImage readSuperblock isSuper isSparse isMetadataImage expand findSuper findStores nestedVolumes dissect
    dissectRemains dissectVerityDevices checkRootHash checkedSource previewFormat previewParity inspectUki readTransfers readFacts findBootOrigin
    trustedCertificates list discoverImages attachedDevice runningImage Disk.isUsed Tree.attribute`,
  'writes a table, and moves no data': `Disk.grow Disk.shrink Disk.resize Disk.rename Disk.renameAll Disk.remove Disk.removeAll Disk.discard
    Disk.separate Disk.check Disk.repartition UnnamedVolume.name Super.grow Super.shrink Super.resize Super.rename Super.remove
    Super.check Super.resizeGroup VolumeTable.grow VolumeTable.shrink VolumeTable.resize VolumeTable.rename VolumeTable.remove
    VolumeTable.check Store.makeRoom Store.mark Store.refuse Store.remove Store.retention Store.trim Store.try commitSuper installUnits`,
  'computes on what fits into memory': 'signRootHash verifyRootHashSignature',
  'takes devices and mounts away, all or none of them': `detach detachAll unmountImage Attachment.detach MountedImage.unmount
    removePartitionNodes addPartitionNodes`,
  'lists one entry after the other, until the signal of withTree': 'Tree.entries',
  'runs a tool of a file system, which nobody should kill as it works': 'prepareResize',
}
/** Calls that take a signal alone, by the reason. */
const untold: Readonly<Record<string, string>> = {
  'makes devices, and moves no data': 'activate attach attachVerity',
  'tells of all by its log': 'boot',
}
const namesIn = (table: Readonly<Record<string, string>>) => Object.values(table).flatMap((names) => names.split(/\s+/))

/** The asynchronous functions and methods of the package, and which options of `Work` they take. */
function* asynchronous(): Generator<{ readonly name: string; readonly takes: readonly string[] }> {
  for (const { name, symbol } of new Map([...declared()].map((one) => [one.symbol, one])).values()) {
    const isFunction = (symbol.flags & ts.SymbolFlags.Function) !== 0
    const hasMethods = (symbol.flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.Class)) !== 0
    if (isFunction) yield* those(name, checker.getTypeOfSymbol(symbol))
    for (const method of hasMethods ? checker.getDeclaredTypeOfSymbol(symbol).getProperties() : [])
      yield* those(`${name}.${method.name}`, checker.getTypeOfSymbol(method))
  }
}

function* those(name: string, type: ts.Type) {
  for (const signature of type.getCallSignatures()) {
    if (!/^(Promise|AsyncGenerator)</.test(checker.typeToString(signature.getReturnType()))) continue
    const given = signature.getParameters().map((one) => checker.getNonNullableType(checker.getTypeOfSymbol(one)))
    yield { name, takes: ['signal', 'onProgress'].filter((option) => given.some((one) => one.getProperty(option))) }
  }
}

test('every asynchronous call takes signal and onProgress, or is quick', () => {
  const found = [...asynchronous()]
  const named = (takes: string) => found.filter((one) => one.takes.join() === takes).map(({ name }) => name)
  assert.ok(named('signal,onProgress').length > 30)
  assert.deepEqual(named('onProgress'), [])
  assert.deepEqual(named('').sort(), namesIn(quick).sort())
  assert.deepEqual(named('signal').sort(), namesIn(untold).sort())
})

const aborted = { name: 'AbortError', code: 'ERR_DDI_ABORTED' }

test('a signal that is aborted is an AbortError, before anything is done', async () => {
  const signal = AbortSignal.abort()
  for (const { name, takes } of asynchronous()) {
    if (!takes.includes('signal') || name.includes('.')) continue
    assert.ok(calls[name], name)
    await assert.rejects(async () => await calls[name]!({ signal } as never), aborted, name)
  }
})

test('the methods of a disk are aborted too', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 16 * MiB, [{ type: typeUuids.home, size: MiB, label: 'home' }])
  await using disk = await ddi.openDisk(path)
  const signal = AbortSignal.abort()
  await assert.rejects(disk.create(ddi.makeVolumeHead({ type: 'srv' }), MiB, { signal }), aborted)
  await assert.rejects(disk.defragment({ signal }), aborted)
})

test('whatever a program has to give back has one call for it, and goes with its scope', () => {
  const plain = ['close', 'detach', 'unmount']
  for (const { name, symbol } of declared()) {
    if (!(symbol.flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.Class))) continue
    const names = checker
      .getDeclaredTypeOfSymbol(symbol)
      .getProperties()
      .map((one) => one.name)
    const isDisposable = names.some((one) => one.startsWith('__@asyncDispose') || one.startsWith('__@dispose'))
    assert.equal(names.filter((one) => plain.includes(one)).length, isDisposable ? 1 : 0, name)
  }
})
