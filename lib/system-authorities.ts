/** Where a machine has the certificate authorities that its programs trust, all in one file: Debian, Fedora, openSUSE, Alpine. */
export const systemAuthorities: readonly string[] = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
]
