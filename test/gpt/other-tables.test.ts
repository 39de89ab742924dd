import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { openFile, readGpt } from '../../lib/gpt/index.js'
import { dissect, openDisk, openImage } from '../../lib/index.js'
import { emptyFile, MiB } from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'

test('a disk label of parted is called by its name, where a GPT is looked for', async () => {
  const labels = {
    sun: 'a Sun disk label',
    dvh: 'an SGI disk label',
    bsd: 'a BSD disk label',
    mac: 'an Apple partition map',
  }
  using folder = temporaryFolder()
  for (const [label, name] of Object.entries(labels)) {
    const path = join(folder.path, label)
    emptyFile(path, 20 * MiB)
    run('parted', '--script', path, 'mklabel', label)
    await using source = await openFile(path)
    const message = `the disk has ${name}, and no GPT`
    await assert.rejects(readGpt(source), { code: 'ERR_DDI_NO_TABLE', message })
    await assert.rejects(openDisk(path), { code: 'ERR_DDI_NO_TABLE', message })
    await using image = await openImage(path)
    await assert.rejects(dissect(image), {
      ...{
        code: 'ERR_DDI_NO_TABLE',
        message: `${path} has ${name}, and neither a GPT nor a file system that libblkid knows`,
      },
    })
  }
  const path = join(folder.path, 'msdos')
  emptyFile(path, 20 * MiB)
  run('parted', '--script', path, 'mklabel', 'msdos', 'mkpart', 'primary', '2MiB', '10MiB')
  await assert.rejects(openDisk(path), { code: 'ERR_DDI_NO_TABLE', message: 'the disk has an MBR, and no GPT' })
})
