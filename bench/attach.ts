// Attaching and detaching a verity-protected image: the library against losetup, veritysetup open, and undoing them.
import { attach } from '../lib/index.js'
import { makeVerityImage } from '../test/support/images.js'
import { run, temporaryFolder } from '../test/support/run.js'
import { compare } from './compare.js'

using folder = temporaryFolder()
const { path, rootHash } = makeVerityImage(folder.path)

await compare({
  title: 'attach + detach, verity-protected image',
  rounds: 15,
  ours: {
    name: "ddi: attach('image.raw'), detach()",
    run: async () => {
      const attachment = await attach(path, { rootHash, name: 'bench' })
      await attachment.detach()
    },
  },
  peer: {
    name: 'losetup -P, veritysetup open, veritysetup close, losetup -d',
    run: async () => {
      const loop = run('losetup', '--find', '--show', '--partscan', '--read-only', path).trim()
      run('veritysetup', 'open', `${loop}p1`, 'bench', `${loop}p2`, rootHash)
      run('veritysetup', 'close', 'bench')
      run('losetup', '--detach', loop)
    },
  },
  target: 3,
})
