import { DdiError } from '../errors.js'
import { type Designator, dpsTypes, partitionTypeUuid } from '../gpt/dps-types.js'
import { machineArchitectures } from '../image/architecture.js'

/** A partition type by its name or UUID. @throws ERR_DDI_USAGE */
export function typeUuidOf(type: string, architecture: string = machineArchitectures()[0] ?? ''): string {
  const uuid = partitionTypeUuid(type, architecture)
  if (uuid) return uuid
  const designators = new Set<Designator>([...dpsTypes.values()].map(({ designator }) => designator))
  throw new DdiError(
    'ERR_DDI_USAGE',
    `no partition type ${JSON.stringify(type)} for ${architecture}: one of ${[...designators].join(', ')}, or a UUID`,
  )
}
