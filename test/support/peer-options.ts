// The options that the peers have, as their manuals or --help name them.

/** A program whose options docs/compatibility.md tells of. */
export interface Peer {
  readonly program: string
  /** Of the program that the options are of, the newest that was read. */
  readonly version: string
  /** The beginning of the header of the table that tells of them. */
  readonly table: string
  readonly options: string
  /** A command of this machine, maybe older, that has no other options. */
  readonly help?: readonly [string, ...string[]]
}

export const peers: readonly Peer[] = [
  {
    program: 'systemd-repart',
    version: '261',
    table: 'systemd-repart(8)',
    help: ['systemd-repart', '--help'],
    options: `--append-fstab --architecture --can-factory-reset --certificate --certificate-source --copy-from --copy-source
      --defer-partitions --defer-partitions-empty --defer-partitions-factory-reset --definitions --discard --dry-run --el-torito
      --el-torito-publisher --el-torito-system --el-torito-volume --empty --exclude-partitions --factory-reset --generate-crypttab
      --generate-fstab --grain-size --image --image-policy --include-partitions --join-signature --json --key-file --list-devices
      --make-ddi --no-legend --no-pager --offline --pretty --private-key --private-key-source --root --sector-size --seed --size --split
      --tpm2-device --tpm2-device-key --tpm2-pcrlock --tpm2-pcrs --tpm2-public-key --tpm2-public-key-pcrs --tpm2-seal-key-handle -C -P -S -s`,
  },
  {
    program: 'systemd-dissect',
    version: '258',
    table: 'systemd-dissect(1)',
    help: ['systemd-dissect', '--help'],
    options: `--attach --copy-from --copy-to --detach --discard --discover --fsck --growfs --image-filter --image-policy --in-memory --json
      --list --loop-ref --make-archive --mkdir --mount --mtree --mtree-hash --no-legend --no-pager --read-only --rmdir --root-hash
      --root-hash-sig --shift --umount --validate --verity-data --with -M -U -a -l -r -x`,
  },
  {
    program: 'veritysetup',
    version: '2.8',
    table: 'veritysetup',
    help: ['veritysetup', '--help'],
    options: `--cancel-deferred --check-at-most-once --data-block-size --data-blocks --debug --deferred --error-as-corruption --fec-device
      --fec-offset --fec-roots --format --hash --hash-block-size --hash-offset --ignore-corruption --ignore-zero-blocks --no-superblock
      --panic-on-corruption --restart-on-corruption --root-hash-file --root-hash-signature --salt --shared --use-tasklets --uuid --verbose`,
  },
  {
    program: 'systemd-pull, importctl',
    version: '257',
    table: 'systemd-pull(8), importctl(1)',
    help: ['/usr/lib/systemd/systemd-pull', '--help'],
    options: `--btrfs-quota --btrfs-subvol --class --convert-qcow2 --direct --force --format --host --image-root --json --keep-download --machine
      --no-ask-password --no-legend --no-pager --offset --quiet --read-only --roothash --roothash-signature --settings --size-max --sync
      --verify --verity -C -M -N -P -S -j -m`,
  },
  {
    program: 'systemd-sysupdate',
    version: '262',
    table: 'systemd-sysupdate(8)',
    options: `--cleanup --component --component-all --definitions --image --image-policy --instances-max --json --no-legend --no-pager --offline
      --reboot --root --sync --transfer-source --verify -A -C -m`,
  },
  {
    program: 'lpmake',
    version: 'AOSP main',
    table: 'lpmake',
    options: `--alignment --alignment-offset --auto-slot-suffixing --block-size --device --device-size --force-full-image --group --image
      --metadata-size --metadata-slots --output --partition --sparse --super-name --virtual-ab`,
  },
  {
    program: 'lpadd, lpdump, lpunpack',
    version: 'AOSP main',
    table: 'lpadd, lpdump, lpunpack',
    options: '--all --dump-metadata-size --image --is-super-empty --json --partition --readonly --replace --slot',
  },
  { program: 'img2simg', version: 'AOSP main', table: 'simg2img, img2simg, simg2simg', options: '-s' },
  {
    program: 'sgdisk',
    version: '1.0.9',
    table: 'sgdisk(8)',
    help: ['sgdisk', '--help'],
    options: `--align-end --attributes --backup --byte-swap-name --change-name --clear --delete --disk-guid --display-alignment
      --end-of-largest --first-aligned-in-largest --first-in-largest --gpttombr --hybrid --info --largest-new --list-types --load-backup
      --mbrtogpt --move-main-table --move-second-header --new --partition-guid --pretend --print --print-mbr --randomize-guids
      --recompute-chs --replicate --resize-table --set-alignment --sort --transform-bsd --transpose --typecode --verify --zap --zap-all`,
  },
]
