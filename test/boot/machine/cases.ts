// What a boot does up to the hand-over, case by case.
import { server } from './network.js'
import type { Rehearsal } from './rehearsals.js'
import type { Vendor } from './roots.js'

export interface Case extends Rehearsal {
  /** A root is mounted, nothing is to be done, or the boot fails. */
  readonly end: 'mounted' | 'nothing' | 'failure'
  readonly says: readonly RegExp[]
  /** The web server is asked for no image. */
  readonly downloadsNothing?: true
}

const at = `http://${server.ipv4}`
const origin = `ddi.url=${at}/acme_1.efi`
const pull = (expression: string) => `rd.systemd.pull=${expression}`
const zeroes = '0'.repeat(64)
const noCertificate = { before: 'mv /etc/verity.d /etc/none', after: 'mv /etc/none /etc/verity.d' }
/** The root in /sysroot, read to its end. */
const read = '/bin/busybox cat /sysroot/etc/os-release; /bin/busybox sha256sum /sysroot/var/filler'
const covered = /^\/dev\/mapper\/\S+ \/sysroot erofs ro,/m

/** Of good images: every way to have one, and to trust it. */
function good({ rootHash, hashes }: Vendor): Record<string, Case> {
  const boots = { end: 'mounted', after: read } as const
  return {
    'raw-by-certificate': {
      ...boots,
      parameters: [origin, pull('raw,machine,verify=checksum,bootorigin:a1:acme_1.raw')],
      says: [covered, /ID=trial/],
    },
    'raw-xz-by-root-hash': {
      ...boots,
      ...noCertificate,
      parameters: [origin, `roothash=${rootHash}`, pull('raw,machine,verify=no,bootorigin:a2:acme_1.raw.xz')],
      says: [covered],
    },
    'raw-zst-by-policy': {
      ...boots,
      parameters: [
        origin,
        'systemd.image_policy=root=signed:=ignore',
        pull(`raw,machine,verify=${hashes.get('acme_1.raw.zst')},bootorigin:a3:acme_1.raw.zst`),
      ],
      says: [covered],
    },
    'suffixes-are-probed': {
      ...boots,
      parameters: [origin, pull('raw,machine,verify=checksum,bootorigin:a4:')],
      says: [covered, /pulling http:\/\/10\.99\.0\.1\/acme_1\.raw\.xz/],
    },
    'tar-by-signed-checksums': {
      ...boots,
      parameters: [origin, pull('tar,machine,verify=signature,bootorigin:a5:')],
      says: [/^\S+ \/sysroot tmpfs/m, /ID=trial/, /acme_1\.tar\.xz/],
    },
    'tar-by-its-hash': {
      ...boots,
      // As in every case, there is no other `sync` than that of busybox.
      before: 'readlink /bin/sync',
      parameters: [origin, pull(`tar,machine,ro,verify=${hashes.get('acme_1.tar.xz')},bootorigin:a6:acme_1.tar.xz`)],
      says: [/^busybox$/m, /^\S+ \/sysroot tmpfs ro,/m],
    },
    overlay: {
      ...boots,
      after: 'echo new >/sysroot/etc/new && /bin/busybox cat /sysroot/etc/new',
      parameters: [origin, 'ddi.volatile=overlay', pull('raw,machine,verify=checksum,bootorigin:a7:acme_1.raw.xz')],
      says: [/^overlay \/sysroot overlay rw,/m, /^new$/m],
    },
    'what-is-there-is-used': {
      ...boots,
      before: 'cp /run/machines/a1.raw /run/machines/a12.raw',
      parameters: [`ddi.url=${at}/gone/acme_1.efi`, pull('raw,machine,verify=checksum,bootorigin:a12:acme_1.raw')],
      says: [covered],
      downloadsNothing: true,
    },
    'what-is-there-is-used-without-an-origin': {
      ...boots,
      before: 'cp /run/machines/a1.raw /run/machines/a13.raw',
      parameters: [pull('raw,machine,verify=checksum,bootorigin:a13:acme_1.raw')],
      says: [covered],
      downloadsNothing: true,
    },
    'broken-off-and-resumed': {
      ...boots,
      parameters: [`ddi.url=${at}/cut/acme_1.efi`, pull('raw,machine,verify=checksum,bootorigin:a8:acme_1.raw.xz')],
      says: [covered],
    },
    companions: {
      ...boots,
      parameters: [
        `ddi.url=${at}/companions/acme_1.efi`,
        'systemd.set_credential=greeting:hello',
        pull('raw,machine,verify=checksum,bootorigin:a10:acme_1.raw.xz'),
      ],
      after:
        'cd /run/credentials/@initrd && cat greeting motd; ls /run/extensions; rm -rf /run/credentials /run/extensions',
      says: [covered, /^hello/m, /^(hello)?well met$/m, /^tools\.raw$/m],
    },
    'companions-that-nobody-signed': {
      ...boots,
      parameters: [
        `ddi.url=${at}/unsigned-companions/acme_1.efi`,
        pull('raw,machine,verify=checksum,bootorigin:a11:acme_1.raw.xz'),
      ],
      after: 'ls /run/credentials/@initrd/motd; ls /run/extensions; rm -rf /run/extensions',
      // The extension has a signature of its own.
      says: [covered, /companion motd\.cred left out: .*ERR_DDI_UNTRUSTED/, /motd: No such file/, /^tools\.raw$/m],
    },
    'insecure-is-said': {
      ...boots,
      ...noCertificate,
      parameters: [origin, 'ddi.insecure', pull('raw,machine,verify=checksum,bootorigin:a9:unsigned.raw.xz')],
      says: [/INSECURE/],
    },
    'a-second-image-as-a-block-device': {
      ...boots,
      parameters: [
        origin,
        `roothash=${rootHash}`,
        pull('raw,machine,verify=checksum,bootorigin:root:acme_1.raw.xz'),
        pull('raw,portable,verify=checksum,blockdev,bootorigin:tools:acme_1.raw'),
      ],
      after: 'ls /dev/mapper',
      says: [covered, /ddi-tools/],
    },
  }
}

