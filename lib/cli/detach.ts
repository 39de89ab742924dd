import { detach, detachAll } from '../attach/detach.js'
import { DdiError } from '../errors.js'
import type { JsonOption } from './options.js'
import { print, printJson } from './output.js'

export interface DetachVerbOptions extends JsonOption {
  readonly all?: boolean
  readonly lazy?: boolean
}

export async function runDetach(what: string | undefined, options: DetachVerbOptions): Promise<void> {
  if ((what === undefined) !== (options.all ?? false))
    throw new DdiError('ERR_DDI_USAGE', 'say what to detach: an image, a name or a device; or --all, alone')
  const lazy = { lazy: options.lazy ?? false }
  const names = what === undefined ? await detachAll(lazy) : await detach(what, lazy)
  if (options.json !== 'off') printJson({ detached: names }, options.json)
  else for (const name of names) print(name)
}
