/**
 * The values of a parameter of the kernel command line, in order. Double quotes protect spaces and are not part of a value:
 * kernel/params.c, next_arg().
 * @param text as in /proc/cmdline
 */
export function parameterValues(text: string, name: string): string[] {
  const words = text.match(/(?:"[^"]*"?|[^\s"])+/g) ?? []
  return words.flatMap((word) => {
    const plain = word.replaceAll('"', '')
    return plain.startsWith(`${name}=`) ? [plain.slice(name.length + 1)] : []
  })
}
