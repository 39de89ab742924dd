// Verifying 1 GiB: ddi-attach verify against veritysetup verify, and how much memory it takes.
import { join } from 'node:path'
import { formatVerity, MiB } from '../test/support/images.js'
import { cliPath, run, temporaryFolder } from '../test/support/run.js'
import { compare, makeRandomFile, reportMemory } from './compare.js'

using folder = temporaryFolder()
const path = join(folder.path, 'data')
makeRandomFile(path, 1024 * MiB)
const { rootHash, hashPath } = formatVerity(path, `${path}.verity`)

const ours = [process.execPath, cliPath, 'verify', path, `--root-hash=${rootHash}`] as const
await compare({
  title: 'verify 1 GiB, page cache warm',
  rounds: 5,
  ours: { name: 'ddi-attach verify', run: async () => void run(...ours) },
  peer: { name: 'veritysetup verify', run: async () => void run('veritysetup', 'verify', path, hashPath, rootHash) },
  target: 1.8,
})

reportMemory(ours, join(folder.path, 'memory'), 64)
