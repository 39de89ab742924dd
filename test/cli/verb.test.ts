import assert from 'node:assert/strict'
import { test } from 'node:test'
import { choice } from '../../lib/cli/choice.js'
import { program } from '../../lib/cli/program.js'
import { pair, size, wholeNumber } from '../../lib/cli/values.js'
import { argument, flag, option, repeatable, requiredOption, verb } from '../../lib/cli/verb.js'

/** What every verb has. */
const common = verb({
  summary: '',
  arguments: [],
  options: {},
  json: null,
  examples: [],
  run: async () => {},
}).facts.options.map(({ description }) => description)

/** Compiles only if the types are the same. */
function isOfType<Expected>() {
  return <Actual>(
    value: Actual & ([Actual] extends [Expected] ? ([Expected] extends [Actual] ? unknown : never) : never),
  ) => value as Expected
}

test('run gets values of the types that the declaration says, and what was given', async () => {
  const got: unknown[] = []
  const declared = verb({
    summary: 'try it',
    arguments: [argument('<image>', ''), argument('[count]', '', wholeNumber(1, 9)), argument('[names...]', '')],
    options: {
      size: option('--size <size>', 'of it', size),
      limit: option('--limit <size>', 'of it', size, '1K'),
      mode: requiredOption('-m, --mode <mode>', 'of it', choice('raw', 'tar')),
      device: repeatable('--device <name=path>', 'of it', pair('NAME=PATH')),
      noCheck: flag('--no-check', 'without it'),
    },
    json: null,
    examples: [],
    async run([image, count, names], { size, limit, mode, device, noCheck }) {
      got.push(
        isOfType<string>()(image),
        isOfType<number | undefined>()(count),
        isOfType<readonly string[]>()(names),
        isOfType<number | undefined>()(size),
        isOfType<number>()(limit),
        isOfType<'raw' | 'tar'>()(mode),
        isOfType<readonly (readonly [string, string])[]>()(device),
        isOfType<boolean>()(noCheck),
      )
    },
  })
  await declared.run({
    arguments: [['a.raw'], [], ['x', 'y']],
    options: [[], [], ['raw', 'tar'], ['a=b', 'c=d'], [''], [], [], []],
  })
  assert.deepEqual(got, [
    'a.raw',
    undefined,
    ['x', 'y'],
    undefined,
    1024,
    'tar',
    [
      ['a', 'b'],
      ['c', 'd'],
    ],
    true,
  ])
  assert.deepEqual(
    declared.facts.options.map(({ description }) => description).filter((one) => !common.includes(one)),
    ['of it', 'of it (default: 1K)', 'of it (one of raw, tar)', 'of it; may be repeated', 'without it'],
  )
})

test('what is wrong with a value is said with the name of its option or argument', async () => {
  const declared = verb({
    summary: 'try it',
    arguments: [argument('<root-hash>', '', wholeNumber(1, 9))],
    options: { output: option('-o, --output <count>', '', wholeNumber(1, 9)) },
    json: null,
    examples: [],
    run: async () => {},
  })
  const run = (given: string, output: string) => declared.run({ arguments: [[given]], options: [[output]] })
  await run('1', '9')
  await assert.rejects(run('1', '10'), { code: 'ERR_DDI_USAGE', message: /^--output: invalid number "10": .* 1 to 9$/ })
  await assert.rejects(run('x', '1'), { code: 'ERR_DDI_USAGE', message: /^ROOT-HASH: invalid number "x"/ })
})

test('the command line hands each verb its words', async () => {
  const { facts } = verb({
    summary: 'try it',
    arguments: [argument('<image>', ''), argument('[names...]', '')],
    options: {
      check: flag('--check', ''),
      noCheck: flag('--no-check', ''),
      device: repeatable('-d, --device <name>', '', size),
      size: option('--size <size>', '', size, '1K'),
    },
    json: null,
    examples: [],
    run: async () => {},
  })
  const words = async (...argv: string[]) => {
    const got: unknown[] = []
    const verbs = ['attach', 'one', 'group two'].map((name) => ({ ...facts, name }))
    const index = { version: '1', verbs, groups: { group: 'hold one' } }
    const ddi = program(index, async ({ name }, given) => void got.push(name, given.arguments, given.options))
    await ddi.parseAsync(argv, { from: 'user' })
    return got
  }
  const none = [[], [], [], [], [], [], []]
  assert.deepEqual(await words('attach', 'a.raw'), ['attach', [['a.raw'], []], none])
  assert.deepEqual(await words('one', 'a', 'b', 'c'), ['one', [['a'], ['b', 'c']], none])
  const options = ['--no-check', '-d', 'x', '--device=y', '--size=1', '--size', '2']
  assert.deepEqual(await words('group', 'two', ...options, 'a'), [
    'group two',
    [['a'], []],
    [[], [''], ['x', 'y'], ['1', '2'], [], [], []],
  ])
  assert.deepEqual(await words('one', '--check', '--check', 'a'), [
    'one',
    [['a'], []],
    [['', ''], [], [], [], [], [], []],
  ])
})
