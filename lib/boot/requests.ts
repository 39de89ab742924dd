import { join } from 'node:path'
import { exists } from '../bytes/exists.js'
import { DdiError, systemError } from '../errors.js'
import { parameterValue, parameterValues } from '../kernel-command-line.js'
import { imageName, imagePath } from '../pull/names.js'
import { printable } from '../text.js'
import { type BootOrigin, besideOrigin } from './origin.js'
import { expressionsIn, type PullRequest, parsePullExpression } from './pull-expression.js'
import type { TrustSubject } from './trust.js'

/** The credential that requests pulls. */
export const pullCredential = 'import.pull'

/** What was requested of this boot, as text. */
export interface Expression {
  readonly expression: string
  readonly requestedBy: TrustSubject['requestedBy']
}

/** A request, and what is to become of it. */
export type PlannedRequest = Expression &
  (
    | {
        readonly state: 'wanted'
        readonly request: PullRequest
        readonly name: string
        /** Where the image is to be, and may be already. */
        readonly path: string
        /** Where it may come from, the preferred first; none if it is here, and nowhere else as far as we know. */
        readonly candidates: readonly URL[]
      }
    | { readonly state: 'skipped'; readonly reason: string }
    | { readonly state: 'failed'; readonly error: DdiError }
  )

export type WantedRequest = Extract<PlannedRequest, { readonly state: 'wanted' }>

/**
 * The requests of the kernel command line and of the `import.pull` credential.
 * @param initrd whether those for the initrd, or those for the system
 */
export function expressionsOf(commandLine: string, credential: string, initrd: boolean): readonly Expression[] {
  const of = (requestedBy: Expression['requestedBy']) => (expression: string) => ({ expression, requestedBy })
  return [
    ...parameterValues(commandLine, `${initrd ? 'rd.' : ''}systemd.pull`).map(of('command-line')),
    ...expressionsIn(credential).map(of('credential')),
  ]
}

/** All are fulfilled at the same time. */
const mostRequests = 64

/** What planning needs to know of the machine. */
export interface RequestPlace {
  /** The directory that everything lies in. */
  readonly root: string
  readonly initrd: boolean
  /** Called once at most, if a request needs it. */
  readonly origin: () => Promise<BootOrigin | undefined>
}

/**
 * Says where each image is to come from and to go to, before anything is downloaded. Of requests for one place, none is fulfilled.
 * Without a boot origin, a request that needs one is skipped, unless its image is called by name and is here.
 * @throws ERR_DDI_USAGE if they are too many
 */
export async function planRequests(
  expressions: readonly Expression[],
  place: RequestPlace,
): Promise<readonly PlannedRequest[]> {
  if (expressions.length > mostRequests)
    throw new DdiError(
      'ERR_DDI_USAGE',
      `${expressions.length} pulls are requested: at most ${mostRequests} are possible`,
    )
  let origin: Promise<BootOrigin | undefined> | undefined
  const once = () => (origin ??= place.origin())
  const planned = await Promise.all(
    expressions.map(async (one): Promise<PlannedRequest> => {
      try {
        return { ...one, ...(await planRequest(parsePullExpression(one.expression), { ...place, origin: once })) }
      } catch (error) {
        return { ...one, state: 'failed', error: systemError(error, `cannot fulfil ${printable(one.expression)}`) }
      }
    }),
  )
  return planned.map((one) => refuseTwin(one, planned))
}

/** Whether anything of it is to come from a server: what is here is not asked for. */
export async function asksServer(planned: readonly PlannedRequest[]): Promise<boolean> {
  for (const one of planned)
    if (
      one.state === 'wanted' &&
      one.candidates.some(({ protocol }) => protocol !== 'file:') &&
      !(await exists(one.path))
    )
      return true
  return false
}

async function planRequest(
  request: PullRequest,
  { root, initrd, origin }: RequestPlace,
): Promise<
  Pick<WantedRequest, 'state' | 'request' | 'name' | 'path' | 'candidates'> | { state: 'skipped'; reason: string }
> {
  const found = request.bootOrigin ? await origin() : undefined
  const { kind, local, remote } = request
  const candidates = request.bootOrigin ? (found ? besideOrigin(found.url, remote, kind) : []) : [new URL(remote)]
  // The part of the name that does not come from the origin is enough to look for the image here.
  const named = candidates[0] ?? (remote === '' ? undefined : besideOrigin('http://none/', remote, kind)[0])
  if (found && named === undefined)
    throw new DdiError('ERR_DDI_USAGE', `${found.url} has no file name to derive that of an image from: give REMOTE`)
  const skipped = { state: 'skipped', reason: 'this machine did not boot from a URL' } as const
  if (local === null && named === undefined) return skipped
  const name = imageName(named ?? new URL('http://none/'), local ?? undefined)
  const path = join(root, imagePath(request.class, name, kind, request.runtime ?? initrd))
  if (candidates.length === 0 && !(await exists(path))) return skipped
  return { state: 'wanted', request, name, path, candidates }
}

function refuseTwin(one: PlannedRequest, all: readonly PlannedRequest[]): PlannedRequest {
  const isTwin = (other: PlannedRequest) => other !== one && other.state === 'wanted' && other.path === path
  const path = one.state === 'wanted' ? one.path : undefined
  const twin = path === undefined ? undefined : all.find(isTwin)
  if (!twin) return one
  const error = new DdiError(
    'ERR_DDI_USAGE',
    `${printable(one.expression)} and ${printable(twin.expression)} are both to become ${path}: give them different local names`,
  )
  return { expression: one.expression, requestedBy: one.requestedBy, state: 'failed', error }
}

/**
 * The requests that may be for the root file system, of class machine: the one that is named after the loop device of
 * `root=/dev/disk/by-loop-ref/NAME.raw…`, or `root`; else all of them. A credential requests one only where the command line does not.
 */
export function rootRequests(planned: readonly PlannedRequest[], commandLine: string): readonly WantedRequest[] {
  const all = planned.filter((one): one is WantedRequest => one.state === 'wanted' && one.request.class === 'machine')
  const own = all.filter(({ requestedBy }) => requestedBy === 'command-line')
  const machines = own.length > 0 ? own : all
  const given = parameterValue(commandLine, 'root') ?? ''
  const [, referenced] = /^\/dev\/disk\/by-loop-ref\/(.+?)(?:\.raw(?:-part\d+)?)?$/.exec(given) ?? []
  const chosen = [referenced, 'root'].flatMap((name) => machines.filter((one) => one.name === name)).at(0)
  return chosen ? [chosen] : machines
}

/** Whether a request is for the root as far as one can tell: one that is malformed may be. */
export function mayBeRoot(expression: string): boolean {
  try {
    return parsePullExpression(expression).class === 'machine'
  } catch {
    return true
  }
}

/** The one request for the root, if there is any. @throws ERR_DDI_USAGE if there are several */
export function onlyRoot(candidates: readonly WantedRequest[]): WantedRequest | undefined {
  if (candidates.length <= 1) return candidates[0]
  throw new DdiError(
    'ERR_DDI_USAGE',
    `it is not clear which image is the root: ${candidates.map(({ name }) => name).join(', ')}; give one of them the local name root`,
  )
}
