import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './run.js'

/**
 * Signs files by a new key of GnuPG’s, each into FILE.gpg.
 * @param home a folder to be made
 * @returns the path of a keyring with the key
 */
export function signByGpg(home: string, ...files: readonly string[]): string {
  const gpg = (...args: string[]) =>
    run('gpg', '--homedir', home, '--batch', '--quiet', '--yes', '--pinentry-mode=loopback', '--passphrase=', ...args)
  mkdirSync(home, { mode: 0o700 })
  gpg('--quick-generate-key', 'ddi test', 'default', 'default', '1d')
  for (const file of files) gpg('--detach-sign', '--output', `${file}.gpg`, file)
  const keyring = join(home, 'keyring.pgp')
  gpg('--export', '--output', keyring)
  return keyring
}
