import { findBootOrigin } from '../../boot/origin.js'
import { DdiError } from '../../errors.js'
import { printable } from '../../text.js'
import { print, printJson } from '../output.js'
import { described, object, string } from '../schema.js'
import { verb } from '../verb.js'

export default verb({
  summary: 'show the URL that the firmware booted this machine from',
  arguments: [],
  options: {},
  json: object({ url: string, source: described(string, 'ddi.url, the EFI variable, or lease') }),
  examples: ['ddi-attach boot-origin', 'ddi-attach boot-origin --json=short | jq -r .source'],
  async run(_, { json }) {
    const origin = await findBootOrigin()
    if (!origin)
      throw new DdiError(
        'ERR_DDI_NO_BOOT_ORIGIN',
        'neither EFI variables nor a DHCP lease name a URL that this machine booted from',
      )
    if (json !== 'off') printJson(origin, json)
    else print(printable(origin.url))
  },
})
