import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type * as Zod from 'zod'

const schemas = join(dirname(fileURLToPath(import.meta.url)), '../../schemas')

/** Fails unless what a command line printed is what the schema of its verb says. @param args of `ddi-attach` */
export function checkJson(args: readonly string[], text: string): void {
  const { z } = createRequire(import.meta.url)('zod') as typeof Zod
  const name = schemaNames(args).find((one) => existsSync(join(schemas, `${one}.json`))) ?? 'attach'
  const schema = JSON.parse(readFileSync(join(schemas, `${name}.json`), 'utf8'))
  const { error } = z.fromJSONSchema(schema).safeParse(JSON.parse(text))
  if (error)
    throw new Error(`${args.join(' ')}: not as in schemas/${name}.json\n${JSON.stringify(error.issues)}\n${text}`)
}

function schemaNames([first, second]: readonly string[]): readonly string[] {
  return [`${first}-${second}`, `${first}`]
}
