import { DdiError } from '../errors.js'
import { isSet, parameterValues } from '../kernel-command-line.js'
import { parseStoreParameters, type StoreParameters } from './store-parameters.js'

/** What the kernel command line says of the boot. A value given twice counts as it was given last. */
export interface BootParameters {
  /** As in /proc/cmdline. */
  readonly text: string
  /** `rd.systemd.pull=`, each `OPTIONS:LOCAL:REMOTE`. */
  readonly pulls: readonly string[]
  /** `roothash=`, hexadecimal. */
  readonly rootHash: string | null
  /** `usrhash=`, hexadecimal. */
  readonly usrHash: string | null
  /** `systemd.image_policy=` */
  readonly imagePolicy: string | null
  /** `ddi.url=`: where the machine booted from, if the firmware does not say. */
  readonly url: string | null
  /** `ddi.product=`, `ddi.store=`, `ddi.image=`; null if nothing is to boot from a store. */
  readonly store: StoreParameters | null
  /** `ddi.insecure`: boots what nothing vouches for. */
  readonly insecure: boolean
  /** `ddi.volatile=`, as `systemd.volatile=`: what is written goes over the root, or over nothing but /usr, in memory. */
  readonly volatile: 'no' | 'yes' | 'overlay'
  /** `ddi.kexec=`: when the kernel of an image of a store takes the place of this one. */
  readonly kexec: KexecMode
  /** `ddi.install=`: the blank disk that this machine is installed on. */
  readonly install: string | null
  /** `ddi.retry=`: for how long a server that is away is asked again, in seconds; may be Infinity. */
  readonly retry: number
  /** `init=` */
  readonly init: string | null
  /** `rootflags=`: mount options. */
  readonly rootFlags: string | null
  /** `rd.break`: the stage before which there is a shell. */
  readonly breakBefore: BootStage | null
}

/** The stages that `rd.break=` takes. */
export const bootStages = ['modules', 'store', 'network', 'pull', 'mount', 'hand-over'] as const
export type BootStage = (typeof bootStages)[number]

/** `auto`: if it has another version; `always`: if there is one. */
export type KexecMode = 'auto' | 'always' | 'never'
const kexecModes: Readonly<Record<string, KexecMode>> = { auto: 'auto', always: 'always', never: 'never' }

/** What becomes of a machine in the end. */
export type BootAction = 'none' | 'reboot' | 'poweroff' | 'halt'

/**
 * @param text as in /proc/cmdline; what it does not know is for the kernel or for the system
 * @throws ERR_DDI_USAGE if a value is not one of those that there are
 */
export function parseBootParameters(text: string): BootParameters {
  const last = (name: string) => parameterValues(text, name).at(-1) ?? null
  return {
    text,
    pulls: parameterValues(text, 'rd.systemd.pull'),
    rootHash: last('roothash'),
    usrHash: last('usrhash'),
    imagePolicy: last('systemd.image_policy'),
    url: last('ddi.url'),
    store: parseStoreParameters(text),
    insecure: isSet(text, 'ddi.insecure'),
    volatile: choice(text, 'ddi.volatile', volatiles) ?? 'no',
    kexec: choice(text, 'ddi.kexec', kexecModes) ?? 'auto',
    install: last('ddi.install'),
    retry: retryTime(text),
    init: last('init'),
    rootFlags: last('rootflags'),
    breakBefore: isSet(text, 'rd.break') ? 'hand-over' : (choice(text, 'rd.break', breaks) ?? null),
  }
}

/** What an initrd does in the end; in a system, systemd does it. */
export interface EndActions {
  /** `rd.systemd.pull.success_action=`, or without `rd.`: instead of booting, once everything is pulled. */
  readonly successAction: BootAction
  /** `rd.systemd.pull.failure_action=`, or without `rd.`. */
  readonly failureAction: BootAction
}

/** The rest of the command line may be wrong. @throws ERR_DDI_USAGE */
export function actionsIn(text: string): EndActions {
  const action = (name: string) =>
    choice(text, `rd.systemd.pull.${name}`, actions) ?? choice(text, `systemd.pull.${name}`, actions) ?? 'none'
  return { successAction: action('success_action'), failureAction: action('failure_action') }
}

/** `rd.shell` or `ddi.shell`: whether there is a shell after a failure. */
export function wantsShell(text: string): boolean {
  return isSet(text, 'rd.shell') || isSet(text, 'ddi.shell')
}

/** As `SuccessAction=` of systemd.unit(5) has them. An initrd has nothing to end before, and no other kernel or system to start: all ways are one. */
const actions: Readonly<Record<string, BootAction>> = {
  none: 'none',
  reboot: 'reboot',
  'reboot-force': 'reboot',
  'reboot-immediate': 'reboot',
  'soft-reboot': 'reboot',
  'soft-reboot-force': 'reboot',
  kexec: 'reboot',
  'kexec-force': 'reboot',
  poweroff: 'poweroff',
  'poweroff-force': 'poweroff',
  'poweroff-immediate': 'poweroff',
  exit: 'poweroff',
  'exit-force': 'poweroff',
  halt: 'halt',
  'halt-force': 'halt',
  'halt-immediate': 'halt',
}

/** As `systemd.volatile=`: kernel-command-line(7). */
const volatiles: Readonly<Record<string, BootParameters['volatile']>> = {
  no: 'no',
  false: 'no',
  '0': 'no',
  off: 'no',
  yes: 'yes',
  true: 'yes',
  '1': 'yes',
  on: 'yes',
  overlay: 'overlay',
}

/** Ours, and the names that dracut has for the same places: dracut.cmdline(7). */
const breaks: Readonly<Record<string, BootStage>> = {
  ...(Object.fromEntries(bootStages.map((stage) => [stage, stage])) as Record<BootStage, BootStage>),
  cmdline: 'modules',
  'pre-udev': 'modules',
  'pre-trigger': 'modules',
  initqueue: 'network',
  'pre-mount': 'mount',
  mount: 'hand-over',
  'pre-pivot': 'hand-over',
}

function choice<Value>(text: string, name: string, values: Readonly<Record<string, Value>>): Value | undefined {
  const given = parameterValues(text, name).at(-1)
  if (given === undefined) return undefined
  if (!Object.hasOwn(values, given))
    throw new DdiError(
      'ERR_DDI_USAGE',
      `${name}=${given} on the kernel command line: it has to be one of ${Object.keys(values).join(', ')}`,
    )
  return values[given]
}

/** A number of them; `yes` is for ever, and `no` is none. */
function retryTime(text: string): number {
  const words = { yes: Number.POSITIVE_INFINITY, infinity: Number.POSITIVE_INFINITY, no: 0 }
  const given = parameterValues(text, 'ddi.retry').at(-1) ?? 'yes'
  return Object.hasOwn(words, given) ? words[given as keyof typeof words] : seconds(text, 'ddi.retry')!
}

/** @returns undefined if it is not given @throws ERR_DDI_USAGE */
export function seconds(text: string, name: string): number | undefined {
  const given = parameterValues(text, name).at(-1)
  if (given === undefined || /^\d{1,9}$/.test(given)) return given === undefined ? undefined : Number(given)
  throw new DdiError('ERR_DDI_USAGE', `${name}=${given} on the kernel command line: it has to be a number of seconds`)
}
