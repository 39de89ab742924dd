/** What images are for, and the directory that systemd keeps them in. */
export const imageClasses = {
  machine: '/var/lib/machines',
  portable: '/var/lib/portables',
  sysext: '/var/lib/extensions',
  confext: '/var/lib/confexts',
} as const
/** What an image is for, and by that where systemd looks for it. */
export type ImageClass = keyof typeof imageClasses
