import { DdiError } from '../errors.js'

// The grammar and the rules are those of systemd.image-policy(7).

/** What a policy has rules for: the designators of partition types, for any processor. */
export const policyDesignators = [
  'root',
  'usr',
  'home',
  'srv',
  'esp',
  'xbootldr',
  'swap',
  'root-verity',
  'usr-verity',
  'root-verity-sig',
  'usr-verity-sig',
  'tmp',
  'var',
] as const
/** What an image policy can name. */
export type PolicyDesignator = (typeof policyDesignators)[number]

/** How a partition may occur: used with some protection, present but unused, or absent. */
export const policyUses = [
  'verity',
  'signed',
  'encrypted',
  'encryptedwithintegrity',
  'unprotected',
  'unused',
  'absent',
] as const
/** How an image policy lets a partition be used. */
export type PolicyUse = (typeof policyUses)[number]

const switches = ['on', 'off'] as const
type Switch = (typeof switches)[number]
const policyFileSystems = ['btrfs', 'erofs', 'ext4', 'f2fs', 'squashfs', 'vfat', 'xfs'] as const
export type PolicyFileSystem = (typeof policyFileSystems)[number]

/** What is allowed for one partition. An empty list allows everything of its kind. */
export interface PartitionPolicy {
  readonly use: readonly PolicyUse[]
  /** States of the read-only flag. */
  readonly readOnly: readonly Switch[]
  /** States of the grow-file-system flag. */
  readonly growFileSystem: readonly Switch[]
  readonly fileSystems: readonly PolicyFileSystem[]
}

/** What an image has to be, as systemd.image-policy(7) says it. */
export interface ImagePolicy {
  readonly partitions: ReadonlyMap<PolicyDesignator, PartitionPolicy>
  /** For designators that are not in `partitions`. */
  readonly default: PartitionPolicy
}

const ignore: readonly PolicyUse[] = ['unused', 'absent']
const aliases: ReadonlyMap<string, readonly PolicyUse[]> = new Map([
  ['open', policyUses],
  ['ignore', ignore],
])
const knownFlags: readonly string[] = [
  ...policyUses,
  ...aliases.keys(),
  'read-only-on',
  'read-only-off',
  'growfs-on',
  'growfs-off',
  ...policyFileSystems,
]

function using(...use: readonly PolicyUse[]): PartitionPolicy {
  return { use, readOnly: [], growFileSystem: [], fileSystems: [] }
}

function listed(ofPartitions: Partial<Record<PolicyDesignator, readonly PolicyUse[]>>): ImagePolicy {
  const entries = Object.entries(ofPartitions) as [PolicyDesignator, readonly PolicyUse[]][]
  return {
    partitions: new Map(entries.map(([designator, use]) => [designator, using(...use)])),
    default: using(...ignore),
  }
}

const anyProtected = ['verity', 'signed', 'encrypted', 'encryptedwithintegrity', 'unprotected', 'absent'] as const
const data = ['encrypted', 'encryptedwithintegrity', 'unprotected', 'absent'] as const
const boot = ['unprotected', 'absent'] as const
const service = { root: anyProtected, usr: anyProtected, home: data, srv: data, tmp: data, var: data }
const container = { ...service, esp: boot, xbootldr: boot }

/** The policies with names: `*`, `-` and `~`, and the defaults of systemd’s components. */
export const namedPolicies: Readonly<Record<string, ImagePolicy>> = {
  '*': { partitions: new Map(), default: using(...policyUses) },
  '-': { partitions: new Map(), default: using(...ignore) },
  '~': { partitions: new Map(), default: using('absent') },
  sysext: listed({ root: anyProtected, usr: anyProtected }),
  confext: listed({ root: anyProtected }),
  service: listed(service),
  container: listed(container),
  host: listed({ ...container, swap: data }),
}

/**
 * Parses an image policy, or the name of one.
 * @param text such as `root=verity+signed:usr=absent:=ignore`
 * @throws ERR_DDI_POLICY_SYNTAX, with the position of the first wrong character
 */
