import { randomInt } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { DdiError } from '../errors.js'
import { aborted } from '../work.js'
import {
  type Dhcp6Message,
  type Dhcp6Option,
  encodeMessage,
  type Given6,
  givenBy,
  messageTypes,
  optionCodes,
  optionData,
  parseMessage,
} from './dhcp6-message.js'

/** Who asks. busybox has no client of DHCPv6 where it is built without one, as Debian's is. */
export interface Dhcp6Client {
  readonly card: string
  /** Of the card, in digits and colons. */
  readonly mac: string
  /** The address of the card that needs no server. */
  readonly linkLocal: string
  /** How long to wait for answers, in ms. */
  readonly patience: number
  readonly signal?: AbortSignal | undefined
}

/** All servers and relays on a link: RFC 8415, section 7.1; and the ports of section 7.2. */
const group = 'ff02::1:2'
const ports = { client: 546, server: 547 } as const

/** What is asked for. */
const wanted = [optionCodes.nameServers, optionCodes.bootFileUrl]

/**
 * Asks for an address, and what belongs to it: section 18.2.1 and 18.2.2.
 * @throws ERR_DDI_NETWORK if no server gives one, ERR_DDI_ABORTED
 */
export async function requestAddress(client: Dhcp6Client): Promise<Given6 & { readonly address: string }> {
  await using conversation = await openConversation(client)
  const identity = { code: optionCodes.addressesOf, data: Buffer.concat([Buffer.from('ddi1'), Buffer.alloc(8)]) }
  const offer = await conversation.ask(messageTypes.solicit, [identity], (message) => {
    return message.type === messageTypes.advertise && (givenBy(message)?.address ?? null) !== null
  })
  const chosen = [optionCodes.serverId, optionCodes.addressesOf].flatMap((code) => {
    const data = optionData(offer.options, code)
    return data ? [{ code, data }] : []
  })
  const reply = await conversation.ask(messageTypes.request, chosen, ({ type }) => type === messageTypes.reply)
  const given = givenBy(reply)
  if (!given || given.address === null)
    throw new DdiError('ERR_DDI_NETWORK', `${client.card}: DHCPv6 refuses an address`)
  return { ...given, address: given.address }
}

/** Asks for what is not an address: section 18.2.6. @throws ERR_DDI_NETWORK if no server answers, ERR_DDI_ABORTED */
export async function requestInformation(client: Dhcp6Client): Promise<Given6> {
  await using conversation = await openConversation(client)
  const reply = await conversation.ask(messageTypes.informationRequest, [], (message) => {
    return message.type === messageTypes.reply && givenBy(message) !== undefined
  })
  return givenBy(reply)!
}

interface Conversation extends AsyncDisposable {
  /** Sends a message, again until something fits that answers it. */
  ask(type: number, options: readonly Dhcp6Option[], fits: (message: Dhcp6Message) => boolean): Promise<Dhcp6Message>
}

async function openConversation(client: Dhcp6Client): Promise<Conversation> {
  const { card, mac, linkLocal } = client
  const socket = createSocket('udp6')
  // DUID-LL of Ethernet: section 11.4.
  const identity = Buffer.concat([Buffer.from([0, 3, 0, 1]), Buffer.from(mac.replaceAll(':', ''), 'hex')])
  const deadline = performance.now() + client.patience
  try {
    socket.bind(ports.client, `${linkLocal}%${card}`)
    await once(socket, 'listening')
  } catch (error) {
    socket.close()
    throw new DdiError('ERR_DDI_NETWORK', `${card}: cannot speak DHCPv6: ${(error as Error).message}`, { cause: error })
  }
  return {
    async ask(type, options, fits) {
      const message = {
        type,
        transaction: randomInt(2 ** 24),
        options: [
          { code: optionCodes.clientId, data: identity },
          ...options,
          { code: optionCodes.requested, data: Buffer.concat(wanted.map(twoBytes)) },
        ],
      }
      return await exchange(
        socket,
        client,
        { message, deadline },
        (answer) => isFor(answer, message, identity) && fits(answer),
      )
    },
    async [Symbol.asyncDispose]() {
      socket.close()
      await once(socket, 'close')
    },
  }
}

/** Section 16: what is not for this client is ignored. */
function isFor({ transaction, options }: Dhcp6Message, asked: Dhcp6Message, identity: Buffer): boolean {
  return (
    transaction === asked.transaction &&
    optionData(options, optionCodes.clientId)?.equals(identity) === true &&
    optionData(options, optionCodes.serverId) !== undefined
  )
}

function twoBytes(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff])
}

/** Waits longer each time, from a second on, as RFC 8415 does: section 15. */
async function exchange(
  socket: Socket,
  { card, signal }: Dhcp6Client,
  { message, deadline }: { readonly message: Dhcp6Message; readonly deadline: number },
  accept: (message: Dhcp6Message) => boolean,
): Promise<Dhcp6Message> {
  const start = performance.now()
  return await new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const end = (settle: () => void) => {
      clearTimeout(timer)
      socket.off('message', receive).off('error', fail)
      signal?.removeEventListener('abort', abort)
      settle()
    }
    const receive = (bytes: Buffer) => {
      const answer = parseMessage(bytes)
      if (answer && accept(answer)) end(() => resolve(answer))
    }
    const fail = (error: Error) => end(() => reject(silence(card, error.message)))
    const abort = () => end(() => reject(aborted(signal!)))
    const send = (delay: number) => {
      const left = deadline - performance.now()
      if (left <= 0) return end(() => reject(silence(card, 'no server answers')))
      const elapsed = Math.min(Math.floor((performance.now() - start) / 10), 0xffff)
      const options = [...message.options, { code: optionCodes.elapsedTime, data: twoBytes(elapsed) }]
      // A network that is not ready refuses: what comes of the next attempt counts.
      socket.send(encodeMessage({ ...message, options }), ports.server, `${group}%${card}`, () => undefined)
      timer = setTimeout(() => send(delay * 2), Math.min(delay, left))
    }
    socket.on('message', receive).on('error', fail)
    signal?.addEventListener('abort', abort, { once: true })
    if (signal?.aborted) return abort()
    send(1000)
  })
}

function silence(card: string, why: string): DdiError {
  return new DdiError('ERR_DDI_NETWORK', `${card}: DHCPv6: ${why}`)
}
