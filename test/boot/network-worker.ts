// Configures the network of the namespaces that it runs in, as in an initrd: the words of a kernel command line are its arguments.
import { mkdtempSync, readFileSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configureNetwork } from '../../lib/boot/network.js'
import { parseBootParameters } from '../../lib/boot/parameters.js'
import { readRequested } from '../../lib/boot/requested.js'
import { run } from '../support/run.js'

const root = mkdtempSync(join(tmpdir(), 'root-'))
for (const name of ['proc', 'sys', 'run']) symlinkSync(`/${name}`, join(root, name))
run('mkdir', join(root, 'etc'))
const said: string[] = []
const log = { say: (text: string) => void said.push(text), progress: () => undefined }
const parameters = parseBootParameters(process.argv.slice(2).join(' '))
const context = { root, parameters, log }
const error = await configureNetwork(context, await readRequested(context)).catch((error: unknown) => error)
const ifRead = (path: string) => {
  try {
    return readFileSync(join(root, path), 'utf8')
  } catch {
    return ''
  }
}
process.stdout.write(
  JSON.stringify({
    said,
    code: (error as { code?: string } | undefined)?.code ?? null,
    message: (error as Error | undefined)?.message ?? '',
    resolv: ifRead('etc/resolv.conf'),
    leases: ifRead('run/net-eth0.conf') + ifRead('run/net6-eth0.conf'),
    hostname: ifRead('proc/sys/kernel/hostname').trim(),
    interfaces: JSON.parse(run('ip', '-j', 'address')),
    routes: [...JSON.parse(run('ip', '-j', 'route')), ...JSON.parse(run('ip', '-j', '-6', 'route'))],
  }),
)
