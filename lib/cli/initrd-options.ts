import { refuseReplacing } from '../bytes/new-file.js'
import type { BuiltInitrd } from '../uki/initrd.js'
import { given } from './given.js'
import { untilInterrupted } from './interrupt.js'
import { namedCertificates } from './options.js'
import { note } from './output.js'
import { newFile, text } from './values.js'
import { flag, option, repeatable, requiredOption, type ValuesOf } from './verb.js'

/** Of verbs that make what boots a machine. */
export const initrdOptions = {
  output: requiredOption('-o, --output <file>', 'the new file', newFile),
  certificate: repeatable('--certificate <file>', 'trust this signer of root hashes, PEM or DER', text),
  keyring: option('--keyring <file>', 'trust these signers of SHA256SUMS, OpenPGP', text),
  authorities: option(
    '--authorities <file>',
    'certificate authorities for HTTPS, PEM: what boots trusts no others (default: those of this machine)',
    text,
  ),
  withTar: flag('--with-tar', 'add GNU tar, for a root that is an archive'),
  force: flag('--force', 'replace a file that exists'),
}

/** Of those that have modules of a kernel in it. */
export const moduleOptions = {
  module: repeatable('--module <name>', 'add a module, and what it needs', text),
  withInstaller: flag('--with-installer', 'add what a machine needs that installs itself: ddi.install='),
}

/** As the library takes them. */
export async function initrdWork(options: ValuesOf<typeof initrdOptions>) {
  const { output, certificate, keyring, authorities, withTar, force } = options
  await refuseReplacing(output, certificate)
  return {
    ...given({ keyring, authorities }),
    certificates: await namedCertificates(certificate),
    tar: withTar,
    replace: force,
    signal: untilInterrupted(),
  }
}

export function noteUnstripped({ isStripped }: BuiltInitrd): void {
  if (!isStripped) note('symbols are left in the initrd, which makes it larger: install binutils to leave them out')
}
