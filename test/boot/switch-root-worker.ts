// Hands over to the system at a directory, as process of a root of its own.

import { completeRoot } from '../../lib/boot/base-directories.js'
import { switchRoot } from '../../lib/kernel/switch-root.js'

const [directory = '', program = '', complete] = process.argv.slice(2)
try {
  if (complete !== undefined) await completeRoot(directory)
  await switchRoot(directory, [program, 'single'], { TERM: 'linux', WORDS: 'a b' })
} catch (error) {
  const { code, message, syscall } = error as NodeJS.ErrnoException
  process.stdout.write(JSON.stringify({ code, message, syscall }))
}
