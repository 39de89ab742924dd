/**
 * The values of a parameter of the kernel’s command line, in order. Double quotes keep spaces together and are no part of a
 * value: kernel/params.c, next_arg().
 * @param text as in /proc/cmdline
 */
export function parameterValues(text: string, name: string): string[] {
  const words = text.match(/(?:"[^"]*"?|[^\s"])+/g) ?? []
  return words.flatMap((word) => {
    const plain = word.replaceAll('"', '')
    return plain.startsWith(`${name}=`) ? [plain.slice(name.length + 1)] : []
  })
}
