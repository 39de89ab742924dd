// Keys and certificates, by openssl.
import { join } from 'node:path'
import { run } from './run.js'

export interface Identity {
  readonly key: string
  readonly certificate: string
}

/** A self-signed certificate and its key. @param options `days` negative: it has expired, or counted from `from`: it is not valid yet */
export function makeIdentity(
  folder: string,
  name: string,
  { kind = 'rsa:2048', arguments: more = [] }: { kind?: string; arguments?: readonly string[] } = {},
): Identity {
  const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)]
  const newKey = kind.startsWith('ec:') ? ['ec', '-pkeyopt', `ec_paramgen_curve:${kind.slice(3)}`] : [kind]
  run(
    ...(['openssl', 'req', '-x509', '-newkey', ...newKey] as [string, ...string[]]),
    ...['-nodes', '-keyout', key, '-out', certificate, '-subj', `/CN=${name}`, '-days', '30', ...more],
  )
  return { key, certificate }
}

/** A certificate for the time between two dates (`YYYYMMDDHHMMSSZ`), for a new key. */
export function makeIdentityBetween(folder: string, name: string, from: string, to: string): Identity {
  const { key } = makeIdentity(folder, name)
  const certificate = join(folder, `${name}.between.crt`)
  const request = join(folder, `${name}.csr`)
  run('openssl', 'req', '-new', '-key', key, '-out', request, '-subj', `/CN=${name}`)
  const configuration = join(folder, `${name}.cnf`)
  run(
    'sh',
    '-c',
    `mkdir -p '${folder}/${name}.ca' && : > '${folder}/${name}.ca/index' && echo 01 > '${folder}/${name}.ca/serial'`,
  )
  run(
    'sh',
    '-c',
    `cat > '${configuration}' <<X
[ca]
default_ca = it
[it]
database = ${folder}/${name}.ca/index
serial = ${folder}/${name}.ca/serial
new_certs_dir = ${folder}/${name}.ca
default_md = sha256
policy = any
[any]
commonName = supplied
X`,
  )
  run(
    ...(['openssl', 'ca', '-batch', '-config', configuration, '-selfsign', '-keyfile', key, '-in', request] as const),
    ...['-out', certificate, '-startdate', from, '-enddate', to, '-notext'],
  )
  return { key, certificate }
}
