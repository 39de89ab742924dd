import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './run.js'

/**
 * Signs files by a new key of GnuPG’s, each into FILE.gpg.
 * @param home a folder to be made
 * @returns the path of a keyring with the key
 */
export function signByGpg(home: string, ...files: readonly string[]): string {
  mkdirSync(home, { mode: 0o700 })
  gpg(home, '--quick-generate-key', 'ddi test', 'default', 'default', '1d')
  for (const file of files) signAgain(home, file)
  const keyring = join(home, 'keyring.pgp')
  gpg(home, '--export', '--output', keyring)
  return keyring
}

/** Signs a file by the key that is there already. */
export function signAgain(home: string, file: string): void {
  gpg(home, '--detach-sign', '--output', `${file}.gpg`, file)
}

/** Runs GnuPG with the keys of a folder, and ends its agent, which would outlive the test. @returns its standard output */
export function gpg(home: string, ...words: readonly string[]): string {
  const usual = ['--batch', '--quiet', '--yes', '--pinentry-mode=loopback', '--passphrase=']
  const output = run('gpg', '--homedir', home, ...usual, ...words)
  run('gpgconf', '--homedir', home, '--kill', 'all')
  return output
}
