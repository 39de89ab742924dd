// Which definitions count, and which of their partitions are made now.
import { DdiError } from '../errors.js'
import { partitionTypeUuid } from '../gpt/dps-types.js'
import type { BuildSettings } from './context.js'
import type { PartitionDefinition } from './partition-definition.js'

type Choice = (definition: PartitionDefinition) => boolean

/** Whether a definition counts. @throws ERR_DDI_USAGE for types that are unknown */
export function chosen({ include, exclude, architecture }: BuildSettings): Choice {
  const only = include && typeUuids(include, architecture)
  const not = exclude && typeUuids(exclude, architecture)
  return ({ typeUuid }) => (only ? only.has(typeUuid) : !not?.has(typeUuid))
}

/** Whether a new partition just gets its place. @throws ERR_DDI_USAGE for types that are unknown */
export function deferred({ defer = [], deferEmpty, deferFactoryReset, architecture }: BuildSettings): Choice {
  const types = typeUuids(defer, architecture)
  return ({ typeUuid, reserved, factoryReset }) =>
    types.has(typeUuid) || (reserved && deferEmpty === true) || (factoryReset && deferFactoryReset === true)
}

function typeUuids(names: readonly string[], architecture: string): ReadonlySet<string> {
  return new Set(
    names.map((name) => {
      const found = partitionTypeUuid(name, architecture)
      if (found === undefined) throw new DdiError('ERR_DDI_USAGE', `unknown partition type ${JSON.stringify(name)}`)
      return found
    }),
  )
}