export function parseImagePolicy(text: string): ImagePolicy {
  const named = Object.hasOwn(namedPolicies, text || '-') ? namedPolicies[text || '-'] : undefined
  if (named) return named
  const refuse = (at: number, what: string): never => {
    throw new DdiError('ERR_DDI_POLICY_SYNTAX', `image policy ${JSON.stringify(text)}, character ${at + 1}: ${what}`)
  }
  const partitions = new Map<PolicyDesignator, PartitionPolicy>()
  let byDefault: PartitionPolicy | undefined
  let at = 0
  for (const rule of text.split(':')) {
    const equals = rule.indexOf('=')
    if (equals < 0)
      refuse(
        at,
        `${JSON.stringify(rule)} has no "=": write DESIGNATOR=FLAG+FLAG, or one of the names ${Object.keys(namedPolicies).join(' ')}`,
      )
    const designator = rule.slice(0, equals).trim()
    const policy = parseFlags(rule.slice(equals + 1), at + equals + 1, refuse)
    if (designator === '') {
      if (byDefault) refuse(at, 'duplicate default')
      byDefault = policy
    } else {
      const known = policyDesignators.find((one) => one === designator)
      if (!known)
        return refuse(
          at,
          `unknown designator ${JSON.stringify(designator)}: must be one of ${policyDesignators.join(' ')}`,
        )
      if (partitions.has(known)) refuse(at, `duplicate designator ${designator}`)
      partitions.set(known, policy)
    }
    at += rule.length + 1
  }
  return { partitions, default: byDefault ?? using(...ignore) }
}

function parseFlags(text: string, start: number, refuse: (at: number, what: string) => never): PartitionPolicy {
  const found = {
    use: new Set<PolicyUse>(),
    readOnly: new Set<Switch>(),
    growFileSystem: new Set<Switch>(),
    fileSystems: new Set<PolicyFileSystem>(),
  }
  if (text.trim() === '' || text.trim() === '-') return using()
  let at = start
  for (const part of text.split('+')) {
    const flag = part.trim()
    const use = aliases.get(flag) ?? policyUses.filter((one) => one === flag)
    const state = /^(read-only|growfs)-(on|off)$/.exec(flag)
    const fileSystem = policyFileSystems.find((one) => one === flag)
    if (use.length > 0) for (const one of use) found.use.add(one)
    else if (state) found[state[1] === 'growfs' ? 'growFileSystem' : 'readOnly'].add(state[2] as Switch)
    else if (fileSystem) found.fileSystems.add(fileSystem)
    else
      refuse(
        at + (part.length - part.trimStart().length),
        `unknown flag ${JSON.stringify(flag)}: must be one of ${knownFlags.join(' ')}`,
      )
    at += part.length + 1
  }
  return {
    use: policyUses.filter((one) => found.use.has(one)),
    readOnly: switches.filter((one) => found.readOnly.has(one)),
    growFileSystem: switches.filter((one) => found.growFileSystem.has(one)),
    fileSystems: policyFileSystems.filter((one) => found.fileSystems.has(one)),
  }
}

/** Spells out what empty lists allow. */
function extend({ use, readOnly, growFileSystem, fileSystems }: PartitionPolicy): PartitionPolicy {
  return {
    use: use.length > 0 ? use : policyUses,
    readOnly: readOnly.length > 0 ? readOnly : switches,
    growFileSystem: growFileSystem.length > 0 ? growFileSystem : switches,
    fileSystems: fileSystems.length > 0 ? fileSystems : policyFileSystems,
  }
}

/** The reverse: lists that allow everything of their kind become empty. */
function reduce({ use, readOnly, growFileSystem, fileSystems }: PartitionPolicy): PartitionPolicy {
  return {
    use: use.length === policyUses.length ? [] : use,
    readOnly: readOnly.length === switches.length ? [] : readOnly,
    growFileSystem: growFileSystem.length === switches.length ? [] : growFileSystem,
    fileSystems: fileSystems.length === policyFileSystems.length ? [] : fileSystems,
  }
}

