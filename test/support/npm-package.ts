import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './run.js'

const cache = join(process.env['XDG_CACHE_HOME'] ?? join(process.env['HOME']!, '.cache'), 'ddi-test-nodes')

/** A package of npm’s, for whatever machine it is, fetched once. @returns its folder */
export function npmPackage(name: string, version: string): string {
  const folder = join(cache, `${name.replace('/', '+')}-${version}`)
  if (!existsSync(folder)) {
    mkdirSync(cache, { recursive: true })
    const work = mkdtempSync(join(cache, 'new-'))
    run('npm', 'pack', '--silent', '--prefer-offline', '--pack-destination', work, `${name}@${version}`)
    run('sh', '-c', 'cd "$1" && tar --extract --file *.tgz && rm *.tgz', 'sh', work)
    try {
      renameSync(join(work, 'package'), folder)
    } catch (error) {
      // Tests that run at the same time fetch it too.
      if (!existsSync(folder)) throw error
    }
    rmSync(work, { recursive: true })
  }
  return folder
}
