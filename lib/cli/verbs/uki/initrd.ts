import { DdiError } from '../../../errors.js'
import { buildExtraInitrd } from '../../../uki/extra-initrd.js'
import { buildInitrd } from '../../../uki/initrd.js'
import { choice } from '../../choice.js'
import { initrdOptions, initrdWork, moduleOptions, noteUnstripped } from '../../initrd-options.js'
import { formatSize, print, printJson } from '../../output.js'
import { object } from '../../schema.js'
import { initrdFields } from '../../shapes.js'
import { text } from '../../values.js'
import { flag, option, verb } from '../../verb.js'

export default verb({
  summary: 'build the initrd of a UKI alone, or what another initrd lacks to do the same',
  arguments: [],
  options: {
    ...initrdOptions,
    modulesFrom: option('--modules-from <directory>', 'modules of the kernel: /lib/modules/VERSION', text),
    ...moduleOptions,
    noInit: flag(
      '--no-init',
      'leave out what the initrd of dracut or mkosi has, and add ddi-boot.service: to be appended to that',
    ),
    format: option(
      '--format <format>',
      'with --no-init: an archive, or a tree of files',
      choice('cpio', 'directory'),
      'cpio',
    ),
  },
  json: object(initrdFields),
  examples: [
    'ddi-attach uki initrd -o initrd.cpio --modules-from /lib/modules/6.1.0-50-amd64 --certificate cert.pem',
    'ddi-attach uki initrd -o extra.cpio --no-init --certificate cert.pem && cat initrd.img extra.cpio > with-ddi.img',
  ],
  async run(_, { output, modulesFrom, module, withInstaller, noInit, format, json, ...options }) {
    const work = await initrdWork({ output, ...options })
    if (
      noInit !== (modulesFrom === undefined) ||
      (noInit && (module.length > 0 || withInstaller)) ||
      (!noInit && format !== 'cpio')
    )
      throw new DdiError('ERR_DDI_USAGE', 'give --modules-from, or --no-init: another initrd has modules of its own')
    if (modulesFrom === undefined) {
      await buildExtraInitrd(output, { ...work, format })
      if (json !== 'off') printJson({ path: output, size: null, kernelVersion: null, isStripped: null }, json)
      return
    }
    const built = await buildInitrd(output, { ...work, modulesFrom, modules: module, installer: withInstaller })
    noteUnstripped(built)
    if (json !== 'off') printJson(built, json)
    else print(`${built.path}: ${formatSize(built.size)}, for Linux ${built.kernelVersion}`)
  },
})
