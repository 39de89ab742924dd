/**
 * Compares two version strings as the UAPI group’s Version Format Specification says (UAPI.10, and systemd’s
 * strverscmp_improved): digits by value, letters by order, `~` before everything, `-`, `^` and `.` as separators.
 * @returns below 0 if `a` is older, above 0 if it is newer
 */
export function compareVersions(a: string, b: string): number {
  let left = a
  let right = b
  for (;;) {
    left = left.replace(/^[^A-Za-z0-9~\-^.]+/, '')
    right = right.replace(/^[^A-Za-z0-9~\-^.]+/, '')
    for (const mark of ['~', '', '-', '^', '.']) {
      const l = mark === '' ? left === '' : left.startsWith(mark)
      const r = mark === '' ? right === '' : right.startsWith(mark)
      // What has the mark is older than what goes on otherwise, and what ends is older too.
      if (l !== r) return l ? -1 : 1
      if (l && mark === '') return 0
      if (l) [left, right] = [left.slice(1), right.slice(1)]
    }
    const digits = /^[0-9]/.test(left) || /^[0-9]/.test(right)
    const pattern = digits ? /^[0-9]*/ : /^[A-Za-z]*/
    const l = pattern.exec(left)![0]
    const r = pattern.exec(right)![0]
    left = left.slice(l.length)
    right = right.slice(r.length)
    const order = digits ? compareNumbers(l, r) : compareText(l, r)
    if (order !== 0) return order
  }
}

function compareNumbers(a: string, b: string): number {
  // An empty run of digits is older than 0, and digits of any length compare without losing precision.
  if (a === '' || b === '') return a.length - b.length
  const [left, right] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')]
  return left.length - right.length || compareText(left, right)
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
