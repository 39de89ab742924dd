import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkOptions, type OptionNames, pickOptions } from '../lib/options.js'

interface HashOptions {
  readonly rootHash?: string
  readonly usrHash?: string
}
interface CallOptions extends HashOptions {
  readonly signal?: AbortSignal
}
const hashNames: OptionNames<HashOptions> = { rootHash: true, usrHash: true }
const callNames: OptionNames<CallOptions> = { ...hashNames, signal: true }

const check = (options: object) => checkOptions<CallOptions>(options, callNames, 'attach')

test('options that a call has pass, present or not', () => {
  check({})
  check({ rootHash: 'ab', signal: new AbortController().signal })
  check({ usrHash: undefined })
})

test('an option that a call does not have is an error, which tells what was meant', () => {
  const refused = (options: object, message: string) =>
    assert.throws(() => check(options), { code: 'ERR_DDI_USAGE', message })
  refused({ roothash: 'zz' }, 'unknown option "roothash" of attach(); did you mean rootHash?')
  refused({ rootHsh: 'zz' }, 'unknown option "rootHsh" of attach(); did you mean rootHash?')
  refused({ signals: undefined }, 'unknown option "signals" of attach(); did you mean signal?')
  refused({ rootHash: 'ab', colour: 'red' }, 'unknown option "colour" of attach()')
  refused({ toString: 'x' }, 'unknown option "toString" of attach()')
  refused({ '': 1 }, 'unknown option "" of attach()')
})

test('a signal that is aborted ends a call before it begins', () => {
  assert.throws(() => check({ signal: AbortSignal.abort() }), { name: 'AbortError', code: 'ERR_DDI_ABORTED' })
})

test('a call passes on the options that the next one has', () => {
  const options: CallOptions = { rootHash: 'ab', signal: AbortSignal.abort() }
  assert.deepEqual(pickOptions(options, hashNames), { rootHash: 'ab' })
})