/** Restricts a policy to what a designator can have: hash and signature partitions *are* protection, and only root and usr have them. */
function normalize(policy: PartitionPolicy, designator: PolicyDesignator): PartitionPolicy {
  const extended = extend(policy)
  const isProtection = /-verity(-sig)?$/.test(designator)
  const hasVerity = designator === 'root' || designator === 'usr'
  const use = extended.use.filter((one) => {
    if (one === 'verity' || one === 'signed') return hasVerity
    return !(isProtection && (one === 'encrypted' || one === 'encryptedwithintegrity'))
  })
  const mustBeAbsent = use.length === 1 && use[0] === 'absent'
  return mustBeAbsent ? using('absent') : { ...extended, use }
}

/** What a policy says about a designator, in full; hash and signature partitions follow the data that they protect. */
export function policyFor(policy: ImagePolicy, designator: PolicyDesignator): PartitionPolicy {
  return explicitPolicy(policy, designator) ?? normalize(policy.default, designator)
}

function explicitPolicy(policy: ImagePolicy, designator: PolicyDesignator): PartitionPolicy | undefined {
  const own = policy.partitions.get(designator)
  if (own) return normalize(own, designator)
  const [, data, kind] = /^(root|usr)-verity(-sig)?$/.exec(designator) ?? []
  const ofData = data && explicitPolicy(policy, data as 'root' | 'usr')
  if (!ofData) return undefined
  const isNeeded = ofData.use.includes('signed') || (kind === undefined && ofData.use.includes('verity'))
  if (!isNeeded) return undefined
  return normalize({ ...ofData, use: ['unprotected', ...ofData.use.filter((one) => ignore.includes(one))] }, designator)
}

/**
 * Whether volumes of a kind may protect others. They also may lie beside the image: unless a rule is for their partition,
 * what `signed` and `verity` say of the data is enough.
 */
export function mayProtect(policy: ImagePolicy | undefined, designator: PolicyDesignator): boolean {
  return !policy?.partitions.has(designator) || policyFor(policy, designator).use.includes('unprotected')
}

/**
 * The policy that allows what two policies both allow.
 * @throws ERR_DDI_POLICY_CONFLICT if that is nothing, neither use nor absence
 */
export function intersectPolicies(a: ImagePolicy, b: ImagePolicy): ImagePolicy {
  const both = (one: PartitionPolicy, two: PartitionPolicy, what: string): PartitionPolicy => {
    const common = {
      use: one.use.filter((each) => two.use.includes(each)),
      readOnly: one.readOnly.filter((each) => two.readOnly.includes(each)),
      growFileSystem: one.growFileSystem.filter((each) => two.growFileSystem.includes(each)),
      fileSystems: one.fileSystems.filter((each) => two.fileSystems.includes(each)),
    }
    const absent = common.use.length === 1 && common.use[0] === 'absent'
    if (common.use.length === 0 || (!absent && Object.values(common).some((list) => list.length === 0)))
      throw new DdiError(
        'ERR_DDI_POLICY_CONFLICT',
        `the policies ${formatImagePolicy(a)} and ${formatImagePolicy(b)} have nothing in common for ${what}`,
      )
    return reduce(common)
  }
  const partitions = new Map<PolicyDesignator, PartitionPolicy>()
  const byDefault = both(extend(a.default), extend(b.default), 'designators without a rule')
  for (const designator of policyDesignators) {
    if (!a.partitions.has(designator) && !b.partitions.has(designator)) continue
    const common = both(policyFor(a, designator), policyFor(b, designator), designator)
    if (JSON.stringify(extend(common)) !== JSON.stringify(normalize(byDefault, designator)))
      partitions.set(designator, common)
  }
  return { partitions, default: byDefault }
}

