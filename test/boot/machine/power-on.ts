// Switches on a machine whose firmware boots FILE of FOLDER/www, and prints its console until that says UNTIL: power-on.js FOLDER FILE UNTIL
import { printable } from '../../../lib/text.js'
import { makeNetwork, server } from './network.js'
import { bootFirmware } from './qemu.js'

/** Emulated, a machine takes minutes; in ms. */
const patience = 15 * 60_000

const [folder = '', file = '', until = ''] = process.argv.slice(2)
await using network = await makeNetwork(folder)
await network.addresses({ kind: 'dhcpv4', bootFile: `http://${server.ipv4}/${file}` })
await using machine = bootFirmware(network, { folder, memory: 1536 })
machine.console.onLine(({ at, text }) => console.log(`${at.toFixed(1).padStart(7)} ${printable(text)}`))
const late = setTimeout(() => {
  throw new Error(`the machine does not say ${until} within ${patience / 60_000} minutes`)
}, patience)
await machine.console.line(new RegExp(until))
clearTimeout(late)
