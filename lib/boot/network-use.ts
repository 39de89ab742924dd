import type { BootContext } from './context.js'
import { readCredentials } from './credentials.js'
import { bootedNetwork } from './efi-variables.js'
import { findBootOrigin } from './origin.js'
import { parsePullExpression } from './pull-expression.js'
import { expressionsOf, pullCredential } from './requests.js'

/** What a boot has to do with the network. */
export interface NetworkUse {
  /** Something may have to come from a server. */
  readonly isNeeded: boolean
  /** The address of the card that the machine booted from, if that is known. */
  readonly mac: string | null
  /** What DHCP servers are told, to tell us what they told the firmware: UEFI 2.10, section 24.7.3.1; null if we need not know. */
  readonly client: { readonly class: string; readonly architecture: number } | null
}

/** RFC 4578, and the processor architectures that IANA has added to it: booting by HTTP. */
const architectures: Readonly<Record<string, number>> = { x64: 16, arm64: 19 }

/** Says what the network is for, of what is known before it is up. @param bootedMac that a boot loader has left */
export async function networkUse(
  { root, parameters }: Pick<BootContext, 'root' | 'parameters'>,
  bootedMac: string | null,
): Promise<NetworkUse> {
  const firmware = await bootedNetwork(root)
  const asksLease = parameters.url === 'lease' || (parameters.url === null && firmware?.uri === null)
  // What is wrong with a credential or a request is told where it is used.
  const credentials = await readCredentials(root, parameters.text, () => undefined)
  const credential = Buffer.from(credentials.get(pullCredential) ?? []).toString('utf8')
  const expressions = expressionsOf(parameters.text, credential, true)
  const requests = expressions.flatMap(({ expression }) => attempt(() => parsePullExpression(expression)) ?? [])
  const origin = asksLease || (await findBootOrigin({ root }).catch(() => undefined)) !== undefined
  const architecture = architectures[process.arch]
  return {
    isNeeded: requests.some(({ bootOrigin, remote }) => (bootOrigin ? origin : !remote.startsWith('file:'))),
    mac: firmware?.mac ?? bootedMac,
    client:
      asksLease && architecture !== undefined
        ? { class: `HTTPClient:Arch:${String(architecture).padStart(5, '0')}:UNDI:003001`, architecture }
        : null,
  }
}

function attempt<Result>(make: () => Result): Result | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}
