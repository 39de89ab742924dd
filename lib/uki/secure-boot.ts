import { DdiError } from '../errors.js'
import { runTool } from '../tool.js'

/** Who signs programs for UEFI Secure Boot: files in PEM. */
export interface SecureBootKey {
  readonly key: string
  readonly certificate: string
}

/**
 * Signs a program, and verifies that.
 * @param signed path of a new file
 * @throws ERR_DDI_KEY if it cannot be signed with that key, ERR_DDI_LIBRARY_MISSING, ERR_DDI_ABORTED
 */
export async function signProgram(
  program: string,
  signed: string,
  { key, certificate }: SecureBootKey,
  signal?: AbortSignal,
): Promise<void> {
  try {
    const sign = ['sbsign', '--key', key, '--cert', certificate, '--output', signed, program] as const
    await runTool({ command: sign, package: 'sbsigntool' }, signal)
    await runTool({ command: ['sbverify', '--cert', certificate, signed], package: 'sbsigntool' }, signal)
  } catch (error) {
    if (!(error instanceof DdiError) || error.code !== 'ERR_DDI_TOOL') throw error
    throw new DdiError('ERR_DDI_KEY', `cannot sign for Secure Boot with ${key} and ${certificate}: ${error.message}`, {
      cause: error,
    })
  }
}
