import { dissect } from '../../image/dissect.js'
import { openImage } from '../../image/open.js'
import { deviceName, type Plan, type PlanNode, plan } from '../../image/plan.js'
import { mapperPath } from '../../kernel/device-mapper.js'
import { type Branch, drawTree } from '../branch.js'
import { choice } from '../choice.js'
import { describeExtents } from '../extents.js'
import { given } from '../given.js'
import { noteProblems } from '../notes.js'
import { checkingOf, dissectOptions, imageArgument, imageOptions, planOptions } from '../options.js'
import { formatSize, print, printJson } from '../output.js'
import { planned } from '../plan-shape.js'
import { option, verb } from '../verb.js'

export default verb({
  summary: 'show the devices that attach would make, without making them',
  arguments: [imageArgument],
  options: {
    format: option(
      '--format <format>',
      'draw it in the terminal, for dot(1), or as a picture',
      choice('tree', 'dot', 'svg'),
      'tree',
    ),
    ...planOptions,
    ...imageOptions,
  },
  json: planned,
  examples: [
    'ddi-attach plan image.raw',
    'ddi-attach plan image.raw --format=svg > plan.svg',
    'ddi-attach plan image.raw --json=pretty',
  ],
  async run([path], options) {
    const { format, json, name, nested, volume, writable } = options
    await using image = await openImage(path, { nested })
    const volumes = volume.length > 0 ? volume : undefined
    const dissection = await dissect(image, { ...(await dissectOptions(options)), probe: volumes ? 'all' : 'used' })
    noteProblems(dissection.problems)
    const made = plan(dissection, {
      ...given({ name, volumes }),
      ...checkingOf(options),
      writable,
    })
    if (json !== 'off') printJson(withDevices(made), json)
    else if (format === 'dot' || format === 'svg') await printGraph(made, format)
    else for (const node of made.nodes) if (node.kind === 'base') print(drawTree(branch(made, node)))
  },
})

async function printGraph(planned: Plan, format: 'dot' | 'svg'): Promise<void> {
  const { planGraph } = await import('../pictures/plan-graph.js')
  const graph = planGraph(planned)
  if (format === 'dot') print((await import('../pictures/dot.js')).drawDot(graph))
  else print((await import('../pictures/svg.js')).drawSvg(graph))
}

/** The devices that device-mapper would make of the volumes. */
function withDevices({ volumes, ...planned }: Plan) {
  return {
    ...planned,
    nodes: planned.nodes.map((node) =>
      node.kind === 'linear' ? { ...node, extents: describeExtents(node.extents) } : node,
    ),
    volumes: volumes.map(({ designator, node, ...volume }) => ({
      designator,
      node,
      device: mapperPath(deviceName(planned.name, node)),
      ...volume,
    })),
  }
}

/** A node with what stands on it; verity is drawn on its data. */
function branch(planned: Plan, node: PlanNode): Branch {
  const above = planned.nodes.filter(
    (other) =>
      (other.kind === 'linear' &&
        other.extents.some((extent) => extent.kind === 'linear' && extent.base === node.id)) ||
      (other.kind === 'verity' && other.data === node.id),
  )
  return { text: describe(planned, node), children: above.map((other) => branch(planned, other)) }
}

function describe(planned: Plan, node: PlanNode): string {
  const access = node.readOnly ? 'ro' : 'rw'
  if (node.kind === 'base')
    return `${node.path}  ${node.backing === 'file' || node.shared ? 'loop' : 'device'} ${formatSize(node.size)} ${access}, ${node.sectorSize}-byte sectors`
  const name = mapperPath(deviceName(planned.name, node.id))
  const facts = `${name}  ${node.kind} ${formatSize(node.size)} ${access}`
  if (node.kind === 'verity')
    return `${facts}, ${node.algorithm} root hash ${node.rootHash}, tree in ${deviceName(planned.name, node.hash)}${node.onCorruption ? `, ${node.onCorruption} on corruption` : ''}`
  const first = node.extents[0]
  return node.extents.length === 1 && first?.kind === 'linear'
    ? `${facts}, from byte ${first.start}`
    : `${facts}, ${node.extents.length} extents`
}
