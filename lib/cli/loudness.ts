import { subscribe } from 'node:diagnostics_channel'
import type { Step } from '../../bindings/steps.js'
import { note } from './output.js'

/** Says each change of the system, and each program that is started. */
export function tellSteps(): void {
  subscribe('ddi:step', (step) => {
    note((step as Step).join(' '))
  })
}