/** Of images that nobody vouches for, or that are not what somebody vouches for. */
function untrusted({ hashes }: Vendor): Record<string, Case> {
  const refused = { end: 'failure' } as const
  const image = (name: string) => pull(`raw,machine,verify=checksum,bootorigin:${name}:${name}.raw.xz`)
  return {
    unsigned: { ...refused, parameters: [origin, image('unsigned')], says: [/ERR_DDI_(NO_ROOT_HASH|SIGNATURE)/] },
    stranger: { ...refused, parameters: [origin, image('stranger')], says: [/ERR_DDI_SIGNATURE_UNTRUSTED/] },
    expired: {
      ...refused,
      before: 'date +%s >/now; date -s 209901010000',
      after: 'date -s @$(cat /now)',
      parameters: [origin, pull('raw,machine,verify=checksum,bootorigin:b1:acme_1.raw.xz')],
      says: [/ERR_DDI_SIGNATURE_EXPIRED/],
    },
    'nothing-vouches': {
      ...refused,
      ...noCertificate,
      parameters: [origin, pull('raw,machine,verify=checksum,bootorigin:b2:acme_1.raw.xz')],
      says: [/ERR_DDI_UNTRUSTED/, /roothash=/],
      downloadsNothing: true,
    },
    'nothing-vouches-for-a-tree': {
      ...refused,
      parameters: [origin, pull('tar,machine,verify=checksum,bootorigin:b3:acme_1.tar.xz')],
      says: [/ERR_DDI_UNTRUSTED/],
      downloadsNothing: true,
    },
    'nothing-vouches-for-a-block-device': {
      ...refused,
      ...noCertificate,
      parameters: [origin, pull('raw,portable,verify=checksum,blockdev,bootorigin:b4:acme_1.raw.xz')],
      says: [/ERR_DDI_UNTRUSTED/],
      downloadsNothing: true,
    },
    'wrong-root-hash': {
      ...refused,
      parameters: [origin, `roothash=${zeroes}`, pull('raw,machine,verify=checksum,bootorigin:b5:acme_1.raw.xz')],
      says: [/FAILED.*ERR_DDI_/],
    },
    'wrong-hash-of-the-download': {
      ...refused,
      parameters: [origin, pull(`raw,machine,verify=${zeroes},bootorigin:b6:acme_1.raw.xz`)],
      says: [/ERR_DDI_PULL_CHECKSUM/],
    },
    'policy-that-refuses': {
      ...refused,
      parameters: [
        origin,
        'systemd.image_policy=root=encrypted',
        pull('raw,machine,verify=checksum,bootorigin:b7:acme_1.raw.xz'),
      ],
      says: [/ERR_DDI_POLICY/],
    },
    foreign: { ...refused, parameters: [origin, image('foreign')], says: [/FAILED.*ERR_DDI_/] },
    'tar-that-is-another': {
      ...refused,
      parameters: [origin, pull(`tar,machine,verify=${hashes.get('acme_1.raw.xz')},bootorigin:b8:acme_1.tar.xz`)],
      says: [/ERR_DDI_PULL_CHECKSUM/],
    },
  }
}

