import { suggesting } from './parser.js'
import { argument } from './verb.js'

export const diskArgument = argument('<disk>', 'disk image or block device')
export const volumeArgument = argument('<name>', 'label, UUID or partition number of the volume', suggesting('volumes'))
