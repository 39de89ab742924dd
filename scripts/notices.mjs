// The licences of what is bundled, which have to come with it.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The directory of the package that a module is of, if it is of one. */
function packageOf(module) {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(module)?.[0]
}

function noticeOf(directory) {
  const { name, version, license, homepage, repository } = JSON.parse(
    readFileSync(join(directory, 'package.json'), 'utf8'),
  )
  const files = readdirSync(directory).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
  if (files.length === 0) throw new Error(`${name} is bundled, and says nothing of its licence`)
  const source = homepage ?? repository?.url ?? repository
  const texts = files.map((file) => readFileSync(join(directory, file), 'utf8').trim())
  return [`${name} ${version}`, `Licence: ${license}`, `Source: ${source}`, '', ...texts].join('\n')
}

/** @param modules the paths of all that is bundled */
export function thirdPartyNotices(modules) {
  const directories = [...new Set(modules.map(packageOf))].filter((one) => one !== undefined && existsSync(one)).sort()
  const head =
    'What dist/ has of other packages. It is unchanged but for its form: npm install and npm run build in a checkout of ddi\n' +
    'make the same files, with other versions of these packages if you put them into package.json.'
  return `${[head, ...directories.map(noticeOf)].join(`\n\n${'-'.repeat(80)}\n\n`)}\n`
}
