import { existsSync } from 'node:fs'
import { CommanderError } from 'commander'
import { exitStatus, statusOf } from './exit.js'
import { endWhenInterrupted, reportInterrupt } from './interrupt.js'
import { noteError } from './output.js'
import { program } from './program.js'
import { type Asked, report, reportJson } from './report.js'
import { route } from './route.js'
import { longName, type Verb } from './verb.js'
import { type IndexedVerb, loadVerb, type NamedVerb, readIndex, readNames, type VerbIndex } from './verb-index.js'

/** What is asked for, as far as it has been read. */
let asked: Asked = { options: [], json: undefined }

/** Runs a command line. @returns the exit status */
async function main(argv: readonly string[]): Promise<number> {
  try {
    const names = readNames()
    const words = route(argv, names, existsSync)
    const named = names.verbs.find(({ name }) => name.split(' ').every((word, place) => words[place] === word))
    const verb = named && (await loadVerb(named.name))
    const index = verb ? withFacts(names, named, verb) : readIndex()
    const ddi = program(index, async ({ options: facts }, given) => {
      const options = facts.map(({ flags }) => longName(flags))
      asked = { options, json: given.options[options.indexOf('--json')]?.at(-1) }
      await verb?.run(given)
    })
    await ddi.parseAsync(words, { from: 'user' })
    // `with` has the exit status of its command.
    return typeof process.exitCode === 'number' ? process.exitCode : exitStatus.done
  } catch (error) {
    if (error instanceof CommanderError) return endOfParsing(error, argv)
    const interrupted = reportInterrupt(asked.json)
    if (interrupted !== undefined) return interrupted
    if (output && (error === output.error || (error as Error).cause === output.error)) return output.status
    report(error, asked)
    return statusOf(error)
  }
}

/** Options of other verbs than the one that is named are not looked at. */
function withFacts(names: VerbIndex<NamedVerb>, named: NamedVerb, { facts }: Verb): VerbIndex<NamedVerb | IndexedVerb> {
  return { ...names, verbs: names.verbs.map((one) => (one === named ? { ...one, ...facts } : one)) }
}

/** Commander has printed what is wrong by then, and requested help is not an error. */
function endOfParsing({ exitCode, message }: CommanderError, argv: readonly string[]): number {
  if (exitCode === 0) return exitStatus.done
  const json = /(?:^|\0)--json[=\0](pretty|short)(?=\0|$)/.exec(argv.join('\0'))?.[1]
  reportJson({ code: 'ERR_DDI_USAGE', message: message.replace(/^error: /, '') }, json)
  return exitStatus.usage
}

/** How standard output broke: that has been told, and is not told again by what it broke. */
let output: { readonly error: Error; readonly status: number } | undefined

/** Runs the command line of this process. */
export async function run(): Promise<void> {
  process.stdout.on('error', noteBrokenOutput)
  // Then nobody can be told anything.
  process.stderr.on('error', () => {})
  process.on('uncaughtException', (error) => {
    report(error, asked)
    process.exit(statusOf(error))
  })
  endWhenInterrupted(() => asked.json)
  const status = await main(process.argv.slice(2))
  process.exitCode = status || (output?.status ?? status)
}

function noteBrokenOutput(error: NodeJS.ErrnoException): void {
  // A reader may stop reading (`| head`), and an interrupt may end what is written: that is not a failure of ours.
  const isEnd = ['EPIPE', 'ABORT_ERR'].includes(error.code ?? '')
  if (!isEnd && !output) noteError(`cannot write to standard output: ${error.message}`)
  output ??= { error, status: isEnd ? exitStatus.done : exitStatus.system }
  process.exitCode ||= output.status
}