/** Whether two policies say the same about every designator. */
export function equivalentPolicies(a: ImagePolicy, b: ImagePolicy): boolean {
  return (
    JSON.stringify(extend(a.default)) === JSON.stringify(extend(b.default)) &&
    policyDesignators.every((one) => JSON.stringify(policyFor(a, one)) === JSON.stringify(policyFor(b, one)))
  )
}

/** The shortest text that `parseImagePolicy` reads as an equivalent policy. */
export function formatImagePolicy(policy: ImagePolicy): string {
  for (const name of ['*', '-', '~']) if (equivalentPolicies(policy, namedPolicies[name]!)) return name
  const rules = policyDesignators.flatMap((designator) => {
    const own = policy.partitions.get(designator)
    const redundant =
      own &&
      JSON.stringify(normalize(policy.default, designator)) === JSON.stringify(normalize(own, designator)) &&
      !derived(policy, designator)
    return own && !redundant ? [`${designator}=${formatFlags(own)}`] : []
  })
  const ignored = JSON.stringify(extend(policy.default)) === JSON.stringify(extend(using(...ignore)))
  if (!ignored) rules.push(`=${formatFlags(policy.default)}`)
  return rules.join(':') || '-'
}

/** Whether a designator without a rule would follow that of another one. */
function derived({ partitions, ...rest }: ImagePolicy, designator: PolicyDesignator): boolean {
  const others = new Map(partitions)
  others.delete(designator)
  return explicitPolicy({ ...rest, partitions: others }, designator) !== undefined
}

function formatFlags({ use, readOnly, growFileSystem, fileSystems }: PartitionPolicy): string {
  const same = (alias: readonly PolicyUse[]) => use.length === alias.length && alias.every((one) => use.includes(one))
  const uses = same(policyUses) ? ['open'] : same(ignore) ? ['ignore'] : use
  const one = (name: string, states: readonly Switch[]) => (states.length === 1 ? [`${name}-${states[0]}`] : [])
  return [...uses, ...one('read-only', readOnly), ...one('growfs', growFileSystem), ...fileSystems].join('+') || '-'
}

/** What a policy needs to know about a partition of an image. */
export interface PolicySubject {
  /** The strongest first, then what it also counts as: a signed partition is verity-protected too, and may count as unprotected. */
  readonly protections: readonly ('signed' | 'verity' | 'encrypted' | 'encryptedwithintegrity' | 'unprotected')[]
  readonly readOnly: boolean
  readonly growFileSystem: boolean
  readonly fileSystem: string | null
}

/**
 * Judges one designator of an image.
 * @param subject its partition; undefined if there is none
 * @returns whether it is to be used
 * @throws ERR_DDI_POLICY if the policy does not allow what is there
 */
export function judge(
  policy: ImagePolicy,
  designator: PolicyDesignator,
  subject: PolicySubject | undefined,
  path: string,
): boolean {
  const { use, readOnly, growFileSystem, fileSystems } = policyFor(policy, designator)
  const refuse = (what: string) =>
    new DdiError(
      'ERR_DDI_POLICY',
      `${path}: ${designator} ${what}, but the image policy allows only ${formatFlags(reduce({ use, readOnly, growFileSystem, fileSystems }))}`,
    )
  if (!subject) {
    if (!use.includes('absent')) throw refuse('is absent')
    return false
  }
  if (use.every((one) => one === 'absent')) throw refuse('is present')
  if (subject.protections.some((one) => use.includes(one))) {
    if (!readOnly.includes(subject.readOnly ? 'on' : 'off'))
      throw refuse(`has its read-only flag ${subject.readOnly ? 'on' : 'off'}`)
    if (!growFileSystem.includes(subject.growFileSystem ? 'on' : 'off'))
      throw refuse(`has its growfs flag ${subject.growFileSystem ? 'on' : 'off'}`)
    if (fileSystems.length < policyFileSystems.length && !fileSystems.some((one) => one === subject.fileSystem))
      throw refuse(`holds ${subject.fileSystem ?? 'no known file system'}`)
    return true
  }
  if (use.includes('unused')) return false
  throw refuse(`is ${subject.protections[0]}`)
}