/** Of what is asked for in a way that cannot be, and of servers. */
function unobtainable(): Record<string, Case> {
  const refused = { end: 'failure' } as const
  const given = (name: string, path: string) => [origin, pull(`raw,machine,verify=checksum,bootorigin:${name}:${path}`)]
  return {
    'no-origin': {
      end: 'nothing',
      parameters: [pull('raw,machine,verify=checksum,bootorigin:c1:acme_1.raw.xz')],
      says: [/skipped .*did not boot from a URL/],
      downloadsNothing: true,
    },
    'lease-without-a-boot-file': {
      end: 'nothing',
      parameters: ['ddi.url=lease', pull('raw,machine,verify=checksum,bootorigin:c2:acme_1.raw.xz')],
      says: [/skipped .*did not boot from a URL/],
      downloadsNothing: true,
    },
    'tree-without-gnu-tar': {
      ...refused,
      before: 'mount --bind /bin/busybox /usr/bin/tar',
      after: 'umount /usr/bin/tar',
      parameters: [origin, pull('tar,machine,verify=signature,bootorigin:d3:acme_1.tar.xz')],
      says: [/ERR_DDI_\w+/, /not GNU tar/],
    },
    'two-of-one-name': {
      ...refused,
      parameters: [
        origin,
        pull('raw,machine,verify=checksum,bootorigin:c3:acme_1.raw.xz'),
        pull('raw,machine,verify=checksum,bootorigin:c3:acme_1.raw'),
      ],
      says: [/are both to become/],
      downloadsNothing: true,
    },
    'malformed-request': {
      ...refused,
      parameters: [origin, pull('raw,machine,verify=perhaps,bootorigin:c4:acme_1.raw.xz')],
      says: [/unknown option verify=perhaps/, /ERR_DDI_USAGE/],
      downloadsNothing: true,
    },
    'not-there': {
      ...refused,
      parameters: given('c5', 'missing.raw.xz'),
      says: [/ERR_DDI_PULL_/, /missing\.raw\.xz/],
    },
    'no-suffix-is-there': {
      ...refused,
      parameters: [`ddi.url=${at}/other.efi`, pull('raw,machine,verify=checksum,bootorigin:c6:')],
      says: [/ERR_DDI_PULL_NOT_FOUND/],
    },
    'a-page-for-people': {
      ...refused,
      parameters: [`ddi.url=${at}/page/acme_1.efi`, pull('raw,machine,verify=no,bootorigin:c7:acme_1.raw.xz')],
      says: [/ERR_DDI_/],
    },
    'a-page-for-checksums': {
      ...refused,
      parameters: [`ddi.url=${at}/page/acme_1.efi`, pull('raw,machine,verify=checksum,bootorigin:c8:acme_1.raw.xz')],
      says: [/ERR_DDI_/],
    },
    'no-server': {
      ...refused,
      parameters: ['ddi.retry=2', `ddi.url=${at}:81/a.efi`, pull('raw,machine,verify=checksum,bootorigin:c9:a.raw')],
      says: [/ERR_DDI_PULL_BROKEN/],
    },
    'no-name-server': {
      ...refused,
      parameters: [
        'ddi.retry=0',
        'ddi.url=http://no.such/a.efi',
        pull('raw,machine,verify=checksum,bootorigin:d1:a.raw'),
      ],
      says: [/no\.such/, /ERR_DDI_/],
    },
    'more-than-memory-holds': {
      ...refused,
      parameters: [origin, pull(`raw,machine,verify=${zeroes},bootorigin:d2:large.raw`)],
      says: [/ERR_DDI_NO_SPACE/],
    },
  }
}

/** By name. */
export function bootCases(vendor: Vendor): Readonly<Record<string, Case>> {
  return { ...good(vendor), ...untrusted(vendor), ...unobtainable() }
}
