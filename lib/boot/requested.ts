import type { BootContext } from './context.js'
import { type Credentials, readCredentials } from './credentials.js'
import { bootedNetwork } from './efi-variables.js'
import { type BootOrigin, findBootOrigin } from './origin.js'
import { asksServer, expressionsOf, planRequests, pullCredential } from './requests.js'

/** What is requested of a boot, as far as it is known before there is a network. */
export interface Requested {
  /** Of this machine; those beside the kernel come later. */
  readonly credentials: Credentials
  /** Where the machine booted from; `lease`: a DHCP server will say it. */
  readonly origin: BootOrigin | 'lease' | undefined
  /** Something has to come from a server: it is not here. */
  readonly asksServer: boolean
  /** The address of the card that the machine booted from, if the firmware says so. */
  readonly mac: string | null
}

/** Stands for what a lease will say. */
const leased: BootOrigin = { url: 'http://lease/kernel.efi', source: 'lease' }

/** @throws ERR_DDI_USAGE, and as `readCredentials` */
export async function readRequested({
  root,
  parameters,
  log,
}: Pick<BootContext, 'root' | 'parameters' | 'log'>): Promise<Requested> {
  const credentials = await readCredentials(root, parameters.text, log.say)
  const firmware = await bootedNetwork(root)
  const asksLease = parameters.url === 'lease' || (parameters.url === null && firmware?.uri === null)
  const origin = (await findBootOrigin({ root })) ?? (asksLease ? 'lease' : undefined)
  const planned = await planRequests(expressionsOf(parameters.text, requestsIn(credentials), true), {
    root,
    initrd: true,
    origin: async () => (origin === 'lease' ? leased : origin),
  })
  return { credentials, origin, asksServer: await asksServer(planned), mac: firmware?.mac ?? null }
}

/** Those of the credential, as text. */
export function requestsIn(credentials: Credentials): string {
  return Buffer.from(credentials.get(pullCredential) ?? []).toString('utf8')
}
