import { channel } from 'node:diagnostics_channel'

/** Subscribers hear of each change of the system that was made, and of each program that is started, as a {@link Step}. */
export const steps = channel('ddi:step')

/** What was done, and to what, for people. */
export type Step = readonly [what: string, ...to: (string | number)[]]

/** The system calls of the addon that change what others see, as words. */
const changes: Readonly<Record<string, string>> = {
  loopConfigure: 'set up',
  loopSetFd: 'set up',
  loopClearFd: 'clear',
  loopSetCapacity: 'resize',
  dmCreate: 'make device-mapper device',
  dmLoad: 'load the table of',
  dmRemove: 'remove device-mapper device',
  blockAddPartition: 'add a partition to',
  blockResizePartition: 'resize a partition of',
  blockDeletePartition: 'remove a partition from',
  mount: 'mount',
  unmount: 'unmount',
  loadModule: 'load module',
  kexecFileLoad: 'load kernel',
  reboot: 'reboot',
}

/** @param given arguments of the call: those that are text name what it is about */
export function stepOf(call: string, given: readonly unknown[]): Step | undefined {
  const what = changes[call]
  return what === undefined
    ? undefined
    : ([what, ...given.filter((one) => typeof one === 'string' && one !== '')] as Step)
}

/** @returns what a call that made a step returned */
export function tell<Value>(step: Step, value: Value): Value {
  steps.publish(step)
  return value
}
